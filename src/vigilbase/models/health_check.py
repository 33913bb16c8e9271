"""Rows of `service_health_checks`: one recorded probe result each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Order, Row, ServiceClient, Value, Where
from vigilbase.database.json_codec import to_json
from vigilbase.domain import JSON, MAX_INTEGER, STATUSES, Status
from vigilbase.errors import InvalidInputError
from vigilbase.ids import uuid7
from vigilbase.logging import get_logger
from vigilbase.models.columns import (
    describe_odd_word,
    get_choice,
    get_optional_integer,
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
from vigilbase.models.rows import (
    SkippedRows,
    make_unexpected_answer_error,
    read_count,
    read_item,
    read_items,
    read_row,
    read_rows,
    report_skipped,
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
NOUN = "health_check"
# How many checks of a service are read at most to find one that can be read; the SQL function has the same limit.
LOOKBACK = 100
_NEWEST_FIRST = (Order("checked_at", descending=True), Order("id", descending=True))


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

    `latency_ms` in milliseconds; `checked_at` aware; when it is left out, the database's time.
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
    `DatabaseError` when the database fails. Methods that return several checks leave out those that can't be read.
    """

    @staticmethod
    async def create(data: CreateHealthCheckData) -> ServiceHealthCheck:
        """Write one health check and return it."""
        with log_failures(log, "health_check.create"):
            values = _make_row(data)
            check = await _create(values)
        log.info("health_check.created", service_name=check.service_name, status=check.status, id=str(check.id))
        return check

    @staticmethod
    async def create_many(items: Sequence[CreateHealthCheckData]) -> int:
        """Write a batch in one statement, all or nothing; return how many were written."""
        with log_failures(log, "health_check.create_many"):
            if not isinstance(items, Sequence):
                raise InvalidInputError("items", f"must be a sequence, not a {type(items).__name__}")
            # All are validated before any is written, since a batch is written whole or not at all.
            rows = [_make_row(item) for item in items]
            count = await _insert_many(rows) if rows else 0
        log.info("health_check.created_many", count=count)
        return count

    @staticmethod
    async def find_latest_by_service(service_name: str) -> ServiceHealthCheck | None:
        """The newest check of a service by `checked_at`, ties by id, or None.

        A check from the future counts only if there is no other. If the newest can't be read, the newest that can.
        """
        with log_failures(log, "health_check.find_latest_by_service"):
            name = validate_service_name(service_name)
            check = await _find_latest(name)
        log.info("health_check.found_latest_by_service", service_name=name, found=check is not None)
        return check

    @staticmethod
    async def find_latest() -> list[ServiceHealthCheck]:
        """The newest check of every service by `checked_at`, sorted by service, in one round trip.

        Which one is the newest: as for `find_latest_by_service`.
        """
        with log_failures(log, "health_check.find_latest"):
            # The Data API truncates a `select` of more than 1,000 rows, but never a single JSON value (decision 3).
            function = "vigilbase_find_latest_health_checks"
            answer = await get_supabase_service_client().call(function)
            checks = _read_each_latest(answer, f"call {function}")
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
            checks = _read_checks(await select_newest(TABLE, by_service, wanted), f"select from {TABLE}")
        log.info("health_check.found_all", service_name=name, count=len(checks))
        return checks

    @staticmethod
    async def find_history(service_name: str, *, since: datetime, limit: int = 100) -> CheckHistory:
        """The newest checks of a service by `checked_at`, at most `limit`, and how many of each status ran `since`.

        Without checks from the future.
        """
        with log_failures(log, "health_check.find_history"):
            function = "vigilbase_find_check_history"
            arguments: dict[str, Value] = {
                "p_service_name": validate_service_name(service_name),
                "p_since": validate_moment("since", since),
                "p_limit": validate_integer("limit", limit, least=1, most=MAX_INTEGER),
            }
            answer = await get_supabase_service_client().call(function, arguments)
            history = _read_history(answer, f"call {function}")
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


async def _create(row: Row) -> ServiceHealthCheck:
    function = "vigilbase_create_health_check"

    def read(answer: JSON) -> ServiceHealthCheck:
        return read_item(read_row(answer, f"call {function}"), _read_health_check, f"call {function}")

    async def insert(client: ServiceClient) -> ServiceHealthCheck:
        stored = await client.insert(TABLE, [_fill_time(row)])
        return read_item(stored[0] if stored else None, _read_health_check, f"insert into {TABLE}")

    # The function takes one object, so the brackets of the array are cut off.
    return await call_or_fall_back(function, {"p_check": _dump_rows(row)[1:-1]}, read, insert)


