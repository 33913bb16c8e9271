"""Outcomes on their way to the database: those that come while one call is out go together with the next."""

import asyncio
import json
import weakref
from collections.abc import Mapping, Sequence

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.errors import DatabaseError, DatabaseUnavailableError
from vigilbase.vocabulary import JSON

Outcome = tuple[Mapping[str, JSON], "asyncio.Future[None]"]

MOST_AT_ONCE = 100


class _Writer:
    def __init__(self) -> None:
        self._waiting: list[Outcome] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, outcome: Mapping[str, JSON]) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, written))
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await _settle(batch)
        finally:
            self._task = None
            for _, written in self._waiting:  # we are cancelled
                written.cancel()
            self._waiting = []


# One for each event loop, as there is one client.
_writers: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer]" = weakref.WeakKeyDictionary()


async def write_outcome(outcome: Mapping[str, JSON]) -> None:
    """Write an outcome as vigilbase_record_results takes it.

    Raises:
        DatabaseError: the database fails; it may have been written all the same.

    """
    await _writers.setdefault(asyncio.get_running_loop(), _Writer()).write(outcome)


async def _settle(batch: Sequence[Outcome]) -> None:
    """Write a batch, and tell those who wait; one that is refused is taken apart, so that it costs no other."""
    try:
        await _write([outcome for outcome, _ in batch])
    except Exception as error:  # noqa: BLE001 (it belongs to whoever waits)
        if len(batch) > 1 and not isinstance(error, DatabaseUnavailableError):
            for one in batch:
                await _settle([one])
            return
        for written in _awaited(batch):
            written.set_exception(error)
    except asyncio.CancelledError:
        for written in _awaited(batch):
            written.cancel()
        raise
    else:
        for written in _awaited(batch):
            written.set_result(None)


async def _write(outcomes: Sequence[Mapping[str, JSON]]) -> None:
    """Record outcomes; a single one that is refused once more in ASCII.

    What a receiver said may be more than the database can hold; that it has heard matters more.
    """
    try:
        await _record(outcomes)
    except DatabaseError as error:
        if len(outcomes) > 1 or isinstance(error, DatabaseUnavailableError):
            raise
        await _record([_in_ascii(outcome) for outcome in outcomes])


async def _record(outcomes: Sequence[Mapping[str, JSON]]) -> None:
    results = json.dumps(outcomes, ensure_ascii=False)
    await get_supabase_service_client().call("vigilbase_record_results", {"p_results": results})


def _in_ascii(outcome: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {
        name: value.encode("ascii", "replace").decode() if isinstance(value, str) else value
        for name, value in outcome.items()
    }


def _awaited(batch: Sequence[Outcome]) -> "list[asyncio.Future[None]]":
    """Those of which somebody still wants to know."""
    return [written for _, written in batch if not written.done()]
