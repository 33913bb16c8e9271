"""The runner on real databases: nothing that was seen is lost while the database is away, and nothing told twice."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from vigilbase import AlertEventModel, HealthCheckModel, close_supabase_service_client
from vigilbase.clock import utc_now
from vigilbase.database.migrate import apply_pending, discover
from vigilbase.probes import Finding
from vigilbase.runner.loop import Runner
from vigilbase.runner.recorder import judge_batch, load_history, record
from vigilbase.spec import ServiceSpec, Spec
from vigilbase.vocabulary import Check, Observation, Policy, Status


class Service:
    """A service whose next findings are what the test says; when nothing is left, it is what it was last."""

    def __init__(self, name: str, every: float = 0.1) -> None:
        self.finding = Finding()
        self.looks = 0
        self.spec = ServiceSpec(name, "tcp", every, 1.0, Policy(3, 2), self._probe)

    async def _probe(self) -> Finding:
        self.looks += 1
        return self.finding


@dataclass
class Run:
    """A runner at work, until `stop` is set."""

    runner: Runner
    stop: asyncio.Event


@asynccontextmanager
async def _running(*specs: ServiceSpec) -> AsyncIterator[Run]:
    run = Run(Runner(Spec(specs)), asyncio.Event())
    task = asyncio.ensure_future(run.runner.run(run.stop))
    try:
        yield run
    finally:
        run.stop.set()
        await task


async def _until(wanted: Callable[[], object], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not wanted():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def _checks(name: str, *statuses: Status) -> list[Check]:
    return [Check(name, Observation(status, utc_now(), 1)) for status in statuses]


async def test_a_batch_that_is_sent_twice_is_written_once(backend: Backend) -> None:
    checks = _checks("api", "down", "down", "down")
    _, transitions = judge_batch({}, checks, {"api": Policy(3, 2)})
    for _ in range(2):
        await record(checks, transitions)
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(3,)]
    assert backend.execute("SELECT alert_type, status FROM alert_events") == [("service_down", "active")]
    healthy = _checks("api", "healthy", "healthy")
    history = await load_history([Service("api").spec, Service("other").spec])
    assert history.states["api"].judged == "down"
    assert history.states["other"].judged == "healthy"
    _, transitions = judge_batch(history.states, healthy, {"api": Policy(3, 2)})
    for _ in range(2):
        await record(healthy, transitions)
    assert backend.execute("SELECT alert_type, status FROM alert_events ORDER BY created_at") == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
    ]


async def test_of_ten_runners_that_see_one_failure_one_alert_event_comes(backend: Backend) -> None:
    async def runner() -> None:
        checks = _checks("api", "down", "down", "down", "healthy", "healthy")
        states, transitions = judge_batch({}, checks[:3], {"api": Policy(3, 2)})
        await record(checks[:3], transitions)
        barrier.release()
        await everybody.wait()
        _, transitions = judge_batch(states, checks[3:], {"api": Policy(3, 2)})
        await record(checks[3:], transitions)

    barrier, everybody = asyncio.Semaphore(0), asyncio.Event()
    runners = [asyncio.ensure_future(runner()) for _ in range(10)]
    for _ in runners:
        await barrier.acquire()
    assert backend.execute("SELECT alert_type, status FROM alert_events") == [("service_down", "active")]
    everybody.set()
    await asyncio.gather(*runners)
    assert backend.execute("SELECT alert_type, status FROM alert_events ORDER BY created_at") == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
    ]
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(50,)]


async def test_an_alert_resolved_by_hand_stays_quiet_until_the_service_was_healthy_again(backend: Backend) -> None:
    api = Service("api")
    policies = {"api": api.spec.policy}
    checks = _checks("api", "down", "down", "down")
    await record(checks, judge_batch({}, checks, policies)[1])
    [alert] = await AlertEventModel.find_active()
    await AlertEventModel.resolve(alert.id)
    # A restart, and the outage goes on: nothing new to tell.
    states = (await load_history([api.spec])).states
    checks = _checks("api", "down", "down", "down", "down")
    states, transitions = judge_batch(states, checks, policies)
    assert transitions == []
    await record(checks, [])
    # Healthy again, and down again: a recovery and a new alert.
    checks = _checks("api", "healthy", "healthy", "down", "down", "down")
    await record(checks, judge_batch((await load_history([api.spec])).states, checks, policies)[1])
    assert backend.execute("SELECT alert_type, status FROM alert_events ORDER BY created_at") == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
        ("service_down", "active"),
    ]


async def test_an_open_alert_of_other_code_is_joined_and_resolved(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) VALUES ('api', 'service_down', 'active')"
    )
    checks = _checks("api", "down", "down", "down", "healthy", "healthy")
    await record(checks, judge_batch({}, checks, {"api": Policy(3, 2)})[1])
    assert backend.execute("SELECT alert_type, status FROM alert_events ORDER BY created_at") == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
    ]


async def test_an_alert_with_a_rule_of_its_own_is_left_alone(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, details) "
        """VALUES ('api', 'service_down', 'active', '{"rule": "latency"}')"""
    )
    checks = _checks("api", "down", "down", "down", "healthy", "healthy")
    await record(checks, judge_batch({}, checks, {"api": Policy(3, 2)})[1])
    assert backend.execute("SELECT status FROM alert_events WHERE details ->> 'rule' = 'latency'") == [("active",)]
    assert backend.execute("SELECT count(*) FROM alert_events") == [(3,)]


async def test_a_batch_is_written_with_its_alerts_or_not_at_all(backend: Backend) -> None:
    backend.execute("ALTER TABLE alert_events ADD CONSTRAINT refused CHECK (service_name <> 'bad') NOT VALID")
    good, bad = Service("good"), Service("bad")
    good.finding = bad.finding = Finding("down", "it broke")
    try:
        async with _running(good.spec, bad.spec):
            # The bad service's transition is refused, and the checks that bring it on with it; the good one's are not.
            await _until(lambda: good.looks > 6 and bad.looks > 6)
    finally:
        backend.execute("ALTER TABLE alert_events DROP CONSTRAINT refused")
    assert backend.execute("SELECT service_name FROM alert_events") == [("good",)]
    [(good_checks, bad_checks)] = backend.execute(
        "SELECT count(*) FILTER (WHERE service_name = 'good'), count(*) FILTER (WHERE service_name = 'bad') "
        "FROM service_health_checks"
    )
    assert good_checks == good.looks
    assert bad_checks == 2


async def test_a_stopped_runner_has_written_what_it_saw(backend: Backend) -> None:
    services = [Service(f"s{number}") for number in range(50)]
    async with _running(*(service.spec for service in services)) as run:
        await _until(lambda: all(service.looks >= 2 for service in services))
        run.stop.set()
    seen = {service.spec.name: service.looks for service in services}
    written = backend.execute("SELECT service_name, count(*) FROM service_health_checks GROUP BY 1")
    assert sorted(map(str, written)) == sorted(map(str, seen.items()))


async def test_the_clock_of_the_database_is_what_counts(backend: Backend) -> None:
    history = await load_history([Service("api").spec])
    assert abs(history.clock.difference.total_seconds()) < 1


async def test_a_hanging_probe_holds_up_no_other(
    database: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setenv("DATABASE_URL", server.url(database))
    other = Service("other")
    hanging = [ServiceSpec(f"h{n}", "tcp", 0.1, 0.3, Policy(3, 2), hang) for n in range(20)]
    async with _running(other.spec, *hanging):
        await _until(lambda: other.looks > 10)
    await close_supabase_service_client()
    [(down,)] = server.execute(
        "SELECT count(DISTINCT service_name) FROM service_health_checks WHERE status = 'down'", database
    )
    assert down == 20


@pytest.fixture
def own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded server of the test's own, which may be killed."""
    monkeypatch.setenv("VIGILBASE_HOME", str(home))
    monkeypatch.setenv("VIGILBASE_TIMEOUT", "2")
    return home


