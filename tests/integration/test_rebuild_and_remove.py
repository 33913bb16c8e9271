"""A database of an earlier build is refused and can be rebuilt, and all of Vigilbase can be taken out of a database."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.psql import psql
from tests.support.server import PostgresServer
from vigilbase.config.supabase import close_supabase_service_client, get_supabase_service_client
from vigilbase.database.ledger import EarlierBuildError
from vigilbase.database.migrate import Migration, apply_pending, discover, missing, read_ledger, read_ledger_through
from vigilbase.database.remove import find_ours, rebuild, remove
from vigilbase.database.script import as_script
from vigilbase.database.supabase_files import write_supabase_files
from vigilbase.errors import MigrationError

ALL = discover()
Execute = Callable[[str], list[tuple[object, ...]]]

# As the first builds left it, in a few statements: their ledger, a function, and tables that hold something.
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
# A host's own, some of it called as something of ours in another schema.
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
def earlier(url: str, execute: Execute, tmp_path: Path) -> str:
    """The URL of a database that one of the first builds made."""
    path = tmp_path / "012.sql"
    path.write_text(ALL[0].sql)
    psql(url, path)
    execute(HOST + EARLIER)
    return url


def made(execute: Execute) -> set[object]:
    """All relations, functions and schemas of a database."""
    query = """
        SELECT oid::regclass::text FROM pg_class WHERE relnamespace NOT IN
            ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'information_schema'::regnamespace)
        UNION SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace NOT IN
            ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        UNION SELECT nspname FROM pg_namespace
    """
    return {name for (name,) in execute(query)}


def contract(execute: Execute) -> list[tuple[object, ...]]:
    return execute("SELECT c.*, a.* FROM service_health_checks AS c CROSS JOIN alert_events AS a")


async def test_a_database_of_the_first_builds_is_refused_before_anything_is_written(
    earlier: str, execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made(execute)
    for attempt in (lambda: apply_pending(earlier, ALL), lambda: read_ledger(earlier)):
        with pytest.raises(EarlierBuildError, match="run `vigilbase migrate --rebuild`"):
            await attempt()
    monkeypatch.setenv("DATABASE_URL", earlier)
    try:
        with pytest.raises(EarlierBuildError, match=r"public\.vigilbase_migrations"):
            await read_ledger_through(get_supabase_service_client())
    finally:
        await close_supabase_service_client()
    (tmp_path / "supabase").mkdir()
    script = tmp_path / "script.sql"
    script.write_text(as_script(ALL))
    for path in (script, *write_supabase_files(tmp_path, ALL).written):
        with pytest.raises(AssertionError, match="made by an earlier build of Vigilbase: run `vigilbase migrate --reb"):
            psql(earlier, path)
    assert made(execute) == before


async def test_a_rebuild_keeps_the_contract_and_its_rows_and_makes_the_rest_anew(
    earlier: str, execute: Execute, server: PostgresServer, database: str
) -> None:
    rows = contract(execute)
    ours = await find_ours(earlier, timeout=5, history=False)
    assert {made.signature: made.rows for made in ours if made.kind == "TABLE"} == {
        "public.vigilbase_migrations": 2,
        "public.alert_deliveries": 0,
        "public.silences": 1,
    }
    await rebuild(earlier, ALL, timeout=5)
    assert contract(execute) == rows
    fresh = made(lambda statement: server.execute(statement, database))
    assert made(execute) == fresh | {"services", "silenced", "vigil()"}
    assert missing(ALL, await read_ledger(earlier)) == []
    # What the host has granted on the contract is the host's.
    granted = "SELECT has_table_privilege('authenticated', 'service_health_checks', 'SELECT')"
    assert execute(granted) == [(True,)]


@pytest.mark.parametrize(
    "other",
    [replace(ALL[1], sql=ALL[1].sql + "-- before\n"), replace(ALL[1], name="create_something")],
    ids=["another text", "another name"],
)
async def test_a_database_of_a_later_build_of_the_same_numbers_is_refused_and_rebuilt(
    url: str, execute: Execute, tmp_path: Path, other: Migration
) -> None:
    await apply_pending(url, [ALL[0], other, *ALL[2:], Migration(ALL[-1].number + 1, "dropped_since", "SELECT 1;\n")])
    execute("INSERT INTO service_health_checks (service_name, status) VALUES ('kept', 'healthy')")
    for look in (missing, None):
        with pytest.raises(EarlierBuildError, match=f"013_{other.name}"):
            await apply_pending(url, ALL) if look is None else look(ALL, await read_ledger(url))
    script = tmp_path / "script.sql"
    script.write_text(as_script(ALL))
    with pytest.raises(AssertionError, match="made by an earlier build"):
        psql(url, script)
    await rebuild(url, ALL, timeout=5)
    assert await apply_pending(url, ALL) == []
    assert execute("SELECT service_name FROM service_health_checks") == [("kept",)]


async def test_a_database_that_is_ahead_is_not_rebuilt_and_its_script_does_not_run(
    url: str, execute: Execute, tmp_path: Path
) -> None:
    await apply_pending(url, [*ALL, Migration(ALL[-1].number + 1, "from_the_future", "SELECT 1;\n")])
    before = made(execute)
    with pytest.raises(MigrationError, match="is ahead of this program"):
        await rebuild(url, ALL, timeout=5)
    script = tmp_path / "script.sql"
    script.write_text(as_script(ALL))
    with pytest.raises(AssertionError, match="this database is ahead of this script"):
        psql(url, script)
    assert made(execute) == before
    # For whoever only uses it, two versions may share a database.
    assert missing(ALL, await read_ledger(url)) == []


@pytest.mark.parametrize("history", [False, True])
async def test_a_removal_leaves_nothing_but_the_contract_and_what_is_the_hosts(
    url: str, execute: Execute, history: bool
) -> None:
    execute(HOST)
    before = made(execute)
    await apply_pending(url, ALL[:1])
    execute("DROP SCHEMA vigilbase CASCADE")
    with_contract = made(execute)
    await apply_pending(url, ALL)
    execute("INSERT INTO service_health_checks (service_name, status) VALUES ('kept', 'healthy')")
    await remove(url, timeout=5, history=history)
    assert made(execute) == (before if history else with_contract)
    assert execute("SELECT id FROM services") == [(1,)]
    assert await find_ours(url, timeout=5, history=False) == []
    assert await apply_pending(url, ALL) == ALL
    assert execute("SELECT count(*) FROM service_health_checks") == [(0 if history else 1,)]


async def test_an_earlier_build_can_be_removed(earlier: str, execute: Execute) -> None:
    await remove(earlier, timeout=5, history=True)
    assert {"silences", "vigilbase_access_v1()", "alert_events"} & made(execute) == set()
    assert {"services", "silenced", "vigil()"} <= made(execute)


@pytest.mark.parametrize("act", ["rebuild", "remove"])
async def test_what_a_host_has_built_on_it_makes_the_whole_fail(url: str, execute: Execute, act: str) -> None:
    await apply_pending(url, ALL)
    execute("CREATE VIEW public.dashboard AS SELECT service_name FROM vigilbase.services")
    before = made(execute)
    with pytest.raises(MigrationError, match=r"view dashboard depends on table vigilbase\.services"):
        await (remove(url, timeout=5, history=True) if act == "remove" else rebuild(url, ALL, timeout=5))
    assert made(execute) == before


@pytest.mark.parametrize("act", ["rebuild", "remove"])
async def test_a_runner_at_work_is_in_the_way_until_it_has_not_been_seen_for_a_while(
    url: str, execute: Execute, act: str
) -> None:
    await apply_pending(url, ALL)
    execute("INSERT INTO vigilbase.runners (runner_id, host, pid) VALUES (gen_random_uuid(), 'box', 7)")

    async def attempt() -> None:
        await (remove(url, timeout=5, history=False) if act == "remove" else rebuild(url, ALL, timeout=5))

    before = made(execute)
    for refused in (attempt, lambda: find_ours(url, timeout=5, history=False)):
        with pytest.raises(MigrationError, match=r"a runner is at work \(process 7 on box\)"):
            await refused()
    assert made(execute) == before
    execute("UPDATE vigilbase.runners SET seen_at = now() - interval '31 seconds'")
    await attempt()


async def test_what_helpers_and_views_need_of_each_other_does_not_stop_a_removal(url: str, execute: Execute) -> None:
    await apply_pending(url, ALL)
    # The newest depends on the oldest and the other way round: no order of ages would do.
    execute("CREATE FUNCTION vigilbase.late() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM vigilbase.objects; END")
    execute("CREATE VIEW vigilbase.old AS SELECT 1 AS n")
    execute("CREATE VIEW vigilbase.young AS SELECT vigilbase.late() AS n")
    execute("CREATE OR REPLACE VIEW vigilbase.old AS SELECT 1 AS n, y.n AS late FROM vigilbase.young AS y")
    await remove(url, timeout=5, history=False)
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
async def test_a_table_of_our_name_that_is_not_ours_is_left_alone(url: str, execute: Execute, table: str) -> None:
    name = table.split(" ", maxsplit=1)[0]
    execute(f"CREATE TABLE {table}; INSERT INTO {name} DEFAULT VALUES")
    for work in (
        lambda: apply_pending(url, ALL),
        lambda: find_ours(url, timeout=5, history=True),
        lambda: remove(url, timeout=5, history=True),
    ):
        with pytest.raises(MigrationError, match=f"the table {name} isn't Vigilbase's"):
            await work()
    assert execute(f"SELECT count(*) FROM {name}") == [(1,)]
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'vigilbase')"
    assert execute(tables) == [(1,)]


async def test_a_schema_of_our_name_that_is_not_ours_is_left_alone(url: str, execute: Execute) -> None:
    execute("CREATE SCHEMA vigilbase; CREATE TABLE vigilbase.mine (id integer)")
    with pytest.raises(MigrationError, match=r"the table vigilbase\.mine isn't Vigilbase's"):
        await apply_pending(url, ALL)
    assert execute("SELECT to_regclass('public.alert_events') IS NULL") == [(True,)]


async def test_a_table_in_our_schema_that_is_not_ours_is_never_dropped(url: str, execute: Execute) -> None:
    await apply_pending(url, ALL)
    execute("CREATE TABLE vigilbase.mine (id integer)")
    with pytest.raises(MigrationError, match=r"vigilbase\.mine isn't Vigilbase's"):
        await remove(url, timeout=5, history=False)
    with pytest.raises(MigrationError, match=r"vigilbase\.mine isn't Vigilbase's"):
        await rebuild(url, ALL, timeout=5)
    assert execute("SELECT to_regclass('vigilbase.notifications') IS NULL") == [(False,)]
