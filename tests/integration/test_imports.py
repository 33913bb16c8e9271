"""What the program imports: only what the command at hand needs, which decides how fast it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
# Prints the modules that are imported once the program has ended, whatever it printed itself.
PROGRAM = """
import atexit, os, sys
modules = os.open(os.environ["MODULES"], os.O_WRONLY | os.O_CREAT)
atexit.register(lambda: os.write(modules, "\\n".join(sys.modules).encode()))
sys.argv[0] = "vigilbase"
from vigilbase.cli.main import main
main()
"""


def list_imports(folder: Path, program: str, *arguments: str, **environ: str) -> set[str]:
    """The modules that a program imports."""
    modules = folder / "modules"
    subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**os.environ, "MODULES": str(modules), **environ},
        check=False,
        capture_output=True,
        text=True,
    )
    return set(modules.read_text().split("\n"))


@pytest.mark.parametrize(("arguments", "most"), [(["--help"], 180), (["--version"], 220), (["nonsense"], 300)])
def test_start_without_command_imports_typer_alone(tmp_path: Path, arguments: list[str], most: int) -> None:
    imported = list_imports(tmp_path, PROGRAM, *arguments)
    assert "typer" in imported
    assert not imported & {*SENDING, *DATABASES, *FILES, "rich", "asyncio", "vigilbase.models", "vigilbase.views"}
    assert len(imported) <= most


@pytest.mark.parametrize("line", ["al", "alerts ", "status --", "channels ", "migrate --", "up --", "db ", "doctor --"])
def test_completion_imports_no_database_and_no_file(tmp_path: Path, line: str) -> None:
    words = ["vigilbase", *line.split(" ")]
    imported = list_imports(
        tmp_path,
        PROGRAM,
        _VIGILBASE_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
    )
    assert "typer" in imported
    assert not imported & {*SENDING, *DATABASES, *FILES}
    assert len(imported) <= 440


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["alerts", "list"], FILES - {"yaml"}),
        (["history", "website"], FILES - {"yaml"}),
        (["status"], set()),
        (["channels", "list"], set()),
    ],
)
def test_command_that_lists_imports_nothing_that_probes_or_sends(
    tmp_path: Path, server: PostgresServer, database: str, arguments: list[str], unneeded: set[str]
) -> None:
    (tmp_path / "vigilbase.yaml").write_text(FILE)
    imported = list_imports(tmp_path, PROGRAM, *arguments, DATABASE_URL=server.url(database))
    assert "psycopg" in imported
    assert not imported & {*SENDING, *unneeded, "postgrest", "psutil", "vigilbase.runner.runner"}
    assert len(imported) <= 610


def test_package_import_imports_no_library(tmp_path: Path) -> None:
    program = PROGRAM.replace("from vigilbase.cli.main import main\nmain()", "from vigilbase import HealthCheckModel")
    imported = list_imports(tmp_path, program)
    assert "vigilbase.models.health_check" in imported
    assert not imported & {*SENDING, *DATABASES, *FILES, "pydantic", "rich", "typer"}
