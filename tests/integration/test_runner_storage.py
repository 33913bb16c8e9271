"""The rows of a runner: compact checks, its services, their targets, itself; and text that can't be encoded."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from tests.support.services import Run, run_config
from tests.support.waiting import wait_until_async
from vigilbase import HealthCheckModel
from vigilbase.alerts.routing import Route
from vigilbase.config.supabase import close_supabase_service_client
from vigilbase.configfile import Config, ServiceConfig
from vigilbase.database.migrate import apply_pending, discover_migrations
from vigilbase.domain import JSON, Policy, ProbeResult, Status
from vigilbase.notifications.outbox import claim_batches, record_result
from vigilbase.runner.registry import save_services

FACTS: Mapping[str, JSON] = {"remote_address": "192.0.2.1:443", "certificate_days": 61}
STEADY: Mapping[str, JSON] = {
    "status_code": 200,
    "body_bytes": 1256,
    "phases": {"dns_ms": 1.2, "connect_ms": 12.4, "tls_ms": 11.0, "first_byte_ms": 28.0, "transfer_ms": 1.6},
}
UNENCODABLE = "Preis ☃ 価格"


def _make_service(name: str, results: list[ProbeResult], kind: str = "http") -> ServiceConfig:
    """A service whose probe returns these results in order, and then the last one for ever."""

    async def probe() -> ProbeResult:
        return results.pop(0) if len(results) > 1 else results[0]

    routes = (Route(("ops",), frozenset({"down", "recovery"})),)
    return ServiceConfig(name, kind, 0.05, 1.0, Policy(1, 1), probe, tags=("shop", "größe"), routes=routes)


def _make_result(status: Status = "healthy", **details: JSON) -> ProbeResult:
    return ProbeResult(status, "refused" if status == "down" else None, {**FACTS, **STEADY, **details})


def _run(*services: ServiceConfig) -> AbstractAsyncContextManager[Run]:
    return run_config(Config(services, file="/etc/vigilbase.yaml"), save_every_s=0.1)


async def test_runner_target_facts_are_stored_on_change_of_facts_or_status(backend: Backend) -> None:
    renewed = _make_result(certificate_days=60)
    results = [_make_result(), _make_result(), _make_result("down"), _make_result(), _make_result(), renewed, renewed]
    async with _run(_make_service("shop", results)) as run:
        await wait_until_async(lambda: run.runner.recorded >= 7)
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


async def test_runner_python_probe_details_are_stored_in_full(backend: Backend) -> None:
    async with _run(_make_service("queue", [_make_result(role="worker")], "python")) as run:
        await wait_until_async(lambda: run.runner.recorded >= 2)
    stored = backend.execute("SELECT DISTINCT probe_details FROM service_health_checks")
    assert stored == [({**FACTS, **STEADY, "role": "worker"},)]


async def test_runner_check_ids_sort_by_time(backend: Backend) -> None:
    async with _run(_make_service("a", [_make_result()]), _make_service("b", [_make_result()])) as run:
        await wait_until_async(lambda: run.runner.recorded >= 10)
    by_id, by_time = (
        backend.execute(f"SELECT id FROM service_health_checks ORDER BY {order}") for order in ("id", "created_at, id")
    )
    assert by_id == by_time
    assert backend.execute("SELECT count(*) FROM service_health_checks WHERE substr(id::text, 15, 1) <> '7'") == [(0,)]


async def test_runner_registers_itself_and_its_services_while_run(backend: Backend) -> None:
    services = _make_service("a", [_make_result()]), _make_service("b", [_make_result()], "tcp")
    async with _run(*services):
        await wait_until_async(lambda: backend.execute("SELECT 1 FROM vigilbase.runners"))
        rows = backend.execute("SELECT service_name, kind, interval_s, timeout_s, tags, source FROM vigilbase.services")
        assert sorted(rows, key=str) == [
            ("a", "http", 0.05, 1.0, ["shop", "größe"], "file"),
            ("b", "tcp", 0.05, 1.0, ["shop", "größe"], "file"),
        ]
    assert backend.execute("SELECT 1 FROM vigilbase.runners") == []


async def test_save_services_missing_service_is_marked_removed_until_it_returns(backend: Backend) -> None:
    def removed() -> list[tuple[object, ...]]:
        return backend.execute("SELECT service_name FROM vigilbase.services WHERE removed_at IS NOT NULL")

    both = Config(
        [_make_service("a", [_make_result()]), _make_service("b", [_make_result()])], file="/etc/vigilbase.yaml"
    )
    await save_services(both)
    revisions = "SELECT revision FROM vigilbase.services ORDER BY service_name"
    before = backend.execute(revisions)
    await save_services(both)
    assert backend.execute(revisions) == before  # saving the same services again changes nothing
    await save_services(Config(both.services[:1], file="/etc/vigilbase.yaml"))
    assert removed() == [("b",)]
    await save_services(Config([], file="/etc/other.yaml"))
    assert removed() == [("b",)]  # another file's services are separate
    await save_services(both)
    assert removed() == []


async def test_runner_target_facts_are_saved_with_service(backend: Backend) -> None:
    async with _run(_make_service("shop", [_make_result()])):
        await wait_until_async(lambda: backend.execute("SELECT 1 FROM vigilbase.services WHERE target IS NOT NULL"))
    assert backend.execute("SELECT target FROM vigilbase.services") == [(FACTS,)]


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
async def narrow_encoding_backend(
    request: pytest.FixtureRequest, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backend]:
    """A migrated database with an encoding that lacks most characters."""
    name = f"test_{uuid4().hex[:12]}"
    encoding = f"ENCODING '{request.param}' LOCALE_PROVIDER libc LOCALE 'C'"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 {encoding}", "postgres")
    await apply_pending(server.url(name), discover_migrations())
    monkeypatch.setenv("DATABASE_URL", server.url(name))
    yield Backend("postgres", name, server)
    await close_supabase_service_client()
    server.drop_database(name)


async def test_runner_unencodable_text_keeps_check_alert_and_notification(
    narrow_encoding_backend: Backend,
) -> None:
    down = ProbeResult("down", UNENCODABLE, {"body": UNENCODABLE})
    service = replace(_make_service("shop", [down]), policy=Policy(2, 1), tags=("shop",))
    async with _run(service) as run:
        await wait_until_async(lambda: run.runner.recorded >= 3)
    assert run.runner.dropped == 0
    rows = narrow_encoding_backend.execute("SELECT count(*) > 2, bool_and(status = 'down') FROM service_health_checks")
    assert rows == [(True, True)]
    opened = "(service_name, alert_type, status) = ('shop', 'service_down', 'active')"
    assert narrow_encoding_backend.execute(f"SELECT {opened} FROM alert_events") == [(True,)]
    queued = "(channel, kind, status) = ('ops', 'triggered', 'pending')"
    assert narrow_encoding_backend.execute(f"SELECT {queued} FROM vigilbase.notifications") == [(True,)]


async def test_record_result_unencodable_answer_is_delivered(narrow_encoding_backend: Backend) -> None:
    async with _run(replace(_make_service("shop", [ProbeResult("down", "refused")]), tags=())) as run:
        await wait_until_async(lambda: run.runner.recorded >= 1)
    [batch] = (await claim_batches("ops", window_s=0, lease_id=uuid4(), limit=10)).batches
    await record_result(batch, "delivered", answer=f"200 {UNENCODABLE}")
    delivered = "SELECT status = 'delivered' AND answer IS NOT NULL FROM vigilbase.notifications"
    assert narrow_encoding_backend.execute(delivered) == [(True,)]
