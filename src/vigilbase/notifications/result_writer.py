"""Writes attempt results in batches: the results that arrive during one call go out with the next."""

import asyncio
import json
import weakref
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.domain import JSON
from vigilbase.errors import DatabaseError, DatabaseUnavailableError

PendingResult: TypeAlias = tuple[Mapping[str, JSON], "asyncio.Future[None]"]
"""A result, and what its worker waits for."""

MAX_RESULTS = 100


class _Writer:
    def __init__(self) -> None:
        self._pending: list[PendingResult] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, result: Mapping[str, JSON]) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((result, written))
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:MAX_RESULTS], self._pending[MAX_RESULTS:]
                await _write_batch(batch)
        finally:
            # Nothing is awaited since the last test of the queue, so no result is left behind without a task.
            self._task = None
            for _, written in self._pending:  # this task is being cancelled
                written.cancel()
            self._pending = []


# One for each event loop, as there is one service client for each.
_writers: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer]" = weakref.WeakKeyDictionary()


async def write_result(result: Mapping[str, JSON]) -> None:
    """Write a result in the form that `vigilbase_record_results` takes.

    Raises:
        DatabaseError: the database fails; the result may have been written nevertheless.

    """
    await _writers.setdefault(asyncio.get_running_loop(), _Writer()).write(result)


async def _write_batch(batch: Sequence[PendingResult]) -> None:
    """Write a batch and wake its workers; if it is rejected, write its results one by one."""
    try:
        await _write([result for result, _ in batch])
    except Exception as error:  # noqa: BLE001 (it is raised in the worker that waits)
        if len(batch) > 1 and not isinstance(error, DatabaseUnavailableError):
            for one in batch:
                await _write_batch([one])
            return
        for written in _list_awaited(batch):
            written.set_exception(error)
    except asyncio.CancelledError:
        for written in _list_awaited(batch):
            written.cancel()
        raise
    else:
        for written in _list_awaited(batch):
            written.set_result(None)


async def _write(results: Sequence[Mapping[str, JSON]]) -> None:
    """Record results. A single one that is rejected is recorded in ASCII.

    A database may be unable to hold what a receiver answered; that it accepted the notification matters more.
    """
    try:
        await _record(results)
    except DatabaseError as error:
        if len(results) > 1 or isinstance(error, DatabaseUnavailableError):
            raise
        await _record([_to_ascii(result) for result in results])


async def _record(results: Sequence[Mapping[str, JSON]]) -> None:
    arguments = {"p_results": json.dumps(results, ensure_ascii=False)}
    await get_supabase_service_client().call("vigilbase_record_results", arguments)


def _to_ascii(result: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {
        name: value.encode("ascii", "replace").decode() if isinstance(value, str) else value
        for name, value in result.items()
    }


def _list_awaited(batch: Sequence[PendingResult]) -> "list[asyncio.Future[None]]":
    # A worker that was cancelled no longer waits, and setting its result would raise InvalidStateError.
    return [written for _, written in batch if not written.done()]
