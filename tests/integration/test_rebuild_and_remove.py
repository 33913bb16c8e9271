"""Databases of earlier builds are rejected and can be rebuilt, and Vigilbase can be removed from a database."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.psql import run_psql
from tests.support.server import PostgresServer
from vigilbase.config.supabase import close_supabase_service_client, get_supabase_service_client
from vigilbase.database.ledger import EarlierBuildError
from vigilbase.database.migrate import (
    Migration,
    apply_pending,
    discover_migrations,
    list_missing,
    read_ledger,
    read_ledger_via,
)
from vigilbase.database.remove import list_owned, rebuild, remove
from vigilbase.database.script import render_script
from vigilbase.database.supabase_files import write_supabase_files
from vigilbase.errors import MigrationError

ALL = discover_migrations()
Execute = Callable[[str], list[tuple[object, ...]]]

# A few objects of the first builds: their ledger, functions, and tables with rows.
EARLIER = """
    CREATE TABLE public.vigilbase_migrations (number INTEGER PRIMARY KEY, name TEXT, sha256 TEXT);
    INSERT INTO public.vigilbase_migrations VALUES (12, 'create_monitoring_tables', 'x'), (13, 'data_layer', 'y');
    CREATE TABLE public.alert_deliveries (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, alert_id UUID);
    CREATE TABLE public.silences (id UUID PRIMARY KEY DEFAULT gen_random_uuid(), author TEXT);
    INSERT INTO public.silences (author) VALUES ('ada');
    CREATE FUNCTION public.vigilbase_access_v1() RETURNS json LANGUAGE sql AS $$ SELECT '{"blind": false}'::json $$;
    CREATE FUNCTION public.vigilbase_claim_v1() RETURNS SETOF public.alert_deliveries
        LANGUAGE sql AS $$ SELECT * FROM public.alert_deliveries $$;
    INSERT INTO public.service_health_checks (service_name, status) VALUES ('kept', 'healthy');
    INSERT INTO public.alert_events (service_name, alert_type, status) VALUES ('kept', 'service_down', 'active');
    GRANT SELECT ON public.service_health_checks TO authenticated;
"""
# Objects of the host, one with the name of a table of ours in another schema.
HOST = """
    CREATE TABLE public.services (id integer); INSERT INTO public.services VALUES (1);
    CREATE TABLE public.silenced (id integer);
    CREATE FUNCTION public.vigil() RETURNS integer LANGUAGE sql AS 'SELECT 1';
