"""`vigilbase db dump` and `restore`: exactly the rows of Vigilbase, all or none, and only after confirmation."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.support.command import run, run_at_terminal
from tests.support.older_servers import OLDER, Servers
from tests.support.server import PostgresServer
from vigilbase.database.binaries import find_binaries
from vigilbase.database.dump import DUMPED_TABLES
from vigilbase.database.migrate import discover_migrations

LAST = f"{discover_migrations()[-1].number:03}_{discover_migrations()[-1].name}"

# Rows in all tables except the runners, and a table of the host with the same name as one of ours.
ROWS = """
    CREATE TABLE IF NOT EXISTS public.services (id integer PRIMARY KEY);
    INSERT INTO public.services VALUES (1) ON CONFLICT DO NOTHING;
    INSERT INTO service_health_checks (service_name, status, error_message) VALUES ('kept', 'down', E'a\\tb\\nc ☃');
    INSERT INTO alert_events (service_name, alert_type, status) VALUES ('kept', 'service_down', 'active');
    INSERT INTO vigilbase.services (service_name) VALUES ('kept');
    INSERT INTO vigilbase.channels (channel) VALUES ('ops');
    INSERT INTO vigilbase.notifications (alert_id, service_name, alert_type, alert_status, channel, kind, due_at)
        SELECT id, 'kept', 'service_down', 'active', 'ops', 'triggered', now() FROM alert_events;
    INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event)
        SELECT 'kept', id, 'opened' FROM alert_events CROSS JOIN generate_series(1, 3);
    INSERT INTO vigilbase.suppressions (kind, tag, starts_at, author, comment)
        VALUES ('silence', 'night', now(), 'ada', 'later');
