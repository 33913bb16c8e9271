"""Rows of `alert_deliveries`: one message owed to one channel about one alert; and what is remembered of channels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row, Value
from vigilbase.database.values import parse_timestamp
from vigilbase.errors import DatabaseError, InvalidInputError
from vigilbase.logging import get_logger
from vigilbase.models.attempts import reported
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
from vigilbase.models.validation import valid_days, valid_id, valid_limit, valid_word
from vigilbase.vocabulary import DELIVERY_KINDS, DELIVERY_STATUSES, DeliveryKind, DeliveryStatus

log = get_logger(__name__)

LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """A delivery as it is stored; `id` is a number. Times are aware, in UTC.

    `message_id` is the deduplication key of the message that it is part of, from the first try on.
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
    created_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ChannelOff:
    """A channel that was switched off, since when and why."""

    channel: str
    since: datetime | None
    reason: str


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
    ) -> list[AlertDelivery]:
        """The newest deliveries in any of these statuses, at most `limit`, of one alert or of all."""
        with reported(log, "delivery.find"):
            function = "vigilbase_list_deliveries_v1"
            words = [valid_word("statuses", status, DELIVERY_STATUSES) for status in statuses]
            answer = await get_supabase_service_client().call(
                function,
                {
                    "p_statuses": json.dumps(words),
                    "p_limit": valid_limit(limit),
                    "p_alert_id": None if alert_id is None else valid_id(alert_id),
                },
            )
            deliveries = [_delivery(row) for row in rows_from(answer, f"call {function}")]
        log.info("delivery.found", count=len(deliveries))
        return deliveries

    @staticmethod
    async def retry(id: int) -> tuple[AlertDelivery, bool] | None:  # noqa: A002
        """Try a dead delivery again, under the same message id, and return it and whether it was dead.

        None for an unknown number; what isn't dead stays as it is.
        """
        with reported(log, "delivery.retry", id=id):
            function = "vigilbase_retry_delivery_v1"
            answer = await get_supabase_service_client().call(function, {"p_id": _valid_number(id)})
            if answer is None:
                return None
            if not isinstance(answer, Mapping) or (row := row_from(answer["delivery"], f"call {function}")) is None:
                raise DatabaseError("retry a delivery: the database answered something unexpected")
            delivery, retried = _delivery(row), answer["retried"] is True
        log.info("delivery.retried", id=id, retried=retried)
        return delivery, retried

    @staticmethod
    async def find_channels_off() -> list[ChannelOff]:
        """The channels that are switched off, by name."""
        with reported(log, "delivery.find_channels_off"):
            function = "vigilbase_list_channels_v1"
            answer = await get_supabase_service_client().call(function)
            rows = rows_from(answer, f"call {function}")
            found = [
                ChannelOff(as_text(row["channel"]), _moment(row["off_since"]), as_text(row["off_reason"]))
                for row in rows
                if row["off_reason"] is not None
            ]
        log.info("delivery.found_channels_off", count=len(found))
        return found

    @staticmethod
    async def switch_channel_on(channel: str) -> bool:
        """Switch a channel on again, so that what waits for it goes out; False if it wasn't off."""
        with reported(log, "delivery.switch_channel_on", channel=channel):
            answer = await get_supabase_service_client().call("vigilbase_switch_channel_on_v1", {"p_channel": channel})
        log.info("delivery.switched_channel_on", channel=channel, was_off=answer is True)
        return answer is True

    @staticmethod
    async def delete_older_than(days: int) -> int:
        """Delete the deliveries and the timelines written more than `days` ago, but not those of open alerts."""
        with reported(log, "delivery.delete_older_than"):
            deleted = await delete_in_batches("vigilbase_delete_deliveries_v1", {"p_days": valid_days(days)})
        log.info("delivery.deleted_older_than", days=days, count=deleted)
        return deleted


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
        message_id=as_uuid(row["message_id"]) if row["message_id"] else None,
        answer=as_optional_text(row["answer"]),
        last_error=as_optional_text(row["last_error"]),
        created_at=as_optional_moment(row["created_at"]),
        ended_at=as_optional_moment(row["ended_at"]),
    )


def _moment(value: Value) -> datetime | None:
    return parse_timestamp(value) if isinstance(value, str) else None
