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
from tests.support.watched import run
from vigilbase import __version__
from vigilbase.database.migrate import apply_pending, discover

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
    findings = examine(tmp_path, code=0)
    assert set(verdicts(findings).values()) == {"ok"}
    assert __version__ in findings["version"][1]
    assert findings["configuration"][1] == "vigilbase.yaml: 2 services"
    assert findings["connection"][1].startswith("reached in ")
    assert "PostgreSQL 18" in findings["connection"][1]
    assert findings["role"][1].endswith(", which sees every row")
    assert findings["schema"][1] == f"up to date, at migration {LATEST}"
    assert findings["privileges"][1].startswith("all of 8 tables and ")
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
    assert found.startswith("pending: 012_create_monitoring_tables, 013_create_data_layer, ")
    assert [verdicts(findings)[subject] for subject in ("role", "privileges", "clock")] == ["warning"] * 3


async def test_an_older_schema_is_to_be_migrated(server: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    await apply_pending(server.url(empty_database), [migration for migration in discover() if migration.number < 15])
    findings = examine(tmp_path, {"DATABASE_URL": server.url(empty_database)}, code=1)
    assert findings["schema"][1].startswith("pending: 015_")
    assert (findings["role"][0], findings["privileges"][0], findings["clock"][0]) == ("ok", "warning", "ok")


async def test_an_embedded_database_migrates_by_itself(home: Path, tmp_path: Path) -> None:
    environ = {"VIGILBASE_HOME": str(home)}
    assert run("db", "psql", "-c", "SELECT 1", cwd=tmp_path, environ=environ).returncode == 0  # makes it, empty
    findings = examine(tmp_path, environ, code=0)
    assert findings["schema"][0] == "warning"
    assert findings["schema"][2] == "the next `vigilbase up` applies it"


@pytest.mark.parametrize("lost", ["TABLE alert_events", "FUNCTION vigilbase_record_v2"])
def test_what_was_lost_after_its_migration_is_noticed(
    server: PostgresServer, database: str, tmp_path: Path, lost: str
) -> None:
    environ = {"DATABASE_URL": server.url(database)}
    server.execute(f"DROP {lost} CASCADE", database)
    kind, name = lost.split()
    check = run("migrate", "--check", cwd=tmp_path, environ=environ)
    assert (check.returncode, check.stderr) == (1, "")
    assert check.stdout.startswith(f"missing  {kind.lower()} {name}\n")
    assert "`vigilbase migrate --print | vigilbase db psql -v ON_ERROR_STOP=1`" in check.stdout
    verdict, found, advice = examine(tmp_path, environ, code=1)["schema"]
    assert (verdict, found) == ("problem", f"missing, though its migration is applied: {kind.lower()} {name}")
    assert "vigilbase migrate --print" in advice
    # And what it says helps.
    (tmp_path / "again.sql").write_text(run("migrate", "--print", cwd=tmp_path, environ=environ).stdout)
    done = run("db", "psql", "-qv", "ON_ERROR_STOP=1", "-f", "again.sql", cwd=tmp_path, environ=environ)
    assert done.returncode == 0
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).stdout == "Nothing is pending.\n"


def test_a_lost_table_is_noticed_through_the_data_api_as_well(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    with run_supabase_api(server, database, tmp_path) as api:  # one of its own, as it remembers the schema
        server.execute("DROP TABLE alert_events", database)
        environ = {"SUPABASE_URL": api.url, "SUPABASE_SECRET_KEY": api.secret_key}
        findings = examine(tmp_path, environ, code=1)
    assert findings["schema"][1] == "missing, though its migration is applied: table alert_events"


def test_without_the_function_that_tells_it_says_that_this_one_is_missing(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    server.execute("DROP FUNCTION vigilbase_privileges_v1", database)
    findings = examine(tmp_path, {"DATABASE_URL": server.url(database)}, code=1)
    assert findings["schema"][1].endswith("function vigilbase_privileges_v1")


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
            f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};"
            f"GRANT EXECUTE ON FUNCTION vigilbase_access_v1, vigilbase_privileges_v1 TO {role}",
            database,
        )
        findings = examine(tmp_path, environ, code=1)
    finally:
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)
    assert findings["role"][1] == f"row-level security hides the rows from the role {role}"
    lacking = findings["privileges"][1]
    assert "INSERT on alert_events" in lacking
    assert "EXECUTE on vigilbase_record_v1" in lacking
    assert "SELECT" not in lacking
    assert "on vigilbase_migrations" not in lacking
    # The ledger is hidden as well: that nothing is in it means nothing.
    assert findings["schema"] == findings["role"] != findings["privileges"]
    assert findings["role"][2] == "connect as the tables' owner, or as a role with BYPASSRLS such as service_role"


def test_a_home_that_can_not_be_one_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = examine(tmp_path, {"VIGILBASE_HOME": str(tmp_path / "file")}, code=1)
    assert findings["data folder"][:2] == ("problem", f"{tmp_path / 'file'} is no folder")
