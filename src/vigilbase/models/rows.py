"""From the answers of the database to rows, and from rows to what the models return.

A method that returns one row fails if it can't be read. One that returns several leaves such a row out, logs a WARNING
`….skipped`, and tells `collect_skipped`, so that one odd row of another program doesn't hide all others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from vigilbase.database.client import Row, Value
from vigilbase.database.json_codec import revive
from vigilbase.domain import JSON
from vigilbase.errors import DatabaseError
from vigilbase.logging import EventLogger
from vigilbase.models.columns import ChangedColumnError, UnreadableRowError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SkippedRows:
    """Rows that a read left out: how many, and the first one's id and what is wrong with it.

    `noun` is what the rows are, such as `health_check`.
    """

    noun: str
    count: int
    id: str | None
    reason: str


_collected: ContextVar[list[SkippedRows] | None] = ContextVar("collected", default=None)


@contextmanager
def collect_skipped() -> Iterator[Sequence[SkippedRows]]:
    """A list of what reads inside the block leave out, also those of tasks that it starts; complete after the block."""
    skipped: list[SkippedRows] = []
    token = _collected.set(skipped)
    try:
        yield skipped
    finally:
        _collected.reset(token)


def read_row(answer: Value, attempt: str) -> Row | None:
    """One row that a function returned as a JSON object, or None.

    Raises:
        DatabaseError: the answer has another form.

    """
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise make_unexpected_answer_error(attempt)
    return revive(answer)


def read_rows(answer: Value, attempt: str) -> list[Row]:
    """Rows that a function returned as one JSON array of objects.

    Raises:
        DatabaseError: the answer has another form.

    """
    if not isinstance(answer, list):
        raise make_unexpected_answer_error(attempt)
    rows = [read_row(item, attempt) for item in answer]
    return [row for row in rows if row is not None]


def read_item(row: Row | None, read: Callable[[Row], Item], attempt: str) -> Item:
    """What a row holds, by the function `read`.

    Raises:
        UnreadableRowError: it can't be read.
        DatabaseError: there is no row.

    """
    if row is None:
        raise make_unexpected_answer_error(attempt, "the database returned no row, as when a trigger discards it")
    try:
        return read(row)
    except UnreadableRowError as error:
        raise UnreadableRowError(str(make_unexpected_answer_error(attempt, str(error)))) from error


def read_items(
    rows: Sequence[Row],
    read: Callable[[Row], Item],
    attempt: str,
    log: EventLogger,
    noun: str,
    *,
    limit: int | None = None,
) -> list[Item]:
    """What the rows hold, by the function `read`, up to `limit` of them; rows that can't be read are skipped.

    Raises:
        DatabaseError: no row can be read, because a column is missing or has another type.

    """
    items: list[Item] = []
    faults: list[tuple[Row, UnreadableRowError]] = []
    for row in rows:
        if len(items) == limit:
            break
        try:
            items.append(read(row))
        except UnreadableRowError as error:
            faults.append((row, error))
    if not items:
        for _, fault in faults:
            if isinstance(fault, ChangedColumnError):
                raise make_unexpected_answer_error(attempt, str(fault)) from fault
    if faults:
        first, reason = faults[0]
        report_skipped(log, SkippedRows(noun, len(faults), get_id(first), str(reason)))
    return items


def report_skipped(log: EventLogger, skipped: SkippedRows) -> None:
    """Log that rows were skipped, and tell `collect_skipped`."""
    event = f"{skipped.noun}.skipped"
    log.warning(event, count=skipped.count, id=skipped.id, reason=skipped.reason)
    if (collected := _collected.get()) is not None:
        collected.append(skipped)


def get_id(row: Row) -> str | None:
    """A row's id for a message, if it has one."""
    return str(row["id"]) if row.get("id") is not None else None


def read_count(answer: JSON, attempt: str) -> int:
    """A number of rows that a function returned.

    Raises:
        DatabaseError: the answer has another form.

    """
    if not isinstance(answer, int) or isinstance(answer, bool):
        raise make_unexpected_answer_error(attempt)
    return answer


def read_flag(answer: JSON, attempt: str) -> bool:
    """True or False that a function returned.

    Raises:
        DatabaseError: the answer has another form.

    """
    if not isinstance(answer, bool):
        raise make_unexpected_answer_error(attempt)
    return answer


def make_unexpected_answer_error(attempt: str, reason: str = "the database gave an unexpected answer") -> DatabaseError:
    """The error for an answer in another form, as after a host changed a function or a table."""
    return DatabaseError(f"{attempt}: {reason}; `vigilbase doctor` says whether its schema was changed")
