"""What `silence add` and `maintenance add` refuse before they look for a database."""

import pytest
import typer
from typer.testing import CliRunner

from vigilbase.cli import maintenance, silences
from vigilbase.cli.withholding import length
from vigilbase.errors import VigilbaseError
from vigilbase.models import CreateSilenceData
from vigilbase.models.silence import silence_arguments

NO_TIME = "--until must be a time with its offset from UTC, such as 2026-12-01T08:00Z"


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
        (["--tag", "b", "--for", "soon"], "--for must be a duration from 1s to 3660d, such as 30s, 5m or 1h"),
        (["--tag", "b", "--for", "0s"], "--for must be a duration from 1s to 3660d, such as 30s, 5m or 1h"),
        (["--tag", "b", "--for", "3661d"], "--for must be a duration from 1s to 3660d, such as 30s, 5m or 1h"),
        (["--tag", "b", "--until", "tomorrow"], NO_TIME),
        (["--tag", "b", "--until", "2099-12-01T08:00"], NO_TIME),
        (["--service", " ", "--for", "1h"], "--service must not be empty or blank"),
    ],
)
def test_what_is_wrong_with_a_silence_is_said_in_one_line(arguments: list[str], said: str) -> None:
    assert refusal(silences.app, *arguments) == said


@pytest.mark.parametrize("text", ["1s", "3660d"])
def test_a_silence_may_be_as_short_and_as_long_as_is_said(text: str) -> None:
    data = CreateSilenceData("ada", "x", tag="b", length_s=length("--for", text))
    assert silence_arguments(data)["p_length_s"] == data.length_s


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
        *(
            (
                ["--cron", "0 3 * * 0", "--duration", length],
                "--duration must be a duration from 1m to 31d, such as 5m or 1h",
            )
            for length in ("10s", "59999ms", "40d", "7200", "soon")
        ),
        (["--cron", "0 3 * * 0", "--duration", "90.5s"], "--duration must be whole seconds"),
        *(
            (
                ["--cron", "0 3 * * 0", "--duration", length, "--time-zone", "Berlin"],
                "--time-zone must be the IANA name of a time zone, such as Europe/Berlin",
            )
            for length in ("1m", "31d")
        ),
        (
            ["--cron", "0 3 * * 0", "--duration", "2h", "--until", "ended"],
            f"{NO_TIME}; with --cron, leave it out to go on until somebody ends it",
        ),
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
