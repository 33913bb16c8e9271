"""The migrations runner, and its output for other migration tools, on a real Postgres."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from subprocess import PIPE
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.psql import FILES, run_psql
from tests.support.server import PostgresServer, free_port
from vigilbase.config.supabase import close_supabase_service_client, get_supabase_service_client
from vigilbase.database.ledger import Applied
from vigilbase.database.migrate import (
    Migration,
    apply_pending,
    discover_migrations,
    list_pending,
    read_ledger,
    read_ledger_via,
)
from vigilbase.database.script import render_script
from vigilbase.database.supabase_files import write_supabase_files
from vigilbase.errors import AccessRefusedError, DatabaseUnavailableError, MigrationError

ALL = discover_migrations()
NUMBERS = [migration.number for migration in ALL]
NEXT = NUMBERS[-1] + 1
BROKEN = Migration(NEXT, "broken", "CREATE TABLE half (id integer);\nINSERT INTO half SELECT 1 / 0;\n")


def list_tables(server: PostgresServer, database: str, schema: str = "public") -> list[str]:
    names = f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'"
    return sorted(str(name) for (name,) in server.execute(names, database))


async def find_pending_numbers(url: str, migrations: Sequence[Migration] = ALL) -> list[int]:
    return [migration.number for migration in list_pending(migrations, await read_ledger(url))]


@pytest.fixture
def url(server: PostgresServer, empty_database: str) -> str:
    """The URL of an empty database."""
    return server.url(empty_database)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that looks like a Supabase project."""
    (tmp_path / "supabase").mkdir()
    return tmp_path


async def test_apply_pending_applies_in_number_order_and_records_checksums(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    assert await apply_pending(url, ALL) == ALL
    by_time = "SELECT number, name, sha256 FROM vigilbase.migrations ORDER BY applied_at"
    # The name and the checksum of the file, as `sha256sum` prints it.
    files = [(int(path.name[:3]), path.stem[4:], sha256(path.read_bytes()).hexdigest()) for path in FILES]
    assert server.execute(by_time, empty_database) == files
    assert await read_ledger(url) == [Applied(*entry) for entry in files]
    recent = "SELECT bool_and(applied_at BETWEEN now() - interval '1 minute' AND now()) FROM vigilbase.migrations"
    assert server.execute(recent, empty_database) == [(True,)]


async def test_apply_pending_second_run_applies_nothing(url: str, server: PostgresServer, empty_database: str) -> None:
    await apply_pending(url, ALL)
    # ctid and xmin change when a row is rewritten.
    rows = "SELECT ctid::text, xmin::text, * FROM vigilbase.migrations ORDER BY number"
    ledger = server.execute(rows, empty_database)
    assert await apply_pending(url, ALL) == []
    assert server.execute(rows, empty_database) == ledger


async def test_apply_pending_applies_only_missing_migrations(url: str) -> None:
    assert await apply_pending(url, ALL[:1]) == ALL[:1]
    assert await find_pending_numbers(url) == NUMBERS[1:]
    assert await apply_pending(url, ALL) == ALL[1:]


async def test_apply_pending_ten_concurrent_tasks_apply_each_once(url: str) -> None:
    results = await asyncio.gather(*(apply_pending(url, ALL) for _ in range(10)))
    assert sorted(migration.number for each in results for migration in each) == NUMBERS
    assert await find_pending_numbers(url) == []


# Each process prints that it is ready, so that all start together.
PROCESS = """
import asyncio, os
from vigilbase.database.migrate import apply_pending, discover_migrations
input("ready\\n")
applied = asyncio.run(apply_pending(os.environ["DATABASE_URL"], discover_migrations()))
print(*[migration.number for migration in applied])
"""


async def test_apply_pending_three_concurrent_processes_apply_each_once(url: str) -> None:
    command, environment = [sys.executable, "-c", PROCESS], {**os.environ, "DATABASE_URL": url}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, env=environment, text=True, stdin=PIPE, stdout=PIPE))
            for _ in range(3)
        ]
        assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 3
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.stdout.read() for process in processes if process.stdout]
    assert [process.returncode for process in processes] == [0] * 3
    assert sorted(int(number) for output in outputs for number in output.split()) == NUMBERS
    assert await find_pending_numbers(url) == []


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_apply_pending_other_default_isolation_applies_each_once(
    url: str, server: PostgresServer, empty_database: str, isolation: str
) -> None:
    server.execute(f"ALTER DATABASE {empty_database} SET default_transaction_isolation = '{isolation}'", "postgres")
    results = await asyncio.gather(*(apply_pending(url, ALL) for _ in range(5)))
    assert sorted(migration.number for each in results for migration in each) == NUMBERS


async def test_apply_pending_edited_contract_is_rejected(url: str, server: PostgresServer, empty_database: str) -> None:
    await apply_pending(url, ALL[:1])
    edited = [replace(ALL[0], sql=ALL[0].sql + "-- one more line\n"), *ALL[1:]]
    with pytest.raises(MigrationError, match=r"012_create_monitoring_tables\.sql was edited after it was applied"):
        await apply_pending(url, edited)
    assert await find_pending_numbers(url) == NUMBERS[1:]  # and no later migration was applied
    assert server.execute("SELECT FROM pg_proc WHERE proname LIKE 'vigilbase%'", empty_database) == []


async def test_apply_pending_database_ahead_is_rejected(url: str) -> None:
    later = Migration(NEXT, "from_the_future", "SELECT 1;\n")
    await apply_pending(url, [*ALL, later])
    with pytest.raises(MigrationError, match=rf"{NEXT:03}_from_the_future\): upgrade vigilbase"):
        await apply_pending(url, ALL)


