"""The runner on real databases: it loses no check while the database is away, and records nothing twice."""

import asyncio
import itertools
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from tests.support.services import FakeService, make_config, run_config
from tests.support.waiting import wait_until_async
from vigilbase import AlertEventModel, HealthCheckModel, close_supabase_service_client
from vigilbase.clock import utc_now
from vigilbase.configfile import Config, ServiceConfig
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.domain import Check, Policy, ProbeResult, Status
from vigilbase.runner.history import load_history
from vigilbase.runner.recorder import judge_batch, record

POLICY = Policy(3, 2)
EVENTS = "SELECT alert_type, status FROM alert_events ORDER BY created_at"


def _make_checks(name: str, *statuses: Status) -> list[Check]:
    return [Check(name, ProbeResult(status, latency_ms=1, checked_at=utc_now())) for status in statuses]


async def test_record_same_checks_twice_writes_them_once(backend: Backend) -> None:
    checks = _make_checks("api", "down", "down", "down")
    _, transitions = judge_batch({}, checks, {"api": POLICY})
    for _ in range(2):
        await record(checks, transitions)
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(3,)]
    assert backend.execute(EVENTS) == [("service_down", "active")]
    healthy = _make_checks("api", "healthy", "healthy")
    history = await load_history([FakeService("api", policy=POLICY).config, FakeService("other", policy=POLICY).config])
    assert history.states["api"].status == "down"
    assert history.states["other"].status == "healthy"
    _, transitions = judge_batch(history.states, healthy, {"api": POLICY})
    for _ in range(2):
        await record(healthy, transitions)
    assert backend.execute(EVENTS) == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
    ]


async def test_record_ten_concurrent_runners_create_one_alert_and_recovery(backend: Backend) -> None:
    async def runner() -> None:
        checks = _make_checks("api", "down", "down", "down", "healthy", "healthy")
        states, transitions = judge_batch({}, checks[:3], {"api": POLICY})
        await record(checks[:3], transitions)
        recorded.release()
        await all_recorded.wait()
        _, transitions = judge_batch(states, checks[3:], {"api": POLICY})
        await record(checks[3:], transitions)

    recorded, all_recorded = asyncio.Semaphore(0), asyncio.Event()
    runners = [asyncio.ensure_future(runner()) for _ in range(10)]
    for _ in runners:
        await recorded.acquire()
    assert backend.execute(EVENTS) == [("service_down", "active")]
    all_recorded.set()
    await asyncio.gather(*runners)
    assert backend.execute(EVENTS) == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
    ]
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(50,)]


async def test_judge_manually_resolved_alert_is_not_reopened_until_recovery(backend: Backend) -> None:
    api = FakeService("api", policy=POLICY)
    policies = {"api": POLICY}
    checks = _make_checks("api", "down", "down", "down")
    await record(checks, judge_batch({}, checks, policies)[1])
    [alert] = await AlertEventModel.find_active()
    await AlertEventModel.resolve(alert.id)
    # The outage continues after a restart: no new alert.
    states = (await load_history([api.config])).states
    checks = _make_checks("api", "down", "down", "down", "down")
    states, transitions = judge_batch(states, checks, policies)
    assert transitions == []
    await record(checks, [])
    # Healthy again, then down again: a recovery and a new alert.
    checks = _make_checks("api", "healthy", "healthy", "down", "down", "down")
    await record(checks, judge_batch((await load_history([api.config])).states, checks, policies)[1])
    assert backend.execute(EVENTS) == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
        ("service_down", "active"),
    ]


async def test_record_open_alert_of_other_code_is_reused_and_resolved(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) VALUES ('api', 'service_down', 'active')"
    )
    checks = _make_checks("api", "down", "down", "down", "healthy", "healthy")
    await record(checks, judge_batch({}, checks, {"api": POLICY})[1])
    assert backend.execute(EVENTS) == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
    ]


async def test_record_alert_with_custom_rule_is_unchanged(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, details) "
        """VALUES ('api', 'service_down', 'active', '{"rule": "latency"}')"""
    )
    checks = _make_checks("api", "down", "down", "down", "healthy", "healthy")
    await record(checks, judge_batch({}, checks, {"api": POLICY})[1])
    assert backend.execute("SELECT status FROM alert_events WHERE details ->> 'rule' = 'latency'") == [("active",)]
    assert backend.execute("SELECT count(*) FROM alert_events") == [(3,)]


async def test_runner_rejected_transition_discards_its_checks_only(backend: Backend) -> None:
    backend.execute("ALTER TABLE alert_events ADD CONSTRAINT not_bad CHECK (service_name <> 'bad') NOT VALID")
    good, bad = FakeService("good", policy=POLICY), FakeService("bad", policy=POLICY)
    good.fail()
    bad.fail()
    try:
        async with run_config(make_config([good, bad])):
            # The database rejects the bad service's transition, with the checks that cause it.
            await wait_until_async(lambda: good.probe_count > 6 and bad.probe_count > 6)
    finally:
        backend.execute("ALTER TABLE alert_events DROP CONSTRAINT not_bad")
    assert backend.execute("SELECT service_name FROM alert_events") == [("good",)]
    [(good_checks, bad_checks)] = backend.execute(
        "SELECT count(*) FILTER (WHERE service_name = 'good'), count(*) FILTER (WHERE service_name = 'bad') "
        "FROM service_health_checks"
    )
    assert good_checks == good.probe_count
    assert bad_checks == 2


