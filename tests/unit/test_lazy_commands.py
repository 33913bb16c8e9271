"""Commands that are imported when they run."""

import pytest
from typer.testing import CliRunner

from vigilbase.cli.app import make_app
from vigilbase.cli.lazy_commands import COMMANDS, load_command


@pytest.mark.parametrize("name", COMMANDS)
def test_lazy_command_summary_is_the_beginning_of_its_help(name: str) -> None:
    assert COMMANDS[name].summary
    assert str(load_command(name).help).startswith(COMMANDS[name].summary)


def test_help_lists_every_command_once() -> None:
    result = CliRunner().invoke(make_app(), ["--help"])
    listed = [line.split()[0] for line in result.stdout.split("Commands:\n")[1].splitlines()]
    assert listed == [*COMMANDS, "version"]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_help_shows_its_name(name: str) -> None:
    result = CliRunner().invoke(make_app(), [name, "--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert f" {name} " in result.stdout


def test_misspelled_command_suggests_the_lazy_one() -> None:
    result = CliRunner().invoke(make_app(), ["alert"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "alerts" in result.stderr
