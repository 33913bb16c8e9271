"""Rows of `service_health_checks`: one recorded probe result each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.clock import utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Order, Row, ServiceClient, Value, Where
from vigilbase.database.json_codec import to_json
from vigilbase.domain import JSON, MAX_INTEGER, STATUSES, Status
from vigilbase.errors import DatabaseError, InvalidInputError
from vigilbase.ids import uuid7
from vigilbase.logging import get_logger
from vigilbase.models.fallback import call_or_fall_back
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.paging import select_newest
from vigilbase.models.retention import delete_in_batches
from vigilbase.models.rows import (
    as_optional_integer,
    as_optional_moment,
    as_optional_object,
    as_optional_text,
    as_text,
    as_uuid,
    read_count,
    read_row,
    read_rows,
)
from vigilbase.models.validation import (
    require_type,
    validate_choice,
    validate_details,
    validate_integer,
    validate_latency_ms,
    validate_limit,
    validate_moment,
    validate_service_name,
    validate_text,
)
from vigilbase.phases import unpack_phases

log = get_logger(__name__)

TABLE = "service_health_checks"


@dataclass(frozen=True, slots=True)
class ServiceHealthCheck:
    """A row of `service_health_checks`. Times are aware, in UTC.

    `checked_at` is when the probe ran, `created_at` when the row was written; `latency_ms` is in milliseconds.
    """

    id: UUID
    service_name: str
    status: Status
    latency_ms: int | None
    checked_at: datetime | None
    error_message: str | None
    probe_details: Mapping[str, JSON] | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreateHealthCheckData:
    """A health check to be written; `HealthCheckModel.create` validates it.

    `latency_ms` in milliseconds; `checked_at` aware, and now when it is left out.
    """

    service_name: str
    status: Status
    latency_ms: int | None = None
    error_message: str | None = None
    probe_details: Mapping[str, JSON] | None = None
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CheckHistory:
    """A service's newest checks, newest first, and how many of each status there are in the whole period."""

    checks: Sequence[ServiceHealthCheck]
    counts: Mapping[Status, int]


class HealthCheckModel:
    """Reads and writes health checks.

    Every method raises `InvalidInputError` for a value that breaks a rule, before anything is written, and
    `DatabaseError` when the database fails.
    """

    @staticmethod
    async def create(data: CreateHealthCheckData) -> ServiceHealthCheck:
        """Write one health check and return it."""
        with log_failures(log, "health_check.create"):
            values = _make_row(data, utc_now())
            check = await call_or_fall_back(
                "vigilbase_create_health_check",
                # The function takes one object, so the brackets of the array are cut off.
                {"p_check": _dump_rows(values)[1:-1]},
                _read_created,
                lambda client: _insert(client, values),
            )
        log.info("health_check.created", service_name=check.service_name, status=check.status, id=str(check.id))
        return check

    @staticmethod
    async def create_many(items: Sequence[CreateHealthCheckData]) -> int:
        """Write a batch in one statement, all or nothing; return how many were written."""
        with log_failures(log, "health_check.create_many"):
            if not isinstance(items, Sequence):
                raise InvalidInputError("items", f"must be a sequence, not a {type(items).__name__}")
            now = utc_now()
            # All are validated before any is written, since a batch is written whole or not at all.
            rows = [_make_row(item, now) for item in items]
            count = await _insert_many(rows) if rows else 0
        log.info("health_check.created_many", count=count)
        return count

    @staticmethod
    async def find_latest_by_service(service_name: str) -> ServiceHealthCheck | None:
        """The newest check of a service by `checked_at`, or None."""
        with log_failures(log, "health_check.find_latest_by_service"):
            name = validate_service_name(service_name)
            rows = await get_supabase_service_client().select(
                TABLE, [Where("service_name", "eq", name)], [Order("checked_at", descending=True)], limit=1
            )
            check = _read_health_check(rows[0]) if rows else None
        log.info("health_check.found_latest_by_service", service_name=name, found=check is not None)
        return check

    @staticmethod
    async def find_latest() -> list[ServiceHealthCheck]:
        """The newest check of every service by `checked_at`, sorted by service, in one round trip."""
        with log_failures(log, "health_check.find_latest"):
            # The Data API truncates a `select` of more than 1,000 rows, but never a single JSON value (decision 3).
            function = "vigilbase_find_latest_health_checks"
            answer = await get_supabase_service_client().call(function)
            checks = [_read_health_check(row) for row in read_rows(answer, f"call {function}")]
        log.info("health_check.found_latest", count=len(checks))
        return checks

    @staticmethod
    async def find_all(*, limit: int = 100, service_name: str | None = None) -> list[ServiceHealthCheck]:
        """The newest checks by `created_at`, of one service or of all, ties by id; at most `limit` of them.

        More than a page is fetched page by page, each beginning after the last row of the one before, so no row comes
        twice while others are written.
        """
        with log_failures(log, "health_check.find_all"):
            wanted = validate_limit(limit)
            name = None if service_name is None else validate_service_name(service_name)
            by_service = [] if name is None else [Where("service_name", "eq", name)]
            rows = await select_newest(TABLE, by_service, wanted)
            checks = [_read_health_check(row) for row in rows]
        log.info("health_check.found_all", service_name=name, count=len(checks))
        return checks

    @staticmethod
    async def find_history(service_name: str, *, since: datetime, limit: int = 100) -> CheckHistory:
        """The newest checks of a service by `checked_at`, at most `limit`, and how many of each status ran `since`."""
        with log_failures(log, "health_check.find_history"):
            function = "vigilbase_find_check_history"
            arguments: dict[str, Value] = {
                "p_service_name": validate_service_name(service_name),
                "p_since": validate_moment("since", since),
                "p_limit": validate_integer("limit", limit, least=1, most=MAX_INTEGER),
            }
            answer = await get_supabase_service_client().call(function, arguments)
            history = _read_history(read_row(answer, f"call {function}") or {}, f"call {function}")
        log.info("health_check.found_history", service_name=service_name, count=len(history.checks))
        return history

    @staticmethod
    async def delete_older_than(days: int) -> int:
        """Delete the checks written more than `days` (0 to 36,500) days ago, in batches; return how many."""
        with log_failures(log, "health_check.delete_older_than"):
            deleted = await delete_in_batches("vigilbase_delete_health_checks", days, table=TABLE)
        log.info("health_check.deleted_older_than", days=days, count=deleted)
        return deleted


