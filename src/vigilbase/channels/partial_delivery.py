"""Which recipients of a batch already have it, so that the next attempt goes only to the others.

In memory only: after a restart, a batch that some recipients have not accepted goes to all of them again.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

# A batch that fails for good is never forgotten, so the memory needs a limit.
_MAX_REMEMBERED = 10_000
_accepted: dict[tuple[UUID, str], None] = {}  # oldest first


def list_remaining(batch_id: UUID, recipients: Sequence[str]) -> list[str]:
    """The recipients that don't have the batch yet."""
    return [recipient for recipient in recipients if (batch_id, recipient) not in _accepted]


def mark_accepted(batch_id: UUID, recipients: Iterable[str]) -> None:
    """Remember that these recipients have the batch."""
    _accepted.update(dict.fromkeys((batch_id, recipient) for recipient in recipients))
    while len(_accepted) > _MAX_REMEMBERED:
        del _accepted[next(iter(_accepted))]


def forget(batch_id: UUID, recipients: Iterable[str]) -> None:
    """Forget a batch that needs no further attempt."""
    for recipient in recipients:
        _accepted.pop((batch_id, recipient), None)
