"""Threads that never keep the program from ending.

Names are resolved in threads, by a function of the C library that can't be interrupted and may hang for half a minute.
Python's own pool of threads is small, so a few such names would hold up all others, and it waits for its threads before
the program ends. This one is larger, and its threads are daemons.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Answer = TypeVar("Answer")

MAX_THREADS = 64
IDLE_AFTER_S = 10.0


class DaemonThreads(ThreadPoolExecutor):
    """An executor for an event loop (which takes no other type), with threads that come and go as they are needed."""

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        super().__init__(max_workers=1)  # of its own threads, none is ever started
        self._max_threads = max_threads
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._alive = self._outstanding = 0

    def submit(self, fn: Callable[P, Answer], /, *args: P.args, **kwargs: P.kwargs) -> "Future[Answer]":
        """Call the function in a thread, as soon as there is one."""
        future: Future[Answer] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 (it belongs to whoever waits)
                future.set_exception(error)

        self._calls.put(call)
        with self._lock:
            self._outstanding += 1
            if self._alive < min(self._outstanding, self._max_threads):
                self._alive += 1
                threading.Thread(target=self._serve, name="vigilbase daemon", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nobody: whatever still runs belongs to nobody any more."""

    def _serve(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=IDLE_AFTER_S)
            except Empty:
                with self._lock:
                    if self._outstanding < self._alive:  # so that each call that came meanwhile has a thread
                        self._alive -= 1
                        return
            else:
                call()
                with self._lock:
                    self._outstanding -= 1
