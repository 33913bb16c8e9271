"""Rows of `alert_events`: one incident each, from active to resolved."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from vigilbase.clock import utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Order, Row, ServiceClient, Value, Where
from vigilbase.domain import ALERT_STATUSES, ALERT_TYPES, JSON, MAX_INTEGER, AlertStatus, AlertType
from vigilbase.errors import InvalidInputError, InvalidTransitionError
from vigilbase.logging import get_logger
from vigilbase.models.columns import (
    get_choice,
    get_flag,
    get_optional_moment,
    get_optional_object,
    get_optional_text,
    get_text,
    get_uuid,
)
from vigilbase.models.fallback import DATABASE_NOW, call_or_fall_back
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.paging import select_newest
from vigilbase.models.retention import delete_in_batches
from vigilbase.models.rows import make_unexpected_answer_error, read_item, read_items, read_row, read_rows
from vigilbase.models.validation import (
    PREFIX_LIMIT,
    parse_id_prefix,
    require_type,
    validate_author,
    validate_choice,
    validate_comment,
    validate_details,
    validate_id,
    validate_integer,
    validate_moment,
    validate_service_name,
    validate_text,
    validate_within_minutes,
)

log = get_logger(__name__)

TABLE = "alert_events"
NOUN = "alert_event"
OPEN: tuple[AlertStatus, ...] = ("active", "acknowledged")


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A row of `alert_events`. Times are aware, in UTC."""

    id: UUID
    service_name: str
    alert_type: AlertType
    status: AlertStatus
    message: str | None
    details: Mapping[str, JSON] | None
    created_at: datetime | None
    acknowledged_at: datetime | None
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreateAlertEventData:
    """An alert event to be written; `AlertEventModel.create` validates it."""

    service_name: str
    alert_type: AlertType
    status: AlertStatus = "active"
    message: str | None = None
    details: Mapping[str, JSON] | None = None


