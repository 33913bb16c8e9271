"""Rows of `vigilbase.notifications`, one thing to say about one alert to one channel; and what is known of channels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row, Value
from vigilbase.database.values import parse_timestamp
from vigilbase.errors import DatabaseError, InvalidInputError
from vigilbase.logging import get_logger
from vigilbase.models.attempts import reported
from vigilbase.models.matching import valid_author
from vigilbase.models.retention import delete_in_batches
from vigilbase.models.rows import (
    as_optional_integer,
    as_optional_moment,
    as_optional_text,
    as_text,
    as_uuid,
    row_from,
    rows_from,
)
from vigilbase.models.validation import valid_id, valid_limit, valid_word
from vigilbase.vocabulary import DELIVERY_KINDS, DELIVERY_STATUSES, JSON, DeliveryKind, DeliveryStatus

log = get_logger(__name__)

LARGEST_NUMBER = 2**63 - 1
Retry: TypeAlias = Literal["requeued", "not_failed", "resolved", "acknowledged"]
RETRIES: tuple[Retry, ...] = get_args(Retry)


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """A delivery as it is stored; `id` is a number. Times are aware, in UTC.

    `message_id` is the deduplication key of the message that it is part of, from the first try on. `withheld_by` is
    what withholds or withheld it, in words. Of one that is pending, `waits_for` is what it waits for, by a code of the
    view `vigilbase.claimable` (None if it may be sent now), and `next_attempt_at` when it may be tried; `is_needed`
    tells whether anybody still needs it.
    """

    id: int
    alert_id: UUID
    service_name: str
    channel: str
    kind: DeliveryKind
    status: DeliveryStatus
    attempts: int
    due_at: datetime | None
    message_id: UUID | None
    answer: str | None
    last_error: str | None
    withheld_by: str | None
    created_at: datetime | None
    ended_at: datetime | None
    is_needed: bool = True
    waits_for: str | None = None
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What is known of a channel: whether it is switched off, since when and why, and how many messages it is owed.

    `waiting` are due; `failing` were tried in vain, the newest with `last_error`; `withheld` wait for the end of a
    silence or of maintenance; `given_up` failed for good, and somebody still needs them. Until
    `paused_until` it asked to be left alone; `last_message_at` is when a message was last tried for the first time.
    """

    channel: str
    off_since: datetime | None
    off_reason: str | None
    paused_until: datetime | None
    last_message_at: datetime | None
    last_delivered_at: datetime | None
    last_error: str | None
    waiting: int
    failing: int
    withheld: int
    given_up: int


class DeliveryModel:
    """What can be done with deliveries, besides sending them. A namespace of static methods.

    Every method raises `InvalidInputError` for a value that breaks a rule, and `DatabaseError` when the database fails.
    """

    @staticmethod
    async def find(
        *,
        statuses: Sequence[DeliveryStatus] = DELIVERY_STATUSES,
        limit: int = 100,
        alert_id: UUID | str | None = None,
        windows: Mapping[str, float] | None = None,
    ) -> list[AlertDelivery]:
        """The newest deliveries in any of these statuses, at most `limit`, of one alert or of all.

        `windows` says for how many seconds each channel gathers what follows a message.
        """
        with reported(log, "delivery.find"):
            function = "vigilbase_list_notifications"
            words = [valid_word("statuses", status, DELIVERY_STATUSES) for status in statuses]
            answer = await get_supabase_service_client().call(
                function,
                {
                    "p_statuses": json.dumps(words),
                    "p_limit": valid_limit(limit),
                    "p_alert_id": None if alert_id is None else valid_id(alert_id),
                    "p_windows": json.dumps(dict(windows or {})),
                },
            )
            deliveries = [_delivery(row) for row in rows_from(answer, f"call {function}")]
        log.info("delivery.found", count=len(deliveries))
        return deliveries

    @staticmethod
    async def retry(id: int, *, author: str | None = None) -> tuple[AlertDelivery, Retry] | None:  # noqa: A002
        """Try a failed delivery again, under the same message id; None for an unknown number.

        Returns it with what became of that: "requeued"; or, and then it stays as it is, "not_failed", or "resolved" or
        "acknowledged", where for that reason nobody needs it any more.
        """
        with reported(log, "delivery.retry", id=id):
            function = "vigilbase_retry_notification"
            found = _found(await get_supabase_service_client().call(function, _by_hand(id, author)), function)
            if found is None:
                return None
            delivery, outcome = found[0], valid_word("outcome", found[1]["outcome"], RETRIES)
        log.info("delivery.retried", id=id, outcome=outcome)
        return delivery, outcome

    @staticmethod
    async def cancel(id: int, *, author: str | None = None) -> tuple[AlertDelivery, bool] | None:  # noqa: A002
        """Give up a delivery that failed, or owed and not being sent just now; None for an unknown number.

        Returns it, and whether it was one of these.
        """
        with reported(log, "delivery.cancel", id=id):
            function = "vigilbase_discard_notification"
            found = _found(await get_supabase_service_client().call(function, _by_hand(id, author)), function)
            if found is None:
                return None
            delivery, cancelled = found[0], found[1]["is_discarded"] is True
        log.info("delivery.cancelled", id=id, cancelled=cancelled)
        return delivery, cancelled

    @staticmethod
    async def find_channels() -> list[ChannelState]:
        """The channels that something is known of, by name, whether the file names them still or not."""
        with reported(log, "delivery.find_channels"):
            function = "vigilbase_list_channels"
            answer = await get_supabase_service_client().call(function)
            found = [_channel(row) for row in rows_from(answer, f"call {function}")]
        log.info("delivery.found_channels", count=len(found))
        return found

    @staticmethod
    async def switch_channel_on(channel: str) -> bool:
        """Switch a channel on again, or end the pause that it asked for; False if it was neither off nor paused."""
        with reported(log, "delivery.switch_channel_on", channel=channel):
            answer = await get_supabase_service_client().call("vigilbase_enable_channel", {"p_channel": channel})
        log.info("delivery.switched_channel_on", channel=channel, was_off=answer is True)
        return answer is True

    @staticmethod
    async def delete_older_than(days: int) -> int:
        """Delete the deliveries and the timelines written more than `days` ago, but not those of open alerts."""
        with reported(log, "delivery.delete_older_than"):
            deleted = await delete_in_batches("vigilbase_delete_notifications", days)
        log.info("delivery.deleted_older_than", days=days, count=deleted)
        return deleted


