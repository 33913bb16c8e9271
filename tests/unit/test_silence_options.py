"""What `silence add` and `maintenance add` refuse before they look for a database."""

import pytest
import typer
from typer.testing import CliRunner

from vigilbase.cli import maintenance, silences
from vigilbase.errors import VigilbaseError


def refusal(app: typer.Typer, *arguments: str) -> str:
    """The one line that the program ends with."""
    result = CliRunner().invoke(app, ["add", *arguments, "--comment", "x", "--by", "ada"])
    assert isinstance(result.exception, VigilbaseError)
    assert result.output == ""
    return str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--for", "2h"], "say which services, by --service GLOB or by --tag TAG, and not by both"),
        (
            ["--service", "a", "--tag", "b", "--for", "2h"],
            "say which services, by --service GLOB or by --tag TAG, and not by both",
        ),
        (["--tag", "b", "--for", "soon"], "--for must be a duration such as 500ms, 30s, 5m or 1h"),
        (["--tag", "b", "--for", "99999d"], "--for must be a number of seconds, more than 0 and at most 316224000"),
        (
            ["--tag", "b", "--until", "tomorrow"],
            "--until must be a time with its offset from UTC, such as 2026-12-01T08:00Z",
        ),
        (
            ["--tag", "b", "--until", "2099-12-01T08:00"],
            "--until must be a time with its offset from UTC, such as 2026-12-01T08:00Z",
        ),
        (["--service", " ", "--for", "1h"], "--service must not be empty or blank"),
    ],
)
def test_what_is_wrong_with_a_silence_is_said_in_one_line(arguments: list[str], said: str) -> None:
    assert refusal(silences.app, *arguments) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say until when, by --for DURATION or by --until TIME, or how it comes again, by --cron"),
        (["--cron", "0 3 * * 0"], "say how long it is each time, by --duration"),
        (
            ["--cron", "0 3 * *", "--duration", "2h"],
            '--cron must have 5 fields, as "0 3 * * 0" (Sundays at 3:00) has',
        ),
        (
            ["--cron", "0 25 * * 0", "--duration", "2h"],
            '--cron must be a cron expression such as "0 3 * * 0" (Sundays at 3:00): Bad hour',
        ),
        (["--cron", "0 3 * * 0", "--duration", "1s"], "--duration must be a whole number from 60 to 2678400"),
        (["--cron", "0 3 * * 0", "--duration", "500ms"], "--duration must be whole seconds"),
        (
            ["--cron", "0 3 * * 0", "--duration", "2h", "--time-zone", "Berlin"],
            "--time-zone must be the IANA name of a time zone, such as Europe/Berlin",
        ),
        (
            ["--cron", "0 3 * * 0", "--duration", "2h", "--for", "1h"],
            "--for says how long a window lasts that comes once; give it without --until and --cron",
        ),
        (
            ["--for", "1h", "--time-zone", "UTC"],
            "--duration and --time-zone belong to --cron; for once, give --for or --until",
        ),
    ],
)
def test_what_is_wrong_with_a_maintenance_window_is_said_in_one_line(arguments: list[str], said: str) -> None:
    assert refusal(maintenance.app, "--service", "db", *arguments) == said
