"""A pooler in transaction mode, where each transaction may use another connection to the server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.pooler import run_pooler
from tests.support.postgres_client import open_client
from tests.support.server import PostgresServer, home_folder
from tests.support.waiting import wait_until_async
from vigilbase import (
    AlertEventModel,
    CreateAlertEventData,
    CreateHealthCheckData,
    DatabaseError,
    HealthCheckModel,
    close_supabase_service_client,
    get_supabase_service_client,
)
from vigilbase.config.supabase import check_service_client
from vigilbase.database.migrate import apply_pending, discover_migrations, list_pending, read_ledger


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[str]:
    with home_folder() as folder, run_pooler(server, Path(folder)) as url:
        yield url


@pytest.fixture
async def pooled_database(pooler: str, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("DATABASE_URL", f"{pooler}/{database}")
    yield
    await close_supabase_service_client()


@pytest.mark.usefixtures("pooled_database")
async def test_models_concurrent_incidents_on_two_connections_succeed() -> None:
    await check_service_client(get_supabase_service_client())

    async def run_incident(number: int) -> None:
        name = f"service {number}"
        await HealthCheckModel.create_many([CreateHealthCheckData(name, "down", number)] * 3)
        alert, is_new = await AlertEventModel.raise_alert(CreateAlertEventData(name, "service_down"))
        assert is_new
        assert (await AlertEventModel.raise_alert(CreateAlertEventData(name, "service_down")))[0] == alert
        assert len(await HealthCheckModel.find_all(service_name=name)) == 3
        latest = await HealthCheckModel.find_latest_by_service(name)
        assert latest is not None
        assert latest.latency_ms == number
        assert await AlertEventModel.resolve(alert.id) is not None

    # Twenty concurrent incidents on two connections to the server: each statement uses a free one.
    await asyncio.gather(*map(run_incident, range(20)))
    assert await AlertEventModel.find_open() == []
    assert len(await HealthCheckModel.find_latest()) == 20


@pytest.mark.usefixtures("pooled_database")
async def test_raise_alert_ten_concurrent_calls_create_one() -> None:
    data = CreateAlertEventData("api", "service_down")
    answers = await asyncio.gather(*(AlertEventModel.raise_alert(data) for _ in range(10)))
    assert sorted(is_new for _, is_new in answers) == [False] * 9 + [True]


async def test_apply_pending_ten_concurrent_runs_apply_each_once(pooler: str, empty_database: str) -> None:
    url = f"{pooler}/{empty_database}"
    applied = await asyncio.gather(*(apply_pending(url, discover_migrations()) for _ in range(10)))
    assert sorted(m.number for each in applied for m in each) == [m.number for m in discover_migrations()]
    assert list_pending(discover_migrations(), await read_ledger(url)) == []


@pytest.mark.usefixtures("pooled_database")
async def test_client_leaves_no_lock_or_transaction_on_server(server: PostgresServer, database: str) -> None:
    await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down"))
    await HealthCheckModel.find_all()
    assert server.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", database) == [(0,)]
    states = server.execute(
        f"SELECT DISTINCT state FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()",
        database,
    )
    assert states == [("idle",)]


async def test_client_isolation_and_encoding_do_not_leak_to_others(
    pooler: str, server: PostgresServer, empty_database: str
) -> None:
    server.execute(
        """
        CREATE FUNCTION session(p_text text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_array(
            p_text, current_setting('transaction_isolation'), current_setting('client_encoding')) $$;
        CREATE FUNCTION fail() RETURNS integer LANGUAGE sql AS $$ SELECT 1 / 0 $$;
        """,
        empty_database,
    )
    for setting in ("default_transaction_isolation = 'serializable'", "client_encoding = 'latin1'"):
        server.execute(f"ALTER DATABASE {empty_database} SET {setting}")
    url = f"{pooler}/{empty_database}"

    async def call(number: int) -> None:
        text = f"{number} €"
        assert await client.call("session", {"p_text": text}) == [text, "read committed", "UTF8"]
        with pytest.raises(DatabaseError, match="division by zero"):
            await client.call("fail")

    async with open_client(url, pool_size=8) as client:
        await asyncio.gather(*map(call, range(40)))
        with psycopg.connect(url, prepare_threshold=None) as other:
            assert other.execute("SHOW default_transaction_isolation").fetchone() == ("serializable",)
        states = f"SELECT DISTINCT state FROM pg_stat_activity WHERE datname = '{empty_database}'"
        await wait_until_async(lambda: server.execute(states, "postgres"), [("idle",)].__eq__)


async def test_call_conflict_is_retried(pooler: str, server: PostgresServer, empty_database: str) -> None:
    server.execute(
        """
        CREATE SEQUENCE attempts;
        CREATE FUNCTION fail(p_times integer) RETURNS integer LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('attempts') <= p_times THEN
                RAISE serialization_failure;
            END IF;
            RETURN currval('attempts');
        END $$;
        """,
        empty_database,
    )
    async with open_client(f"{pooler}/{empty_database}") as client:
        assert await client.call("fail", {"p_times": 3}) == 4
