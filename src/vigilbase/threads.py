"""A thread pool that never keeps the program from exiting.

Names are resolved in threads, by a function of the C library that can't be interrupted and may hang for half a minute.
Python's default pool is small, so a few such names would block all others, and the program would wait for its threads
at exit. This pool is larger, and its threads are daemons.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")

MAX_THREADS = 64
IDLE_TIMEOUT_S = 10.0


class DaemonThreads(ThreadPoolExecutor):
    """An executor that starts daemon threads on demand and ends idle ones.

    It is a `ThreadPoolExecutor` because an event loop accepts no other type.
    """

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        super().__init__(max_workers=1)  # the base class never starts a thread
        self._max_threads = max_threads
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._alive = self._outstanding = 0

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> "Future[Result]":
        """Call the function in a thread as soon as one is free."""
        future: Future[Result] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 (the caller receives it)
                future.set_exception(error)

        self._calls.put(call)
        with self._lock:
            self._outstanding += 1
            if self._alive < min(self._outstanding, self._max_threads):
                self._alive += 1
                threading.Thread(target=self._serve, name="vigilbase daemon", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return at once: running calls are abandoned."""

    def _serve(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=IDLE_TIMEOUT_S)
            except Empty:
                with self._lock:
                    if self._outstanding < self._alive:  # unless a new call arrived meanwhile and needs this thread
                        self._alive -= 1
                        return
            else:
                call()
                with self._lock:
                    self._outstanding -= 1
