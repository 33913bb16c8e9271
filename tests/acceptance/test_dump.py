"""`vigilbase db dump` and `restore`: all of Vigilbase's rows and no others, whole or not at all, and never unasked."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.older_servers import OLDER, throwaway_server
from tests.support.server import PostgresServer
from tests.support.terminal import terminal
from tests.support.watched import run
from vigilbase.database.dump import ROWS_OF
from vigilbase.database.migrate import discover
from vigilbase.database.programs import programs_folder

VERSIONS = [version for version, programs in OLDER.items() if (programs / "initdb").exists()] + ["18"]
LAST = f"{discover()[-1].number:03}_{discover()[-1].name}"

# A row in each table but that of the runners, and a host's table of a common name.
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


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return list(cursor.fetchall()) if cursor.description else []


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    tables = [table for table in ROWS_OF if table != "vigilbase.runners"]
    return {table: query(url, f"SELECT t::text FROM {table} AS t ORDER BY 1") for table in tables}


@pytest.fixture
def url(server: PostgresServer, database: str) -> str:
    url = server.url(database)
    query(url, ROWS)
    return url


@pytest.fixture(params=VERSIONS)
def any_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with rows on each version."""
    if request.param not in OLDER:
        yield request.getfixturevalue("url")
        return
    with throwaway_server(OLDER[request.param]) as url:
        name = url.format("postgres")
        assert run("migrate", cwd=Path("/tmp"), environ={"DATABASE_URL": name}).returncode == 0
        query(name, ROWS)
        yield name


def test_a_dump_brings_all_rows_back_and_touches_no_others(any_url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": any_url}
    before = rows(any_url)
    assert all(before.values())
    dumped = run("db", "dump", "all.dump", cwd=tmp_path, environ=environ)
    assert (dumped.returncode, dumped.stdout, dumped.stderr) == (0, "dumped into all.dump\n", "")
    assert (tmp_path / "all.dump").stat().st_mode & 0o777 == 0o600
    query(
        any_url,
        "UPDATE service_health_checks SET service_name = 'changed'; DELETE FROM alert_events;"
        "INSERT INTO service_health_checks (service_name, status) VALUES ('new', 'healthy');"
        "TRUNCATE vigilbase.channels; INSERT INTO public.services VALUES (2)",
    )
    ledger = query(any_url, "SELECT * FROM vigilbase.migrations")
    restored = run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert "replace  public.service_health_checks (2 rows)\n" in restored.stdout
    assert restored.stdout.endswith("restored from all.dump\n")
    assert rows(any_url) == before
    assert query(any_url, "SELECT id FROM public.services ORDER BY id") == [(1,), (2,)]
    assert query(any_url, "SELECT * FROM vigilbase.migrations") == ledger


def test_ids_go_on_behind_those_of_the_dump(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    [(last,)] = query(url, "SELECT max(id) FROM vigilbase.alert_timeline")
    assert isinstance(last, int)
    # As a visitor might have set it.
    query(url, "SELECT setval('vigilbase.alert_timeline_id_seq', 1)")
    assert run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ).returncode == 0
    query(
        url,
        "INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event) "
        "VALUES ('a', gen_random_uuid(), 'opened')",
    )
    [(newest,)] = query(url, "SELECT max(id) FROM vigilbase.alert_timeline")
    assert isinstance(newest, int)
    assert newest > last


def test_a_dump_goes_into_an_empty_database_without_a_question(
    server: PostgresServer, url: str, empty_database: str, tmp_path: Path
) -> None:
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ={"DATABASE_URL": url}).returncode == 0
    other = server.url(empty_database)
    restored = run("db", "restore", "all.dump", cwd=tmp_path, environ={"DATABASE_URL": other})
    assert (restored.returncode, restored.stdout, restored.stderr) == (0, "restored from all.dump\n", "")
    assert rows(other) == rows(url)
    assert run("migrate", "--check", cwd=tmp_path, environ={"DATABASE_URL": other}).returncode == 0


def test_the_embedded_server_is_dumped_and_restored(home: Path, tmp_path: Path) -> None:
    environ = {"VIGILBASE_HOME": str(home)}
    assert run("migrate", cwd=tmp_path, environ=environ).returncode == 0
    insert = "INSERT INTO service_health_checks (service_name, status) VALUES ('kept', 'healthy')"
    assert run("db", "psql", "-qc", insert, cwd=tmp_path, environ=environ).returncode == 0
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).stdout == "dumped into all.dump\n"
    assert run("db", "psql", "-qc", "TRUNCATE service_health_checks", cwd=tmp_path, environ=environ).returncode == 0
    assert run("db", "restore", "all.dump", cwd=tmp_path, environ=environ).stdout == "restored from all.dump\n"
    kept = run("db", "psql", "-Atc", "SELECT service_name FROM service_health_checks", cwd=tmp_path, environ=environ)
    assert kept.stdout == "kept\n"


