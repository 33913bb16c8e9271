"""Problems that a new user once had, through the installed command."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.support.command import run
from tests.support.server import PostgresServer
from vigilbase import AlertEventModel, CreateAlertEventData, CreateHealthCheckData, HealthCheckModel

ITSELF = "services:\n  - {name: itself, postgres: self}\n"


def test_db_dump_failure_keeps_existing_file(server: PostgresServer, database: str, tmp_path: Path) -> None:
    dump = tmp_path / "v.dump"
    environ = {"DATABASE_URL": server.url(database)}
    assert run("db", "dump", str(dump), cwd=tmp_path, environ=environ).returncode == 0
    before = dump.read_bytes()
    assert len(before) > 1000
    unreachable = {"DATABASE_URL": server.url("no_such_database")}
    assert run("db", "dump", str(dump), cwd=tmp_path, environ=unreachable).returncode == 2
    assert dump.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["v.dump"]
    assert dump.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", [["run"], ["status"], ["alerts", "list"], ["history", "api"]])
def test_commands_without_database_advise_up_and_create_nothing(command: list[str], home: Path, tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text(ITSELF)
    result = run(*command, cwd=tmp_path, environ={"VIGILBASE_HOME": str(home)})
    assert result.returncode == 2
    assert result.stderr.startswith(f"vigilbase: there is no database in {home} yet: `vigilbase up`")
    assert result.stderr.count("\n") == 1
    assert list(home.iterdir()) == []


def test_up_config_with_yml_extension_is_reported(tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yml").write_text(ITSELF)
    result = run("up", cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "rename it, or use `--config vigilbase.yml`" in result.stderr
    assert not (tmp_path / "vigilbase.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["statsu"], "no such command 'statsu'"),
        (["check", "--nope"], "no such option: --nope; see `vigilbase check --help`"),
        (["alerts", "resolve"], "missing argument 'ID'"),
        (["status", "--json", "more"], "got unexpected extra argument"),
    ],
)
def test_cli_invalid_command_line_is_one_line_error(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run(*arguments, cwd=tmp_path, environ={})
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"vigilbase: {message}")


@pytest.mark.parametrize("option", ["--version", "--help", "-h"])
def test_cli_version_and_help_options_print_text(option: str, tmp_path: Path) -> None:
    result = run(option, cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout


async def test_status_service_missing_from_config_is_not_monitored(backend: Backend, tmp_path: Path) -> None:
    for name in ("itself", "gone"):
        await HealthCheckModel.create(CreateHealthCheckData(name, "down"))
    await AlertEventModel.raise_alert(CreateAlertEventData("gone", "service_down", message="gone is down"))
    (tmp_path / "other.yaml").write_text(ITSELF)
    result = run("status", "--json", "--config", "other.yaml", cwd=tmp_path, environ={})
    monitored = {service["service_name"]: service["is_monitored"] for service in json.loads(result.stdout)["services"]}
    assert monitored == {"itself": True, "gone": False}
    table = run("status", "-c", "other.yaml", cwd=tmp_path, environ={}).stdout
    assert "not in the file" in table
    assert "`vigilbase alerts resolve ID`" in table
    unknown = json.loads(run("status", "--json", cwd=tmp_path, environ={}).stdout)
    assert {service["is_monitored"] for service in unknown["services"]} == {None}
    assert run("status", "-c", "none.yaml", cwd=tmp_path, environ={}).returncode == 2


def test_doctor_data_folder_unreachable_for_server_user_is_problem(tmp_path: Path) -> None:
    run("migrate", cwd=tmp_path, environ={"VIGILBASE_HOME": str(tmp_path / "closed")})  # creates that user
    (tmp_path / "closed").mkdir(mode=0o700, exist_ok=True)
    environ = {"VIGILBASE_HOME": str(tmp_path / "closed" / "home")}
    result = run("doctor", "--json", cwd=tmp_path, environ=environ)
    [folder] = [each for each in json.loads(result.stdout)["findings"] if each["subject"] == "data folder"]
    # Only root runs the server as another user, who can't reach this folder.
    assert folder["status"] == ("problem" if os.geteuid() == 0 else "ok")
    assert ("can't reach" in folder["message"]) == (os.geteuid() == 0)
