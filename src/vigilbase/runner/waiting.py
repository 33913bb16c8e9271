"""The checks that wait to be recorded: in memory, in order, and bounded."""

import asyncio
from collections import deque

from vigilbase.vocabulary import Check


class WaitingChecks:
    """A queue that never holds up who puts something in: when it is full the oldest check goes, and is counted.

    The oldest, because what matters after a long absence of the database is what is the case now.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._checks: deque[Check] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._checks)

    def put(self, check: Check) -> bool:
        """Add a check; False if another had to go for it."""
        full = len(self._checks) >= self._limit
        if full:
            self._checks.popleft()
            self.dropped += 1
        self._checks.append(check)
        self._changed.set()
        return not full

    def close(self) -> None:
        """Say that no more checks will come."""
        self._closed = True
        self._changed.set()

    async def take(self, limit: int) -> list[Check]:
        """Wait for a check, and take along what waits behind it, `limit` at the most; empty at the end."""
        while not self._checks and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return [self._checks.popleft() for _ in range(min(limit, len(self._checks)))]
