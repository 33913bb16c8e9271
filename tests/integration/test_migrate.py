"""The migrations runner, and what it prints for other migrators, on a real Postgres."""

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
from tests.support.psql import FILES, psql
from tests.support.server import PostgresServer, free_port
from vigilbase.config.supabase import close_supabase_service_client, get_supabase_service_client
from vigilbase.database.ledger import Applied
from vigilbase.database.migrate import (
    Migration,
    apply_pending,
    discover,
    pending,
    read_ledger,
    read_ledger_through,
)
from vigilbase.database.script import as_script
from vigilbase.database.supabase_files import write_supabase_files
from vigilbase.errors import AccessRefusedError, DatabaseUnavailableError, MigrationError

ALL = discover()
NUMBERS = [migration.number for migration in ALL]
NEXT = NUMBERS[-1] + 1
BROKEN = Migration(NEXT, "broken", "CREATE TABLE half (id integer);\nINSERT INTO half SELECT 1 / 0;\n")


def relations(server: PostgresServer, database: str, schema: str = "public") -> list[str]:
    names = f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'"
    return sorted(str(name) for (name,) in server.execute(names, database))


async def what_is_pending(url: str, migrations: Sequence[Migration] = ALL) -> list[int]:
    return [migration.number for migration in pending(migrations, await read_ledger(url))]


