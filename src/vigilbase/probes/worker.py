"""A thread with its own event loop, for code of the user that may block or raise anything.

It is a daemon, because code that blocks forever can't be stopped, and must not keep the program from exiting.
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
class WorkResult:
    """What a call returned, or the exception that it raised, which may be SystemExit."""

    value: object = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Job:
    work: Callable[[], object]
    result: "Future[WorkResult]" = field(default_factory=Future)
    task: "asyncio.Future[object] | None" = None

    def cancel(self) -> None:
        """Cancel the awaitable. Call this in the thread's loop; it has no effect on blocking code."""
        if self.task is not None:
            self.task.cancel()


class ProbeThread:
    """Runs one call at a time. The first call starts the thread and the loop, and later calls reuse them.

    The loop also runs between calls, so that connections and tasks of the user's code stay alive.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._job: _Job | None = None
        self._busy_since: float | None = None

    def measure_busy_time(self) -> float | None:
        """How long the current call has run, in seconds; None if there is none."""
        since = self._busy_since
        return None if since is None else monotonic() - since

    async def run(self, work: Callable[[], object]) -> WorkResult:
        """Call `work` in the thread, and await its result there if it is awaitable.

        Cancelling this coroutine cancels the awaitable.

        Raises:
            RuntimeError: another call is still running.

        """
        if self._busy_since is not None:
            raise RuntimeError("the worker is busy")
        self._busy_since = monotonic()
        job = _Job(work)
        job.result.set_running_or_notify_cancel()  # so that it can't be cancelled before the thread sets it
        loop = self._ensure_loop()
        loop.call_soon_threadsafe(self._interrupt_loop, job)
        try:
            return await asyncio.wrap_future(job.result)
        except asyncio.CancelledError:
            with suppress(RuntimeError):  # the user's code may have closed the loop
                loop.call_soon_threadsafe(job.cancel)
            raise

    def _ensure_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._serve, args=(self._loop,), name="vigilbase worker", daemon=True).start()
        return self._loop

    def _interrupt_loop(self, job: _Job) -> None:
        """Stop the loop to make the call, which may run a loop itself."""
        self._job = job
        asyncio.get_running_loop().stop()

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        while not loop.is_closed():
            with suppress(BaseException):  # from a task that the user's code left running
                loop.run_forever()
            job, self._job = self._job, None
            if job is not None:
                result = _run_job(job, loop)
                # Before the result, because its receiver may call again at once.
                self._busy_since = None
                job.result.set_result(result)


def _run_job(job: _Job, loop: asyncio.AbstractEventLoop) -> WorkResult:
    try:
        # For each call, because `asyncio.run` in the user's code leaves the thread without a current loop.
        asyncio.set_event_loop(loop)
        value = job.work()
        if inspect.isawaitable(value):
            job.task = asyncio.ensure_future(value, loop=loop)
            value = loop.run_until_complete(job.task)
        return WorkResult(value)
    except BaseException as error:  # noqa: BLE001 (the user's code may raise anything, which is its result)
        return WorkResult(error=error)