def _by_hand(number: object, author: str | None) -> dict[str, Value]:
    return {"p_id": _valid_number(number), "p_author": None if author is None else valid_author(author)}


def _found(answer: JSON, function: str) -> tuple[AlertDelivery, Mapping[str, JSON]] | None:
    """The delivery that an answer is about, and the answer; None for an unknown number."""
    if answer is None:
        return None
    row = row_from(answer.get("notification"), f"call {function}") if isinstance(answer, Mapping) else None
    if row is None or not isinstance(answer, Mapping):
        raise DatabaseError(f"call {function}: the database answered something unexpected")
    return _delivery(row), answer


def _valid_number(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= LARGEST_NUMBER:
        raise InvalidInputError("id", "must be the number of a delivery")
    return number


def _delivery(row: Row) -> AlertDelivery:
    return AlertDelivery(
        id=as_optional_integer(row["id"]) or 0,
        alert_id=as_uuid(row["alert_id"]),
        service_name=as_text(row["service_name"]),
        channel=as_text(row["channel"]),
        kind=valid_word("kind", row["kind"], DELIVERY_KINDS),
        status=valid_word("status", row["status"], DELIVERY_STATUSES),
        attempts=as_optional_integer(row["attempts"]) or 0,
        due_at=as_optional_moment(row["due_at"]),
        message_id=as_uuid(row["batch_id"]) if row["batch_id"] else None,
        answer=as_optional_text(row["answer"]),
        last_error=as_optional_text(row["last_error"]),
        withheld_by=as_optional_text(row["suppressed_by"]),
        created_at=as_optional_moment(row["created_at"]),
        ended_at=as_optional_moment(row["ended_at"]),
        is_needed=row.get("is_needed") is not False,
        waits_for=as_optional_text(row.get("waits_for")),
        next_attempt_at=as_optional_moment(row.get("next_attempt_at")),
    )


def _channel(row: Row) -> ChannelState:
    return ChannelState(
        channel=as_text(row["channel"]),
        off_since=as_optional_moment(row["disabled_at"]),
        off_reason=as_optional_text(row["disabled_reason"]),
        paused_until=_moment(row["paused_until"]),
        last_message_at=as_optional_moment(row["last_batch_at"]),
        last_delivered_at=as_optional_moment(row["last_delivered_at"]),
        last_error=as_optional_text(row["last_error"]),
        waiting=as_optional_integer(row["waiting"]) or 0,
        failing=as_optional_integer(row["failing"]) or 0,
        withheld=as_optional_integer(row["suppressed"]) or 0,
        given_up=as_optional_integer(row["failed"]) or 0,
    )


def _moment(value: Value) -> datetime | None:
    return parse_timestamp(value) if isinstance(value, str) else None
