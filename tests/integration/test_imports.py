"""What the program imports: only what the command at hand needs, which decides how fast it starts."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.server import PostgresServer

FILE = """
services:
  - {name: website, http: "https://example.com"}
  - {name: resolver, dns: example.com}
  - {name: cache, redis: "redis://localhost"}
  - {name: itself, postgres: self}
channels:
  ops: {webhook: {url: "https://ops.example.com/hook", secret: "a long secret"}}
  team: {email: {to: [a@example.com], from: b@example.com, smtp: "smtp://localhost:25"}}
"""
SENDING = {"aiosmtplib", "apprise", "cryptography", "dns", "httpcore", "httpx", "jinja2", "redis"}
DATABASES = {"psycopg", "postgrest", "psutil", "platformdirs"}
FILES = {"yaml", "vigilbase.configfile", "vigilbase.probes", "vigilbase.channels"}
# Runs commands one after the other, and writes down the modules that are imported after each.
PROGRAM = """
import json, os, sys
from contextlib import suppress
imported = []
for arguments, environ in json.loads(sys.argv[1]):
    os.environ.update(environ)
    sys.argv[:] = ["vigilbase", *arguments]
    if arguments == ["import"]:
        from vigilbase import HealthCheckModel
    else:
        from vigilbase.cli.main import main
        with suppress(SystemExit):
            main()
    imported.append(list(sys.modules))
with open("modules", "w") as file:
    json.dump(imported, file)
"""


def list_imports(folder: Path, *commands: list[str], **environ: str) -> list[set[str]]:
    """The modules that are imported after each of some commands that run in one process."""
    return _list_imports(folder, [(command, {}) for command in commands], environ)


def list_imports_of_completion(folder: Path, *lines: str) -> list[set[str]]:
    """The modules that are imported after each of some lines was completed in one process."""
    commands: list[tuple[list[str], Mapping[str, str]]] = []
    for line in lines:
        words = ["vigilbase", *line.split(" ")]
        commands.append(([], {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}))
    return _list_imports(folder, commands, {"_VIGILBASE_COMPLETE": "complete_bash"})


def _list_imports(
    folder: Path, commands: Sequence[tuple[list[str], Mapping[str, str]]], environ: Mapping[str, str]
) -> list[set[str]]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, **environ},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return [set(imported) for imported in json.loads((folder / "modules").read_text())]


def test_package_import_imports_no_library(tmp_path: Path) -> None:
    [imported] = list_imports(tmp_path, ["import"])
    assert "vigilbase.models.health_check" in imported
    assert not imported & {*SENDING, *DATABASES, *FILES, "pydantic", "rich", "typer"}


def test_start_without_command_imports_typer_alone(tmp_path: Path) -> None:
    help_, *_, after_all = list_imports(tmp_path, ["--help"], ["--version"], ["nonsense"])
    assert "typer" in help_
    assert len(help_) <= 180
    assert not after_all & {*SENDING, *DATABASES, *FILES, "rich", "asyncio", "vigilbase.models", "vigilbase.views"}
    assert len(after_all) <= 300


def test_completion_imports_no_database_and_no_file(tmp_path: Path) -> None:
    lines = ["al", "alerts ", "status --", "channels ", "migrate --", "up --", "db ", "doctor --", "silence add --"]
    after_each = list_imports_of_completion(tmp_path, *lines)
    assert len(after_each) == len(lines)
    assert "typer" in after_each[0]
    assert not after_each[-1] & {*SENDING, *DATABASES, *FILES}
    assert len(after_each[-1]) <= 440


def test_command_that_lists_imports_nothing_that_probes_or_sends(
    tmp_path: Path, server: PostgresServer, database: str
) -> None:
    (tmp_path / "vigilbase.yaml").write_text(FILE)
    commands = [["alerts", "list"], ["history", "website"], ["status"], ["channels", "list"]]
    after_each = list_imports(tmp_path, *commands, DATABASE_URL=server.url(database))
    assert "psycopg" in after_each[0]
    assert not after_each[1] & (FILES - {"yaml"})
    assert not after_each[-1] & {*SENDING, "postgrest", "psutil", "vigilbase.runner.runner"}
    assert len(after_each[-1]) <= 640
