"""What a new user ran into once: by the installed command, so that it stays mended."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import SETTINGS, Backend
from tests.support.server import PostgresServer
from tests.support.watched import run
from vigilbase import AlertEventModel, CreateAlertEventData, CreateHealthCheckData, HealthCheckModel

ITSELF = "services:\n  - {name: itself, postgres: self}\n"


def _environ() -> dict[str, str]:
    return {name: value for name in SETTINGS if (value := os.environ.get(name))}


def test_a_dump_that_fails_leaves_the_one_that_is_there(server: PostgresServer, database: str, tmp_path: Path) -> None:
    dump = tmp_path / "v.dump"
    environ = {"DATABASE_URL": server.url(database)}
    assert run("db", "dump", str(dump), cwd=tmp_path, environ=environ).returncode == 0
    before = dump.read_bytes()
    assert len(before) > 1000
    away = {"DATABASE_URL": server.url("no_such_database")}
    assert run("db", "dump", str(dump), cwd=tmp_path, environ=away).returncode == 2
    assert dump.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["v.dump"]
    assert dump.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("command", [["run"], ["status"], ["alerts", "list"], ["history", "api"]])
def test_only_up_and_migrate_make_a_database(command: list[str], home: Path, tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text(ITSELF)
    done = run(*command, cwd=tmp_path, environ={"VIGILBASE_HOME": str(home)})
    assert done.returncode == 2
    assert done.stderr.startswith(f"vigilbase: there is no database in {home} yet: `vigilbase up`")
    assert done.stderr.count("\n") == 1
    assert list(home.iterdir()) == []


def test_a_file_with_another_ending_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yml").write_text(ITSELF)
    done = run("up", cwd=tmp_path, environ={})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "rename it, or say `--config vigilbase.yml`" in done.stderr
    assert not (tmp_path / "vigilbase.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["statsu"], "no such command 'statsu'"),
        (["check", "--nope"], "no such option: --nope; see `vigilbase check --help`"),
        (["alerts", "resolve"], "missing argument 'ID'"),
        (["status", "--json", "more"], "got unexpected extra argument"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path, environ={})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"vigilbase: {said}")


@pytest.mark.parametrize("option", ["--version", "--help", "-h"])
def test_the_usual_options_are_there(option: str, tmp_path: Path) -> None:
    done = run(option, cwd=tmp_path, environ={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


async def test_status_tells_which_services_are_in_no_file_any_more(backend: Backend, tmp_path: Path) -> None:
    for name in ("itself", "gone"):
        await HealthCheckModel.create(CreateHealthCheckData(name, "down"))
    await AlertEventModel.raise_alert(CreateAlertEventData("gone", "service_down", message="gone is down"))
    (tmp_path / "other.yaml").write_text(ITSELF)
    done = run("status", "--json", "--config", "other.yaml", cwd=tmp_path, environ=_environ())
    watched = {service["service_name"]: service["watched"] for service in json.loads(done.stdout)["services"]}
    assert watched == {"itself": True, "gone": False}
    table = run("status", "-c", "other.yaml", cwd=tmp_path, environ=_environ()).stdout
    assert "not watched" in table
    assert "`vigilbase alerts resolve ID`" in table
    unknown = json.loads(run("status", "--json", cwd=tmp_path, environ=_environ()).stdout)
    assert {service["watched"] for service in unknown["services"]} == {None}
    assert run("status", "-c", "none.yaml", cwd=tmp_path, environ=_environ()).returncode == 2


def test_the_doctor_tries_whether_the_folder_can_be_reached(tmp_path: Path) -> None:
    run("migrate", cwd=tmp_path, environ={"VIGILBASE_HOME": str(tmp_path / "closed")})  # makes that user
    (tmp_path / "closed").mkdir(mode=0o700, exist_ok=True)
    environ = {"VIGILBASE_HOME": str(tmp_path / "closed" / "home")}
    done = run("doctor", "--json", cwd=tmp_path, environ=environ)
    [folder] = [one for one in json.loads(done.stdout)["findings"] if one["subject"] == "data folder"]
    # Only root's server runs as another user, which this folder is closed to.
    assert folder["verdict"] == ("problem" if os.geteuid() == 0 else "ok")
    assert ("can't reach" in folder["found"]) == (os.geteuid() == 0)
