"""Which row is the newest: none from the future, and of equal times that with the greatest id; on every transport."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from vigilbase import AlertEventModel, CreateAlertEventData, CreateHealthCheckData, HealthCheckModel
from vigilbase.configfile import ServiceConfig
from vigilbase.domain import Policy, ProbeResult
from vigilbase.runner.history import load_history

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CHECK = "INSERT INTO service_health_checks (id, service_name, status, checked_at) VALUES"
ALERT = "INSERT INTO alert_events (id, service_name, alert_type, status, created_at, message) VALUES"
FUTURES = ("now() + interval '1 hour'", "now() + interval '10 years'", "'infinity'")


def make_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


async def _fail_if_probed() -> ProbeResult:
    raise AssertionError("this test doesn't probe")


def make_service(name: str) -> ServiceConfig:
    return ServiceConfig(name, "tcp", 30, 5, Policy(3, 2), _fail_if_probed)


@pytest.mark.parametrize("future", FUTURES)
async def test_find_latest_check_from_future_does_not_hide_todays(each_backend: Backend, future: str) -> None:
    each_backend.execute(
        f"{CHECK} ('{make_id(1)}', 'api', 'healthy', {future}), ('{make_id(2)}', 'api', 'down', now()), "
        f"('{make_id(3)}', 'api', 'healthy', now() - interval '1 min')"
    )
    one = await HealthCheckModel.find_latest_by_service("api")
    assert one is not None
    assert one.status == "down"
    assert await HealthCheckModel.find_latest() == [one]
    history = await HealthCheckModel.find_history("api", since=datetime.now(UTC) - timedelta(hours=1))
    assert [check.status for check in history.checks] == ["down", "healthy"]
    assert history.counts == {"healthy": 1, "degraded": 0, "down": 1}


async def test_find_latest_check_within_a_second_is_not_from_future(each_backend: Backend) -> None:
    """The limit is that of the runner's checks: clocks never quite agree."""
    at = datetime.now(UTC) + timedelta(milliseconds=700)
    ahead = await HealthCheckModel.create(CreateHealthCheckData("api", "down", checked_at=at))
    before = at - timedelta(seconds=1)
    await HealthCheckModel.create(CreateHealthCheckData("api", "healthy", checked_at=before))
    assert await HealthCheckModel.find_latest() == [ahead]
    assert await HealthCheckModel.find_latest_by_service("api") == ahead


async def test_find_latest_only_future_or_timeless_checks_are_found(each_backend: Backend) -> None:
    each_backend.execute(
        f"{CHECK} ('{make_id(1)}', 'future', 'healthy', '2036-01-01Z'), "
        f"('{make_id(2)}', 'future', 'down', '2036-01-02Z'), "
        f"('{make_id(3)}', 'timeless', 'down', NULL), ('{make_id(4)}', 'timeless', 'healthy', NULL)"
    )
    latest = await HealthCheckModel.find_latest()
    assert [(check.service_name, check.status) for check in latest] == [("future", "down"), ("timeless", "healthy")]
    assert [await HealthCheckModel.find_latest_by_service(name) for name in ("future", "timeless")] == latest
    assert await HealthCheckModel.find_latest_by_service("unknown") is None


@pytest.mark.parametrize("greatest", [0, 1, 2])
async def test_newest_check_of_equal_times_has_greatest_id(each_backend: Backend, greatest: int) -> None:
    """Whatever the order in which they were written."""
    numbers = [1, 2, 3]
    numbers[greatest], numbers[2] = 9, numbers[greatest]
    statuses = ("healthy", "degraded", "down")
    for number, status in zip(numbers, statuses, strict=True):
        each_backend.execute(f"{CHECK} ('{make_id(number)}', 'api', '{status}', '{NOON.isoformat()}')")
    expected = sorted(zip(numbers, statuses, strict=True), reverse=True)
    newest_first = [status for _, status in expected]
    one = await HealthCheckModel.find_latest_by_service("api")
    assert one is not None
    assert one.status == newest_first[0]
    assert await HealthCheckModel.find_latest() == [one]
    history = await HealthCheckModel.find_history("api", since=NOON)
    assert [check.status for check in history.checks] == newest_first
    state = (await load_history([make_service("api")])).states["api"]
    assert [check.status for check in reversed(state.streak)] == newest_first


