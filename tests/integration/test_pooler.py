"""Through a pooler in transaction mode, whose every transaction may meet another connection to the server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.pooler import run_pooler
from tests.support.postgres_client import client_of
from tests.support.server import PostgresServer, home_folder
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
from vigilbase.database.migrate import apply_pending, discover, pending, read_ledger


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[str]:
    with home_folder() as folder, run_pooler(server, Path(folder)) as url:
        yield url


@pytest.fixture
async def through_pooler(pooler: str, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("DATABASE_URL", f"{pooler}/{database}")
    yield
    await close_supabase_service_client()


@pytest.mark.usefixtures("through_pooler")
async def test_every_call_works_however_the_pooler_hands_out_its_connections() -> None:
    await check_service_client(get_supabase_service_client())

    async def episode(number: int) -> None:
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

    # Twenty at once on two connections to the server: each statement gets whichever is free.
    await asyncio.gather(*map(episode, range(20)))
    assert await AlertEventModel.find_open() == []
    assert len(await HealthCheckModel.find_latest()) == 20


@pytest.mark.usefixtures("through_pooler")
async def test_of_ten_who_raise_an_alert_at_once_one_makes_it() -> None:
    data = CreateAlertEventData("api", "service_down")
    answers = await asyncio.gather(*(AlertEventModel.raise_alert(data) for _ in range(10)))
    assert sorted(is_new for _, is_new in answers) == [False] * 9 + [True]


async def test_ten_who_migrate_at_once_apply_each_file_once(pooler: str, empty_database: str) -> None:
    url = f"{pooler}/{empty_database}"
    applied = await asyncio.gather(*(apply_pending(url, discover()) for _ in range(10)))
    assert sorted(m.number for each in applied for m in each) == [m.number for m in discover()]
    assert pending(discover(), await read_ledger(url)) == []


@pytest.mark.usefixtures("through_pooler")
async def test_nothing_stays_locked_or_prepared_on_the_server(server: PostgresServer, database: str) -> None:
    await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down"))
    await HealthCheckModel.find_all()
    assert server.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", database) == [(0,)]
    states = server.execute(
        f"SELECT DISTINCT state FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()",
        database,
    )
    assert states == [("idle",)]


async def test_isolation_and_encoding_are_asked_for_and_nothing_of_it_is_left_to_others(
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

    async def ask(number: int) -> None:
        text = f"{number} €"
        assert await client.call("session", {"p_text": text}) == [text, "read committed", "UTF8"]
        with pytest.raises(DatabaseError, match="division by zero"):
            await client.call("fail")

    async with client_of(url, pool_size=8) as client:
        await asyncio.gather(*map(ask, range(40)))
        with psycopg.connect(url, prepare_threshold=None) as other:
            assert other.execute("SHOW default_transaction_isolation").fetchone() == ("serializable",)
        states = f"SELECT DISTINCT state FROM pg_stat_activity WHERE datname = '{empty_database}'"
        assert server.execute(states, "postgres") == [("idle",)]


async def test_a_conflict_is_retried_through_a_pooler(pooler: str, server: PostgresServer, empty_database: str) -> None:
    server.execute(
        """
        CREATE SEQUENCE tries;
        CREATE FUNCTION fail(p_times integer) RETURNS integer LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('tries') <= p_times THEN
                RAISE serialization_failure;
            END IF;
            RETURN currval('tries');
        END $$;
        """,
        empty_database,
    )
    async with client_of(f"{pooler}/{empty_database}") as client:
        assert await client.call("fail", {"p_times": 3}) == 4
