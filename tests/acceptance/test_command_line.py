"""The installed command: its output, its exit codes, and one line for each error."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.conftest import Backend
from tests.support.command import VIGILBASE, run, running
from tests.support.server import PostgresServer, free_port
from tests.support.supabase_api import SupabaseApi
from tests.support.waiting import wait_until
from tests.support.website import Website
from vigilbase import __version__
from vigilbase.database.file_locks import hold_exclusive
from vigilbase.database.migrate import discover_migrations

PASSWORD = "hunter2-hunter2"
PENDING = "".join(f"pending  {m.number:03}_{m.name}\n" for m in discover_migrations())


def _require_one_line_error(result: object, *phrases: str) -> None:
    returncode, stdout, stderr = (getattr(result, name) for name in ("returncode", "stdout", "stderr"))
    assert (returncode, stdout) == (2, "")
    assert stderr.startswith("vigilbase: ")
    assert all(phrase in stderr for phrase in phrases), stderr
    assert stderr.count("\n") == 1
    assert PASSWORD not in stderr


def test_up_first_start_creates_database_and_config(tmp_path: Path, home: Path) -> None:
    environ = {"VIGILBASE_HOME": str(home)}
    with running("up", cwd=tmp_path, environ=environ) as up:
        log = tmp_path / "events.log"
        wait_until(log.read_text, lambda text: "runner.started" in text)
        assert "postgres: self" in (tmp_path / "vigilbase.yaml").read_text()

        def read_status() -> str:
            return run("status", "--json", cwd=tmp_path, environ=environ).stdout

        [service] = json.loads(wait_until(read_status, lambda output: "vigilbase database" in output))["services"]
        assert (service["service_name"], service["status"], service["alert"]) == ("vigilbase database", "healthy", None)
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    assert "embedded_postgres.stopped" in log.read_text()
    assert re.search(r"runner\.stopped recorded=[1-9]\d* dropped=0", log.read_text())
    table = run("status", cwd=tmp_path, environ=environ).stdout.splitlines()
    assert table[0].split() == ["service", "status", "latency", "checked", "alert", "error"]
    assert table[1].split()[:3] == ["vigilbase", "database", "healthy"]


def test_up_frozen_embedded_server_does_not_delay_stop(tmp_path: Path, migrated_home: Path) -> None:
    with running("up", cwd=tmp_path, environ={"VIGILBASE_HOME": str(migrated_home)}) as up:
        wait_until((tmp_path / "events.log").read_text, lambda text: "runner.started" in text)
        postmaster = psutil.Process(int((migrated_home / "data/postmaster.pid").read_text().split()[0]))
        family = [postmaster, *postmaster.children()]
        for process in family:
            process.suspend()
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0  # a stop takes at most 10 s; one that awaits the server took two minutes
        for process in family:
            process.kill()
    wait_until(lambda: not postmaster.is_running())


def test_up_interrupt_while_another_process_holds_lock_ends_it(tmp_path: Path, migrated_home: Path) -> None:
    lock = migrated_home / "start.lock"
    with (
        hold_exclusive(lock, limit_s=60),
        running("up", cwd=tmp_path, environ={"VIGILBASE_HOME": str(migrated_home)}) as up,
    ):
        process = psutil.Process(up.pid)
        wait_until(lambda: str(lock) in [file.path for file in process.open_files()])
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0


def test_check_probes_each_service_once_and_exit_code_reports_failure(tmp_path: Path) -> None:
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


async def test_status_markup_and_control_characters_are_shown_as_text(backend: Backend, tmp_path: Path) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, latency_ms, error_message) "
        "VALUES ('[red]evil', 'down', 7, E'\\x1b[31mred\\nsecond line')"
    )
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) "
        "VALUES ('[red]evil', 'service_down', 'acknowledged')"
    )
    result = run("status", cwd=tmp_path, environ={})
    assert result.returncode == 0
    assert "\x1b" not in result.stdout
    line = result.stdout.splitlines()[1]
    assert "[red]evil" in line
    assert "down, acknowledged, " in line
    assert r"\x1b[31mred\nsecond line" in line
    [service] = json.loads(run("status", "--json", cwd=tmp_path, environ={}).stdout)["services"]
    assert service["error_message"] == "\x1b[31mred\nsecond line"


async def test_status_empty_database_advises_up(backend: Backend, tmp_path: Path) -> None:
    result = run("status", cwd=tmp_path, environ={})
    assert result.stdout == "No checks are recorded yet: start `vigilbase up`.\n"


def test_migrate_prints_pending_and_applied_migrations(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": server.url(empty_database)}
    check = run("migrate", "--check", cwd=tmp_path, environ=environ)
    assert (check.returncode, check.stdout) == (1, PENDING)
    applied = run("migrate", cwd=tmp_path, environ=environ)
    assert (applied.returncode, applied.stdout) == (0, PENDING.replace("pending", "applied"))
    for arguments in (["migrate"], ["migrate", "--check"]):
        again = run(*arguments, cwd=tmp_path, environ=environ)
        assert (again.returncode, again.stdout) == (0, "Nothing is pending.\n")


def test_migrate_print_output_run_by_psql_leaves_nothing_pending(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": server.url(empty_database)}
    script = tmp_path / "vigilbase.sql"
    script.write_text(run("migrate", "--print", cwd=tmp_path, environ={}).stdout)
    for _ in range(2):
        result = run("db", "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), cwd=tmp_path, environ=environ)
        assert result.returncode == 0
    assert run("migrate", "--check", cwd=tmp_path, environ=environ).stdout == "Nothing is pending.\n"


def test_migrate_supabase_writes_files_once(tmp_path: Path) -> None:
    _require_one_line_error(run("migrate", "--supabase", ".", cwd=tmp_path, environ={}), "run `supabase init`")
    (tmp_path / "supabase").mkdir()
    first = run("migrate", "--supabase", ".", cwd=tmp_path, environ={})
    assert [line.split()[0] for line in first.stdout.splitlines()] == ["written"] * len(discover_migrations())
    assert (tmp_path / "supabase/migrations/20261124000012_vigilbase_012_create_monitoring_tables.sql").is_file()
    assert run("migrate", "--supabase", ".", cwd=tmp_path, environ={}).stdout == first.stdout.replace(
        "written", "kept   "
    )


def test_migrate_only_supabase_keys_explains_three_alternatives(supabase_api: SupabaseApi, tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": supabase_api.url, "SUPABASE_SECRET_KEY": supabase_api.secret_key}
    result = run("migrate", cwd=tmp_path, environ=environ)
    _require_one_line_error(result, "the Supabase Data API can't create tables")
    for way in ("set DATABASE_URL", "`vigilbase migrate --print`", "`vigilbase migrate --supabase DIR`"):
        assert way in result.stderr


@pytest.mark.parametrize("granted", ["SELECT ON ALL TABLES", "ALL ON ALL TABLES"])
def test_commands_row_security_hides_rows_error_advises_other_role(
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
    error = (
        f"vigilbase: row-level security hides the rows from the role {role}: "
        "connect as the tables' owner, or as a role with BYPASSRLS such as service_role\n"
    )
    try:
        for command in ("status", "run", "up", "alerts list", "migrate", "migrate --check"):
            result = run(*command.split(), cwd=tmp_path, environ=environ)
            assert (result.returncode, result.stdout, result.stderr) == (2, "", error), command
        doctor = run("doctor", cwd=tmp_path, environ=environ)
        assert (doctor.returncode, doctor.stderr) == (1, "")
        assert f"row-level security hides the rows from the role {role}" in doctor.stdout
        assert "vigilbase migrate" not in doctor.stdout
    finally:
        server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", database)


@pytest.mark.parametrize("command", [["status"], ["up"], ["migrate", "--check"]])
def test_commands_invalid_setting_is_one_line_error(command: list[str], tmp_path: Path) -> None:
    cases = {
        "DATABASE_URL is malformed": {"DATABASE_URL": f"postgresql://u:{PASSWORD}@h:port/d"},
        "is a publishable (anon) key": {
            "SUPABASE_URL": "https://x.supabase.co",
            "SUPABASE_SECRET_KEY": "sb_publishable_x",
        },
        "set SUPABASE_SECRET_KEY to": {"SUPABASE_URL": "https://x.supabase.co"},
        "onnection refused": {"DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/d"},
        "connect": {
            "SUPABASE_URL": f"http://127.0.0.1:{free_port()}",
            "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}",
        },
    }
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: 'localhost:1'}]")
    for phrase, environ in cases.items():
        _require_one_line_error(run(*command, cwd=tmp_path, environ=environ), phrase)


def test_status_missing_schema_error_advises_migrate(
    server: PostgresServer, empty_database: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": server.url(empty_database)}
    _require_one_line_error(run("status", cwd=tmp_path, environ=environ), "run `vigilbase migrate`")


@pytest.mark.parametrize("command", [["up"], ["check"]])
def test_commands_invalid_config_is_one_line_error(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: a, tcp: nowhere}]")
    _require_one_line_error(
        run(*command, cwd=tmp_path, environ={}), "vigilbase.yaml:1: services[0] (a).tcp: must be HOST"
    )


def test_check_missing_file_is_one_line_error(tmp_path: Path) -> None:
    result = run("check", "-c", "other.yaml", cwd=tmp_path, environ={})
    _require_one_line_error(result, "vigilbase: other.yaml: ", "`vigilbase up`", "--config")


@pytest.mark.parametrize("command", [["check"], ["up"]])
def test_commands_endless_file_is_rejected(command: list[str], tmp_path: Path) -> None:
    _require_one_line_error(
        run(*command, "-c", "/dev/zero", cwd=tmp_path, environ={}), "/dev/zero: must be at most 5 MB"
    )


def test_check_file_over_5_mb_is_rejected(tmp_path: Path) -> None:
    config = "services: [{name: a, tcp: nowhere}]\n"
    (tmp_path / "vigilbase.yaml").write_text(config + "#" * (5_000_000 - len(config)))
    _require_one_line_error(
        run("check", cwd=tmp_path, environ={}), "vigilbase.yaml:1: services[0] (a).tcp: must be HOST"
    )
    with (tmp_path / "vigilbase.yaml").open("a") as file:
        file.write("#")
    _require_one_line_error(run("check", cwd=tmp_path, environ={}), "vigilbase.yaml: must be at most 5 MB")


@pytest.mark.parametrize("missing", [("stdin", "stdout", "stderr"), ("stdout",), ("stderr",)])
def test_commands_missing_standard_stream_exits_0(
    missing: tuple[str, ...], server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """Python represents a closed stream as None."""
    environ = {"DATABASE_URL": server.url(database)}
    for arguments in ("version", "schema", "migrate --print", "status --json", "db url", "--help"):
        result = run(*arguments.split(), cwd=tmp_path, environ=environ, missing=missing)
        assert (result.returncode, result.stderr) == (0, ""), arguments
        assert bool(result.stdout) is ("stdout" not in missing), arguments


@pytest.mark.parametrize(("arguments", "closed"), [("status --json", "<&- >&- 2>&-"), ("version", "2>&-")])
def test_module_closed_descriptor_exits_0(
    arguments: str, closed: str, server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """A connection that gets the descriptor would receive the output."""
    environ = {**os.environ, "DATABASE_URL": server.url(database)}
    command = f"{sys.executable} -m vigilbase {arguments} {closed}"
    result = subprocess.run(
        command, cwd=tmp_path, env=environ, shell=True, capture_output=True, text=True, check=False, timeout=120
    )
    printed = f"{__version__}\n" if arguments == "version" else ""
    assert (result.returncode, result.stdout, result.stderr) == (0, printed, "")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_check_reader_closes_pipe_exit_code_is_not_that_of_a_service_down(
    options: list[str], website: Website, tmp_path: Path
) -> None:
    (tmp_path / "vigilbase.yaml").write_text(
        f"services:\n  - {{name: website, http: 'http://127.0.0.1:{website.port}/'}}\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    command = [VIGILBASE, "check", *options]
    result = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=120)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


def test_check_encoding_without_a_character_prints_its_escape(tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text(
        f"services:\n  - {{name: bücher, tcp: '127.0.0.1:{free_port()}'}}\n", encoding="utf-8"
    )
    result = run("check", cwd=tmp_path, environ={}, encoding="ascii")
    assert (result.returncode, result.stderr) == (1, "")
    assert "b\\xfccher" in result.stdout


def test_check_unreadable_or_malformed_file_is_one_line_error(tmp_path: Path) -> None:
    _require_one_line_error(run("check", "-c", "x" * 300, cwd=tmp_path, environ={}), "File name too long")
    for text, phrase in {
        "name: 2024-13-45": "name: must be text",
        "a: !!int z": "a: is not",
        "[" * 3000: "invalid YAML: ",
    }.items():
        (tmp_path / "vigilbase.yaml").write_text(text)
        _require_one_line_error(run("check", cwd=tmp_path, environ={}), f"vigilbase.yaml:1: {phrase}")


def test_db_url_only_supabase_keys_error_advises_database_url(tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SECRET_KEY": f"sb_secret_{PASSWORD}"}
    _require_one_line_error(
        run("db", "url", cwd=tmp_path, environ=environ), "set DATABASE_URL to the project's connection"
    )


def test_db_url_hides_password(server: PostgresServer, tmp_path: Path) -> None:
    result = run("db", "url", cwd=tmp_path, environ={"DATABASE_URL": server.url("app", password=PASSWORD)})
    assert result.stdout == f"postgresql://postgres:*****@127.0.0.1:{server.port}/app\n"


def test_db_psql_returns_output_and_exit_code_of_psql(server: PostgresServer, database: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": server.url(database)}
    assert run("db", "psql", "-Atc", "SELECT 6 * 7", cwd=tmp_path, environ=environ).stdout == "42\n"
    assert run("db", "psql", "-c", "SELECT nonsense", cwd=tmp_path, environ=environ).returncode == 1


def test_version_prints_package_version(tmp_path: Path) -> None:
    assert run("version", cwd=tmp_path, environ={}).stdout == f"{__version__}\n"


async def test_status_marks_stale_services_and_shows_worst_alert(each_backend: Backend, tmp_path: Path) -> None:
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) VALUES "
        "('fresh', 'degraded', now()), ('late', 'healthy', now() - interval '1 hour'), ('unlisted', 'healthy', now())"
    )
    each_backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at) VALUES "
        "('fresh', 'service_degraded', 'active', now()), "
        "('late', 'service_degraded', 'active', now() - interval '2 hours'), ('late', 'service_down', 'active', now())"
    )

    def find_services() -> dict[str, tuple[bool | None, str | None]]:
        services = json.loads(run("status", "--json", cwd=tmp_path, environ={}).stdout)["services"]
        return {s["service_name"]: (s["is_stale"], s["alert"] and s["alert"]["alert_type"]) for s in services}

    alerts = {"fresh": "service_degraded", "late": "service_down", "unlisted": None}
    assert find_services() == {name: (None, alert) for name, alert in alerts.items()}
    listed = ", ".join(f"{{name: {name}, tcp: 'localhost:1', interval: 5m}}" for name in ("fresh", "late"))
    (tmp_path / "vigilbase.yaml").write_text(f"services: [{listed}]")
    stale = {"fresh": False, "late": True, "unlisted": None}
    assert find_services() == {name: (stale[name], alert) for name, alert in alerts.items()}
    assert "1h ago, stale" in run("status", cwd=tmp_path, environ={}).stdout
