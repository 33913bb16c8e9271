"""`vigilbase migrate` and `up` where something could be lost or isn't wanted: said, asked, and refused unasked."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.server import PostgresServer
from tests.support.terminal import CTRL_C, terminal
from tests.support.watched import eventually, run, running

PASSWORD = "hunter2-hunter2"
EARLIER = "CREATE TABLE public.vigilbase_migrations (number integer); CREATE TABLE public.silences (id integer)"


@pytest.fixture
def environ(server: PostgresServer, empty_database: str) -> dict[str, str]:
    return {"DATABASE_URL": server.url(empty_database)}


def says_of_each_command(environ: dict[str, str], folder: Path) -> list[str]:
    (folder / "vigilbase.yaml").write_text("services: [{name: itself, postgres: self}]")
    results = [
        run(*command.split(), cwd=folder, environ=environ)
        for command in ("up", "run", "status", "alerts list", "migrate", "migrate --check", "db dump x.dump")
    ]
    assert [(result.returncode, result.stdout) for result in results] == [(2, "")] * len(results)
    return [result.stderr for result in results]


def test_every_command_refuses_a_database_of_an_earlier_build_in_the_same_words(
    server: PostgresServer, empty_database: str, environ: dict[str, str], tmp_path: Path
) -> None:
    server.execute(EARLIER, empty_database)
    [said] = set(says_of_each_command(environ, tmp_path))
    assert said.startswith("vigilbase: the database was made by an earlier build of Vigilbase")
    assert "run `vigilbase migrate --rebuild`, which keeps service_health_checks and alert_events" in said
    assert said.count("\n") == 1
    doctor = run("doctor", "--json", cwd=tmp_path, environ=environ)
    assert doctor.returncode == 1
    assert "run `vigilbase migrate --rebuild`" in doctor.stdout
    assert server.execute("SELECT to_regnamespace('vigilbase')", empty_database) == [(None,)]


def test_a_rebuild_says_what_goes_and_asks(
    server: PostgresServer, empty_database: str, environ: dict[str, str], tmp_path: Path
) -> None:
    server.execute(EARLIER, empty_database)
    unasked = run("migrate", "--rebuild", cwd=tmp_path, environ=environ)
    assert unasked.returncode == 2
    assert "drop  table public.silences (0 rows)\n" in unasked.stdout
    assert "say --yes" in unasked.stderr
    for answer, code in ((b"n\n", 1), (b"y\n", 0)):
        assert server.execute("SELECT to_regclass('public.silences') IS NULL", empty_database) == [(False,)]
        with terminal(["migrate", "--rebuild"], cwd=tmp_path, environ=environ) as shown:
            shown.wait_for(lambda text: "make the rest anew? [y/N]" in text)
            shown.type(answer)
            assert shown.exit_code() == code
    assert server.execute("SELECT to_regclass('public.silences') IS NULL", empty_database) == [(True,)]
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).returncode == 0
    # And again, of what this build has made.
    again = run("migrate", "--rebuild", "--yes", cwd=tmp_path, environ=environ)
    assert (again.returncode, again.stderr) == (0, "")
    assert "drop  table vigilbase.services (0 rows)\n" in again.stdout


def test_a_removal_says_what_goes_and_asks(
    server: PostgresServer, empty_database: str, environ: dict[str, str], tmp_path: Path
) -> None:
    nothing = run("migrate", "--remove", cwd=tmp_path, environ=environ)
    assert (nothing.returncode, nothing.stdout) == (0, "There is nothing of Vigilbase's to remove.\n")
    assert run("migrate", cwd=tmp_path, environ=environ).returncode == 0
    unasked = run("migrate", "--remove", cwd=tmp_path, environ=environ)
    assert unasked.returncode == 2
    assert "Kept: service_health_checks and alert_events with their rows.\n" in unasked.stdout
    assert "say --yes" in unasked.stderr
    with terminal(["migrate", "--remove"], cwd=tmp_path, environ=environ) as shown:
        shown.wait_for(lambda text: "Remove? [y/N]" in text)
        shown.type(b"y\n")
        assert shown.exit_code() == 0
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'vigilbase')"
    assert server.execute(tables, empty_database) == [(2,)]
    whole = run("migrate", "--remove", "--history", "--yes", cwd=tmp_path, environ=environ)
    assert "drop  table public.alert_events (0 rows)\n" in whole.stdout
    assert "Kept:" not in whole.stdout
    assert server.execute(tables, empty_database) == [(0,)]


@pytest.mark.parametrize(
    "arguments", ["--check --print", "--remove --rebuild", "--supabase . --remove", "--check --rebuild", "--history"]
)
def test_options_that_mean_different_things_are_refused_together(arguments: str, tmp_path: Path) -> None:
    result = run("migrate", *arguments.split(), cwd=tmp_path, environ={})
    assert (result.returncode, result.stdout) == (2, "")
    assert "--re" in result.stderr


@pytest.mark.parametrize("option", ["--rebuild", "--remove"])
def test_with_only_supabase_keys_it_says_what_it_needs(option: str, tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}"}
    result = run("migrate", option, "--yes", cwd=tmp_path, environ=environ)
    assert result.returncode == 2
    assert "set DATABASE_URL to the project's connection string" in result.stderr


def test_stale_files_of_a_supabase_project_are_refused_and_replaced_if_told_so(tmp_path: Path) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    stale = folder / "20261124101013_vigilbase_013_create_data_layer.sql"
    stale.write_text("-- an earlier build's")
    refused = run("migrate", "--supabase", ".", cwd=tmp_path, environ={})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "`vigilbase migrate --supabase . --rebuild` replaces it" in refused.stderr
    assert list(folder.iterdir()) == [stale]
    replaced = run("migrate", "--supabase", ".", "--rebuild", cwd=tmp_path, environ={})
    assert replaced.returncode == 0
    assert replaced.stdout.startswith(f"removed  supabase/migrations/{stale.name}\n")
    assert "`supabase migration repair --status reverted 20261124101013`" in replaced.stdout
    assert not stale.exists()


@pytest.fixture
def newcomer(server: PostgresServer, empty_database: str) -> Iterator[str]:
    """A role that may log in and nothing else."""
    role = f"new_{uuid4().hex[:12]}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'", empty_database)
    yield role
    server.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}", empty_database)


def test_what_the_role_may_not_create_is_said_with_what_to_grant(
    server: PostgresServer, empty_database: str, newcomer: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": server.url(empty_database, user=newcomer, password=PASSWORD)}
    for grant in (
        f"GRANT CREATE ON DATABASE {empty_database} TO {newcomer}",
        f"GRANT CREATE ON SCHEMA public TO {newcomer}",
    ):
        refused = run("migrate", cwd=tmp_path, environ=environ)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"`{grant}`" in refused.stderr
        assert refused.stderr.count("\n") == 1
        server.execute(grant, empty_database)
    assert run("migrate", cwd=tmp_path, environ=environ).returncode == 0


@pytest.fixture
def shop(server: PostgresServer, empty_database: str, tmp_path: Path) -> str:
    """The name of a database that an application has, beside a file that watches something."""
    server.execute(
        "CREATE SCHEMA app; CREATE TABLE app.orders (id integer); CREATE TABLE users (id integer)", empty_database
    )
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: itself, postgres: self}]")
    return empty_database


def has_ours(server: PostgresServer, database: str) -> bool:
    return server.execute("SELECT to_regclass('vigilbase.migrations') IS NOT NULL", database) == [(True,)]


def test_up_asks_before_it_makes_tables_in_the_applications_database(
    server: PostgresServer, shop: str, environ: dict[str, str], tmp_path: Path
) -> None:
    unasked = run("up", cwd=tmp_path, environ=environ)
    found = f"the database {shop} at 127.0.0.1 holds 2 tables and none of Vigilbase's"
    assert (unasked.returncode, unasked.stdout) == (2, "")
    assert unasked.stderr.startswith(f"vigilbase: {found}: run `vigilbase migrate`")
    with terminal(["up"], cwd=tmp_path, environ=environ, columns=200) as shown:
        shown.wait_for(lambda text: f"{found}: create them there? [y/N]" in text)
        shown.type(b"n\n")
        assert shown.exit_code() == 1
    with terminal(["up"], cwd=tmp_path, environ=environ, columns=200) as shown:
        shown.wait_for(lambda text: "[y/N]" in text)
        shown.type(CTRL_C)
        assert shown.exit_code() == 130
    assert not has_ours(server, shop)
    with terminal(["up"], cwd=tmp_path, environ=environ, columns=200) as shown:
        shown.wait_for(lambda text: "[y/N]" in text)
        shown.type(b"y\n")
        shown.wait_for(lambda text: "watched: 1" in text)
        shown.type(CTRL_C)
        assert shown.exit_code() == 0
    assert has_ours(server, shop)


@pytest.mark.parametrize("variable", ["VIGILBASE_DATABASE_URL", "DATABASE_URL"])
def test_up_asks_nothing_where_the_database_is_meant_for_it(
    server: PostgresServer, shop: str, tmp_path: Path, variable: str
) -> None:
    environ = {variable: server.url(shop)}
    if variable == "DATABASE_URL":
        assert run("migrate", cwd=tmp_path, environ=environ).returncode == 0
    with running("up", cwd=tmp_path, environ=environ) as up:
        eventually((tmp_path / "events.log").read_text, lambda said: "runner.started" in said)
        up.terminate()
        assert up.wait(10) == 0


def test_the_programs_own_variable_goes_before_the_applications(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    environ = {"VIGILBASE_DATABASE_URL": server.url(database), "DATABASE_URL": "postgresql://nowhere.invalid/app"}
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).stdout == "Nothing is pending.\n"