def _dump_rows(*rows: Row) -> str:
    """A JSON array, encoded at once: an encoder for each row would double the time."""
    return json.dumps([{column: to_json(value) for column, value in row.items()} for row in rows], ensure_ascii=False)


def _read_created(answer: JSON) -> ServiceHealthCheck:
    row = read_row(answer, "create a health check")
    if row is None:
        raise DatabaseError("create a health check: the database returned no row")
    return _read_health_check(row)


async def _insert(client: ServiceClient, row: Row) -> ServiceHealthCheck:
    return _read_health_check((await client.insert(TABLE, [row]))[0])


async def _insert_many(rows: Sequence[Row]) -> int:
    async def insert(client: ServiceClient) -> int:
        return len(await client.insert(TABLE, rows))

    function = "vigilbase_create_health_checks"
    return await call_or_fall_back(
        function, {"p_checks": _dump_rows(*rows)}, lambda answer: read_count(answer, f"call {function}"), insert
    )


def _make_row(data: CreateHealthCheckData, now: datetime) -> dict[str, Value]:
    """The columns to write, each validated. `checked_at` is always set: an explicit NULL would beat its default."""
    require_type("data", data, CreateHealthCheckData)
    return {
        # Ids in the order of time fill the pages of the primary key (decision 15).
        "id": uuid7(),
        "service_name": validate_service_name(data.service_name),
        "status": validate_choice("status", data.status, STATUSES),
        "latency_ms": validate_latency_ms(data.latency_ms),
        "checked_at": now if data.checked_at is None else validate_moment("checked_at", data.checked_at),
        "error_message": validate_text("error_message", data.error_message),
        "probe_details": validate_details("probe_details", data.probe_details),
    }


def _read_history(row: Row, attempt: str) -> CheckHistory:
    counts = as_optional_object(row.get("counts")) or {}
    rows = row.get("checks")
    if not isinstance(rows, list):
        raise DatabaseError(f"{attempt}: the database returned no checks")
    return CheckHistory(
        [_read_health_check(check) for check in read_rows(rows, attempt)],
        {status: read_count(counts.get(status, 0), attempt) for status in STATUSES},
    )


def _read_health_check(row: Row) -> ServiceHealthCheck:
    return ServiceHealthCheck(
        id=as_uuid(row["id"]),
        service_name=as_text(row["service_name"]),
        status=validate_choice("status", row["status"], STATUSES),
        latency_ms=as_optional_integer(row["latency_ms"]),
        checked_at=as_optional_moment(row["checked_at"]),
        error_message=as_optional_text(row["error_message"]),
        probe_details=_read_details(row["probe_details"]),
        created_at=as_optional_moment(row["created_at"]),
    )


def _read_details(value: Value) -> Mapping[str, JSON] | None:
    details = as_optional_object(value)
    return None if details is None else unpack_phases(details)
