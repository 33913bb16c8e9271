"""A row that a user names by the beginning of its id."""

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.models.rows import collect_skipped
from vigilbase.views.skipped_rows import describe_skipped
from vigilbase.views.terminal import escape


class _HasId(Protocol):
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=_HasId)


async def find_one(matches: Awaitable[Sequence[Row]], prefix: str, noun: str, hint: str) -> Row:
    """The only row of `matches`, which were looked up by `prefix`; `hint` says where the ids are listed.

    Raises:
        VigilbaseError: none or several match, or `prefix` isn't the beginning of an id.

    """
    try:
        with collect_skipped() as skipped:
            found = await matches
    except InvalidInputError as error:
        raise VigilbaseError(f'"{escape(prefix)}": {error}; {hint}') from None
    if skipped:
        raise VigilbaseError(f'"{escape(prefix)}": {describe_skipped(skipped)}')
    if len(found) > 1:
        ids = ", ".join(str(row.id) for row in found)
        raise VigilbaseError(f"several {noun}s begin with {escape(prefix)}: {ids}: give more of the id; {hint}")
    return require_found(found[0] if found else None, prefix, noun, hint)


def require_found(row: Row | None, prefix: str, noun: str, hint: str) -> Row:
    """The row, unless it is None: it may also be deleted after it was found."""
    if row is None:
        raise VigilbaseError(f"there is no {noun} {escape(prefix)}; {hint}")
    return row