async def test_apply_pending_failing_migration_is_rolled_back(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    with pytest.raises(MigrationError, match=rf"{NEXT:03}_broken\.sql failed: division by zero"):
        await apply_pending(url, [*ALL, BROKEN])
    assert "half" not in list_tables(server, empty_database)
    assert await find_pending_numbers(url, [*ALL, BROKEN]) == [NEXT]  # the earlier ones stay
    fixed = replace(BROKEN, sql=BROKEN.sql.replace("/ 0", "/ 1"))
    assert await apply_pending(url, [*ALL, fixed]) == [fixed]
    assert "half" in list_tables(server, empty_database)


async def test_apply_pending_failing_first_migration_leaves_no_ledger(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    with pytest.raises(MigrationError, match="division by zero"):
        await apply_pending(url, [BROKEN])
    assert list_tables(server, empty_database) == []
    assert await read_ledger(url) == []


async def test_apply_pending_unreachable_database_error_hides_password() -> None:
    with pytest.raises(DatabaseUnavailableError, match="can't connect") as caught:
        await apply_pending(f"postgresql://postgres:sesame@127.0.0.1:{free_port()}/postgres", ALL)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("method", ["apply_pending", "script", "supabase_files"])
async def test_migrations_other_search_path_create_objects_in_own_schemas(
    url: str, server: PostgresServer, empty_database: str, tmp_path: Path, method: str
) -> None:
    server.execute(f"CREATE SCHEMA app; ALTER DATABASE {empty_database} SET search_path = app", empty_database)
    if method == "apply_pending":
        await apply_pending(url, ALL)
    elif method == "script":
        run_script(url, tmp_path, render_script(ALL))
    else:
        (tmp_path / "supabase").mkdir()
        run_psql(url, *write_supabase_files(tmp_path, ALL).written)
    assert list_tables(server, empty_database, "app") == []
    assert list_tables(server, empty_database) == ["alert_events", "service_health_checks"]
    assert list_tables(server, empty_database, "vigilbase") == [
        "alert_timeline",
        "channels",
        "migrations",
        "notifications",
        "runners",
        "services",
        "suppressions",
    ]
    assert await find_pending_numbers(url) == []
    latest = "SELECT public.vigilbase_find_latest_health_checks()::text"
    assert server.execute(latest, empty_database) == [("[]",)]


def run_script(url: str, folder: Path, script: str) -> None:
    path = folder / "script.sql"
    path.write_text(script)
    run_psql(url, path)


async def test_script_run_twice_leaves_nothing_pending(url: str, tmp_path: Path) -> None:
    run_script(url, tmp_path, render_script(ALL))
    assert await find_pending_numbers(url) == []
    assert await apply_pending(url, ALL) == []
    run_script(url, tmp_path, render_script(ALL))  # again, because a user may paste it twice
    assert [entry.number for entry in await read_ledger(url)] == NUMBERS


async def test_script_failing_migration_leaves_nothing(
    url: str, server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="division by zero"):
        run_script(url, tmp_path, render_script([*ALL, BROKEN]))
    assert list_tables(server, empty_database) == []


async def test_supabase_files_can_be_run_one_by_one(url: str, project: Path) -> None:
    written = write_supabase_files(project, ALL).written
    for place, path in enumerate(sorted((project / "supabase" / "migrations").iterdir()), start=1):
        run_psql(url, path)
        assert await find_pending_numbers(url) == NUMBERS[place:]
    assert len(written) == len(ALL)
    assert await apply_pending(url, ALL) == []


async def test_apply_pending_after_supabase_files_applies_rest(url: str, project: Path) -> None:
    run_psql(url, *write_supabase_files(project, ALL[:1]).written)
    assert await apply_pending(url, ALL) == ALL[1:]


async def test_read_ledger_via_client_equals_read_ledger(backend: Backend) -> None:
    ledger = await read_ledger_via(get_supabase_service_client())
    assert ledger == await read_ledger(backend.server.url(backend.database))
    assert list_pending(ALL, ledger) == []


async def test_read_ledger_without_ledger_makes_everything_pending(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    try:
        assert await read_ledger_via(get_supabase_service_client()) == []
    finally:
        await close_supabase_service_client()
    assert await find_pending_numbers(url) == NUMBERS


async def test_read_ledger_hidden_by_row_level_security_is_rejected(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"low_{uuid4().hex[:12]}"
    server.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'sesame'; GRANT USAGE ON SCHEMA vigilbase TO {role};"
        f"GRANT SELECT ON vigilbase.migrations TO {role};"
        f"GRANT EXECUTE ON FUNCTION vigilbase_list_migrations TO {role}",
        database,
    )
    url = server.url(database, user=role, password="sesame")
    monkeypatch.setenv("DATABASE_URL", url)
    try:
        for read in (
            lambda: read_ledger(url),
            lambda: apply_pending(url, ALL),
            lambda: read_ledger_via(get_supabase_service_client()),
        ):
            with pytest.raises(AccessRefusedError, match=f"row-level security hides the rows from the role {role}: "):
                await read()
        # A policy of the owner may show it, and then it is complete.
        server.execute(f"CREATE POLICY show_all ON vigilbase.migrations FOR SELECT TO {role} USING (true)", database)
        assert list_pending(ALL, await read_ledger(url)) == []
        assert list_pending(ALL, await read_ledger_via(get_supabase_service_client())) == []
    finally:
        await close_supabase_service_client()
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)


async def test_read_ledger_empty_for_owner_makes_everything_pending(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    await apply_pending(url, ALL)
    server.execute("DELETE FROM vigilbase.migrations", empty_database)
    assert await find_pending_numbers(url) == NUMBERS
