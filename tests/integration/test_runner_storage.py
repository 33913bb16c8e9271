"""What a runner leaves in the database: lean checks, its services, their targets, itself; and text that won't fit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from vigilbase import HealthCheckModel
from vigilbase.alerts.routing import Route
from vigilbase.config.supabase import close_supabase_service_client
from vigilbase.database.migrate import apply_pending, discover
from vigilbase.probes import Finding
from vigilbase.runner.loop import Runner
from vigilbase.runner.outbox import claim, finish
from vigilbase.runner.registry import save_services
from vigilbase.spec import ServiceSpec, Spec
from vigilbase.vocabulary import JSON, Policy, Status

FACTS: Mapping[str, JSON] = {"remote_address": "192.0.2.1:443", "certificate_days": 61}
STEADY: Mapping[str, JSON] = {
    "status_code": 200,
    "body_bytes": 1256,
    "phases": {"dns_ms": 1.2, "connect_ms": 12.4, "tls_ms": 11.0, "first_byte_ms": 28.0, "transfer_ms": 1.6},
}
UNTRANSLATABLE = "Preis ☃ 価格"


def _spec(name: str, findings: list[Finding], kind: str = "http") -> ServiceSpec:
    """A service that finds this, one after the other, and then the last for ever."""

    async def probe() -> Finding:
        return findings.pop(0) if len(findings) > 1 else findings[0]

    routes = (Route(("ops",), frozenset({"down", "recovery"})),)
    return ServiceSpec(name, kind, 0.05, 1.0, Policy(1, 1), probe, tags=("shop", "größe"), routes=routes)


def _found(status: Status = "healthy", **more: JSON) -> Finding:
    return Finding(status, "refused" if status == "down" else None, {**FACTS, **STEADY, **more})


@asynccontextmanager
async def _running(*services: ServiceSpec) -> AsyncIterator[Runner]:
    runner, stop = Runner(Spec(services, file="/etc/vigilbase.yaml"), save_every_s=0.1), asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await running


async def _until(wanted: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not wanted():
            await asyncio.sleep(0.02)


async def test_facts_of_a_target_are_stored_when_they_change(backend: Backend) -> None:
    renewed = _found(certificate_days=60)
    found = [_found(), _found(), _found("down"), _found(), _found(), renewed, renewed]
    async with _running(_spec("shop", found)) as runner:
        await _until(lambda: runner.recorded >= 7)
    stored = backend.execute(
        "SELECT probe_details ? 'remote_address', probe_details ->> 'phases' FROM service_health_checks "
        "ORDER BY checked_at LIMIT 7"
    )
    assert [has_facts for has_facts, _ in stored] == [True, False, True, True, False, True, False]
    assert {phases for _, phases in stored} == {"1.2 12.4 11 28 1.6"}
    assert backend.execute("SELECT vigilbase.phases(probe_details) FROM service_health_checks LIMIT 1") == [
        (STEADY["phases"],)
    ]
    latest = await HealthCheckModel.find_latest_by_service("shop")
    assert latest is not None
    assert latest.probe_details == STEADY


async def test_a_check_of_a_python_probe_is_stored_as_it_was_returned(backend: Backend) -> None:
    async with _running(_spec("queue", [_found(role="worker")], "python")) as runner:
        await _until(lambda: runner.recorded >= 2)
    stored = backend.execute("SELECT DISTINCT probe_details FROM service_health_checks")
    assert stored == [({**FACTS, **STEADY, "role": "worker"},)]


async def test_ids_of_checks_sort_by_time(backend: Backend) -> None:
    async with _running(_spec("a", [_found()]), _spec("b", [_found()])) as runner:
        await _until(lambda: runner.recorded >= 10)
    by_id, by_time = (
        backend.execute(f"SELECT id FROM service_health_checks ORDER BY {order}") for order in ("id", "created_at, id")
    )
    assert by_id == by_time
    assert backend.execute("SELECT count(*) FROM service_health_checks WHERE substr(id::text, 15, 1) <> '7'") == [(0,)]


async def test_a_runner_is_known_while_it_is_at_work_and_so_are_its_services(backend: Backend) -> None:
    services = _spec("a", [_found()]), _spec("b", [_found()], "tcp")
    async with _running(*services):
        await _until(lambda: backend.execute("SELECT 1 FROM vigilbase.runners"))
        rows = backend.execute("SELECT service_name, kind, interval_s, timeout_s, tags, source FROM vigilbase.services")
        assert sorted(rows, key=str) == [
            ("a", "http", 0.05, 1.0, ["shop", "größe"], "file"),
            ("b", "tcp", 0.05, 1.0, ["shop", "größe"], "file"),
        ]
    assert backend.execute("SELECT 1 FROM vigilbase.runners") == []


async def test_services_that_a_file_no_longer_names_are_marked_and_come_back(backend: Backend) -> None:
    def removed() -> list[tuple[object, ...]]:
        return backend.execute("SELECT service_name FROM vigilbase.services WHERE removed_at IS NOT NULL")

    both = Spec([_spec("a", [_found()]), _spec("b", [_found()])], file="/etc/vigilbase.yaml")
    await save_services(both)
    revisions = "SELECT revision FROM vigilbase.services ORDER BY service_name"
    before = backend.execute(revisions)
    await save_services(both)
    assert backend.execute(revisions) == before  # what says the same changes nothing
    await save_services(Spec(both.services[:1], file="/etc/vigilbase.yaml"))
    assert removed() == [("b",)]
    await save_services(Spec([], file="/etc/other.yaml"))
    assert removed() == [("b",)]  # another file's are its own
    await save_services(both)
    assert removed() == []


async def test_what_is_known_of_a_target_is_saved_with_its_service(backend: Backend) -> None:
    async with _running(_spec("shop", [_found()])):
        await _until(lambda: backend.execute("SELECT 1 FROM vigilbase.services WHERE target IS NOT NULL"))
    assert backend.execute("SELECT target FROM vigilbase.services") == [(FACTS,)]


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
async def narrow(
    request: pytest.FixtureRequest, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backend]:
    """A migrated database that can't hold every text."""
    name = f"test_{uuid4().hex[:12]}"
    encoding = f"ENCODING '{request.param}' LOCALE_PROVIDER libc LOCALE 'C'"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 {encoding}", "postgres")
    await apply_pending(server.url(name), discover())
    monkeypatch.setenv("DATABASE_URL", server.url(name))
    yield Backend("postgres", name, server)
    await close_supabase_service_client()
    server.drop_database(name)


