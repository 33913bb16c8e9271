"""Which command is asked for, before anything is imported for it."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from vigilbase.cli.asked import asked_command
from vigilbase.cli.main import COMMANDS, make_app


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [([], None), (["status", "--json"], "status"), (["--help"], "--help"), (["nonsense"], "nonsense")],
)
def test_the_first_argument_is_the_command(arguments: list[str], asked: str | None) -> None:
    assert asked_command(arguments) == asked


@pytest.mark.parametrize(
    ("variable", "line", "asked"),
    [
        ("COMP_WORDS", "vigilbase\nhistory\nweb", "history"),
        ("COMP_WORDS", "vigilbase\nal", None),
        ("COMP_WORDS", "vigilbase\n", None),
        ("_TYPER_COMPLETE_ARGS", "vigilbase alerts ", "alerts"),
        ("_TYPER_COMPLETE_ARGS", "vigilbase", None),
    ],
)
def test_of_a_line_that_a_shell_completes_the_command_is_that_which_is_complete(
    monkeypatch: pytest.MonkeyPatch, variable: str, line: str, asked: str | None
) -> None:
    monkeypatch.setenv("_VIGILBASE_COMPLETE", "complete_any")
    monkeypatch.setenv(variable, line)
    assert asked_command([]) == asked


@pytest.mark.parametrize("command", ["alerts", "deliveries", "silence", "history", "migrate"])
def test_a_command_that_reads_no_file_imports_neither_probes_nor_channels(command: str) -> None:
    program = f"import sys, vigilbase.cli.main as m; m.make_app({command!r}); print(*sys.modules, sep='\\n')"
    imported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not {"vigilbase.probes", "vigilbase.spec", "vigilbase.alerts.channels"} & set(imported.split("\n"))


def test_every_command_is_there_when_its_file_is_all_that_is_imported() -> None:
    for command in COMMANDS:
        done = CliRunner().invoke(make_app(command), [command, "--help"])
        assert (done.exit_code, done.stderr) == (0, "")
        assert f" {command} " in done.stdout
