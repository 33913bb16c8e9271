"""`vigilbase doctor`: every finding that it reports."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.command import run
from tests.support.server import PostgresServer, free_port
from tests.support.supabase_api import SupabaseApi, run_supabase_api
from tests.support.waiting import wait_until
from vigilbase import __version__
from vigilbase.database.migrate import apply_pending, discover_migrations
from vigilbase.database.repair import repair

PASSWORD = "hunter2-hunter2"
LATEST = f"{discover_migrations()[-1].number:03}"

Findings = Mapping[str, tuple[str, str, str]]


def run_doctor(folder: Path, environ: Mapping[str, str] | None = None, *, code: int) -> Findings:
    """The status, message and advice of each subject. None of them contains a secret."""
    result = run("doctor", "--json", cwd=folder, environ=dict(environ or {}))
    assert (result.returncode, result.stderr) == (code, "")
    assert PASSWORD not in result.stdout
    findings = json.loads(result.stdout)["findings"]
    return {finding["subject"]: (finding["status"], finding["message"], finding["advice"]) for finding in findings}


def get_statuses(findings: Findings) -> dict[str, str]:
    return {subject: status for subject, (status, _, _) in findings.items()}


async def test_doctor_working_setup_reports_only_ok(each_backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: 'localhost:1'}, {name: b, tcp: 'localhost:1'}]")
    if each_backend.transport == "supabase":
        # @supabase/lite grants everything to every role at its first request, which the repair revokes.
        run("doctor", cwd=tmp_path, environ={})
        damage = await repair(each_backend.server.url(each_backend.database), discover_migrations(), timeout=30)
        assert "schema vigilbase" in damage.exposed
    findings = run_doctor(tmp_path, code=0)
    assert set(get_statuses(findings).values()) == {"ok"}
    assert __version__ in findings["version"][1]
    assert findings["configuration"][1] == "vigilbase.yaml: 2 services"
    assert findings["connection"][1].startswith("reached in ")
    assert "PostgreSQL 18" in findings["connection"][1]
    assert findings["role"][1].endswith(", which sees every row")
    assert findings["schema"][1] == f"up to date, at migration {LATEST}"
    assert findings["privileges"][1].startswith("complete on 11 tables and views and ")
    assert findings["clock"][1].endswith(" this machine's")
    assert ("data folder" in findings) == (each_backend.transport == "embedded")
    reason = {
        "embedded": "the embedded Postgres, because neither SUPABASE_URL nor DATABASE_URL is set",
        "postgres": f"postgresql://postgres:*****@127.0.0.1:{each_backend.server.port}/{each_backend.database}, "
        "because DATABASE_URL is set",
    }
    assert findings["settings"][1] == reason.get(each_backend.transport, findings["settings"][1])


def test_doctor_text_output_is_table_with_advice(tmp_path: Path) -> None:
    result = run("doctor", cwd=tmp_path, environ={"DATABASE_URL": f"postgresql://u:{PASSWORD}@h:port/d"})
    assert (result.returncode, result.stderr) == (1, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "status subject finding"
    assert "warning configuration vigilbase.yaml: does not exist" in lines
    assert "→ `vigilbase up --config vigilbase.yaml` creates one" in lines
    assert any(line.startswith("problem settings DATABASE_URL is malformed") for line in lines)
    assert PASSWORD not in result.stdout


CHANGES = {
    "ALTER TABLE service_health_checks RENAME COLUMN latency_ms TO lat": (
        "problem",
        "column public.service_health_checks.latency_ms is missing",
    ),
    "ALTER TABLE alert_events ALTER details TYPE text": (
        "problem",
        "column public.alert_events.details is text, not jsonb",
    ),
    "ALTER TABLE alert_events DROP CONSTRAINT alert_events_status_check": (
        "warning",
        "the CHECK of column public.alert_events.status is gone",
    ),
    "CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
    "CREATE TRIGGER mine BEFORE INSERT ON service_health_checks FOR EACH ROW EXECUTE FUNCTION discard()": (
        "warning",
        "the trigger mine on service_health_checks may change or discard what is written",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_doctor_changed_table_is_named(server: PostgresServer, database: str, tmp_path: Path, change: str) -> None:
    server.execute(change, database)
    status, message = CHANGES[change]
    code = 1 if status == "problem" else 0
    finding = run_doctor(tmp_path, {"DATABASE_URL": server.url(database)}, code=code)["tables"]
    assert finding[:2] == (status, message)
    assert "undo this" in str(finding[2])


def test_doctor_nothing_configured_creates_nothing(home: Path, tmp_path: Path) -> None:
    findings = run_doctor(tmp_path, {"VIGILBASE_HOME": str(home / "new")}, code=0)
    assert findings["connection"] == ("ok", "there is no database yet", "`vigilbase up` creates one")
    assert findings["data folder"][0] == ("ok" if shutil.disk_usage(home).free >= 1e9 else "warning")
    assert not (home / "new").exists()


def test_doctor_invalid_config_does_not_hide_other_findings(tmp_path: Path, home: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: nowhere}]")
    findings = run_doctor(tmp_path, {"VIGILBASE_HOME": str(home)}, code=1)
    assert findings["configuration"][0] == "problem"
    assert "services[0] (a).tcp: must be HOST:PORT" in findings["configuration"][1]
    assert findings["connection"][0] == "ok"


def test_doctor_unreachable_server_or_wrong_password_is_problem(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    unreachable = run_doctor(tmp_path, {"DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/d"}, code=1)
    assert unreachable["connection"][0] == "problem"
    assert "refused" in unreachable["connection"][1]
    assert "DATABASE_URL" in unreachable["connection"][2]
    wrong = run_doctor(tmp_path, {"DATABASE_URL": server.url(database, password=PASSWORD)}, code=1)
    assert "password authentication failed" in wrong["connection"][1]
    assert list(wrong) == ["version", "configuration", "settings", "connection"]


def test_doctor_invalid_supabase_key_is_problem(supabase_api: SupabaseApi, tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": supabase_api.url, "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}"}
    wrong = run_doctor(tmp_path, environ, code=1)
    assert wrong["settings"][0] == "ok"
    assert wrong["connection"][0] == "problem"
    assert "SUPABASE_URL" in wrong["connection"][2]
    publishable = run_doctor(tmp_path, {**environ, "SUPABASE_SECRET_KEY": supabase_api.publishable_key}, code=1)
    assert publishable["settings"][0] == "problem"
    assert "publishable (anon)" in publishable["settings"][1]


def test_doctor_empty_database_advises_migrate(server: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    findings = run_doctor(tmp_path, {"DATABASE_URL": server.url(empty_database)}, code=1)
    assert findings["connection"][0] == "ok"
    status, message, advice = findings["schema"]
    assert (status, advice) == ("problem", "run `vigilbase migrate`")
    assert message.startswith("pending: 012_create_monitoring_tables, 013_create_schema, ")
    assert [findings[subject][0] for subject in ("role", "privileges", "writing", "clock")] == ["warning"] * 4


async def test_doctor_older_schema_lists_pending_migrations(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    await apply_pending(
        server.url(empty_database), [migration for migration in discover_migrations() if migration.number < 15]
    )
    findings = run_doctor(tmp_path, {"DATABASE_URL": server.url(empty_database)}, code=1)
    assert findings["schema"][1].startswith("pending: 015_")
    assert [findings[subject][0] for subject in ("role", "privileges", "writing", "clock")] == ["warning"] * 4


def test_doctor_embedded_database_without_schema_is_warning(home: Path, tmp_path: Path) -> None:
    environ = {"VIGILBASE_HOME": str(home)}
    assert run("db", "psql", "-c", "SELECT 1", cwd=tmp_path, environ=environ).returncode == 0  # creates it, empty
    findings = run_doctor(tmp_path, environ, code=0)
    assert findings["schema"][0] == "warning"
    assert findings["schema"][2] == "the next `vigilbase up` applies it"


@pytest.mark.parametrize(
    "lost", ["TABLE vigilbase.channels", "FUNCTION public.vigilbase_record", "VIEW vigilbase.objects"]
)
def test_doctor_and_commands_report_lost_object_until_migrate_repairs_it(
    server: PostgresServer, database: str, tmp_path: Path, lost: str
) -> None:
    environ = {"DATABASE_URL": server.url(database)}
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: itself, postgres: self}]")
    server.execute(f"DROP {lost} CASCADE", database)
    kind, name = lost.split()
    lost_object = f"{kind.lower()} {name}"
    check = run("migrate", "--check", cwd=tmp_path, environ=environ)
    assert (check.returncode, check.stderr) == (1, "")
    assert check.stdout.startswith(f"missing  {lost_object}\n")
    assert check.stdout.endswith("run `vigilbase migrate`.\n")
    status, message, advice = run_doctor(tmp_path, environ, code=1)["schema"]
    assert (status, advice) == ("problem", "run `vigilbase migrate`")
    assert message.startswith(f"missing, although its migration is applied: {lost_object}")
    for command in ("status", "run"):
        result = run(command, cwd=tmp_path, environ=environ)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == f"vigilbase: {message}; {advice}\n"
    rows = " (without its rows)" if kind == "TABLE" else ""
    again = run("migrate", cwd=tmp_path, environ=environ)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(f"recreated  {lost_object}{rows}\n")
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).stdout == "Nothing is pending.\n"
    assert run_doctor(tmp_path, environ, code=0)["schema"][0] == "ok"


def test_doctor_lost_table_is_reported_through_data_api(server: PostgresServer, database: str, tmp_path: Path) -> None:
    with run_supabase_api(server, database, tmp_path) as api:  # the test's own API, because an API caches the schema
        server.execute("DROP TABLE vigilbase.channels CASCADE", database)
        environ = {"SUPABASE_URL": api.url, "SUPABASE_SECRET_KEY": api.secret_key}
        findings = run_doctor(tmp_path, environ, code=1)
        result = run("status", cwd=tmp_path, environ=environ)
    assert findings["schema"][1].startswith("missing, although its migration is applied: table vigilbase.channels")
    assert "the Supabase Data API can't create tables" in findings["schema"][2]
    assert findings["schema"][1] in result.stderr


def test_doctor_missing_privilege_function_is_reported(server: PostgresServer, database: str, tmp_path: Path) -> None:
    server.execute("DROP FUNCTION vigilbase_list_privileges", database)
    findings = run_doctor(tmp_path, {"DATABASE_URL": server.url(database)}, code=1)
    assert findings["schema"][1].endswith("function public.vigilbase_list_privileges")


def test_doctor_role_with_missing_privileges_is_problem(server: PostgresServer, database: str, tmp_path: Path) -> None:
    role = f"weak_{uuid4().hex[:12]}"
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'", database)
    environ = {"DATABASE_URL": server.url(database, user=role, password=PASSWORD)}
    try:
        findings = run_doctor(tmp_path, environ, code=1)
        assert [findings[subject][0] for subject in ("role", "schema", "privileges")] == ["problem"] * 3
        assert "permission denied" in findings["role"][1]
        server.execute(
            f"GRANT USAGE ON SCHEMA vigilbase TO {role};"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public, vigilbase TO {role};"
            f"GRANT EXECUTE ON FUNCTION vigilbase_role_info, vigilbase_list_privileges TO {role}",
            database,
        )
        findings = run_doctor(tmp_path, environ, code=1)
    finally:
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)
    assert findings["role"][1] == f"row-level security hides the rows from the role {role}"
    lacking = findings["privileges"][1]
    assert "INSERT on public.alert_events" in lacking
    assert "EXECUTE on public.vigilbase_record" in lacking
    assert "SELECT" not in lacking
    assert "on vigilbase.migrations" not in lacking
    # The ledger's rows are hidden as well, so no migration is reported as pending.
    assert findings["schema"] == findings["role"] != findings["privileges"]
    assert findings["role"][2] == "connect as the tables' owner, or as a role with BYPASSRLS such as service_role"


@pytest.mark.parametrize("over_data_api", [False, True])
def test_doctor_read_only_database_is_problem(
    server: PostgresServer, database: str, tmp_path: Path, over_data_api: bool
) -> None:
    def forbid_writing() -> None:
        server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on", "postgres")
        connected = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        server.execute(connected, "postgres")

    if over_data_api:
        with run_supabase_api(server, database, tmp_path) as api:
            forbid_writing()  # after the start of @supabase/lite, which writes
            environ = {"SUPABASE_URL": api.url, "SUPABASE_SECRET_KEY": api.secret_key}
            # Its connections were closed, which it notices at the first request.
            findings = wait_until(lambda: run_doctor(tmp_path, environ, code=1), lambda findings: "writing" in findings)
    else:
        forbid_writing()
        findings = run_doctor(tmp_path, {"DATABASE_URL": server.url(database)}, code=1)
    status, message, advice = findings["writing"]
    assert status == "problem"
    assert "read-only transaction (SQLSTATE 25006)" in message
    assert "default_transaction_read_only" in advice
    assert findings["privileges"][0] == "ok"


async def test_doctor_and_migrate_latin1_database_is_warning(server: PostgresServer, tmp_path: Path) -> None:
    name = f"test_{uuid4().hex[:12]}"
    server.execute(
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0", "postgres"
    )
    environ = {"DATABASE_URL": server.url(name)}
    try:
        migrated = run("migrate", cwd=tmp_path, environ=environ)
        findings = run_doctor(tmp_path, environ, code=0)
    finally:
        server.drop_database(name)
    status, message, advice = findings["encoding"]
    assert status == "warning"
    assert "LATIN1" in message
    assert "ENCODING 'UTF8'" in advice
    assert (migrated.returncode, migrated.stderr) == (0, f"vigilbase: warning: {message}: {advice}\n")
    assert findings["writing"][0] in ("ok", "warning")


def test_doctor_object_exposed_to_anon_is_problem_until_migrate(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    server.execute("GRANT ALL ON SEQUENCE vigilbase.notifications_id_seq TO anon", database)
    # The host may grant what it likes on the contract's tables.
    server.execute("GRANT SELECT, UPDATE (status) ON alert_events TO authenticated", database)
    environ = {"DATABASE_URL": server.url(database)}
    status, message, advice = run_doctor(tmp_path, environ, code=1)["public access"]
    assert (status, message) == ("problem", "anon or authenticated can reach sequence vigilbase.notifications_id_seq")
    assert advice == "to revoke it, run `vigilbase migrate`"
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).returncode == 1
    assert "sequence vigilbase.notifications_id_seq" in run("migrate", cwd=tmp_path, environ=environ).stdout
    assert "public access" not in run_doctor(tmp_path, environ, code=0)
    granted = (
        "SELECT has_table_privilege('authenticated', 'alert_events', 'SELECT'),"
        " has_column_privilege('authenticated', 'alert_events', 'status', 'UPDATE'),"
        " has_column_privilege('authenticated', 'alert_events', 'message', 'UPDATE')"
    )
    assert server.execute(granted, database) == [(True, True, False)]


def test_doctor_contract_table_in_other_schema_is_problem(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    server.execute("CREATE SCHEMA app; CREATE TABLE app.alert_events (id integer)", empty_database)
    environ = {"DATABASE_URL": server.url(empty_database)}
    status, message, _ = run_doctor(tmp_path, environ, code=1)["schema"]
    assert status == "problem"
    assert "the table app.alert_events isn't in the schema public" in message
    migrated = run("migrate", cwd=tmp_path, environ=environ)
    assert (migrated.returncode, migrated.stderr) == (2, f"vigilbase: {message}\n")
    assert server.execute("SELECT to_regnamespace('vigilbase')", empty_database) == [(None,)]


def test_doctor_and_migrate_role_named_vigilbase_is_warning(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    server.execute(f"CREATE ROLE vigilbase SUPERUSER LOGIN PASSWORD '{PASSWORD}'", "postgres")
    environ = {"DATABASE_URL": server.url(empty_database, user="vigilbase", password=PASSWORD)}
    try:
        migrated = run("migrate", cwd=tmp_path, environ=environ)
        role = run_doctor(tmp_path, environ, code=0)["role"]
    finally:
        server.execute("DROP OWNED BY vigilbase CASCADE", empty_database)
        server.execute("DROP ROLE vigilbase", "postgres")
    assert migrated.returncode == 0
    assert f"vigilbase: warning: {role[1]}: {role[2]}\n" in migrated.stderr
    assert role[0] == "warning"
    assert "vigilbase" in role[1]
    assert "search_path" in role[1]
    assert "ALTER ROLE vigilbase SET search_path = public" in role[2]


def test_doctor_home_that_is_file_is_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = run_doctor(tmp_path, {"VIGILBASE_HOME": str(tmp_path / "file")}, code=1)
    assert findings["data folder"][:2] == ("problem", f"{tmp_path / 'file'} is not a folder")
