"""The methods of the contract on a database with only migration 012."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from tests.support.supabase_api import SupabaseApi, run_supabase_api
from vigilbase import (
    AlertEventModel,
    CreateAlertEventData,
    CreateHealthCheckData,
    DatabaseError,
    HealthCheckModel,
    NotificationModel,
)
from vigilbase.config.supabase import close_supabase_service_client
from vigilbase.database.migrate import discover_migrations
from vigilbase.errors import InvalidTransitionError, MissingSchemaError
from vigilbase.models import alert_event, fallback, health_check

CONTRACT = discover_migrations()[0]


def _create_contract_only_database(server: PostgresServer) -> str:
    name = server.create_database()
    server.execute(CONTRACT.sql, name)
    server.execute("GRANT ALL ON service_health_checks, alert_events TO service_role", name)
    return name


@pytest.fixture(scope="module")
def contract_only_api(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupabaseApi]:
    with run_supabase_api(
        server, _create_contract_only_database(server), tmp_path_factory.mktemp("contract_only")
    ) as api:
        yield api


@pytest.fixture(params=["postgres", "supabase"])
async def contract_only(
    request: pytest.FixtureRequest, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backend]:
    if request.param == "postgres":
        name = _create_contract_only_database(server)
        monkeypatch.setenv("DATABASE_URL", server.url(name))
    else:
        api: SupabaseApi = request.getfixturevalue("contract_only_api")
        name = api.database
        monkeypatch.setenv("SUPABASE_URL", api.url)
        monkeypatch.setenv("SUPABASE_SECRET_KEY", api.secret_key)
        server.execute("TRUNCATE service_health_checks, alert_events", name)
    yield Backend(request.param, name, server)
    await close_supabase_service_client()
    if request.param == "postgres":
        server.drop_database(name)


async def test_health_check_contract_only_database_is_written_and_read(contract_only: Backend) -> None:
    at = datetime.now(UTC) - timedelta(minutes=1)
    details = {"phases": {"dns_ms": 1.2}}
    first = await HealthCheckModel.create(CreateHealthCheckData("api", "down", 3, "refused", details, at))
    assert (first.status, first.latency_ms, first.checked_at, first.probe_details) == ("down", 3, at, details)
    assert await HealthCheckModel.create_many([CreateHealthCheckData("api", "healthy")] * 3) == 3
    latest = await HealthCheckModel.find_latest_by_service("api")
    assert latest is not None
    assert latest.status == "healthy"
    assert len(await HealthCheckModel.find_all(service_name="api")) == 4
    assert [check.status for check in await HealthCheckModel.find_all(limit=10)][-1] == "down"


async def test_health_check_contract_only_delete_older_than_deletes_old_checks(contract_only: Backend) -> None:
    await HealthCheckModel.create(CreateHealthCheckData("api", "down"))
    contract_only.execute("UPDATE service_health_checks SET created_at = now() - interval '40 days'")
    await HealthCheckModel.create(CreateHealthCheckData("api", "healthy"))
    assert await HealthCheckModel.delete_older_than(30) == 1
    assert [check.status for check in await HealthCheckModel.find_all()] == ["healthy"]


async def test_alert_contract_only_database_supports_whole_lifecycle(contract_only: Backend) -> None:
    alert = await AlertEventModel.create(
        CreateAlertEventData("api", "service_down", message="it broke", details={"rule": "x"})
    )
    assert (alert.status, alert.message, alert.details, alert.resolved_at) == (
        "active",
        "it broke",
        {"rule": "x"},
        None,
    )
    assert await AlertEventModel.find_active("api") == [alert]
    assert await AlertEventModel.find_active("db") == []
    assert await AlertEventModel.find_recent_by_service("api", "service_down", 5) == alert
    assert await AlertEventModel.find_recent_by_service("api", "service_degraded", 5) is None
    acknowledged = await AlertEventModel.acknowledge(alert.id, author="ana")
    assert acknowledged is not None
    assert (acknowledged.status, acknowledged.acknowledged_at is not None) == ("acknowledged", True)
    assert await AlertEventModel.acknowledge(alert.id) == acknowledged
    assert await AlertEventModel.find_active() == []
    resolved = await AlertEventModel.resolve(alert.id)
    assert resolved is not None
    assert (resolved.status, resolved.acknowledged_at) == ("resolved", acknowledged.acknowledged_at)
    assert await AlertEventModel.resolve(alert.id) == resolved
    with pytest.raises(InvalidTransitionError):
        await AlertEventModel.acknowledge(alert.id)
    assert await AlertEventModel.resolve(uuid4()) is None


async def test_alert_contract_only_delete_older_than_can_keep_open_alerts(contract_only: Backend) -> None:
    for status in ("active", "acknowledged", "resolved"):
        alert = await AlertEventModel.create(CreateAlertEventData("api", "service_down", status))
        assert (alert.status, alert.acknowledged_at is not None) == (status, status == "acknowledged")
    contract_only.execute("UPDATE alert_events SET created_at = now() - interval '40 days'")
    assert await AlertEventModel.delete_older_than(30, keep_open=True) == 1
    assert await AlertEventModel.delete_older_than(30) == 2


async def test_models_single_missing_function_raises_missing_schema_error(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale schema cache has the same effect, and the fallback would take no lock."""
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    server.execute("DROP FUNCTION vigilbase_create_health_check, vigilbase_resolve_alert", database)
    try:
        with pytest.raises(MissingSchemaError, match="vigilbase_create_health_check"):
            await HealthCheckModel.create(CreateHealthCheckData("api", "healthy"))
        with pytest.raises(MissingSchemaError, match="vigilbase_resolve_alert"):
            await AlertEventModel.resolve(uuid4())
        assert server.execute("SELECT count(*) FROM service_health_checks", database) == [(0,)]
    finally:
        await close_supabase_service_client()