async def test_runner_stop_records_all_probe_results(each_backend: Backend) -> None:
    services = [FakeService(f"s{number}", policy=POLICY) for number in range(50)]
    async with run_config(make_config(services)) as run:
        await wait_until_async(lambda: all(service.probe_count >= 2 for service in services))
        run.stop.set()
    probed = {service.config.name: service.probe_count for service in services}
    recorded = each_backend.execute("SELECT service_name, count(*) FROM service_health_checks GROUP BY 1")
    assert sorted(map(str, recorded)) == sorted(map(str, probed.items()))


async def test_load_history_measures_clock_difference_to_database(each_backend: Backend) -> None:
    history = await load_history([FakeService("api", policy=POLICY).config])
    assert abs(history.clock.difference.total_seconds()) < 10


async def test_runner_hanging_probes_do_not_delay_others(
    database: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> ProbeResult:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setenv("DATABASE_URL", server.url(database))
    other = FakeService("other", policy=POLICY)
    hanging = [ServiceConfig(f"h{n}", "tcp", 0.1, 0.3, Policy(3, 2), hang) for n in range(20)]
    async with run_config(Config([other.config, *hanging])):
        await wait_until_async(lambda: other.probe_count > 10)
    await close_supabase_service_client()
    [(down,)] = server.execute(
        "SELECT count(DISTINCT service_name) FROM service_health_checks WHERE status = 'down'", database
    )
    assert down == 20


@pytest.fixture
def embedded_home(migrated_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder for an embedded server that the test may kill."""
    monkeypatch.setenv("VIGILBASE_HOME", str(migrated_home))
    monkeypatch.setenv("VIGILBASE_TIMEOUT", "5")
    return migrated_home


async def test_runner_database_away_buffers_all_checks(embedded_home: Path) -> None:
    embedded = EmbeddedServer(embedded_home)
    await asyncio.to_thread(embedded.start)
    api = FakeService("api", policy=POLICY)
    async with run_config(make_config([api])) as run:
        await wait_until_async(lambda: api.probe_count >= 3)
        postmaster = psutil.Process(int((embedded.data / "postmaster.pid").read_text().split()[0]))
        postmaster.send_signal(signal.SIGSTOP)  # away for a while, then killed
        count = api.probe_count
        api.fail()
        await wait_until_async(lambda: api.probe_count >= count + 5)
        for process in [postmaster, *postmaster.children()]:
            process.kill()
        await wait_until_async(lambda: api.probe_count >= count + 15)
        api.recover()
        count = api.probe_count
        # The server's recovery may take longer than a stop waits.
        await wait_until_async(lambda: run.runner.recorded >= count + 5, within_s=60)
    rows = await HealthCheckModel.find_all(limit=1000)
    assert len(rows) == api.probe_count
    statuses = [row.status for row in sorted(rows, key=lambda row: row.checked_at or utc_now())]
    assert [status for status, _ in itertools.groupby(statuses)] == ["healthy", "down", "healthy"]
    assert await AlertEventModel.find_open() == []
    assert (await AlertEventModel.find_recent_by_service("api", "recovery", 5)) is not None
    await close_supabase_service_client()
    await asyncio.to_thread(embedded.stop)


async def test_runner_read_only_database_buffers_all_checks(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a standby after a failover, or a project with a full disk."""
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    api = FakeService("api", policy=POLICY)

    def set_read_only(setting: str) -> None:
        server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = {setting}", "postgres")
        others = f"datname = '{database}' AND pid <> pg_backend_pid()"
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}", "postgres")

    async with run_config(make_config([api])) as run:
        await wait_until_async(lambda: api.probe_count >= 2)
        set_read_only("on")
        count = api.probe_count
        await wait_until_async(lambda: api.probe_count >= count + 5)
        set_read_only("off")
        count = api.probe_count
        await wait_until_async(lambda: run.runner.recorded >= count + 5)
    assert len(await HealthCheckModel.find_all(limit=1000)) == api.probe_count
    await close_supabase_service_client()


async def test_runner_stop_with_database_away_does_not_hang(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    api = FakeService("api", policy=POLICY)
    async with run_config(make_config([api])) as run:
        await wait_until_async(lambda: api.probe_count >= 2)
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false", "postgres")
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'", "postgres"
        )
        count = api.probe_count
        await wait_until_async(lambda: api.probe_count >= count + 2)
        began = time.monotonic()
        run.stop.set()
    assert time.monotonic() - began < 15  # a stop takes five seconds, however long the database is away
    await close_supabase_service_client()