@pytest.fixture
def url(server: PostgresServer, empty_database: str) -> str:
    """The URL of a database with nothing in it."""
    return server.url(empty_database)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Supabase project, as far as one is told by its folder."""
    (tmp_path / "supabase").mkdir()
    return tmp_path


async def test_migrations_are_applied_in_the_order_of_their_numbers_and_remembered(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    assert await apply_pending(url, ALL) == ALL
    by_time = "SELECT number, name, sha256 FROM vigilbase.migrations ORDER BY applied_at"
    # The name and the checksum of the file itself, as `sha256sum` prints it.
    files = [(int(path.name[:3]), path.stem[4:], sha256(path.read_bytes()).hexdigest()) for path in FILES]
    assert server.execute(by_time, empty_database) == files
    assert await read_ledger(url) == [Applied(*entry) for entry in files]
    recent = "SELECT bool_and(applied_at BETWEEN now() - interval '1 minute' AND now()) FROM vigilbase.migrations"
    assert server.execute(recent, empty_database) == [(True,)]


async def test_a_second_run_applies_nothing(url: str, server: PostgresServer, empty_database: str) -> None:
    await apply_pending(url, ALL)
    rows = "SELECT ctid::text, xmin::text, * FROM vigilbase.migrations ORDER BY number"  # xmin: who wrote it
    ledger = server.execute(rows, empty_database)
    assert await apply_pending(url, ALL) == []
    assert server.execute(rows, empty_database) == ledger


async def test_only_what_is_missing_is_applied(url: str) -> None:
    assert await apply_pending(url, ALL[:1]) == ALL[:1]
    assert await what_is_pending(url) == NUMBERS[1:]
    assert await apply_pending(url, ALL) == ALL[1:]


async def test_of_ten_that_start_at_once_each_migration_is_applied_by_one(url: str) -> None:
    done = await asyncio.gather(*(apply_pending(url, ALL) for _ in range(10)))
    assert sorted(migration.number for each in done for migration in each) == NUMBERS
    assert await what_is_pending(url) == []


# Says that it is ready, so that none begins before the last is there.
PROCESS = """
import asyncio, os
from vigilbase.database.migrate import apply_pending, discover
input("ready\\n")
print(*[migration.number for migration in asyncio.run(apply_pending(os.environ["DATABASE_URL"], discover()))])
"""


async def test_of_ten_processes_that_start_at_once_each_migration_is_applied_by_one(url: str) -> None:
    command, environment = [sys.executable, "-c", PROCESS], {**os.environ, "DATABASE_URL": url}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, env=environment, text=True, stdin=PIPE, stdout=PIPE))
            for _ in range(10)
        ]
        assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 10
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.stdout.read() for process in processes if process.stdout]
    assert [process.returncode for process in processes] == [0] * 10
    assert sorted(int(number) for output in said for number in output.split()) == NUMBERS
    assert await what_is_pending(url) == []


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_the_isolation_that_a_database_prefers_lets_nothing_be_applied_twice(
    url: str, server: PostgresServer, empty_database: str, isolation: str
) -> None:
    server.execute(f"ALTER DATABASE {empty_database} SET default_transaction_isolation = '{isolation}'", "postgres")
    done = await asyncio.gather(*(apply_pending(url, ALL) for _ in range(5)))
    assert sorted(migration.number for each in done for migration in each) == NUMBERS


async def test_an_edited_file_is_refused_by_name(url: str, server: PostgresServer, empty_database: str) -> None:
    await apply_pending(url, ALL[:1])
    edited = [replace(ALL[0], sql=ALL[0].sql + "-- one more line\n"), *ALL[1:]]
    with pytest.raises(MigrationError, match=r"012_create_monitoring_tables\.sql was edited after it was applied"):
        await apply_pending(url, edited)
    assert await what_is_pending(url) == NUMBERS[1:]  # and nothing behind it was applied
    assert server.execute("SELECT FROM pg_proc WHERE proname LIKE 'vigilbase%'", empty_database) == []


async def test_a_database_that_is_ahead_is_refused(url: str) -> None:
    later = Migration(NEXT, "from_the_future", "SELECT 1;\n")
    await apply_pending(url, [*ALL, later])
    with pytest.raises(MigrationError, match=rf"{NEXT:03}_from_the_future\): upgrade vigilbase"):
        await apply_pending(url, ALL)


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    with pytest.raises(MigrationError, match=rf"{NEXT:03}_broken\.sql failed: division by zero"):
        await apply_pending(url, [*ALL, BROKEN])
    assert "half" not in relations(server, empty_database)
    assert await what_is_pending(url, [*ALL, BROKEN]) == [NEXT]  # those before it stay
    mended = replace(BROKEN, sql=BROKEN.sql.replace("/ 0", "/ 1"))
    assert await apply_pending(url, [*ALL, mended]) == [mended]
    assert "half" in relations(server, empty_database)


async def test_a_first_migration_that_fails_does_not_even_leave_a_ledger(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    with pytest.raises(MigrationError, match="division by zero"):
        await apply_pending(url, [BROKEN])
    assert relations(server, empty_database) == []
    assert await read_ledger(url) == []


async def test_where_nobody_answers_it_says_so_without_the_password() -> None:
    with pytest.raises(DatabaseUnavailableError, match="can't connect") as caught:
        await apply_pending(f"postgresql://postgres:sesame@127.0.0.1:{free_port()}/postgres", ALL)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("way", ["apply_pending", "as_script", "supabase files"])
async def test_the_search_path_of_a_host_does_not_lead_anything_astray(
    url: str, server: PostgresServer, empty_database: str, tmp_path: Path, way: str
) -> None:
    server.execute(f"CREATE SCHEMA app; ALTER DATABASE {empty_database} SET search_path = app", empty_database)
    if way == "apply_pending":
        await apply_pending(url, ALL)
    elif way == "as_script":
        psql_script(url, tmp_path, as_script(ALL))
    else:
        (tmp_path / "supabase").mkdir()
        psql(url, *write_supabase_files(tmp_path, ALL).written)
    assert relations(server, empty_database, "app") == []
    assert relations(server, empty_database) == ["alert_events", "service_health_checks"]
    assert relations(server, empty_database, "vigilbase") == [
        "alert_timeline",
        "channels",
        "migrations",
        "notifications",
        "runners",
        "services",
        "suppressions",
    ]
    assert await what_is_pending(url) == []
    latest = "SELECT public.vigilbase_find_latest_health_checks()::text"
    assert server.execute(latest, empty_database) == [("[]",)]


def psql_script(url: str, folder: Path, script: str) -> None:
    path = folder / "script.sql"
    path.write_text(script)
    psql(url, path)


async def test_the_printed_script_leaves_nothing_pending(url: str, tmp_path: Path) -> None:
    psql_script(url, tmp_path, as_script(ALL))
    assert await what_is_pending(url) == []
    assert await apply_pending(url, ALL) == []
    psql_script(url, tmp_path, as_script(ALL))  # again: it may be pasted twice
    assert [entry.number for entry in await read_ledger(url)] == NUMBERS


async def test_the_printed_script_is_run_whole_or_not_at_all(
    url: str, server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="division by zero"):
        psql_script(url, tmp_path, as_script([*ALL, BROKEN]))
    assert relations(server, empty_database) == []


async def test_files_for_a_supabase_project_can_be_run_one_by_one(url: str, project: Path) -> None:
    written = write_supabase_files(project, ALL).written
    for place, path in enumerate(sorted((project / "supabase" / "migrations").iterdir()), start=1):
        psql(url, path)
        assert await what_is_pending(url) == NUMBERS[place:]
    assert len(written) == len(ALL)
    assert await apply_pending(url, ALL) == []


async def test_the_runner_goes_on_where_another_migrator_stopped(url: str, project: Path) -> None:
    psql(url, *write_supabase_files(project, ALL[:1]).written)
    assert await apply_pending(url, ALL) == ALL[1:]


async def test_the_ledger_reads_the_same_through_a_service_client(backend: Backend) -> None:
    through = await read_ledger_through(get_supabase_service_client())
    assert through == await read_ledger(backend.server.url(backend.database))
    assert pending(ALL, through) == []


async def test_without_a_ledger_everything_is_pending(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    try:
        assert await read_ledger_through(get_supabase_service_client()) == []
    finally:
        await close_supabase_service_client()
    assert await what_is_pending(url) == NUMBERS


async def test_a_ledger_that_row_level_security_hides_is_not_taken_for_an_empty_one(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"blind_{uuid4().hex[:12]}"
    server.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'sesame'; GRANT USAGE ON SCHEMA vigilbase TO {role};"
        f"GRANT SELECT ON vigilbase.migrations TO {role};"
        f"GRANT EXECUTE ON FUNCTION vigilbase_list_migrations TO {role}",
        database,
    )
    url = server.url(database, user=role, password="sesame")
    monkeypatch.setenv("DATABASE_URL", url)
    try:
        for look in (
            lambda: read_ledger(url),
            lambda: apply_pending(url, ALL),
            lambda: read_ledger_through(get_supabase_service_client()),
        ):
            with pytest.raises(AccessRefusedError, match=f"row-level security hides the rows from the role {role}: "):
                await look()
        # A policy of the owner's may show it; then it is what it says.
        server.execute(f"CREATE POLICY all_of_it ON vigilbase.migrations FOR SELECT TO {role} USING (true)", database)
        assert pending(ALL, await read_ledger(url)) == []
        assert pending(ALL, await read_ledger_through(get_supabase_service_client())) == []
    finally:
        await close_supabase_service_client()
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)


async def test_a_ledger_that_is_empty_for_its_owner_is_an_empty_one(
    url: str, server: PostgresServer, empty_database: str
) -> None:
    await apply_pending(url, ALL)
    server.execute("DELETE FROM vigilbase.migrations", empty_database)
    assert await what_is_pending(url) == NUMBERS