async def test_checks_wait_while_the_database_is_away_and_nothing_is_lost(own_home: Path) -> None:
    from vigilbase.database.embedded import EmbeddedServer

    embedded = EmbeddedServer(own_home)
    await apply_pending(await asyncio.to_thread(embedded.start), discover())
    api = Service("api")
    async with _running(api.spec) as run:
        await _until(lambda: api.looks >= 3)
        postmaster = psutil.Process(int((embedded.data / "postmaster.pid").read_text().split()[0]))
        postmaster.send_signal(signal.SIGSTOP)  # away for a while, and then killed
        looks = api.looks
        api.finding = Finding("down", "it broke")
        await _until(lambda: api.looks >= looks + 5)
        for process in [postmaster, *postmaster.children()]:
            process.kill()
        await _until(lambda: api.looks >= looks + 15)
        api.finding = Finding()
        looks = api.looks
        # Recovering takes the server as long as it takes, and a stop waits for it only so long.
        await _until(lambda: run.runner.recorded >= looks + 5, within_s=60)
    rows = await HealthCheckModel.find_all(limit=1000)
    assert len(rows) == api.looks
    order = [row.status for row in sorted(rows, key=lambda row: row.checked_at or utc_now())]
    changes = [status for place, status in enumerate(order) if place == 0 or order[place - 1] != status]
    assert changes == ["healthy", "down", "healthy"]
    assert await AlertEventModel.find_open() == []
    assert (await AlertEventModel.find_recent_by_service("api", "recovery", 5)) is not None
    await close_supabase_service_client()
    await asyncio.to_thread(embedded.stop)


async def test_checks_wait_while_the_database_can_only_be_read(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a standby after a failover, or a project whose disk is full."""
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    api = Service("api")

    def only_read(setting: str) -> None:
        server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = {setting}", "postgres")
        others = f"datname = '{database}' AND pid <> pg_backend_pid()"
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}", "postgres")

    async with _running(api.spec) as run:
        await _until(lambda: api.looks >= 2)
        only_read("on")
        looks = api.looks
        await _until(lambda: api.looks >= looks + 5)
        only_read("off")
        looks = api.looks
        await _until(lambda: run.runner.recorded >= looks + 5)
    assert len(await HealthCheckModel.find_all(limit=1000)) == api.looks
    await close_supabase_service_client()


async def test_a_database_that_stays_away_does_not_hold_up_the_stop(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    api = Service("api")
    async with _running(api.spec) as run:
        await _until(lambda: api.looks >= 2)
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false", "postgres")
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'", "postgres"
        )
        looks = api.looks
        await _until(lambda: api.looks >= looks + 2)
        began = time.monotonic()
        run.stop.set()
    assert time.monotonic() - began < 10
    await close_supabase_service_client()