"""


def run_query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return list(cursor.fetchall()) if cursor.description else []


def read_rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    tables = [table for table in DUMPED_TABLES if table != "vigilbase.runners"]
    return {table: run_query(url, f"SELECT t::text FROM {table} AS t ORDER BY 1") for table in tables}


@pytest.fixture
def url(server: PostgresServer, database: str) -> str:
    url = server.url(database)
    run_query(url, ROWS)
    return url


@pytest.fixture(params=[*OLDER, "18"])
def any_version_url(request: pytest.FixtureRequest, servers: Servers) -> Iterator[str]:
    """The URL of a database with rows on each version."""
    url, name = servers.find_url(request.param), f"test_{uuid4().hex[:12]}"
    run_query(url.format("postgres"), f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    assert run("migrate", cwd=Path("/tmp"), environ={"DATABASE_URL": url.format(name)}).returncode == 0
    run_query(url.format(name), ROWS)
    yield url.format(name)
    run_query(url.format("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


def test_db_restore_brings_back_own_rows_and_keeps_other_tables(any_version_url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": any_version_url}
    before = read_rows(any_version_url)
    assert all(before.values())
    dump = run("db", "dump", "all.dump", cwd=tmp_path, environ=environ)
    assert (dump.returncode, dump.stdout, dump.stderr) == (0, "Dumped to all.dump.\n", "")
    assert (tmp_path / "all.dump").stat().st_mode & 0o777 == 0o600
    run_query(
        any_version_url,
        "UPDATE service_health_checks SET service_name = 'changed'; DELETE FROM alert_events;"
        "INSERT INTO service_health_checks (service_name, status) VALUES ('new', 'healthy');"
        "TRUNCATE vigilbase.channels; INSERT INTO public.services VALUES (2)",
    )
    ledger = run_query(any_version_url, "SELECT * FROM vigilbase.migrations")
    restored = run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert "replace  public.service_health_checks (2 rows)\n" in restored.stdout
    assert restored.stdout.endswith("Restored from all.dump.\n")
    assert read_rows(any_version_url) == before
    assert run_query(any_version_url, "SELECT id FROM public.services ORDER BY id") == [(1,), (2,)]
    assert run_query(any_version_url, "SELECT * FROM vigilbase.migrations") == ledger


def test_db_restore_new_ids_follow_those_of_dump(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    [(last,)] = run_query(url, "SELECT max(id) FROM vigilbase.alert_timeline")
    assert isinstance(last, int)
    # A visitor might have set it.
    run_query(url, "SELECT setval('vigilbase.alert_timeline_id_seq', 1)")
    assert run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ).returncode == 0
    run_query(
        url,
        "INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event) "
        "VALUES ('a', gen_random_uuid(), 'opened')",
    )
    [(newest,)] = run_query(url, "SELECT max(id) FROM vigilbase.alert_timeline")
    assert isinstance(newest, int)
    assert newest > last


def test_db_restore_empty_database_needs_no_confirmation(
    server: PostgresServer, url: str, empty_database: str, tmp_path: Path
) -> None:
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ={"DATABASE_URL": url}).returncode == 0
    other = server.url(empty_database)
    restored = run("db", "restore", "all.dump", cwd=tmp_path, environ={"DATABASE_URL": other})
    assert (restored.returncode, restored.stdout, restored.stderr) == (0, "Restored from all.dump.\n", "")
    assert read_rows(other) == read_rows(url)
    assert run("migrate", "--check", cwd=tmp_path, environ={"DATABASE_URL": other}).returncode == 0


def test_db_dump_and_restore_embedded_database_preserves_rows(migrated_home: Path, tmp_path: Path) -> None:
    environ = {"VIGILBASE_HOME": str(migrated_home)}
    insert = "INSERT INTO service_health_checks (service_name, status) VALUES ('kept', 'healthy')"
    assert run("db", "psql", "-qc", insert, cwd=tmp_path, environ=environ).returncode == 0
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).stdout == "Dumped to all.dump.\n"
    assert run("db", "psql", "-qc", "TRUNCATE service_health_checks", cwd=tmp_path, environ=environ).returncode == 0
    assert run("db", "restore", "all.dump", cwd=tmp_path, environ=environ).stdout == "Restored from all.dump.\n"
    kept = run("db", "psql", "-Atc", "SELECT service_name FROM service_health_checks", cwd=tmp_path, environ=environ)
    assert kept.stdout == "kept\n"


def test_db_restore_asks_on_terminal_and_requires_yes_elsewhere(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    run_query(url, "DELETE FROM alert_events")
    without_terminal = run("db", "restore", "all.dump", cwd=tmp_path, environ=environ)
    assert without_terminal.returncode == 2
    assert "replace  vigilbase.channels (1 rows)\n" in without_terminal.stdout
    assert "--yes" in without_terminal.stderr
    for answer, code in (("\n", 1), ("n\n", 1), ("y\n", 0)):
        assert run_query(url, "SELECT count(*) FROM alert_events") == [(0,)]
        asked = run_at_terminal("db", "restore", "all.dump", typed=answer, cwd=tmp_path, environ=environ)
        assert "[y/N]" in asked.stdout
        assert asked.returncode == code, repr(answer)
    assert run_query(url, "SELECT count(*) FROM alert_events") == [(1,)]


def test_db_restore_active_runner_is_rejected(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    run_query(url, "INSERT INTO vigilbase.runners (runner_id, host, pid) VALUES (gen_random_uuid(), 'box', 7)")
    before = read_rows(url)
    result = run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ)
    assert (result.returncode, result.stdout) == (2, "")
    assert "a runner is active (process 7 on box): stop it" in result.stderr
    assert read_rows(url) == before


def test_db_restore_failure_leaves_rows_unchanged(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    run_query(url, "UPDATE service_health_checks SET service_name = 'since'")
    run_query(url, "CREATE TABLE public.of_alerts (alert_id UUID REFERENCES alert_events)")
    before = read_rows(url)
    result = run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ)
    assert result.returncode == 2
    assert result.stderr.startswith("vigilbase: nothing was restored: cannot truncate a table referenced in a foreign")
    assert 'Table "of_alerts" references "alert_events"' in result.stderr
    assert read_rows(url) == before


def test_db_restore_invalid_or_foreign_dump_is_rejected(url: str, server: PostgresServer, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    (tmp_path / "bad.dump").write_text("no dump")
    pg_dump = [str(find_binaries() / "pg_dump"), "--format=custom", f"--dbname={url}"]
    subprocess.run([*pg_dump, "--table=public.services", f"--file={tmp_path / 'host.dump'}"], check=True)
    run_query(url, "UPDATE vigilbase.migrations SET sha256 = 'x' WHERE number > 12")
    subprocess.run([*pg_dump, f"--file={tmp_path / 'other.dump'}"], check=True)
    result = run("db", "dump", "own.dump", cwd=tmp_path, environ=environ)
    assert (result.returncode, (tmp_path / "own.dump").exists()) == (2, False)
    assert "created by an earlier build" in result.stderr
    for file, message in {
        "none.dump": "none.dump: does not exist",
        "/dev/null": "/dev/null: is not a regular file",
        "bad.dump": "bad.dump: is not a dump from `vigilbase db dump`",
        "host.dump": "host.dump: contains no rows of this build of Vigilbase",
        "other.dump": f"other.dump: was written by another build of Vigilbase (its last migration is {LAST}, x)",
    }.items():
        result = run("db", "restore", file, "--yes", cwd=tmp_path, environ=environ)
        assert (result.returncode, result.stdout) == (2, ""), file
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_db_restore_dump_of_older_version_is_accepted(url: str, tmp_path: Path) -> None:
    before, ledger = read_rows(url), run_query(url, "SELECT * FROM vigilbase.migrations ORDER BY number")
    run_query(url, "DELETE FROM vigilbase.migrations WHERE number > 16")
    pg_dump = [str(find_binaries() / "pg_dump"), "--format=custom", f"--dbname={url}"]
    subprocess.run([*pg_dump, f"--file={tmp_path / 'older.dump'}"], check=True)
    assert run("migrate", cwd=tmp_path, environ={"DATABASE_URL": url}).returncode == 0
    run_query(url, "DELETE FROM alert_events")
    restored = run("db", "restore", "older.dump", "--yes", cwd=tmp_path, environ={"DATABASE_URL": url})
    assert (restored.returncode, restored.stderr) == (0, "")
    assert read_rows(url) == before
    assert len(run_query(url, "SELECT * FROM vigilbase.migrations")) == len(ledger)


def test_db_restore_full_pg_dump_restores_only_own_rows(url: str, tmp_path: Path) -> None:
    before = read_rows(url)
    pg_dump = [str(find_binaries() / "pg_dump"), "--format=custom", f"--dbname={url}"]
    subprocess.run([*pg_dump, f"--file={tmp_path / 'whole.dump'}"], check=True)
    run_query(url, "DELETE FROM alert_events; UPDATE public.services SET id = 9")
    restored = run("db", "restore", "whole.dump", "--yes", cwd=tmp_path, environ={"DATABASE_URL": url})
    assert (restored.returncode, restored.stderr) == (0, "")
    assert read_rows(url) == before
    assert run_query(url, "SELECT id FROM public.services") == [(9,)]
