"""The installed command: what it prints, its exit codes, and one line for each mistake."""

import json
import os
import signal
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import SETTINGS, Backend
from tests.support.server import PostgresServer, free_port
from tests.support.supabase_api import SupabaseApi
from tests.support.watched import Website, eventually, run, running
from vigilbase import __version__
from vigilbase.database.migrate import discover

PASSWORD = "hunter2-hunter2"
PENDING = "".join(f"pending  {m.number:03}_{m.name}\n" for m in discover())


def _environ() -> dict[str, str]:
    return {name: value for name in SETTINGS if (value := os.environ.get(name))}


def _require_one_line(result: object, said: str) -> None:
    returncode, stdout, stderr = (getattr(result, name) for name in ("returncode", "stdout", "stderr"))
    assert (returncode, stdout) == (2, "")
    assert stderr.startswith("vigilbase: ")
    assert said in stderr
    assert stderr.count("\n") == 1
    assert PASSWORD not in stderr


def test_the_first_up_brings_a_database_and_writes_a_file_that_watches_it(tmp_path: Path, home: Path) -> None:
    environ = {"VIGILBASE_HOME": str(home)}
    with running("up", cwd=tmp_path, environ=environ) as up:
        log = tmp_path / "events.log"
        eventually(log.read_text, lambda seen: "runner.started" in seen)
        assert "postgres: self" in (tmp_path / "vigilbase.yaml").read_text()

        def first_check() -> str:
            return run("status", "--json", cwd=tmp_path, environ=environ).stdout

        [service] = json.loads(eventually(first_check, lambda seen: "vigilbase database" in seen))["services"]
        assert (service["service_name"], service["status"], service["alert"]) == ("vigilbase database", "healthy", None)
        up.send_signal(signal.SIGINT)
        assert up.wait(10) == 0
    assert "embedded_postgres.stopped" in log.read_text()
    assert "runner.stopped recorded=1 lost=0" in log.read_text()
    table = run("status", cwd=tmp_path, environ=environ).stdout.splitlines()
    assert table[0].split() == ["service", "status", "latency", "checked", "alert", "error"]
    assert table[1].split()[:3] == ["vigilbase", "database", "healthy"]


def test_check_probes_everything_once_and_tells_by_its_exit_code(tmp_path: Path) -> None:
    website = Website(free_port())
    website.start()
    (tmp_path / "vigilbase.yaml").write_text(
        f"services:\n  - {{name: '[bold]web', http: 'http://127.0.0.1:{website.port}/'}}\n"
        f"  - {{name: port, tcp: '127.0.0.1:{website.port}'}}\n"
    )
    result = run("check", cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:]] == [
        ["[bold]web", "http", "healthy"],
        ["port", "tcp", "healthy"],
    ]
    website.stop()
    result = run("check", "--json", cwd=tmp_path, environ={})
    assert result.returncode == 1
    checks = json.loads(result.stdout)["checks"]
    assert [(c["service_name"], c["status"], c["error_message"]) for c in checks] == [
        ("[bold]web", "down", "connection refused"),
        ("port", "down", "connection refused"),
    ]
    assert set(checks[0]) == {
        "service_name", "kind", "status", "latency_ms", "checked_at", "error_message", "probe_details"
    }  # fmt: skip


async def test_status_shows_what_a_service_says_as_text(backend: Backend, tmp_path: Path) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, latency_ms, error_message) "
        "VALUES ('[red]evil', 'down', 7, E'\\x1b[31mred\\nsecond line')"
    )
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) "
        "VALUES ('[red]evil', 'service_down', 'acknowledged')"
    )
    result = run("status", cwd=tmp_path, environ=_environ())
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    line = result.stdout.splitlines()[1]
    assert "[red]evil" in line
    assert "service_down, acknowledged" in line
    assert r"\x1b[31mred\nsecond line" in line
    [service] = json.loads(run("status", "--json", cwd=tmp_path, environ=_environ()).stdout)["services"]
    assert service["error_message"] == "\x1b[31mred\nsecond line"


async def test_status_of_an_empty_database_says_what_to_do(backend: Backend, tmp_path: Path) -> None:
    result = run("status", cwd=tmp_path, environ=_environ())
    assert result.stdout == "Nothing has been recorded yet: `vigilbase up` watches and records.\n"


