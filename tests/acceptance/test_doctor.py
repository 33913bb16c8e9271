"""`vigilbase doctor`: every state of things that it has to find words for."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer, free_port
from tests.support.supabase_api import SupabaseApi, run_supabase_api
from tests.support.watched import eventually, run
from vigilbase import __version__
from vigilbase.database.migrate import apply_pending, discover
from vigilbase.database.repair import repair

PASSWORD = "hunter2-hunter2"
LATEST = f"{discover()[-1].number:03}"

Findings = Mapping[str, tuple[str, str, str]]


def examine(folder: Path, environ: Mapping[str, str] | None = None, *, code: int) -> Findings:
    """The findings by subject: verdict, what was found, what to do. No secret is among them."""
    result = run("doctor", "--json", cwd=folder, environ=dict(environ or {}))
    assert (result.returncode, result.stderr) == (code, "")
    assert PASSWORD not in result.stdout
    findings = json.loads(result.stdout)["findings"]
    return {finding["subject"]: (finding["verdict"], finding["found"], finding["advice"]) for finding in findings}


def verdicts(findings: Findings) -> dict[str, str]:
    return {subject: verdict for subject, (verdict, _, _) in findings.items()}


async def test_where_all_is_well_it_says_so(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: 'localhost:1'}, {name: b, tcp: 'localhost:1'}]")
    if backend.transport == "supabase":
        # Allowed for: @supabase/lite grants everything to everybody at its first request.
        run("doctor", cwd=tmp_path, environ={})
        damage = await repair(backend.server.url(backend.database), discover(), timeout=5)
        assert "schema vigilbase" in damage.exposed
    findings = examine(tmp_path, code=0)
    assert set(verdicts(findings).values()) == {"ok"}
    assert __version__ in findings["version"][1]
    assert findings["configuration"][1] == "vigilbase.yaml: 2 services"
    assert findings["connection"][1].startswith("reached in ")
    assert "PostgreSQL 18" in findings["connection"][1]
    assert findings["role"][1].endswith(", which sees every row")
    assert findings["schema"][1] == f"up to date, at migration {LATEST}"
    assert findings["privileges"][1].startswith("all of 11 tables and views and ")
    assert findings["clock"][1].endswith(" this machine's")
    assert ("data folder" in findings) == (backend.transport == "embedded")
    reason = {
        "embedded": "the embedded Postgres, as neither SUPABASE_URL nor DATABASE_URL is set",
        "postgres": f"postgresql://postgres:*****@127.0.0.1:{backend.server.port}/{backend.database}, "
        "as DATABASE_URL is set",
    }
    assert findings["settings"][1] == reason.get(backend.transport, findings["settings"][1])


def test_for_people_it_is_a_table_with_what_to_do_below(tmp_path: Path) -> None:
    result = run("doctor", cwd=tmp_path, environ={"DATABASE_URL": f"postgresql://u:{PASSWORD}@h:port/d"})
    assert (result.returncode, result.stderr) == (1, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "verdict about found, and what to do"
    assert "warning configuration vigilbase.yaml: there is no such file" in lines
    assert "→ `vigilbase up --config vigilbase.yaml` writes one" in lines
    assert any(line.startswith("problem settings DATABASE_URL is malformed") for line in lines)
    assert PASSWORD not in result.stdout


def test_with_nothing_configured_and_nothing_there_it_makes_nothing(home: Path, tmp_path: Path) -> None:
    findings = examine(tmp_path, {"VIGILBASE_HOME": str(home / "new")}, code=0)
    assert findings["connection"] == ("ok", "there is no database yet", "`vigilbase up` makes one")
    assert findings["data folder"][0] == ("ok" if shutil.disk_usage(home).free >= 1e9 else "warning")
    assert not (home / "new").exists()


def test_a_mistake_in_the_file_hides_nothing_else(tmp_path: Path, home: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: nowhere}]")
    findings = examine(tmp_path, {"VIGILBASE_HOME": str(home)}, code=1)
    assert findings["configuration"][0] == "problem"
    assert "services[0] (a).tcp: must be HOST:PORT" in findings["configuration"][1]
    assert findings["connection"][0] == "ok"


def test_a_server_that_does_not_answer_or_lets_nobody_in_is_a_problem(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    nobody = examine(tmp_path, {"DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/d"}, code=1)
    assert nobody["connection"][0] == "problem"
    assert "refused" in nobody["connection"][1]
    assert "DATABASE_URL" in nobody["connection"][2]
    wrong = examine(tmp_path, {"DATABASE_URL": server.url(database, password=PASSWORD)}, code=1)
    assert "password authentication failed" in wrong["connection"][1]
    assert list(wrong) == ["version", "configuration", "settings", "connection"]


def test_a_key_that_is_no_good_is_a_problem(supabase_api: SupabaseApi, tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": supabase_api.url, "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}"}
    wrong = examine(tmp_path, environ, code=1)
    assert wrong["settings"][0] == "ok"
    assert wrong["connection"][0] == "problem"
    assert "SUPABASE_URL" in wrong["connection"][2]
    publishable = examine(tmp_path, {**environ, "SUPABASE_SECRET_KEY": supabase_api.publishable_key}, code=1)
    assert publishable["settings"][0] == "problem"
    assert "publishable (anon)" in publishable["settings"][1]


def test_an_empty_database_is_to_be_migrated(server: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    findings = examine(tmp_path, {"DATABASE_URL": server.url(empty_database)}, code=1)
    assert findings["connection"][0] == "ok"
    verdict, found, advice = findings["schema"]
    assert (verdict, advice) == ("problem", "run `vigilbase migrate`")
    assert found.startswith("pending: 012_create_monitoring_tables, 013_create_schema, ")
    assert [findings[subject][0] for subject in ("role", "privileges", "writing", "clock")] == ["warning"] * 4


async def test_an_older_schema_is_to_be_migrated(server: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    await apply_pending(server.url(empty_database), [migration for migration in discover() if migration.number < 15])
    findings = examine(tmp_path, {"DATABASE_URL": server.url(empty_database)}, code=1)
    assert findings["schema"][1].startswith("pending: 015_")
    assert [findings[subject][0] for subject in ("role", "privileges", "writing", "clock")] == ["warning"] * 4


async def test_an_embedded_database_migrates_by_itself(home: Path, tmp_path: Path) -> None:
    environ = {"VIGILBASE_HOME": str(home)}
    assert run("db", "psql", "-c", "SELECT 1", cwd=tmp_path, environ=environ).returncode == 0  # makes it, empty
    findings = examine(tmp_path, environ, code=0)
    assert findings["schema"][0] == "warning"
    assert findings["schema"][2] == "the next `vigilbase up` applies it"


@pytest.mark.parametrize(
    "lost", ["TABLE vigilbase.channels", "FUNCTION public.vigilbase_record", "VIEW vigilbase.objects"]
)
def test_what_was_lost_after_its_migration_is_noticed_by_all_and_made_again(
    server: PostgresServer, database: str, tmp_path: Path, lost: str
) -> None:
    environ = {"DATABASE_URL": server.url(database)}
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: itself, postgres: self}]")
    server.execute(f"DROP {lost} CASCADE", database)
    kind, name = lost.split()
    what = f"{kind.lower()} {name}"
    check = run("migrate", "--check", cwd=tmp_path, environ=environ)
    assert (check.returncode, check.stderr) == (1, "")
    assert check.stdout.startswith(f"missing  {what}\n")
    assert check.stdout.endswith("run `vigilbase migrate`.\n")
    verdict, found, advice = examine(tmp_path, environ, code=1)["schema"]
    assert (verdict, advice) == ("problem", "run `vigilbase migrate`")
    assert found.startswith(f"missing, though its migration is applied: {what}")
    for command in ("status", "run"):
        result = run(command, cwd=tmp_path, environ=environ)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == f"vigilbase: {found}; {advice}\n"
    rows = " (without its rows)" if kind == "TABLE" else ""
    again = run("migrate", cwd=tmp_path, environ=environ)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"made again  {what}{rows}\n")
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).stdout == "Nothing is pending.\n"
    assert examine(tmp_path, environ, code=0)["schema"][0] == "ok"


def test_a_lost_table_is_noticed_through_the_data_api_as_well(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    with run_supabase_api(server, database, tmp_path) as api:  # one of its own, as it remembers the schema
        server.execute("DROP TABLE vigilbase.channels CASCADE", database)
        environ = {"SUPABASE_URL": api.url, "SUPABASE_SECRET_KEY": api.secret_key}
        findings = examine(tmp_path, environ, code=1)
        told = run("status", cwd=tmp_path, environ=environ)
    assert findings["schema"][1].startswith("missing, though its migration is applied: table vigilbase.channels")
    assert "the Supabase Data API can't create tables" in findings["schema"][2]
    assert findings["schema"][1] in told.stderr


def test_without_the_function_that_tells_it_says_that_this_one_is_missing(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    server.execute("DROP FUNCTION vigilbase_list_privileges", database)
    findings = examine(tmp_path, {"DATABASE_URL": server.url(database)}, code=1)
    assert findings["schema"][1].endswith("function public.vigilbase_list_privileges")


def test_a_role_that_sees_or_may_do_too_little_is_a_problem(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    role = f"weak_{uuid4().hex[:12]}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'", database)
    environ = {"DATABASE_URL": server.url(database, user=role, password=PASSWORD)}
    try:
        findings = examine(tmp_path, environ, code=1)
        assert [findings[subject][0] for subject in ("role", "schema", "privileges")] == ["problem"] * 3
        assert "permission denied" in findings["role"][1]
        server.execute(
            f"GRANT USAGE ON SCHEMA vigilbase TO {role};"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public, vigilbase TO {role};"
            f"GRANT EXECUTE ON FUNCTION vigilbase_role_info, vigilbase_list_privileges TO {role}",
            database,
        )
        findings = examine(tmp_path, environ, code=1)
    finally:
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)
    assert findings["role"][1] == f"row-level security hides the rows from the role {role}"
    lacking = findings["privileges"][1]
    assert "INSERT on public.alert_events" in lacking
    assert "EXECUTE on public.vigilbase_record" in lacking
    assert "SELECT" not in lacking
    assert "on vigilbase.migrations" not in lacking
    # The ledger is hidden as well: that nothing is in it means nothing.
    assert findings["schema"] == findings["role"] != findings["privileges"]
    assert findings["role"][2] == "connect as the tables' owner, or as a role with BYPASSRLS such as service_role"


@pytest.mark.parametrize("over_data_api", [False, True])
def test_a_database_that_can_only_be_read_is_a_problem(
    server: PostgresServer, database: str, tmp_path: Path, over_data_api: bool
) -> None:
    def forbid_writing() -> None:
        server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on", "postgres")
        connected = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        server.execute(connected, "postgres")

    if over_data_api:
        with run_supabase_api(server, database, tmp_path) as api:
            forbid_writing()  # only now: @supabase/lite creates something at its start
            environ = {"SUPABASE_URL": api.url, "SUPABASE_SECRET_KEY": api.secret_key}
            # Its connections were cut, which the first request finds out.
            findings = eventually(lambda: examine(tmp_path, environ, code=1), lambda found: "writing" in found)
    else:
        forbid_writing()
        findings = examine(tmp_path, {"DATABASE_URL": server.url(database)}, code=1)
    verdict, found, advice = findings["writing"]
    assert verdict == "problem"
    assert "read-only transaction (SQLSTATE 25006)" in found
    assert "default_transaction_read_only" in advice
    assert findings["privileges"][0] == "ok"


async def test_a_database_that_can_not_hold_all_text_is_named(server: PostgresServer, tmp_path: Path) -> None:
    name = f"test_{uuid4().hex[:12]}"
    server.execute(
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0", "postgres"
    )
    environ = {"DATABASE_URL": server.url(name)}
    try:
        migrated = run("migrate", cwd=tmp_path, environ=environ)
        findings = examine(tmp_path, environ, code=0)
    finally:
        server.drop_database(name)
    said = "the database's encoding is LATIN1, and text outside it is dropped from checks and alerts"
    advice = "create the database with ENCODING 'UTF8'"
    assert (migrated.returncode, migrated.stderr) == (0, f"vigilbase: warning: {said}: {advice}\n")
    assert findings["encoding"] == ("warning", said, advice)
    assert findings["writing"][0] in ("ok", "warning")


def test_what_visitors_can_reach_is_a_problem_that_migrate_ends(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    server.execute("GRANT ALL ON SEQUENCE vigilbase.notifications_id_seq TO anon", database)
    # What a host grants on the contract is its own affair.
    server.execute("GRANT SELECT, UPDATE (status) ON alert_events TO authenticated", database)
    environ = {"DATABASE_URL": server.url(database)}
    verdict, found, advice = examine(tmp_path, environ, code=1)["visitors"]
    assert (verdict, found) == ("problem", "anon or authenticated can reach sequence vigilbase.notifications_id_seq")
    assert advice == "to take it back, run `vigilbase migrate`"
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).returncode == 1
    assert "sequence vigilbase.notifications_id_seq" in run("migrate", cwd=tmp_path, environ=environ).stdout
    assert "visitors" not in examine(tmp_path, environ, code=0)
    granted = (
        "SELECT has_table_privilege('authenticated', 'alert_events', 'SELECT'),"
        " has_column_privilege('authenticated', 'alert_events', 'status', 'UPDATE'),"
        " has_column_privilege('authenticated', 'alert_events', 'message', 'UPDATE')"
    )
    assert server.execute(granted, database) == [(True, True, False)]


def test_a_table_of_the_contract_in_another_schema_is_a_problem(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    server.execute("CREATE SCHEMA app; CREATE TABLE app.alert_events (id integer)", empty_database)
    environ = {"DATABASE_URL": server.url(empty_database)}
    verdict, found, _ = examine(tmp_path, environ, code=1)["schema"]
    assert verdict == "problem"
    assert "the table app.alert_events isn't in the schema public" in found
    migrated = run("migrate", cwd=tmp_path, environ=environ)
    assert (migrated.returncode, migrated.stderr) == (2, f"vigilbase: {found}\n")
    assert server.execute("SELECT to_regnamespace('vigilbase')", empty_database) == [(None,)]


def test_a_role_of_the_schemas_name_is_warned(server: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    server.execute(f"CREATE ROLE vigilbase SUPERUSER LOGIN PASSWORD '{PASSWORD}'", "postgres")
    environ = {"DATABASE_URL": server.url(empty_database, user="vigilbase", password=PASSWORD)}
    try:
        migrated = run("migrate", cwd=tmp_path, environ=environ)
        role = examine(tmp_path, environ, code=0)["role"]
    finally:
        server.execute("DROP OWNED BY vigilbase CASCADE", empty_database)
        server.execute("DROP ROLE vigilbase", "postgres")
    assert migrated.returncode == 0
    assert "vigilbase: warning: the role is called vigilbase as Vigilbase's schema is" in migrated.stderr
    assert role[0] == "warning"
    assert "ALTER ROLE vigilbase SET search_path = public" in role[2]


def test_a_home_that_can_not_be_one_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = examine(tmp_path, {"VIGILBASE_HOME": str(tmp_path / "file")}, code=1)
    assert findings["data folder"][:2] == ("problem", f"{tmp_path / 'file'} is no folder")