async def test_health_check_contract_only_without_time_gets_databases_time(contract_only: Backend) -> None:
    at = datetime.now(UTC) - timedelta(minutes=1)
    one = await HealthCheckModel.create(CreateHealthCheckData("one", "healthy"))
    assert one.checked_at == one.created_at is not None
    items = [CreateHealthCheckData("many", "down", checked_at=at), CreateHealthCheckData("many", "healthy")]
    assert await HealthCheckModel.create_many([*items, *reversed(items)]) == 4
    checks = await HealthCheckModel.find_all(service_name="many")
    assert sum(check.status == "down" and check.checked_at == at for check in checks) == 2
    assert sum(check.status == "healthy" and check.checked_at == check.created_at for check in checks) == 2


async def test_alert_contract_only_changes_get_databases_time(contract_only: Backend) -> None:
    resolved = await AlertEventModel.create(CreateAlertEventData("api", "service_down", "resolved"))
    assert resolved.resolved_at == resolved.created_at is not None


async def test_newest_rows_contract_only_future_and_ties_are_as_elsewhere(contract_only: Backend) -> None:
    contract_only.execute(
        "INSERT INTO service_health_checks (id, service_name, status, checked_at) "
        "SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'api', s, date_trunc('second', now()) + t "
        "FROM (VALUES (1, 'healthy', interval '10 years'), (2, 'healthy', '0'), (4, 'down', '0'), (3, 'healthy', '0'))"
        " AS v (n, s, t)"
    )
    latest = await HealthCheckModel.find_latest_by_service("api")
    assert latest is not None
    assert latest.status == "down"
    contract_only.execute("DELETE FROM service_health_checks WHERE checked_at < now()")
    only = await HealthCheckModel.find_latest_by_service("api")
    assert only is not None
    assert only.status == "healthy"
    contract_only.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at, message) VALUES "
        "('api', 'recovery', 'resolved', now() + interval '10 years', 'future'), "
        "('api', 'recovery', 'resolved', now(), 'today')"
    )
    recent = await AlertEventModel.find_recent_by_service("api", "recovery", 5)
    assert recent is not None
    assert recent.message == "today"


async def test_find_latest_by_service_contract_only_unknown_status_returns_newest_readable_check(
    contract_only: Backend,
) -> None:
    contract_only.execute(
        "ALTER TABLE service_health_checks DROP CONSTRAINT service_health_checks_status_check; "
        "INSERT INTO service_health_checks (service_name, status, checked_at) VALUES ('api', 'paused', now()), "
        "('api', 'down', now() - interval '1 min'), ('odd', 'paused', now())"
    )
    try:
        latest = await HealthCheckModel.find_latest_by_service("api")
        assert latest is not None
        assert latest.status == "down"
        with pytest.raises(DatabaseError, match="status is 'paused'"):
            await HealthCheckModel.find_latest_by_service("odd")
    finally:
        contract_only.execute(
            "TRUNCATE service_health_checks; ALTER TABLE service_health_checks "
            "ADD CONSTRAINT service_health_checks_status_check CHECK (status IN ('healthy', 'degraded', 'down'))"
        )


async def test_models_contract_only_trigger_that_discards_rows_raises_database_error(contract_only: Backend) -> None:
    alert = await AlertEventModel.create(CreateAlertEventData("api", "service_down"))
    contract_only.execute("""
        CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER discard BEFORE INSERT ON service_health_checks FOR EACH ROW EXECUTE FUNCTION discard();
        CREATE TRIGGER discard BEFORE INSERT OR UPDATE ON alert_events FOR EACH ROW EXECUTE FUNCTION discard()
    """)
    try:
        for call in (
            HealthCheckModel.create(CreateHealthCheckData("api", "healthy")),
            AlertEventModel.create(CreateAlertEventData("api", "service_down")),
            AlertEventModel.acknowledge(alert.id),
            AlertEventModel.resolve(alert.id),
        ):
            with pytest.raises(DatabaseError, match="trigger"):
                await call
    finally:
        contract_only.execute("DROP FUNCTION discard CASCADE")


async def test_models_contract_only_methods_without_fallback_say_what_is_missing(contract_only: Backend) -> None:
    for call, function in (
        (NotificationModel.delete_older_than(1), "vigilbase_delete_notifications"),
        (HealthCheckModel.find_latest(), "vigilbase_find_latest_health_checks"),
        (AlertEventModel.find_open(), "vigilbase_list_alerts"),
    ):
        with pytest.raises(MissingSchemaError, match=f"{function}.*run `vigilbase migrate`"):
            await call


async def test_newest_rows_contract_only_slow_clock_of_this_machine_hides_none(
    contract_only: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the future is for the database to say."""
    await HealthCheckModel.create(CreateHealthCheckData("slow", "down"))
    alert = await AlertEventModel.create(CreateAlertEventData("slow", "service_down"))
    for module in (alert_event, fallback, health_check):
        monkeypatch.setattr(module, "utc_now", lambda: datetime.now(UTC) - timedelta(minutes=1), raising=False)
    latest = await HealthCheckModel.find_latest_by_service("slow")
    assert latest is not None
    assert await AlertEventModel.find_recent_by_service("slow", "service_down", 5) == alert