def test_it_asks_at_a_terminal_and_refuses_without(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    query(url, "DELETE FROM alert_events")
    unasked = run("db", "restore", "all.dump", cwd=tmp_path, environ=environ)
    assert unasked.returncode == 2
    assert "replace  vigilbase.channels (1 rows)\n" in unasked.stdout
    assert "say --yes" in unasked.stderr
    for answer, code in ((b"\n", 1), (b"n\n", 1), (b"y\n", 0)):
        assert query(url, "SELECT count(*) FROM alert_events") == [(0,)]
        with terminal(["db", "restore", "all.dump"], cwd=tmp_path, environ=environ) as shown:
            shown.wait_for(lambda text: "Replace these rows? [y/N]" in text)
            shown.type(answer)
            assert shown.exit_code() == code
    assert query(url, "SELECT count(*) FROM alert_events") == [(1,)]


def test_a_runner_at_work_is_in_the_way(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    query(url, "INSERT INTO vigilbase.runners (runner_id, host, pid) VALUES (gen_random_uuid(), 'box', 7)")
    before = rows(url)
    refused = run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "a runner is at work (process 7 on box): stop it first" in refused.stderr
    assert rows(url) == before


def test_what_fails_half_way_leaves_everything_as_it_is(url: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    assert run("db", "dump", "all.dump", cwd=tmp_path, environ=environ).returncode == 0
    query(url, "UPDATE service_health_checks SET service_name = 'since'")
    query(url, "CREATE TABLE public.of_alerts (alert_id UUID REFERENCES alert_events)")
    before = rows(url)
    refused = run("db", "restore", "all.dump", "--yes", cwd=tmp_path, environ=environ)
    assert refused.returncode == 2
    assert refused.stderr.startswith("vigilbase: nothing was restored: cannot truncate a table referenced in a foreign")
    assert 'Table "of_alerts" references "alert_events"' in refused.stderr
    assert rows(url) == before


def test_what_is_no_dump_or_another_builds_is_refused(url: str, server: PostgresServer, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": url}
    (tmp_path / "bad.dump").write_text("no dump")
    pg_dump = [str(programs_folder() / "pg_dump"), "--format=custom", f"--dbname={url}"]
    subprocess.run([*pg_dump, "--table=public.services", f"--file={tmp_path / 'host.dump'}"], check=True)
    query(url, "UPDATE vigilbase.migrations SET sha256 = 'x' WHERE number > 12")
    subprocess.run([*pg_dump, f"--file={tmp_path / 'other.dump'}"], check=True)
    refused = run("db", "dump", "own.dump", cwd=tmp_path, environ=environ)
    assert (refused.returncode, (tmp_path / "own.dump").exists()) == (2, False)
    assert "made by an earlier build" in refused.stderr
    for file, said in {
        "none.dump": "there is no such file",
        "/dev/null": "/dev/null: is no file with a dump",
        "bad.dump": "bad.dump: is no dump of `vigilbase db dump`",
        "host.dump": "host.dump: holds no rows of Vigilbase's",
        "other.dump": f"other.dump: was written by another build of Vigilbase (its last migration is {LAST}, x)",
    }.items():
        result = run("db", "restore", file, "--yes", cwd=tmp_path, environ=environ)
        assert (result.returncode, result.stdout) == (2, ""), file
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_dump_of_an_older_version_of_this_build_is_brought_back(url: str, tmp_path: Path) -> None:
    before, ledger = rows(url), query(url, "SELECT * FROM vigilbase.migrations ORDER BY number")
    query(url, "DELETE FROM vigilbase.migrations WHERE number > 16")
    pg_dump = [str(programs_folder() / "pg_dump"), "--format=custom", f"--dbname={url}"]
    subprocess.run([*pg_dump, f"--file={tmp_path / 'older.dump'}"], check=True)
    assert run("migrate", cwd=tmp_path, environ={"DATABASE_URL": url}).returncode == 0
    query(url, "DELETE FROM alert_events")
    restored = run("db", "restore", "older.dump", "--yes", cwd=tmp_path, environ={"DATABASE_URL": url})
    assert (restored.returncode, restored.stderr) == (0, "")
    assert rows(url) == before
    assert len(query(url, "SELECT * FROM vigilbase.migrations")) == len(ledger)


def test_a_whole_dump_of_this_build_by_pg_dump_brings_our_rows_back_alone(url: str, tmp_path: Path) -> None:
    before = rows(url)
    pg_dump = [str(programs_folder() / "pg_dump"), "--format=custom", f"--dbname={url}"]
    subprocess.run([*pg_dump, f"--file={tmp_path / 'whole.dump'}"], check=True)
    query(url, "DELETE FROM alert_events; UPDATE public.services SET id = 9")
    restored = run("db", "restore", "whole.dump", "--yes", cwd=tmp_path, environ={"DATABASE_URL": url})
    assert (restored.returncode, restored.stderr) == (0, "")
    assert rows(url) == before
    assert query(url, "SELECT id FROM public.services") == [(9,)]
