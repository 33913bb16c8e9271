"""The five verbs behave alike on every transport."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.conftest import Backend
from vigilbase import DatabaseError, DatabaseUnavailableError, MissingSchemaError, get_supabase_service_client
from vigilbase.database.client import MAX_ROWS, Order, Row, Where

CHECKS = "service_health_checks"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def _make_row(name: str, latency_ms: int | None = None, minutes: int = 0) -> Row:
    return {
        "service_name": name,
        "status": "healthy",
        "latency_ms": latency_ms,
        "checked_at": NOON + timedelta(minutes=minutes),
        "probe_details": {"n": [latency_ms]},
    }


async def test_insert_returns_rows_as_python_values(each_backend: Backend) -> None:
    identity = uuid4()
    client = get_supabase_service_client()
    rows = await client.insert(CHECKS, [{**_make_row("a", 1), "id": identity}, {**_make_row("b"), "id": uuid4()}])
    assert [row["service_name"] for row in rows] == ["a", "b"]
    assert rows[0]["id"] == identity
    assert rows[0]["checked_at"] == NOON
    assert rows[0]["probe_details"] == {"n": [1]}
    assert rows[1]["latency_ms"] is None
    assert isinstance(rows[0]["id"], UUID)
    assert isinstance(rows[0]["created_at"], datetime)
    assert rows[0]["created_at"].tzinfo is UTC
    assert await client.insert(CHECKS, []) == []


async def test_insert_one_invalid_row_inserts_nothing(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    with pytest.raises(DatabaseError, match=f"insert into {CHECKS}"):
        await client.insert(CHECKS, [_make_row("a"), {**_make_row("b"), "status": "asleep"}])
    assert await client.select(CHECKS) == []


async def test_select_order_puts_nulls_last_in_both_directions(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    await client.insert(CHECKS, [_make_row("a", 2), _make_row("b", None), _make_row("c", 9), _make_row("d", 2)])

    async def select_names(*order: Order, limit: int = MAX_ROWS) -> str:
        rows = await client.select(CHECKS, order=order, limit=limit)
        return "".join(str(row["service_name"]) for row in rows)

    assert await select_names(Order("latency_ms"), Order("service_name")) == "adcb"
    assert await select_names(Order("latency_ms", descending=True), Order("service_name", descending=True)) == "cdab"
    assert await select_names(Order("latency_ms"), Order("service_name"), limit=2) == "ad"


async def test_select_several_conditions_are_all_applied(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    [first, *_] = await client.insert(
        CHECKS, [_make_row("a", 1, 0), _make_row("b", 2, 1), _make_row("c", 3, 2), _make_row("d", None, 3)]
    )

    async def select_names(*where: Where) -> str:
        rows = await client.select(CHECKS, where, [Order("service_name")])
        return "".join(str(row["service_name"]) for row in rows)

    assert await select_names(Where("latency_ms", "gt", 1)) == "bc"
    assert await select_names(Where("latency_ms", "gte", 1), Where("latency_ms", "lt", 3)) == "ab"
    assert await select_names(Where("latency_ms", "lte", 2)) == "ab"
    assert await select_names(Where("latency_ms", "eq", None)) == "d"
    assert await select_names(Where("latency_ms", "neq", None)) == "abc"
    assert await select_names(Where("latency_ms", "neq", 2)) == "ac"
    assert await select_names(Where("service_name", "neq", "b"), Where("latency_ms", "gt", 1)) == "c"
    assert await select_names(Where("id", "neq", first["id"])) == "bcd"
    assert (
        await select_names(Where("checked_at", "neq", NOON), Where("checked_at", "lt", NOON + timedelta(minutes=3)))
        == "bc"
    )
    assert await select_names(Where("id", "eq", first["id"])) == "a"
    assert (
        await select_names(Where("checked_at", "gt", NOON), Where("checked_at", "lte", NOON + timedelta(minutes=2)))
        == "bc"
    )
    assert await select_names(Where("service_name", "eq", "b' OR '1'='1")) == ""


async def test_select_limit_out_of_range_is_rejected(each_backend: Backend) -> None:
    for limit in (0, -1, MAX_ROWS + 1):
        with pytest.raises(ValueError, match="limit must be 1 to 1000"):
            await get_supabase_service_client().select(CHECKS, limit=limit)


async def test_update_matching_rows_are_changed_and_returned(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    await client.insert(CHECKS, [_make_row("a", 1), _make_row("b", 2), _make_row("c", 3)])
    values: Row = {"status": "down", "error_message": "it's", "probe_details": {"x": None}}
    changed = await client.update(CHECKS, values, [Where("latency_ms", "gte", 2)])
    assert sorted(str(row["service_name"]) for row in changed) == ["b", "c"]
    assert all(
        (row["status"], row["error_message"], row["probe_details"]) == ("down", "it's", {"x": None}) for row in changed
    )
    assert await client.update(CHECKS, values, [Where("service_name", "eq", "missing")]) == []
    assert len(await client.select(CHECKS, [Where("status", "eq", "healthy")])) == 1


async def test_update_and_delete_neq_condition_excludes_nulls(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    await client.insert(CHECKS, [_make_row("a", 1), _make_row("b", 2), _make_row("c", None)])
    changed = await client.update(CHECKS, {"status": "down"}, [Where("service_name", "neq", "a")])
    assert sorted(str(row["service_name"]) for row in changed) == ["b", "c"]
    assert await client.delete(CHECKS, [Where("status", "neq", "down")]) == 1
    assert await client.delete(CHECKS, [Where("latency_ms", "neq", 7)]) == 1
    assert [row["service_name"] for row in await client.select(CHECKS)] == ["c"]


async def test_delete_matching_rows_are_deleted_and_counted(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    await client.insert(CHECKS, [_make_row("a", number) for number in range(1200)])
    assert await client.delete(CHECKS, [Where("latency_ms", "lt", 1100)]) == 1100
    assert await client.delete(CHECKS, [Where("service_name", "eq", "missing")]) == 0
    assert len(await client.select(CHECKS)) == 100


async def test_update_and_delete_without_condition_are_rejected(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    with pytest.raises(ValueError, match="without a condition"):
        await client.delete(CHECKS, [])
    with pytest.raises(ValueError, match="without a condition"):
        await client.update(CHECKS, {"status": "down"}, [])


async def test_call_returns_single_value(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    assert await client.call("vigilbase_create_health_checks", {"p_checks": "[]"}) == 0
    assert await client.call("vigilbase_find_latest_health_checks") == []
    assert await client.call("vigilbase_resolve_alert", {"p_id": uuid4()}) is None
    access = await client.call("vigilbase_role_info")
    assert isinstance(access, dict)
    assert access["is_blind"] is False


async def test_client_missing_table_or_function_error_advises_migrate(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    with pytest.raises(MissingSchemaError, match=r"select from nothing: .*run `vigilbase migrate`"):
        await client.select("nothing")
    with pytest.raises(MissingSchemaError, match=r"call nothing_v1: .*run `vigilbase migrate`"):
        await client.call("nothing_v1")


async def test_client_concurrent_selects_are_independent(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    await client.insert(CHECKS, [_make_row(f"s{number}", number) for number in range(20)])
    answers = await asyncio.gather(
        *(client.select(CHECKS, [Where("latency_ms", "eq", number)]) for number in range(20))
    )
    assert [row["service_name"] for [row] in answers] == [f"s{number}" for number in range(20)]


async def test_client_closed_raises_database_error(each_backend: Backend) -> None:
    client = get_supabase_service_client()
    await client.select(CHECKS)
    await client.aclose()
    with pytest.raises(DatabaseError):
        await client.select(CHECKS)


async def test_select_over_timeout_raises_database_unavailable(
    each_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGILBASE_TIMEOUT", "2")
    client = get_supabase_service_client()
    await client.select(CHECKS)
    with psycopg.connect(each_backend.server.url(each_backend.database)) as other:
        other.execute("LOCK TABLE service_health_checks")
        with pytest.raises(DatabaseUnavailableError, match=r"no answer within 2 s|canceling statement"):
            await client.select(CHECKS)
    assert await client.select(CHECKS) == []