async def test_a_check_whose_text_cannot_be_stored_keeps_its_status_its_alert_and_its_notification(
    narrow: Backend,
) -> None:
    down = Finding("down", UNTRANSLATABLE, {"body": UNTRANSLATABLE})
    service = _spec("shop", [down])
    plain = replace(service, policy=Policy(2, 1), tags=("shop",))
    async with _running(plain) as runner:
        await _until(lambda: runner.recorded >= 3)
    assert runner.lost == 0
    rows = narrow.execute("SELECT count(*) > 2, bool_and(status = 'down') FROM service_health_checks")
    assert rows == [(True, True)]
    opened = "(service_name, alert_type, status) = ('shop', 'service_down', 'active')"
    assert narrow.execute(f"SELECT {opened} FROM alert_events") == [(True,)]
    queued = "(channel, kind, status) = ('ops', 'triggered', 'pending')"
    assert narrow.execute(f"SELECT {queued} FROM vigilbase.notifications") == [(True,)]


async def test_an_answer_that_cannot_be_stored_costs_no_result(narrow: Backend) -> None:
    async with _running(replace(_spec("shop", [Finding("down", "refused")]), tags=())) as runner:
        await _until(lambda: runner.recorded >= 1)
    [message] = (await claim("ops", window_s=0, lease_id=uuid4(), limit=10)).messages
    await finish(message, "delivered", answer=f"200 {UNTRANSLATABLE}")
    delivered = "SELECT status = 'delivered' AND answer IS NOT NULL FROM vigilbase.notifications"
    assert narrow.execute(delivered) == [(True,)]