class AlertEventModel:
    """Reads and writes alert events.

    Every method raises `InvalidInputError` for a value that breaks a rule, before anything is written, and
    `DatabaseError` when the database fails. Times are the database's. Methods that return several alerts leave out
    those that can't be read.
    """

    @staticmethod
    async def create(data: CreateAlertEventData) -> AlertEvent:
        """Insert an alert event, even if a similar one is open, and return it."""
        with log_failures(log, "alert_event.create"):
            arguments = _make_arguments(data)
            arguments["p_status"] = validate_choice("status", data.status, ALERT_STATUSES)
            alert = await _create(data, arguments)
        log.info("alert_event.created", **_log_fields(alert))
        return alert

    @staticmethod
    async def find_active(service_name: str | None = None) -> list[AlertEvent]:
        """The active alerts (not the acknowledged ones), of one service or of all, newest first."""
        with log_failures(log, "alert_event.find_active"):
            name = [] if service_name is None else [Where("service_name", "eq", validate_service_name(service_name))]
            # A `select` instead of a function, so that it works with migration 012 alone (decision 3).
            rows = await select_newest(TABLE, [Where("status", "eq", "active"), *name])
            alerts = _read_alerts(rows, f"select from {TABLE}")
        log.info("alert_event.found_active", service_name=service_name, count=len(alerts))
        return alerts

    @staticmethod
    async def find_open(service_name: str | None = None) -> list[AlertEvent]:
        """The active and acknowledged alerts, of one service or of all, newest first."""
        with log_failures(log, "alert_event.find_open"):
            alerts = await _list(OPEN, service_name)
        log.info("alert_event.found_open", service_name=service_name, count=len(alerts))
        return alerts

    @staticmethod
    async def acknowledge(
        id: UUID | str,  # noqa: A002
        *,
        author: str | None = None,
        comment: str | None = None,
    ) -> AlertEvent | None:
        """Acknowledge an alert and return it, or None for an unknown id. An acknowledged alert stays unchanged.

        The timeline keeps the author and the comment, even for an alert that was acknowledged before.

        Raises:
            InvalidTransitionError: the alert is resolved.

        """
        with log_failures(log, "alert_event.acknowledge", id=str(id)):
            alert = await _move(id, "acknowledged", author, comment)
            # Within the block, so that it is logged as a failure.
            if alert and alert.status == "resolved":
                raise InvalidTransitionError(f"alert event {alert.id} is resolved and can't be acknowledged")
        log.info("alert_event.acknowledged", id=str(id), found=alert is not None)
        return alert

    @staticmethod
    async def resolve(
        id: UUID | str,  # noqa: A002
        *,
        author: str | None = None,
        comment: str | None = None,
    ) -> AlertEvent | None:
        """Resolve an alert and return it, or None for an unknown id. A resolved alert stays unchanged.

        The timeline keeps the author and the comment, even for an alert that was resolved before.
        """
        with log_failures(log, "alert_event.resolve", id=str(id)):
            alert = await _move(id, "resolved", author, comment)
        log.info("alert_event.resolved", id=str(id), found=alert is not None)
        return alert

    @staticmethod
    async def find_recent_by_service(
        service_name: str, alert_type: AlertType, within_minutes: int
    ) -> AlertEvent | None:
        """The newest alert of a service and type that is at most `within_minutes` old, in any status, or None.

        Not one from the future.
        """
        with log_failures(log, "alert_event.find_recent_by_service"):
            arguments: dict[str, Value] = {
                "p_service_name": validate_service_name(service_name),
                "p_alert_type": validate_choice("alert_type", alert_type, ALERT_TYPES),
                "p_within_minutes": validate_within_minutes(within_minutes),
            }
            alert = await _find_recent(arguments, within_minutes)
        log.info("alert_event.found_recent", service_name=service_name, found=alert is not None)
        return alert

    @staticmethod
    async def find_newest(
        *, limit: int = 100, service_name: str | None = None, since: datetime | None = None, only_open: bool = False
    ) -> list[AlertEvent]:
        """The newest alerts, at most `limit`, of one service or of all, newest first.

        `since` excludes alerts that were resolved before that moment, `only_open` all resolved ones.
        """
        with log_failures(log, "alert_event.find_newest"):
            if not isinstance(only_open, bool):
                raise InvalidInputError("only_open", "must be True or False")
            alerts = await _list(
                OPEN if only_open else None,
                service_name,
                since=None if since is None else validate_moment("since", since),
                limit=validate_integer("limit", limit, least=1, most=MAX_INTEGER),
            )
        log.info("alert_event.found_newest", service_name=service_name, count=len(alerts))
        return alerts

    @staticmethod
    async def find_by_id_prefix(prefix: str) -> list[AlertEvent]:
        """Alerts by the beginning of their id (at least 4 hexadecimal digits, dashes optional), at most 10, by id."""
        with log_failures(log, "alert_event.find_by_id_prefix"):
            alerts = _read_alerts(await _select_by_id_prefix(prefix), f"select from {TABLE}")
        log.info("alert_event.found_by_id_prefix", count=len(alerts))
        return alerts

    @staticmethod
    async def raise_alert(data: CreateAlertEventData, *, within_minutes: int | None = None) -> tuple[AlertEvent, bool]:
        """The open alert of that service, type and `details["rule"]`, or else a new one; and whether it is new.

        With `within_minutes`, a resolved alert that is at most that old counts as well. Atomic: of any number of
        concurrent callers, in any number of processes, one creates the alert.
        """
        with log_failures(log, "alert_event.raise"):
            arguments = _make_arguments(data)
            if validate_choice("status", data.status, ALERT_STATUSES) != "active":
                raise InvalidInputError("status", "must be active for an alert that is raised")
            if within_minutes is not None:
                arguments["p_within_minutes"] = validate_within_minutes(within_minutes)
            # Without a fallback: only the function's lock keeps concurrent callers from creating several alerts.
            function = "vigilbase_raise_alert"
            answer = await get_supabase_service_client().call(function, arguments)
            fields = read_row(answer, f"call {function}") or {}
            alert = _read_one(fields.get("alert"), f"call {function}")
            is_new = read_item(fields, lambda row: get_flag(row, "is_new"), f"call {function}")
        log.info("alert_event.raised", **_log_fields(alert), is_new=is_new)
        return alert, is_new

    @staticmethod
    async def delete_older_than(days: int, *, keep_open: bool = False) -> int:
        """Delete the alerts written more than `days` (0 to 36,500) days ago, in batches; return how many.

        `keep_open` keeps those that aren't resolved.
        """
        with log_failures(log, "alert_event.delete_older_than"):
            if not isinstance(keep_open, bool):
                raise InvalidInputError("keep_open", "must be True or False")
            resolved = [Where("status", "eq", "resolved")] if keep_open else []
            deleted = await delete_in_batches(
                "vigilbase_delete_alerts", days, {"p_keep_open": keep_open}, table=TABLE, only=resolved
            )
        log.info("alert_event.deleted_older_than", days=days, count=deleted)
        return deleted


