"""Finding the command before importing anything for it."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from vigilbase.cli.lazy_commands import COMMANDS, find_command
from vigilbase.cli.main import make_app


@pytest.mark.parametrize(
    ("arguments", "command"),
    [([], None), (["status", "--json"], "status"), (["--help"], "--help"), (["nonsense"], "nonsense")],
)
def test_find_command_returns_first_argument(arguments: list[str], command: str | None) -> None:
    assert find_command(arguments) == command


@pytest.mark.parametrize(
    ("variable", "line", "command"),
    [
        ("COMP_WORDS", "vigilbase\nhistory\nweb", "history"),
        ("COMP_WORDS", "vigilbase\nal", None),
        ("COMP_WORDS", "vigilbase\n", None),
        ("_TYPER_COMPLETE_ARGS", "vigilbase alerts ", "alerts"),
        ("_TYPER_COMPLETE_ARGS", "vigilbase", None),
    ],
)
def test_find_command_shell_completion_returns_completed_command(
    monkeypatch: pytest.MonkeyPatch, variable: str, line: str, command: str | None
) -> None:
    monkeypatch.setenv("_VIGILBASE_COMPLETE", "complete_any")
    monkeypatch.setenv(variable, line)
    assert find_command([]) == command


def test_make_app_command_without_config_file_imports_no_probes_or_channels() -> None:
    program = (
        "import sys, vigilbase.cli.main as m\n"
        "for command in ('alerts', 'notifications', 'silence', 'history', 'migrate'):\n"
        "    m.make_app(command)\n"
        "    for room in ('probes', 'configfile', 'channels'):\n"
        "        assert f'vigilbase.{room}' not in sys.modules, f'{command} imports {room}'\n"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_make_app_single_command_shows_help() -> None:
    for command in COMMANDS:
        result = CliRunner().invoke(make_app(command), [command, "--help"])
        assert (result.exit_code, result.stderr) == (0, "")
        assert f" {command} " in result.stdout
