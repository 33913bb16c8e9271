"""`vigilbase migrate` and `up` list what they would drop or create, ask, and refuse without a terminal."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.command import run, run_at_terminal, running
from tests.support.server import PostgresServer
from tests.support.terminal import CTRL_C, terminal
from tests.support.waiting import wait_until

PASSWORD = "hunter2-hunter2"
EARLIER = "CREATE TABLE public.vigilbase_migrations (number integer); CREATE TABLE public.silences (id integer)"


@pytest.fixture
def environ(server: PostgresServer, empty_database: str) -> dict[str, str]:
    return {"DATABASE_URL": server.url(empty_database)}


def get_error_of_each_command(environ: dict[str, str], folder: Path) -> list[str]:
    (folder / "vigilbase.yaml").write_text("services: [{name: itself, postgres: self}]")
    results = [
        run(*command.split(), cwd=folder, environ=environ)
        for command in ("up", "run", "status", "alerts list", "migrate", "migrate --check", "db dump x.dump")
    ]
    assert [(result.returncode, result.stdout) for result in results] == [(2, "")] * len(results)
    return [result.stderr for result in results]


def test_commands_database_of_earlier_build_is_rejected_with_same_error(
    server: PostgresServer, empty_database: str, environ: dict[str, str], tmp_path: Path
) -> None:
    server.execute(EARLIER, empty_database)
    [message] = set(get_error_of_each_command(environ, tmp_path))
    assert message.startswith("vigilbase: the database was created by an earlier build of Vigilbase")
    assert "run `vigilbase migrate --rebuild`, which keeps service_health_checks and alert_events" in message
    assert message.count("\n") == 1
    doctor = run("doctor", "--json", cwd=tmp_path, environ=environ)
    assert doctor.returncode == 1
    assert "run `vigilbase migrate --rebuild`" in doctor.stdout
    assert server.execute("SELECT to_regnamespace('vigilbase')", empty_database) == [(None,)]


def test_migrate_rebuild_lists_dropped_objects_and_asks(
    server: PostgresServer, empty_database: str, environ: dict[str, str], tmp_path: Path
) -> None:
    server.execute(EARLIER, empty_database)
    without_terminal = run("migrate", "--rebuild", cwd=tmp_path, environ=environ)
    assert without_terminal.returncode == 2
    assert "drop  table public.silences (0 rows)\n" in without_terminal.stdout
    assert "--yes" in without_terminal.stderr
    for answer, code in (("n\n", 1), ("y\n", 0)):
        assert server.execute("SELECT to_regclass('public.silences') IS NULL", empty_database) == [(False,)]
        asked = run_at_terminal("migrate", "--rebuild", typed=answer, cwd=tmp_path, environ=environ)
        assert "[y/N]" in asked.stdout
        assert asked.returncode == code, repr(answer)
    assert server.execute("SELECT to_regclass('public.silences') IS NULL", empty_database) == [(True,)]
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).returncode == 0
    # Then rebuild the objects of this build.
    again = run("migrate", "--rebuild", "--yes", cwd=tmp_path, environ=environ)
    assert (again.returncode, again.stderr) == (0, "")
    assert "drop  table vigilbase.services (0 rows)\n" in again.stdout


def test_migrate_remove_lists_dropped_objects_and_asks(
    server: PostgresServer, empty_database: str, environ: dict[str, str], tmp_path: Path
) -> None:
    nothing = run("migrate", "--remove", cwd=tmp_path, environ=environ)
    assert (nothing.returncode, nothing.stdout) == (0, "The database contains nothing of Vigilbase's.\n")
    assert run("migrate", cwd=tmp_path, environ=environ).returncode == 0
    without_terminal = run("migrate", "--remove", cwd=tmp_path, environ=environ)
    assert without_terminal.returncode == 2
    assert "Kept: service_health_checks and alert_events with their rows.\n" in without_terminal.stdout
    assert "--yes" in without_terminal.stderr
    asked = run_at_terminal("migrate", "--remove", typed="y\n", cwd=tmp_path, environ=environ)
    assert "[y/N]" in asked.stdout
    assert asked.returncode == 0
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'vigilbase')"
    assert server.execute(tables, empty_database) == [(2,)]
    everything = run("migrate", "--remove", "--history", "--yes", cwd=tmp_path, environ=environ)
    assert "drop  table public.alert_events (0 rows)\n" in everything.stdout
    assert "Kept:" not in everything.stdout
    assert server.execute(tables, empty_database) == [(0,)]


@pytest.mark.parametrize(
    "arguments", ["--check --print", "--remove --rebuild", "--supabase . --remove", "--check --rebuild", "--history"]
)
def test_migrate_conflicting_options_are_rejected(arguments: str, tmp_path: Path) -> None:
    result = run("migrate", *arguments.split(), cwd=tmp_path, environ={})
    assert (result.returncode, result.stdout) == (2, "")
    assert "--re" in result.stderr


@pytest.mark.parametrize("option", ["--rebuild", "--remove"])
def test_migrate_rebuild_or_remove_only_supabase_keys_advises_database_url(option: str, tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}"}
    result = run("migrate", option, "--yes", cwd=tmp_path, environ=environ)
    assert result.returncode == 2
    assert "set DATABASE_URL to the project's connection string" in result.stderr


def test_migrate_supabase_stale_files_are_replaced_only_with_rebuild(tmp_path: Path) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    stale = folder / "20261124101013_vigilbase_013_create_data_layer.sql"
    stale.write_text("-- an earlier build's")
    result = run("migrate", "--supabase", ".", cwd=tmp_path, environ={})
    assert (result.returncode, result.stdout) == (2, "")
    assert "`vigilbase migrate --supabase . --rebuild` replaces it" in result.stderr
    assert list(folder.iterdir()) == [stale]
    replaced = run("migrate", "--supabase", ".", "--rebuild", cwd=tmp_path, environ={})
    assert replaced.returncode == 0
    assert replaced.stdout.startswith(f"removed  supabase/migrations/{stale.name}\n")
    assert "`supabase migration repair --status reverted 20261124101013`" in replaced.stdout
    assert not stale.exists()


@pytest.fixture
def unprivileged_role(server: PostgresServer, empty_database: str) -> Iterator[str]:
    """A role that may only log in."""
    role = f"new_{uuid4().hex[:12]}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'", empty_database)
    yield role
    server.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}", empty_database)


def test_migrate_missing_privilege_error_names_grant(
    server: PostgresServer, empty_database: str, unprivileged_role: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": server.url(empty_database, user=unprivileged_role, password=PASSWORD)}
    for grant in (
        f"GRANT CREATE ON DATABASE {empty_database} TO {unprivileged_role}",
        f"GRANT CREATE ON SCHEMA public TO {unprivileged_role}",
    ):
        result = run("migrate", cwd=tmp_path, environ=environ)
        assert (result.returncode, result.stdout) == (2, "")
        assert f"`{grant}`" in result.stderr
        assert result.stderr.count("\n") == 1
        server.execute(grant, empty_database)
    assert run("migrate", cwd=tmp_path, environ=environ).returncode == 0


@pytest.fixture
def application_database(server: PostgresServer, empty_database: str, tmp_path: Path) -> str:
    """The name of an application's database, with a configuration file in the folder."""
    server.execute(
        "CREATE SCHEMA app; CREATE TABLE app.orders (id integer); CREATE TABLE users (id integer)", empty_database
    )
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: itself, postgres: self}]")
    return empty_database


