"""The outbox in the database: claim what is due, and record how it ended, by models/sql/notifications."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, TypedDict, Unpack, cast
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, JsonValue

from vigilbase.clock import since_boot
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.errors import DatabaseError
from vigilbase.models.alert_event import AlertEvent, alert_event_from
from vigilbase.models.rows import row_from
from vigilbase.probes.storable import plain_text
from vigilbase.runner.outcomes import write_outcome
from vigilbase.vocabulary import JSON, DeliveryKind

LEASE_S = 60
MOST_CAUGHT_UP = 1000  # alerts, by one call of `owe_missing`
Outcome: TypeAlias = Literal["delivered", "retry", "failed", "deferred", "cancelled", "split"]


class How(TypedDict, total=False):
    """More of an outcome: the receiver's answer, or the error; and by what something is withheld, in words.

    In how many seconds it is tried again, a reminder is due, and the channel wants messages again.
    """

    answer: str
    error: str
    in_s: float
    remind_in_s: float | None
    pause_s: float | None
    suppressed_by: str


class _Notification(BaseModel):
    id: int
    tags: list[str]
    may_have_heard: bool
    alert: JsonValue


class _Batch(BaseModel):
    batch_id: UUID
    kind: DeliveryKind
    at: AwareDatetime
    attempts: int
    notifications: list[_Notification]


class _Claim(BaseModel):
    """What vigilbase_claim_notifications answers."""

    now: AwareDatetime
    batches: list[_Batch]
    next_in_s: float | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert in a message; `told` says whether the channel may have heard of it before."""

    id: int
    tags: Sequence[str]
    told: bool
    alert: AlertEvent


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message that is ours to send until the lease ends, by the clock `since_boot`. `attempts` counts this one."""

    id: UUID
    lease_id: UUID
    kind: DeliveryKind
    at: datetime
    attempts: int
    deliveries: Sequence[Delivery]
    ours_until: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be sent at `now` (the database's clock), and in how many seconds something else will be, if at all."""

    now: datetime
    messages: Sequence[ClaimedMessage]
    next_in_s: float | None


async def claim(channel: str, *, window_s: float, lease_id: UUID, limit: int, lease_s: int = LEASE_S) -> Claim:
    """Claim what is due to a channel for `lease_s` seconds, at most `limit` messages.

    A channel gathers what is new for `window_s` seconds after its last message; with 0 each alert is one message.

    Raises:
        DatabaseError: the database fails; what it may have claimed is free again when the lease ends.

    """
    ours_until = since_boot() + lease_s  # a little earlier than the database thinks
    answer = await get_supabase_service_client().call(
        "vigilbase_claim_notifications",
        {
            "p_channel": channel,
            "p_window_s": window_s,
            "p_lease_id": lease_id,
            "p_lease_s": lease_s,
            "p_limit": limit,
        },
    )
    try:
        claimed = _Claim.model_validate(answer)
    except ValueError as error:
        raise DatabaseError("claim deliveries: the database answered something unexpected") from error
    messages = [_message(batch, lease_id, ours_until) for batch in claimed.batches]
    return Claim(claimed.now, messages, claimed.next_in_s)


async def finish(message: ClaimedMessage, outcome: Outcome, *, ids: Sequence[int] = (), **how: Unpack[How]) -> None:
    """Record how a message ended, or some deliveries of it (`ids`).

    Raises:
        DatabaseError: the database fails; the message is claimed again when the lease ends.

    """
    outcome_json: dict[str, JSON] = {
        "batch_id": str(message.id),
        "lease_id": str(message.lease_id),
        "outcome": outcome,
        "ids": [str(number) for number in ids],
    }
    for name, value in how.items():
        outcome_json[name] = _storable(value) if isinstance(value, str) else cast("float | None", value)
    await write_outcome(outcome_json)


async def switch_channel_off(channel: str, reason: str, others: Sequence[str]) -> bool:
    """Switch a channel off, and owe a message about that to the others; False if it was off already.

    Raises:
        DatabaseError: the database fails.

    """
    routes = [{"channel": other, "after_s": 0, "unless_acknowledged": False, "send_resolved": True} for other in others]
    why = _storable(reason)
    message = f"channel {channel} is disabled: {why}; its notifications wait for `vigilbase channels enable {channel}`"
    answer = await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": channel, "p_reason": why, "p_message": message, "p_routes": json.dumps(routes)},
    )
    return answer is True


async def owe_missing() -> int:
    """Owe the resolutions of alerts that were resolved past us, by an UPDATE say; return how many had changed.

    Raises:
        DatabaseError: the database fails.

    """
    answer = await get_supabase_service_client().call("vigilbase_enqueue_missing_resolutions")
    return answer if isinstance(answer, int) else 0


def _storable(said: str) -> str:
    """What a receiver said, as it can be stored: a server may answer in any bytes."""
    return plain_text(said, len(said))


def _message(batch: _Batch, lease_id: UUID, ours_until: float) -> ClaimedMessage:
    deliveries = [
        Delivery(item.id, tuple(item.tags), item.may_have_heard, _alert(item.alert)) for item in batch.notifications
    ]
    return ClaimedMessage(batch.batch_id, lease_id, batch.kind, batch.at, batch.attempts, deliveries, ours_until)


def _alert(value: JSON) -> AlertEvent:
    row = row_from(value, "claim deliveries")
    if row is None:
        raise DatabaseError("claim deliveries: the database answered something unexpected")
    return alert_event_from(row)