"""


@pytest.fixture
def url(server: PostgresServer, empty_database: str) -> str:
    return server.url(empty_database)


@pytest.fixture
def execute(server: PostgresServer, empty_database: str) -> Execute:
    return lambda statement: server.execute(statement, empty_database)


@pytest.fixture
def earlier_build_url(url: str, execute: Execute, tmp_path: Path) -> str:
    """The URL of a database that one of the first builds created."""
    path = tmp_path / "012.sql"
    path.write_text(ALL[0].sql)
    run_psql(url, path)
    execute(HOST + EARLIER)
    return url


def list_objects(execute: Execute) -> set[object]:
    """All relations, functions and schemas of a database."""
    query = """
        SELECT oid::regclass::text FROM pg_class WHERE relnamespace NOT IN
            ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace)
        UNION SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace NOT IN
            ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        UNION SELECT nspname FROM pg_namespace
    """
    return {name for (name,) in execute(query)}


def read_contract_rows(execute: Execute) -> list[tuple[object, ...]]:
    return execute("SELECT c.*, a.* FROM service_health_checks AS c CROSS JOIN alert_events AS a")


async def test_migrate_database_of_first_builds_is_rejected_unchanged(
    earlier_build_url: str, execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list_objects(execute)
    for attempt in (lambda: apply_pending(earlier_build_url, ALL), lambda: read_ledger(earlier_build_url)):
        with pytest.raises(EarlierBuildError, match="run `vigilbase migrate --rebuild`"):
            await attempt()
    monkeypatch.setenv("DATABASE_URL", earlier_build_url)
    try:
        with pytest.raises(EarlierBuildError, match=r"public\.vigilbase_migrations"):
            await read_ledger_via(get_supabase_service_client())
    finally:
        await close_supabase_service_client()
    (tmp_path / "supabase").mkdir()
    script = tmp_path / "script.sql"
    script.write_text(render_script(ALL))
    for path in (script, *write_supabase_files(tmp_path, ALL).written):
        with pytest.raises(
            AssertionError, match="created by an earlier build of Vigilbase: run `vigilbase migrate --rebuild`"
        ):
            run_psql(earlier_build_url, path)
    assert list_objects(execute) == before


async def test_rebuild_keeps_contract_rows_and_recreates_rest(
    earlier_build_url: str, execute: Execute, server: PostgresServer, database: str
) -> None:
    rows = read_contract_rows(execute)
    ours = await list_owned(earlier_build_url, timeout=30, history=False)
    assert {owned.signature: owned.rows for owned in ours if owned.kind == "TABLE"} == {
        "public.vigilbase_migrations": 2,
        "public.alert_deliveries": 0,
        "public.silences": 1,
    }
    await rebuild(earlier_build_url, ALL, timeout=30)
    assert read_contract_rows(execute) == rows
    fresh = list_objects(lambda statement: server.execute(statement, database))
    assert list_objects(execute) == fresh | {"services", "silenced", "vigil()"}
    assert list_missing(ALL, await read_ledger(earlier_build_url)) == []
    # The host's grants on the contract stay.
    granted = "SELECT has_table_privilege('authenticated', 'service_health_checks', 'SELECT')"
    assert execute(granted) == [(True,)]


@pytest.mark.parametrize(
    "other",
    [replace(ALL[1], sql=ALL[1].sql + "-- before\n"), replace(ALL[1], name="create_something")],
    ids=["another text", "another name"],
)
async def test_rebuild_other_migration_of_same_number_succeeds(
    url: str, execute: Execute, tmp_path: Path, other: Migration
) -> None:
    await apply_pending(url, [ALL[0], other, *ALL[2:], Migration(ALL[-1].number + 1, "dropped_since", "SELECT 1;\n")])
    execute("INSERT INTO service_health_checks (service_name, status) VALUES ('kept', 'healthy')")
    with pytest.raises(EarlierBuildError, match=f"013_{other.name}"):
        list_missing(ALL, await read_ledger(url))
    with pytest.raises(EarlierBuildError, match=f"013_{other.name}"):
        await apply_pending(url, ALL)
    script = tmp_path / "script.sql"
    script.write_text(render_script(ALL))
    with pytest.raises(AssertionError, match="created by an earlier build"):
        run_psql(url, script)
    await rebuild(url, ALL, timeout=30)
    assert await apply_pending(url, ALL) == []
    assert execute("SELECT service_name FROM service_health_checks") == [("kept",)]


async def test_rebuild_and_script_database_ahead_is_rejected_unchanged(
    url: str, execute: Execute, tmp_path: Path
) -> None:
    await apply_pending(url, [*ALL, Migration(ALL[-1].number + 1, "from_the_future", "SELECT 1;\n")])
    before = list_objects(execute)
    with pytest.raises(MigrationError, match="is ahead of this version"):
        await rebuild(url, ALL, timeout=30)
    script = tmp_path / "script.sql"
    script.write_text(render_script(ALL))
    with pytest.raises(AssertionError, match="this database is ahead of this script"):
        run_psql(url, script)
    assert list_objects(execute) == before
    # A program that applies no migrations can share the database.
    assert list_missing(ALL, await read_ledger(url)) == []


@pytest.mark.parametrize("history", [False, True])
async def test_remove_keeps_only_contract_and_host_objects(url: str, execute: Execute, history: bool) -> None:
    execute(HOST)
    before = list_objects(execute)
    await apply_pending(url, ALL[:1])
    execute("DROP SCHEMA vigilbase CASCADE")
    with_contract = list_objects(execute)
    await apply_pending(url, ALL)
    execute("INSERT INTO service_health_checks (service_name, status) VALUES ('kept', 'healthy')")
    await remove(url, timeout=30, history=history)
    assert list_objects(execute) == (before if history else with_contract)
    assert execute("SELECT id FROM services") == [(1,)]
    assert await list_owned(url, timeout=30, history=False) == []
    assert await apply_pending(url, ALL) == ALL
    assert execute("SELECT count(*) FROM service_health_checks") == [(0 if history else 1,)]


async def test_remove_database_of_earlier_build_succeeds(earlier_build_url: str, execute: Execute) -> None:
    await remove(earlier_build_url, timeout=30, history=True)
    assert {"silences", "vigilbase_access_v1()", "alert_events"} & list_objects(execute) == set()
    assert {"services", "silenced", "vigil()"} <= list_objects(execute)


@pytest.mark.parametrize("action", ["rebuild", "remove"])
async def test_rebuild_and_remove_dependent_host_object_fails_unchanged(
    url: str, execute: Execute, action: str
) -> None:
    await apply_pending(url, ALL)
    execute("CREATE VIEW public.dashboard AS SELECT service_name FROM vigilbase.services")
    before = list_objects(execute)
    with pytest.raises(MigrationError, match=r"view dashboard depends on table vigilbase\.services"):
        await (remove(url, timeout=30, history=True) if action == "remove" else rebuild(url, ALL, timeout=30))
    assert list_objects(execute) == before


@pytest.mark.parametrize("action", ["rebuild", "remove"])
async def test_rebuild_and_remove_active_runner_is_rejected(url: str, execute: Execute, action: str) -> None:
    await apply_pending(url, ALL)
    execute("INSERT INTO vigilbase.runners (runner_id, host, pid) VALUES (gen_random_uuid(), 'box', 7)")

    async def attempt() -> None:
        await (remove(url, timeout=30, history=False) if action == "remove" else rebuild(url, ALL, timeout=30))

    before = list_objects(execute)
    for check in (attempt, lambda: list_owned(url, timeout=30, history=False)):
        with pytest.raises(MigrationError, match=r"a runner is active \(process 7 on box\)"):
            await check()
    assert list_objects(execute) == before
    execute("UPDATE vigilbase.runners SET seen_at = now() - interval '31 seconds'")
    await attempt()


async def test_remove_mutually_dependent_objects_succeeds(url: str, execute: Execute) -> None:
    await apply_pending(url, ALL)
    # The newest depends on the oldest and the oldest on the newest, so no order by age works.
    execute("CREATE FUNCTION vigilbase.late() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM vigilbase.objects; END")
    execute("CREATE VIEW vigilbase.old AS SELECT 1 AS n")
    execute("CREATE VIEW vigilbase.young AS SELECT vigilbase.late() AS n")
    execute("CREATE OR REPLACE VIEW vigilbase.old AS SELECT 1 AS n, y.n AS late FROM vigilbase.young AS y")
    await remove(url, timeout=30, history=False)
    assert execute("SELECT to_regnamespace('vigilbase')") == [(None,)]


COLUMNS = (
    "id uuid, service_name text, alert_type text, status text, message text, details jsonb, created_at timestamptz, "
    "acknowledged_at timestamptz, resolved_at timestamptz"
)


@pytest.mark.parametrize(
    "table",
    [
        "public.alert_events (id serial PRIMARY KEY, what text)",
        "public.service_health_checks (id serial PRIMARY KEY, what text)",
        f"public.alert_events ({COLUMNS}, tenant integer)",
    ],
)
async def test_migrate_and_remove_foreign_table_of_same_name_is_rejected(
    url: str, execute: Execute, table: str
) -> None:
    name = table.split(" ", maxsplit=1)[0]
    execute(f"CREATE TABLE {table}; INSERT INTO {name} DEFAULT VALUES")
    for call in (
        lambda: apply_pending(url, ALL),
        lambda: list_owned(url, timeout=30, history=True),
        lambda: remove(url, timeout=30, history=True),
    ):
        with pytest.raises(MigrationError, match=f"the table {name} isn't Vigilbase's"):
            await call()
    assert execute(f"SELECT count(*) FROM {name}") == [(1,)]
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'vigilbase')"
    assert execute(tables) == [(1,)]


async def test_apply_pending_foreign_schema_of_same_name_is_rejected(url: str, execute: Execute) -> None:
    execute("CREATE SCHEMA vigilbase; CREATE TABLE vigilbase.orders (id integer)")
    with pytest.raises(MigrationError, match=r"the table vigilbase\.orders isn't Vigilbase's"):
        await apply_pending(url, ALL)
    assert execute("SELECT to_regclass('public.alert_events') IS NULL") == [(True,)]


async def test_rebuild_and_remove_foreign_table_in_schema_is_rejected(url: str, execute: Execute) -> None:
    await apply_pending(url, ALL)
    execute("CREATE TABLE vigilbase.orders (id integer)")
    with pytest.raises(MigrationError, match=r"vigilbase\.orders isn't Vigilbase's"):
        await remove(url, timeout=30, history=False)
    with pytest.raises(MigrationError, match=r"vigilbase\.orders isn't Vigilbase's"):
        await rebuild(url, ALL, timeout=30)
    assert execute("SELECT to_regclass('vigilbase.notifications') IS NULL") == [(False,)]
