"""A thread with an event loop of its own, for code of the user's that may block, raise whatever it likes, or both.

It is a daemon: code that blocks for ever can't be stopped, and must not keep the program from ending either.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from vigilbase.clock import monotonic


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a piece of work returned, or what it raised (which may be SystemExit)."""

    value: object = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Job:
    work: Callable[[], object]
    done: "Future[Outcome]" = field(default_factory=Future)
    task: "asyncio.Future[object] | None" = None

    def cancel(self) -> None:
        """To be called in the worker's loop. Work that blocks doesn't notice."""
        if self.task is not None:
            self.task.cancel()


class Worker:
    """Does one piece of work at a time. Thread and loop are there from the first one on, and are kept.

    The loop runs between two pieces of work, too, so that what the user's code opened in it stays alive.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._job: _Job | None = None
        self._busy_since: float | None = None

    def busy_for(self) -> float | None:
        """For how many seconds it has been at its present work; None if it is free."""
        since = self._busy_since
        return None if since is None else monotonic() - since

    async def run(self, work: Callable[[], object]) -> Outcome:
        """Call `work` in the thread, and await there what it returns if that can be awaited.

        Whoever is cancelled here cancels what is awaited there. Only a worker that is free may be asked.
        """
        if self._busy_since is not None:
            raise RuntimeError("the worker is busy")
        self._busy_since = monotonic()
        job = _Job(work)
        job.done.set_running_or_notify_cancel()  # from here on nobody's cancelling makes the thread's answer an error
        loop = self._started()
        loop.call_soon_threadsafe(self._take, job)
        try:
            return await asyncio.wrap_future(job.done)
        except asyncio.CancelledError:
            with suppress(RuntimeError):  # the user's code has closed the loop
                loop.call_soon_threadsafe(job.cancel)
            raise

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._serve, args=(self._loop,), name="vigilbase worker", daemon=True).start()
        return self._loop

    def _take(self, job: _Job) -> None:
        """Interrupts the loop for a piece of work, which may want to run a loop by itself."""
        self._job = job
        asyncio.get_running_loop().stop()

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        while not loop.is_closed():
            with suppress(BaseException):  # of a task that the user's code left running
                loop.run_forever()
            job, self._job = self._job, None
            if job is not None:
                outcome = _outcome(job, loop)
                self._busy_since = None
                job.done.set_result(outcome)


def _outcome(job: _Job, loop: asyncio.AbstractEventLoop) -> Outcome:
    try:
        asyncio.set_event_loop(loop)
        value = job.work()
        if inspect.isawaitable(value):
            job.task = asyncio.ensure_future(value, loop=loop)
            value = loop.run_until_complete(job.task)
        return Outcome(value)
    except BaseException as error:  # noqa: BLE001 (whatever the user's code raises is what came of it)
        return Outcome(error=error)
