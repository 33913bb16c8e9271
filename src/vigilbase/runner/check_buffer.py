"""The checks that wait to be recorded: in memory, in order, and bounded."""

import asyncio
from collections import deque

from vigilbase.domain import Check


class CheckBuffer:
    """A queue that never blocks its producer: when it is full, the oldest check is dropped and counted.

    After a long outage of the database, the newest checks matter most.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._checks: deque[Check] = deque()
        self._is_closed = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._checks)

    def put(self, check: Check) -> bool:
        """Add a check; False if another one was dropped for it."""
        is_full = len(self._checks) >= self._limit
        if is_full:
            self._checks.popleft()
            self.dropped += 1
        self._checks.append(check)
        self._changed.set()
        return not is_full

    def close(self) -> None:
        """Announce that no more checks will come."""
        self._is_closed = True
        self._changed.set()

    async def take(self, limit: int) -> list[Check]:
        """Wait for a check and return it with those behind it, at most `limit`; empty once closed and drained."""
        while not self._checks and not self._is_closed:
            # Nothing is awaited between the test and the wait, so a `put` can't slip in unnoticed.
            self._changed.clear()
            await self._changed.wait()
        return [self._checks.popleft() for _ in range(min(limit, len(self._checks)))]
