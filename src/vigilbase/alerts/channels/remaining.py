"""Of a message to several receivers: who has it already, so that the next try goes to the others alone.

In memory only: after a restart, a message that not all of them took goes to all of them again.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

_MOST = 10_000
_taken: dict[tuple[UUID, str], None] = {}  # the oldest first


def remaining(message: UUID, receivers: Sequence[str]) -> list[str]:
    """Those who don't have it yet."""
    return [receiver for receiver in receivers if (message, receiver) not in _taken]


def note_taken(message: UUID, receivers: Iterable[str]) -> None:
    """Remember that these have it."""
    _taken.update(dict.fromkeys((message, receiver) for receiver in receivers))
    while len(_taken) > _MOST:
        del _taken[next(iter(_taken))]


def forget(message: UUID, receivers: Iterable[str]) -> None:
    """Remember nothing of a message that is done."""
    for receiver in receivers:
        _taken.pop((message, receiver), None)