def test_migrate_says_what_it_does(server: PostgresServer, empty_database: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": server.url(empty_database)}
    check = run("migrate", "--check", cwd=tmp_path, environ=environ)
    assert (check.returncode, check.stdout) == (1, PENDING)
    applied = run("migrate", cwd=tmp_path, environ=environ)
    assert (applied.returncode, applied.stdout) == (0, PENDING.replace("pending", "applied"))
    for arguments in (["migrate"], ["migrate", "--check"]):
        again = run(*arguments, cwd=tmp_path, environ=environ)
        assert (again.returncode, again.stdout) == (0, "Nothing is pending.\n")


def test_printed_sql_run_by_psql_leaves_nothing_pending(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": server.url(empty_database)}
    script = tmp_path / "vigilbase.sql"
    script.write_text(run("migrate", "--print", cwd=tmp_path, environ={}).stdout)
    for _ in range(2):
        done = run("db", "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), cwd=tmp_path, environ=environ)
        assert done.returncode == 0
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).stdout == "Nothing is pending.\n"


def test_files_for_a_supabase_project_are_written_once(tmp_path: Path) -> None:
    _require_one_line(run("migrate", "--supabase", ".", cwd=tmp_path, environ={}), "run `supabase init`")
    (tmp_path / "supabase").mkdir()
    first = run("migrate", "--supabase", ".", cwd=tmp_path, environ={})
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["written"] * len(discover())
    assert (tmp_path / "supabase/migrations/20261124000012_vigilbase_012_create_monitoring_tables.sql").is_file()
    assert run("migrate", "--supabase", ".", cwd=tmp_path, environ={}).stdout == first.stdout.replace(
        "written", "kept   "
    )


def test_with_only_supabase_keys_migrate_explains_the_three_ways(supabase_api: SupabaseApi, tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": supabase_api.url, "SUPABASE_SECRET_KEY": supabase_api.secret_key}
    result = run("migrate", cwd=tmp_path, environ=environ)
    _require_one_line(result, "the Supabase Data API can't create tables")
    for way in ("set DATABASE_URL", "`vigilbase migrate --print`", "`vigilbase migrate --supabase DIR`"):
        assert way in result.stderr


@pytest.mark.parametrize("granted", ["SELECT ON ALL TABLES", "ALL ON ALL TABLES"])
def test_a_role_that_row_level_security_blinds_is_told_so_and_not_to_migrate(
    server: PostgresServer, database: str, tmp_path: Path, granted: str
) -> None:
    role = f"low_{uuid4().hex[:12]}"
    server.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT USAGE ON SCHEMA vigilbase TO {role};"
        f"GRANT {granted} IN SCHEMA public, vigilbase TO {role};"
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, vigilbase TO "
        f"{role if granted.startswith('ALL') else 'postgres'}",
        database,
    )
    environ = {"DATABASE_URL": server.url(database, user=role, password=PASSWORD)}
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: itself, postgres: self}]")
    said = (
        f"vigilbase: row-level security hides the rows from the role {role}: "
        "connect as the tables' owner, or as a role with BYPASSRLS such as service_role\n"
    )
    try:
        for command in ("status", "run", "up", "alerts list", "migrate", "migrate --check"):
            result = run(*command.split(), cwd=tmp_path, environ=environ)
            assert (result.returncode, result.stdout, result.stderr) == (2, "", said), command
        doctor = run("doctor", cwd=tmp_path, environ=environ)
        assert (doctor.returncode, doctor.stderr) == (1, "")
        assert f"row-level security hides the rows from the role {role}" in doctor.stdout
        assert "vigilbase migrate" not in doctor.stdout
    finally:
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)


@pytest.mark.parametrize("command", [["status"], ["up"], ["migrate", "--check"]])
def test_a_wrong_setting_ends_a_command_with_one_line(command: list[str], tmp_path: Path) -> None:
    cases = {
        "DATABASE_URL is malformed": {"DATABASE_URL": f"postgresql://u:{PASSWORD}@h:port/d"},
        "is a publishable (anon) one": {
            "SUPABASE_URL": "https://x.supabase.co",
            "SUPABASE_SECRET_KEY": "sb_publishable_x",
        },
        "no Supabase key": {"SUPABASE_URL": "https://x.supabase.co"},
        "onnection refused": {"DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/d"},
        "connect": {
            "SUPABASE_URL": f"http://127.0.0.1:{free_port()}",
            "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}",
        },
    }
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: 'localhost:1'}]")
    for said, environ in cases.items():
        _require_one_line(run(*command, cwd=tmp_path, environ=environ), said)


def test_a_database_without_the_schema_is_told_from_an_empty_one(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": server.url(empty_database)}
    _require_one_line(run("status", cwd=tmp_path, environ=environ), "run `vigilbase migrate`")


@pytest.mark.parametrize("command", [["up"], ["check"]])
def test_a_mistake_in_the_file_ends_a_command_with_one_line(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: nowhere}]")
    _require_one_line(run(*command, cwd=tmp_path, environ={}), "vigilbase.yaml:1: services[0] (a).tcp: must be HOST")


