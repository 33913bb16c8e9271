"""The options that `silence add` and `maintenance add` reject before they open a database."""

import pytest
import typer
from typer.testing import CliRunner

from vigilbase.cli import maintenance, silence
from vigilbase.cli.silence_options import parse_duration_option
from vigilbase.errors import VigilbaseError
from vigilbase.models import CreateSuppressionData
from vigilbase.models.suppression import make_suppression_arguments

NO_TIME = "--until must be a time with its offset from UTC, such as 2026-12-01T08:00Z"


def get_error(app: typer.Typer, *arguments: str) -> str:
    """The one line with which the program ends."""
    result = CliRunner().invoke(app, ["add", *arguments, "--comment", "x", "--by", "ada"])
    assert isinstance(result.exception, VigilbaseError)
    assert result.output == ""
    return str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--for", "2h"], "give the services either by --service GLOB or by --tag TAG"),
        (
            ["--service", "a", "--tag", "b", "--for", "2h"],
            "give the services either by --service GLOB or by --tag TAG",
        ),
        (["--tag", "b", "--for", "soon"], "--for must be a duration from 1s to 3660d, such as 30s, 5m or 1h"),
        (["--tag", "b", "--for", "0s"], "--for must be a duration from 1s to 3660d, such as 30s, 5m or 1h"),
        (["--tag", "b", "--for", "3661d"], "--for must be a duration from 1s to 3660d, such as 30s, 5m or 1h"),
        (["--tag", "b", "--until", "tomorrow"], NO_TIME),
        (["--tag", "b", "--until", "2099-12-01T08:00"], NO_TIME),
        (["--service", " ", "--for", "1h"], "--service must not be empty or blank"),
    ],
)
def test_silence_add_invalid_options_are_rejected_in_one_line(arguments: list[str], message: str) -> None:
    assert get_error(silence.app, *arguments) == message


@pytest.mark.parametrize("text", ["1s", "3660d"])
def test_parse_length_shortest_and_longest_are_accepted(text: str) -> None:
    data = CreateSuppressionData("silence", "ada", "x", tag="b", length_s=parse_duration_option("--for", text))
    assert make_suppression_arguments(data)["p_length_s"] == data.length_s


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the end by --for DURATION or --until TIME, or a recurring start by --cron"),
        (["--cron", "0 3 * * 0"], "with --cron, set the length of each window with --duration, not --for"),
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
            f"{NO_TIME}; with --cron, leave it out to recur until you end it",
        ),
        (
            ["--cron", "0 3 * * 0", "--duration", "2h", "--time-zone", "Berlin"],
            "--time-zone must be the IANA name of a time zone, such as Europe/Berlin",
        ),
        (
            ["--cron", "0 3 * * 0", "--duration", "2h", "--for", "1h"],
            "--for is the length of a one-off window: give it without --until and --cron",
        ),
        (
            ["--for", "1h", "--time-zone", "UTC"],
            "--duration and --time-zone need --cron; for a one-off window, give --for or --until",
        ),
    ],
)
def test_maintenance_add_invalid_options_are_rejected_in_one_line(arguments: list[str], message: str) -> None:
    assert get_error(maintenance.app, "--service", "db", *arguments) == message