async def _list(
    statuses: Sequence[AlertStatus] | None,
    service_name: str | None,
    *,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[AlertEvent]:
    function = "vigilbase_list_alerts"
    arguments: dict[str, Value] = {
        # Not all three: an alert with a status of its own is left out, but not without a word.
        "p_statuses": None if statuses is None else json.dumps(list(statuses)),
        "p_service_name": None if service_name is None else validate_service_name(service_name),
        "p_since": since,
        "p_limit": limit,
    }
    answer = await get_supabase_service_client().call(function, arguments)
    return _read_alerts(read_rows(answer, f"call {function}"), f"call {function}")


async def _find_recent(arguments: Mapping[str, Value], minutes: int) -> AlertEvent | None:
    function = "vigilbase_find_recent_alert"

    async def select(client: ServiceClient) -> AlertEvent | None:
        where = [
            Where("service_name", "eq", arguments["p_service_name"]),
            Where("alert_type", "eq", arguments["p_alert_type"]),
            Where("created_at", "gte", _subtract_minutes(minutes)),
            Where("created_at", "lte", DATABASE_NOW),
        ]
        rows = await select_newest(TABLE, where, 1)
        return read_item(rows[0], read_alert_event, f"select from {TABLE}") if rows else None

    return await call_or_fall_back(
        function, arguments, lambda answer: _read_optional(answer, f"call {function}"), select
    )


def _subtract_minutes(minutes: int) -> datetime:
    try:
        return utc_now() - timedelta(minutes=minutes)
    except OverflowError:
        # The largest allowed number of minutes is more than 4,000 years.
        return datetime.min.replace(tzinfo=UTC)


async def _select_by_id_prefix(prefix: str) -> list[Row]:
    first, last = parse_id_prefix(prefix)
    # A range of UUIDs can use the primary key; a comparison of their text can't.
    between = [Where("id", "gte", first), Where("id", "lte", last)]
    return await get_supabase_service_client().select(TABLE, between, [Order("id")], limit=PREFIX_LIMIT)


async def _move(
    id: UUID | str,  # noqa: A002
    status: Literal["acknowledged", "resolved"],
    author: str | None,
    comment: str | None,
) -> AlertEvent | None:
    """Acknowledge or resolve. Without a timeline (migration 012 alone), author and comment are not kept.

    Raises:
        DatabaseError: the database fails, or leaves the alert as it was.

    """
    alert_id = validate_id(id)
    function = f"vigilbase_{'acknowledge' if status == 'acknowledged' else 'resolve'}_alert"
    arguments: dict[str, Value] = {
        "p_id": alert_id,
        "p_author": None if author is None else validate_author(author),
        "p_comment": None if comment is None else validate_comment(comment),
    }

    async def update(client: ServiceClient) -> AlertEvent | None:
        this = Where("id", "eq", alert_id)
        values: Row = {"status": status, f"{status}_at": DATABASE_NOW}
        # Of concurrent callers, only the first moves the alert, so the first time stays and a resolved alert is final.
        movable = Where("status", "neq", "resolved") if status == "resolved" else Where("status", "eq", "active")
        moved = await client.update(TABLE, values, [this, movable])
        # Nothing moved: the id is unknown, or the alert had this status, or a later one, already.
        rows = moved or await client.select(TABLE, [this], limit=1)
        return read_item(rows[0], read_alert_event, f"update {TABLE}") if rows else None

    alert = await call_or_fall_back(
        function, arguments, lambda answer: _read_optional(answer, f"call {function}"), update
    )
    if alert and alert.status not in {status, "resolved"}:
        raise make_unexpected_answer_error(
            f"call {function}", f"alert event {alert.id} is still {alert.status}, as when a trigger discards the change"
        )
    return alert


async def _create(data: CreateAlertEventData, arguments: Mapping[str, Value]) -> AlertEvent:
    function = "vigilbase_create_alert"

    async def insert(client: ServiceClient) -> AlertEvent:
        row: dict[str, Value] = {
            "service_name": arguments["p_service_name"],
            "alert_type": arguments["p_alert_type"],
            "status": data.status,
            "message": arguments["p_message"],
            "details": data.details,
        }
        if data.status != "active":
            row[f"{data.status}_at"] = DATABASE_NOW
        stored = await client.insert(TABLE, [row])
        return read_item(stored[0] if stored else None, read_alert_event, f"insert into {TABLE}")

    return await call_or_fall_back(function, arguments, lambda answer: _read_one(answer, f"call {function}"), insert)


def _make_arguments(data: CreateAlertEventData) -> dict[str, Value]:
    """The arguments for a new alert, each validated. Details go as text, since the Data API would encode JSON twice."""
    require_type("data", data, CreateAlertEventData)
    details = validate_details("details", data.details)
    return {
        "p_service_name": validate_service_name(data.service_name),
        "p_alert_type": validate_choice("alert_type", data.alert_type, ALERT_TYPES),
        "p_message": validate_text("message", data.message),
        "p_details": None if details is None else json.dumps(details, ensure_ascii=False),
    }


def _read_alerts(rows: Sequence[Row], attempt: str) -> list[AlertEvent]:
    return read_items(rows, read_alert_event, attempt, log, NOUN)


def _read_one(answer: Value, attempt: str) -> AlertEvent:
    return read_item(read_row(answer, attempt), read_alert_event, attempt)


def _read_optional(answer: Value, attempt: str) -> AlertEvent | None:
    return None if answer is None else _read_one(answer, attempt)


def read_alert_event(row: Row) -> AlertEvent:
    """An alert from a row of the table.

    Raises:
        UnreadableRowError: a column is missing or holds something else.

    """
    return AlertEvent(
        id=get_uuid(row, "id"),
        service_name=get_text(row, "service_name"),
        alert_type=get_choice(row, "alert_type", ALERT_TYPES),
        status=get_choice(row, "status", ALERT_STATUSES),
        message=get_optional_text(row, "message"),
        details=get_optional_object(row, "details"),
        created_at=get_optional_moment(row, "created_at"),
        acknowledged_at=get_optional_moment(row, "acknowledged_at"),
        resolved_at=get_optional_moment(row, "resolved_at"),
    )


def _log_fields(alert: AlertEvent) -> dict[str, str]:
    return {
        "id": str(alert.id),
        "service_name": alert.service_name,
        "alert_type": alert.alert_type,
        "status": alert.status,
    }