def test_check_without_a_file_says_so(tmp_path: Path) -> None:
    _require_one_line(run("check", "-c", "other.yaml", cwd=tmp_path, environ={}), "other.yaml: there is no such file")


@pytest.mark.parametrize("command", [["check"], ["up"]])
def test_a_file_without_end_is_not_read_to_its_end(command: list[str], tmp_path: Path) -> None:
    _require_one_line(run(*command, "-c", "/dev/zero", cwd=tmp_path, environ={}), "/dev/zero: is larger than 5 MB")


def test_a_file_of_5_mb_is_read_and_one_more_byte_is_too_much(tmp_path: Path) -> None:
    spec = "services: [{name: a, tcp: nowhere}]\n"
    (tmp_path / "vigilbase.yaml").write_text(spec + "#" * (5_000_000 - len(spec)))
    _require_one_line(run("check", cwd=tmp_path, environ={}), "vigilbase.yaml:1: services[0] (a).tcp: must be HOST")
    with (tmp_path / "vigilbase.yaml").open("a") as file:
        file.write("#")
    _require_one_line(run("check", cwd=tmp_path, environ={}), "vigilbase.yaml: is larger than 5 MB")


@pytest.mark.parametrize("arguments", ["version", "schema", "migrate --print", "status --json", "db url", "--help"])
@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_a_command_whose_output_is_closed_ends_as_any_other(
    arguments: str, closed: str, server: PostgresServer, database: str, tmp_path: Path
) -> None:
    import subprocess

    environ = {**os.environ, "DATABASE_URL": server.url(database)}
    command = f"{sys.executable} -m vigilbase {arguments} {closed}"
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, shell=True, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) is (closed == "2>&-")


def test_what_the_system_refuses_is_one_line_too(tmp_path: Path) -> None:
    _require_one_line(run("check", "-c", "x" * 300, cwd=tmp_path, environ={}), "File name too long")
    for text, said in {
        "name: 2024-13-45": "name: must be text",
        "a: !!int z": "a: is not",
        "[" * 3000: "is no YAML",
    }.items():
        (tmp_path / "vigilbase.yaml").write_text(text)
        _require_one_line(run("check", cwd=tmp_path, environ={}), f"vigilbase.yaml:1: {said}")


def test_db_with_only_supabase_keys_says_what_it_needs(tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}"}
    _require_one_line(run("db", "url", cwd=tmp_path, environ=environ), "set DATABASE_URL to the project's connection")


def test_the_url_of_the_database_shows_no_password(server: PostgresServer, tmp_path: Path) -> None:
    result = run("db", "url", cwd=tmp_path, environ={"DATABASE_URL": server.url("app", password=PASSWORD)})
    assert result.stdout == f"postgresql://postgres:*****@127.0.0.1:{server.port}/app\n"


def test_psql_ends_as_psql_ends(server: PostgresServer, database: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": server.url(database)}
    assert run("db", "psql", "-Atc", "SELECT 6 * 7", cwd=tmp_path, environ=environ).stdout == "42\n"
    assert run("db", "psql", "-c", "SELECT nonsense", cwd=tmp_path, environ=environ).returncode == 1


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert run("version", cwd=tmp_path, environ={}).stdout == f"{__version__}\n"


def test_the_module_is_the_command(tmp_path: Path) -> None:
    import subprocess

    command = [sys.executable, "-m", "vigilbase", "version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == f"{__version__}\n"


async def test_status_says_what_is_stale_and_which_alert_matters_most(backend: Backend, tmp_path: Path) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) VALUES "
        "('fresh', 'degraded', now()), ('late', 'healthy', now() - interval '1 hour'), ('unlisted', 'healthy', now())"
    )
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at) VALUES "
        "('fresh', 'service_degraded', 'active', now()), "
        "('late', 'service_degraded', 'active', now() - interval '2 hours'), ('late', 'service_down', 'active', now())"
    )

    def services() -> dict[str, tuple[bool | None, str | None]]:
        found = json.loads(run("status", "--json", cwd=tmp_path, environ={}).stdout)["services"]
        return {s["service_name"]: (s["stale"], s["alert"] and s["alert"]["alert_type"]) for s in found}

    alerts = {"fresh": "service_degraded", "late": "service_down", "unlisted": None}
    assert services() == {name: (None, alert) for name, alert in alerts.items()}
    listed = ", ".join(f"{{name: {name}, tcp: 'localhost:1', every: 5m}}" for name in ("fresh", "late"))
    (tmp_path / "vigilbase.yaml").write_text(f"services: [{listed}]")
    stale = {"fresh": False, "late": True, "unlisted": None}
    assert services() == {name: (stale[name], alert) for name, alert in alerts.items()}
    assert "1 h ago, stale" in run("status", cwd=tmp_path, environ={}).stdout
