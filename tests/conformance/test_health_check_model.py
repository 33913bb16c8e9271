"""`HealthCheckModel`."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from tests.conftest import Backend
from tests.support.supabase_api import is_filtered_incorrectly
from vigilbase import CreateHealthCheckData, DatabaseError, HealthCheckModel, InvalidInputError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


async def test_health_check_create_returns_check_as_stored(each_backend: Backend) -> None:
    check = await HealthCheckModel.create(
        CreateHealthCheckData(
            "payments api",
            "degraded",
            latency_ms=812,
            error_message="slow: „812 ms“",
            probe_details={"status_code": 200, "phases": {"dns": 1.5, "tls": None}, "tags": ["eu", True, -3]},
            checked_at=NOON,
        )
    )
    assert isinstance(check.id, UUID)
    assert (check.service_name, check.status, check.latency_ms) == ("payments api", "degraded", 812)
    assert check.error_message == "slow: „812 ms“"
    assert check.probe_details == {"status_code": 200, "phases": {"dns": 1.5, "tls": None}, "tags": ["eu", True, -3]}
    assert check.checked_at == NOON
    assert check.created_at is not None
    assert check.created_at.utcoffset() == timedelta(0)
    stored = each_backend.execute("SELECT id, latency_ms, checked_at, created_at FROM service_health_checks")
    assert stored == [(check.id, 812, NOON, check.created_at)]


async def test_health_check_create_minimal_data_has_nulls_and_current_time(each_backend: Backend) -> None:
    before = datetime.now(UTC)
    check = await HealthCheckModel.create(CreateHealthCheckData("api", "healthy"))
    assert (check.latency_ms, check.error_message, check.probe_details) == (None, None, None)
    assert check.checked_at is not None
    assert before <= check.checked_at <= datetime.now(UTC)
    assert each_backend.execute("SELECT probe_details IS NULL FROM service_health_checks") == [(True,)]


async def test_health_check_create_time_in_other_zone_is_returned_in_utc(each_backend: Backend) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    check = await HealthCheckModel.create(CreateHealthCheckData("api", "healthy", checked_at=NOON.astimezone(zone)))
    assert check.checked_at == NOON
    assert check.checked_at.tzinfo is UTC


async def test_health_check_row_is_frozen(backend: Backend) -> None:
    check = await HealthCheckModel.create(CreateHealthCheckData("api", "healthy"))
    with pytest.raises(AttributeError):
        check.status = "down"  # type: ignore[misc]


async def test_health_check_create_many_large_batch_is_written_whole(each_backend: Backend) -> None:
    items = [CreateHealthCheckData("api", "down", number, "refused", {"n": number}, NOON) for number in range(2500)]
    assert await HealthCheckModel.create_many(items) == 2500
    rows = await HealthCheckModel.find_all(limit=3000)
    assert sorted(row.latency_ms or 0 for row in rows) == list(range(2500))
    assert all(row.probe_details == {"n": row.latency_ms} and row.error_message == "refused" for row in rows)


async def test_health_check_create_many_one_invalid_item_writes_nothing(backend: Backend) -> None:
    items = [CreateHealthCheckData("api", "healthy"), CreateHealthCheckData(" api", "healthy")]
    with pytest.raises(InvalidInputError, match="service_name"):
        await HealthCheckModel.create_many(items)
    assert await HealthCheckModel.find_all() == []


async def test_health_check_create_many_empty_batch_writes_nothing(backend: Backend) -> None:
    assert await HealthCheckModel.create_many([]) == 0


async def test_health_check_create_many_omitted_fields_are_null(each_backend: Backend) -> None:
    await HealthCheckModel.create_many([CreateHealthCheckData("a", "healthy"), CreateHealthCheckData("b", "down", 3)])
    rows = await HealthCheckModel.find_latest()
    assert [(row.service_name, row.latency_ms, row.probe_details) for row in rows] == [
        ("a", None, None),
        ("b", 3, None),
    ]
    assert all(row.checked_at is not None for row in rows)


async def test_health_check_find_latest_goes_by_checked_at(backend: Backend) -> None:
    newest = await HealthCheckModel.create(CreateHealthCheckData("api", "down", checked_at=NOON))
    # Recorded later, although it ran earlier: it was buffered while the database was away.
    await HealthCheckModel.create(CreateHealthCheckData("api", "healthy", checked_at=NOON - timedelta(minutes=5)))
    other = await HealthCheckModel.create(CreateHealthCheckData("b", "healthy", checked_at=NOON - timedelta(days=1)))
    assert await HealthCheckModel.find_latest_by_service("api") == newest
    assert await HealthCheckModel.find_latest() == [newest, other]


async def test_health_check_find_latest_ignores_check_without_checked_at(backend: Backend) -> None:
    newest = await HealthCheckModel.create(CreateHealthCheckData("api", "down", checked_at=NOON))
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) VALUES ('api', 'healthy', NULL)"
    )
    assert await HealthCheckModel.find_latest_by_service("api") == newest
    assert await HealthCheckModel.find_latest() == [newest]


async def test_health_check_find_latest_unknown_service_returns_none(each_backend: Backend) -> None:
    assert await HealthCheckModel.find_latest_by_service("unknown") is None
    assert await HealthCheckModel.find_latest() == []


async def test_health_check_find_latest_5000_services_are_complete(each_backend: Backend) -> None:
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, latency_ms, checked_at) "
        "SELECT 'service ' || s, 'healthy', n, now() - n * interval '1 minute' "
        "FROM generate_series(1, 5000) s, generate_series(0, 2) n"
    )
    checks = await HealthCheckModel.find_latest()
    assert len(checks) == len({check.service_name for check in checks}) == 5000
    assert {check.latency_ms for check in checks} == {0}


async def test_health_check_find_all_is_ordered_by_created_at_and_id_descending(each_backend: Backend) -> None:
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, created_at) "
        "SELECT 'api', 'healthy', timestamptz '2026-11-24 12:00Z' - (n / 3) * interval '1 s' "
        "FROM generate_series(0, 29) n"
    )
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, created_at) VALUES ('api', 'down', NULL)"
    )
    rows = await HealthCheckModel.find_all()
    expected = each_backend.execute("SELECT id FROM service_health_checks ORDER BY created_at DESC NULLS LAST, id DESC")
    assert [(row.id,) for row in rows] == expected
    assert rows[-1].created_at is None
    assert [(row.id,) for row in await HealthCheckModel.find_all(limit=7)] == expected[:7]


async def test_health_check_find_all_unusual_service_names_are_matched_exactly(each_backend: Backend) -> None:
    for name in ("null", "true", 'the "api"', "a,b", "(x)", "100%", "naïve ☃", "a.b", "it's", "back\\slash"):
        await HealthCheckModel.create(CreateHealthCheckData(name, "healthy"))
        if each_backend.transport != "supabase" or not is_filtered_incorrectly(name):
            assert [row.service_name for row in await HealthCheckModel.find_all(service_name=name)] == [name]
            latest = await HealthCheckModel.find_latest_by_service(name)
            assert latest is not None
            assert latest.service_name == name


async def test_health_check_find_all_equal_times_beyond_one_page_are_complete(each_backend: Backend) -> None:
    # One statement gives all rows the same created_at, so the ties are longer than a page.
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status) "
        "SELECT 'service ' || n % 2, 'healthy' FROM generate_series(1, 3600) n"
    )
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, created_at) "
        "SELECT 'service 0', 'healthy', NULL FROM generate_series(1, 1500)"
    )
    for limit, name, expected in ((2500, None, 2500), (9999, None, 5100), (9999, "service 0", 3300)):
        rows = await HealthCheckModel.find_all(limit=limit, service_name=name)
        assert len(rows) == len({row.id for row in rows}) == expected


async def test_health_check_find_all_during_writes_returns_no_duplicates(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, created_at) "
        "SELECT 'api', 'healthy', now() - n * interval '1 ms' FROM generate_series(1, 4000) n"
    )
    reading = asyncio.ensure_future(HealthCheckModel.find_all(limit=4000))
    while not reading.done():
        await HealthCheckModel.create_many([CreateHealthCheckData("api", "down")] * 50)
    rows = await reading
    assert len(rows) == len({row.id for row in rows}) == 4000


async def test_health_check_delete_older_than_deletes_by_created_at(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, created_at, checked_at) "
        "SELECT 'api', 'healthy', now() - n * interval '1 day' - interval '1 minute', now() "
        "FROM generate_series(0, 9) n"
    )
    assert await HealthCheckModel.delete_older_than(36_500) == 0
    assert await HealthCheckModel.delete_older_than(7) == 3
    assert await HealthCheckModel.delete_older_than(7) == 0
    assert len(await HealthCheckModel.find_all()) == 7
    assert await HealthCheckModel.delete_older_than(0) == 7
    assert await HealthCheckModel.find_all() == []


async def test_health_check_delete_older_than_many_rows_deletes_all(each_backend: Backend) -> None:
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, created_at) "
        "SELECT 'api', 'healthy', now() - interval '3 days' FROM generate_series(1, 12345)"
    )
    assert await HealthCheckModel.delete_older_than(2) == 12345


async def test_health_check_delete_older_than_during_writes_terminates(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status) "
        "SELECT 'api', 'healthy' FROM generate_series(1, 11000)"
    )
    deleting = asyncio.ensure_future(HealthCheckModel.delete_older_than(0))
    while not deleting.done():
        await HealthCheckModel.create_many([CreateHealthCheckData("api", "down")] * 10)
    assert await deleting >= 11_000


async def test_health_check_create_database_error_names_call_and_has_cause(each_backend: Backend) -> None:
    # The validators accept this value, so the database must reject it.
    each_backend.execute("ALTER TABLE service_health_checks ADD CONSTRAINT not_666 CHECK (latency_ms <> 666) NOT VALID")
    try:
        with pytest.raises(DatabaseError, match="call vigilbase_create_health_check") as caught:
            await HealthCheckModel.create(CreateHealthCheckData("api", "healthy", latency_ms=666))
        assert caught.value.__cause__ is not None
        with pytest.raises(DatabaseError, match="vigilbase_create_health_checks"):
            await HealthCheckModel.create_many(
                [CreateHealthCheckData("api", "healthy"), CreateHealthCheckData("api", "healthy", latency_ms=666)]
            )
        assert await HealthCheckModel.find_all() == []
    finally:
        each_backend.execute("ALTER TABLE service_health_checks DROP CONSTRAINT not_666")


async def test_health_check_find_history_returns_newest_checks_and_status_counts(each_backend: Backend) -> None:
    now = datetime.now(UTC)
    for age_min, status in enumerate(["healthy", "down", "degraded", "down"]):
        # The newest is recorded first, since history goes by checked_at.
        data = CreateHealthCheckData("api", status, checked_at=now - timedelta(minutes=age_min))  # type: ignore[arg-type]
        await HealthCheckModel.create(data)
    await HealthCheckModel.create(CreateHealthCheckData("web", "down"))
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) VALUES ('api', 'down', NULL)"
    )
    history = await HealthCheckModel.find_history("api", since=now - timedelta(minutes=2, seconds=30), limit=2)
    assert [check.status for check in history.checks] == ["healthy", "down"]
    assert history.counts == {"healthy": 1, "degraded": 1, "down": 1}
    empty = await HealthCheckModel.find_history("api", since=now + timedelta(days=1))
    assert (empty.checks, empty.counts) == ([], {"healthy": 0, "degraded": 0, "down": 0})


async def test_health_check_find_history_over_1000_checks_is_complete(each_backend: Backend) -> None:
    await HealthCheckModel.create_many([CreateHealthCheckData("api", "healthy")] * 1200)
    history = await HealthCheckModel.find_history("api", since=datetime.now(UTC) - timedelta(hours=1), limit=2000)
    assert len({check.id for check in history.checks}) == history.counts["healthy"] == 1200