@pytest.mark.parametrize("future", FUTURES)
async def test_recent_alert_from_future_is_not_found(each_backend: Backend, future: str) -> None:
    each_backend.execute(f"{ALERT} ('{make_id(9)}', 'api', 'service_down', 'resolved', {future}, 'future')")
    assert await AlertEventModel.find_recent_by_service("api", "service_down", 5) is None
    each_backend.execute(
        f"{ALERT} ('{make_id(1)}', 'api', 'service_down', 'resolved', now() - interval '1 min', 'today'), "
        f"('{make_id(2)}', 'web', 'service_down', 'resolved', {future}, 'future')"
    )
    recent = await AlertEventModel.find_recent_by_service("api", "service_down", 5)
    assert recent is not None
    assert recent.message == "today"
    assert await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down"), within_minutes=5) == (
        recent,
        False,
    )
    _, is_new = await AlertEventModel.raise_alert(CreateAlertEventData("web", "service_down"), within_minutes=5)
    assert is_new


async def test_recent_alert_of_equal_times_has_greatest_id(each_backend: Backend) -> None:
    rows = ", ".join(f"('{make_id(number)}', 'api', 'recovery', 'resolved', now(), NULL)" for number in (1, 3, 2))
    each_backend.execute(f"{ALERT} {rows}")
    recent = await AlertEventModel.find_recent_by_service("api", "recovery", 5)
    assert recent is not None
    assert recent.id == UUID(make_id(3))
    assert await AlertEventModel.find_recent_by_service("api", "recovery", 2**31 - 1) == recent


async def test_create_without_time_gets_databases_time(each_backend: Backend) -> None:
    """This machine's clock may be wrong. In the transaction that writes it, both columns have the same time."""
    one = await HealthCheckModel.create(CreateHealthCheckData("api", "healthy"))
    assert one.checked_at == one.created_at is not None
    items = [CreateHealthCheckData("many", "healthy", checked_at=NOON), CreateHealthCheckData("many", "down")]
    assert await HealthCheckModel.create_many(items) == 2
    checks = {check.status: check for check in await HealthCheckModel.find_all(service_name="many")}
    assert checks["healthy"].checked_at == NOON
    assert checks["down"].checked_at == checks["down"].created_at is not None


CALLS = (
    "vigilbase_find_latest_health_checks()",
    "vigilbase_find_latest_health_check('service 1')",
    """vigilbase_load_state('["service 0", "service 1"]', 3)""",
)


@pytest.mark.parametrize("offset", ["-1 second", "10 years"], ids=["past", "future"])
def test_find_latest_cost_does_not_grow_with_history(server: PostgresServer, database: str, offset: str) -> None:
    """Of 100,000 checks a service, few are read, also if all but the first are from the future."""
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        connection.execute(
            f"""INSERT INTO service_health_checks (service_name, status, checked_at)
            SELECT 'service ' || n % 2, 'healthy', CASE
                WHEN n < 2 THEN now() - interval '1 day'
                ELSE now() + interval '{offset}' - n * interval '1 ms'
            END FROM generate_series(0, 199999) AS n"""
        )
        connection.execute("VACUUM (ANALYZE) service_health_checks")
        for call in CALLS:
            # Often enough that Postgres may choose a generic plan; the first time, it also reads its catalogs.
            for _ in range(8):
                connection.execute(f"SELECT {call}")
            [(plan,)] = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT {call}")
            buffers = plan[0]["Plan"]
            # A full scan takes thousands.
            assert buffers["Shared Hit Blocks"] + buffers["Shared Read Blocks"] < 100, call
