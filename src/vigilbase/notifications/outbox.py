"""The worker's door to the outbox: claim what is due, record results, disable channels, enqueue missing resolutions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, TypedDict, Unpack, cast
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, JsonValue

from vigilbase.clock import since_boot
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.domain import JSON, NotificationKind
from vigilbase.models.alert_event import AlertEvent, read_alert_event
from vigilbase.models.columns import UnreadableRowError
from vigilbase.models.rows import make_unexpected_answer_error, read_row
from vigilbase.notifications.backoff import LEASE_S
from vigilbase.notifications.result_writer import write_result
from vigilbase.sanitize import sanitize_text

MAX_ENQUEUED = 1000  # alerts in one call of `enqueue_missing_resolutions`

AttemptResult: TypeAlias = Literal["delivered", "retry", "failed", "deferred", "cancelled", "split"]


class ResultDetails(TypedDict, total=False):
    """What belongs to a result: the receiver's `answer` or the `error`; `suppressed_by`; and three times in seconds.

    The next attempt follows after `delay_s` and a reminder after `remind_after_s`; the channel is paused for `pause_s`.
    """

    answer: str
    error: str
    delay_s: float
    remind_after_s: float | None
    pause_s: float | None
    suppressed_by: str


class _NotificationJson(BaseModel):
    id: int
    tags: list[str]
    may_know_alert: bool
    alert: JsonValue


class _BatchJson(BaseModel):
    batch_id: UUID
    kind: NotificationKind
    at: AwareDatetime
    attempts: int
    notifications: list[_NotificationJson]


class _ClaimJson(BaseModel):
    """The answer of `vigilbase_claim_notifications`."""

    now: AwareDatetime
    batches: list[_BatchJson]
    next_in_s: float | None


@dataclass(frozen=True, slots=True)
class ClaimedNotification:
    """A notification of a claimed batch; `may_know_alert`: whether an earlier one may have reached the channel."""

    id: int
    tags: Sequence[str]
    may_know_alert: bool
    alert: AlertEvent


@dataclass(frozen=True, slots=True)
class UnreadableNotification:
    """A notification whose alert other code has changed so that it can't be read, and why."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch that is ours to send until `leased_until`, on the clock `since_boot`. `attempts` counts this one."""

    id: UUID
    lease_id: UUID
    kind: NotificationKind
    at: datetime
    attempts: int
    notifications: Sequence[ClaimedNotification]
    leased_until: float
    unreadable: Sequence[UnreadableNotification] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The batches to send at `now` (the database's clock), and in how many seconds more will be due, if any."""

    now: datetime
    batches: Sequence[ClaimedBatch]
    next_in_s: float | None


async def claim_batches(channel: str, *, window_s: float, lease_id: UUID, limit: int, lease_s: int = LEASE_S) -> Claim:
    """Claim the due batches of a channel for `lease_s` seconds, at most `limit`.

    After a batch, new notifications are collected for `window_s` seconds; with 0, each alert is a batch of its own.

    Raises:
        DatabaseError: the database fails. If it has claimed anything, that is free again when the lease ends.

    """
    leased_until = since_boot() + lease_s  # a little earlier than the database's time
    function = "vigilbase_claim_notifications"
    answer = await get_supabase_service_client().call(
        function,
        {
            "p_channel": channel,
            "p_window_s": window_s,
            "p_lease_id": lease_id,
            "p_lease_s": lease_s,
            "p_limit": limit,
        },
    )
    try:
        claim = _ClaimJson.model_validate(answer)
    except ValueError as error:
        raise make_unexpected_answer_error(f"call {function}") from error
    return Claim(claim.now, [_read_batch(batch, lease_id, leased_until) for batch in claim.batches], claim.next_in_s)


async def record_result(
    batch: ClaimedBatch, result: AttemptResult, *, ids: Sequence[int] = (), **details: Unpack[ResultDetails]
) -> None:
    """Record the result of an attempt for a batch, or for some of its notifications (`ids`).

    Raises:
        DatabaseError: the database fails. The batch is claimed again when the lease ends.

    """
    fields: dict[str, JSON] = {
        "batch_id": str(batch.id),
        "lease_id": str(batch.lease_id),
        "result": result,
        "ids": [str(number) for number in ids],
    }
    # A receiver may answer in any bytes, some of which Postgres rejects.
    for name, value in details.items():
        fields[name] = sanitize_text(value) if isinstance(value, str) else cast("float | None", value)
    await write_result(fields)


async def disable_channel(channel: str, reason: str, others: Sequence[str]) -> bool:
    """Disable a channel and enqueue an alert about it for the others; False if it was disabled already.

    Raises:
        DatabaseError: the database fails.

    """
    routes = [{"channel": other, "after_s": 0, "unless_acknowledged": False, "send_resolved": True} for other in others]
    stored = sanitize_text(reason)
    message = (
        f"channel {channel} is disabled: {stored}; its notifications wait for `vigilbase channels enable {channel}`"
    )
    answer = await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": channel, "p_reason": stored, "p_message": message, "p_routes": json.dumps(routes)},
    )
    return answer is True


async def enqueue_missing_resolutions() -> int:
    """Enqueue resolutions of alerts that other code resolved, by UPDATE for example; return how many it found.

    Raises:
        DatabaseError: the database fails.

    """
    answer = await get_supabase_service_client().call("vigilbase_enqueue_missing_resolutions")
    return answer if isinstance(answer, int) else 0


def _read_batch(batch: _BatchJson, lease_id: UUID, leased_until: float) -> ClaimedBatch:
    readable: list[ClaimedNotification] = []
    unreadable: list[UnreadableNotification] = []
    for item in batch.notifications:
        try:
            alert = _read_alert(item.alert)
        except UnreadableRowError as error:
            unreadable.append(UnreadableNotification(item.id, f"the alert can't be read: {error}"))
        else:
            readable.append(ClaimedNotification(item.id, tuple(item.tags), item.may_know_alert, alert))
    return ClaimedBatch(
        batch.batch_id, lease_id, batch.kind, batch.at, batch.attempts, readable, leased_until, unreadable
    )


def _read_alert(value: JSON) -> AlertEvent:
    row = read_row(value, "claim notifications")
    if row is None:
        raise make_unexpected_answer_error("claim notifications")
    return read_alert_event(row)