def has_vigilbase_tables(server: PostgresServer, database: str) -> bool:
    return server.execute("SELECT to_regclass('vigilbase.migrations') IS NOT NULL", database) == [(True,)]


def test_up_application_database_asks_before_creating_tables(
    server: PostgresServer, application_database: str, environ: dict[str, str], tmp_path: Path
) -> None:
    without_terminal = run("up", cwd=tmp_path, environ=environ)
    finding = f"the database {application_database} at 127.0.0.1 has 2 tables and none of Vigilbase's"
    assert (without_terminal.returncode, without_terminal.stdout) == (2, "")
    assert without_terminal.stderr.startswith(f"vigilbase: {finding}: run `vigilbase migrate`")
    refused = run_at_terminal("up", typed="n\n", cwd=tmp_path, environ=environ)
    assert f"{finding}: create Vigilbase's tables there? [y/N]" in refused.stdout
    assert refused.returncode == 1
    with terminal(["up"], cwd=tmp_path, environ=environ, columns=200) as shown:
        shown.wait_for(lambda text: "[y/N]" in text)
        shown.type(CTRL_C)
        assert shown.exit_code() == 130
    assert not has_vigilbase_tables(server, application_database)
    with terminal(["up"], cwd=tmp_path, environ=environ, columns=200) as shown:
        shown.wait_for(lambda text: "[y/N]" in text)
        shown.type(b"y\n")
        shown.wait_for(lambda text: "services: 1" in text)
        shown.type(CTRL_C)
        assert shown.exit_code() == 0
    assert has_vigilbase_tables(server, application_database)


def test_up_own_variable_starts_without_asking(
    server: PostgresServer, application_database: str, tmp_path: Path
) -> None:
    environ = {"VIGILBASE_DATABASE_URL": server.url(application_database)}
    with running("up", cwd=tmp_path, environ=environ) as up:
        wait_until((tmp_path / "events.log").read_text, lambda text: "runner.started" in text)
        up.terminate()
        assert up.wait(60) == 0


def test_migrate_vigilbase_database_url_takes_precedence(server: PostgresServer, database: str, tmp_path: Path) -> None:
    environ = {"VIGILBASE_DATABASE_URL": server.url(database), "DATABASE_URL": "postgresql://nowhere.invalid/app"}
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).stdout == "Nothing is pending.\n"