async def _insert_many(rows: Sequence[Row]) -> int:
    async def insert(client: ServiceClient) -> int:
        return len(await client.insert(TABLE, [_fill_time(row) for row in rows]))

    function = "vigilbase_create_health_checks"
    return await call_or_fall_back(
        function, {"p_checks": _dump_rows(*rows)}, lambda answer: read_count(answer, f"call {function}"), insert
    )


def _make_row(data: CreateHealthCheckData) -> dict[str, Value]:
    """The columns to write, each validated. Without a `checked_at`, the database says when."""
    require_type("data", data, CreateHealthCheckData)
    return {
        # Ids in the order of time fill the pages of the primary key (decision 15).
        "id": uuid7(),
        "service_name": validate_service_name(data.service_name),
        "status": validate_choice("status", data.status, STATUSES),
        "latency_ms": validate_latency_ms(data.latency_ms),
        "checked_at": None if data.checked_at is None else validate_moment("checked_at", data.checked_at),
        "error_message": validate_text("error_message", data.error_message),
        "probe_details": validate_details("probe_details", data.probe_details),
    }


def _fill_time(row: Row) -> Row:
    """For an `insert`: all its rows have the same columns, and an explicit NULL would beat the column's default."""
    return {**row, "checked_at": row["checked_at"] or DATABASE_NOW}


async def _find_latest(name: str) -> ServiceHealthCheck | None:
    function = "vigilbase_find_latest_health_check"

    def read(answer: JSON) -> ServiceHealthCheck | None:
        return _read_latest(read_rows(answer, f"call {function}"), f"call {function}")

    return await call_or_fall_back(
        function, {"p_service_name": name}, read, lambda client: _select_latest(client, name)
    )


async def _select_latest(client: ServiceClient, name: str) -> ServiceHealthCheck | None:
    by_name = Where("service_name", "eq", name)
    past = Where("checked_at", "lte", DATABASE_NOW)
    rows = await client.select(TABLE, [by_name, past], _NEWEST_FIRST, limit=1)
    if rows and rows[0].get("status") not in STATUSES:
        rows = await client.select(TABLE, [by_name, past], _NEWEST_FIRST, limit=LOOKBACK)
    rows = rows or await client.select(TABLE, [by_name], _NEWEST_FIRST, limit=1)
    return _read_latest(rows, f"select from {TABLE}")


def _read_latest(rows: Sequence[Row], attempt: str) -> ServiceHealthCheck | None:
    """The first check that can be read. If none can, that is an error: None would mean that there are no checks."""
    checks = _read_checks(rows, attempt, limit=1)
    return checks[0] if checks else read_item(rows[0], _read_health_check, attempt) if rows else None


def _read_each_latest(answer: JSON, attempt: str) -> list[ServiceHealthCheck]:
    """The checks of an answer that has an array for each service, with at most one check that can be read."""
    if not isinstance(answer, list):
        raise make_unexpected_answer_error(attempt)
    return _read_checks([row for group in answer for row in read_rows(group, attempt)], attempt)


def _read_checks(rows: Sequence[Row], attempt: str, *, limit: int | None = None) -> list[ServiceHealthCheck]:
    return read_items(rows, _read_health_check, attempt, log, NOUN, limit=limit)


def _read_history(answer: JSON, attempt: str) -> CheckHistory:
    row = read_row(answer, attempt) or {}
    counts, rows = row.get("counts"), row.get("checks")
    if not isinstance(counts, Mapping) or not isinstance(rows, list):
        raise make_unexpected_answer_error(attempt)
    numbers = {status: read_count(count, attempt) for status, count in counts.items()}
    checks = _read_checks(read_rows(rows, attempt), attempt)
    odd = {status: count for status, count in numbers.items() if status not in STATUSES}
    if odd:
        # The function leaves them out of `checks`, so that they don't use up the limit.
        reason = describe_odd_word("status", next(iter(odd)), STATUSES)
        report_skipped(log, SkippedRows(NOUN, sum(odd.values()), None, reason))
    return CheckHistory(checks, {status: numbers.get(status, 0) for status in STATUSES})


def _read_health_check(row: Row) -> ServiceHealthCheck:
    details = get_optional_object(row, "probe_details")
    return ServiceHealthCheck(
        id=get_uuid(row, "id"),
        service_name=get_text(row, "service_name"),
        status=get_choice(row, "status", STATUSES),
        latency_ms=get_optional_integer(row, "latency_ms"),
        checked_at=get_optional_moment(row, "checked_at"),
        error_message=get_optional_text(row, "error_message"),
        probe_details=None if details is None else unpack_phases(details),
        created_at=get_optional_moment(row, "created_at"),
    )
