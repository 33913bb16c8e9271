"""`vigilbase history`."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.support.command import VIGILBASE, run
from tests.support.server import PostgresServer

CHECK = "INSERT INTO service_health_checks (service_name, status, latency_ms, error_message, checked_at) VALUES "
HISTORY = f"""
    {CHECK}
        ('website', 'healthy', 12, NULL, date_trunc('hour', now()) - interval '3 minutes'),
        ('website', 'down', 3, 'connection refused', date_trunc('hour', now()) - interval '2 minutes'),
        ('website', 'degraded', 900, NULL, date_trunc('hour', now()) - interval '1 minute'),
        ('website', 'healthy', 7, NULL, now() - interval '3 days'),
        ('other', 'down', NULL, NULL, now());
    INSERT INTO alert_events (service_name, alert_type, status, message, created_at, resolved_at) VALUES
        ('website', 'service_down', 'resolved', 'website is down',
            date_trunc('hour', now()) - interval '2 minutes', now()),
        ('website', 'service_down', 'resolved', 'long ago', now() - interval '3 days', now() - interval '2 days'),
        ('other', 'service_down', 'active', 'of another', now(), NULL)
"""


def parse_rows(table: str) -> list[str]:
    """The rows below the heading, without their times and with single spaces."""
    return [" ".join(line.split()[1:]) for line in table.splitlines()[1:-1]]


async def test_history_shows_checks_and_alerts_newest_first_with_summary(backend: Backend, tmp_path: Path) -> None:
    backend.execute(HISTORY)
    result = run("history", "website", cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0].split() == ["time", "status", "latency", "error"]
    assert parse_rows(result.stdout) == [
        "degraded 900 ms",
        "service_down, resolved down",
        "down 3 ms connection refused",
        "healthy 12 ms",
    ]
    assert result.stdout.splitlines()[-1] == "3 checks in the last 24h: 33.33 % healthy, down once."
    [(time,)] = backend.execute(
        "SELECT to_char(max(checked_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
        "FROM service_health_checks WHERE service_name = 'website'"
    )
    assert result.stdout.splitlines()[1].split()[0] == time


async def test_history_last_and_limit_options_select_checks(backend: Backend, tmp_path: Path) -> None:
    backend.execute(HISTORY)
    longer = run("history", "website", "--last", "7d", cwd=tmp_path, environ={}).stdout
    assert parse_rows(longer)[-2:] == ["service_down, resolved long ago", "healthy 7 ms"]
    assert longer.splitlines()[-1] == "4 checks in the last 7d: 50 % healthy, down twice."
    cut = run("history", "website", "--limit", "1", cwd=tmp_path, environ={}).stdout
    assert parse_rows(cut) == ["degraded 900 ms"]
    assert cut.endswith("33.33 % healthy, down once. The newest one is shown.\n")


async def test_history_no_checks_in_period_reports_age_of_newest(backend: Backend, tmp_path: Path) -> None:
    backend.execute(f"{CHECK} ('website', 'healthy', 1, NULL, now() - interval '3 days 1 minute')")
    result = run("history", "website", cwd=tmp_path, environ={})
    assert result.stdout == "No checks of website in the last 24h; the newest ran 3d ago.\n"


async def test_history_newest_check_without_time_is_reported(backend: Backend, tmp_path: Path) -> None:
    backend.execute(f"{CHECK} ('website', 'healthy', 1, NULL, NULL)")
    result = run("history", "website", cwd=tmp_path, environ={})
    assert result.stdout == "No checks of website in the last 24h; when the newest ran is not recorded.\n"


async def test_history_summary_down_without_alert_is_not_never_down(backend: Backend, tmp_path: Path) -> None:
    backend.execute(f"{CHECK} ('website', 'down', 1, NULL, now()), ('other', 'degraded', 1, NULL, now())")
    result = run("history", "website", cwd=tmp_path, environ={})
    assert result.stdout.endswith("\n1 check in the last 24h: 0 % healthy, down without an alert.\n")
    result = run("history", "other", cwd=tmp_path, environ={})
    assert result.stdout.endswith("\n1 check in the last 24h: 0 % healthy, never down.\n")


async def test_history_json_contains_all_fields(backend: Backend, tmp_path: Path) -> None:
    backend.execute(HISTORY)
    result = run("history", "website", "--json", cwd=tmp_path, environ={})
    history = json.loads(result.stdout)
    assert set(history) == {"service_name", "checks", "alerts", "skipped_rows"}
    assert history["service_name"] == "website"
    assert [check["status"] for check in history["checks"]] == ["degraded", "down", "healthy"]
    assert all(check["checked_at"].endswith("Z") for check in history["checks"])
    assert set(history["checks"][0]) == {
        "id", "status", "latency_ms", "checked_at", "error_message", "probe_details"
    }  # fmt: skip
    assert [alert["message"] for alert in history["alerts"]] == ["website is down"]
    assert set(history["alerts"][0]) == {
        "id", "service_name", "alert_type", "status", "message", "details", "created_at", "acknowledged_at",
        "resolved_at",
    }  # fmt: skip


async def test_history_unknown_service_error_suggests_similar_name(backend: Backend, tmp_path: Path) -> None:
    backend.execute(HISTORY)
    result = run("history", "websit", cwd=tmp_path, environ={})
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == 'vigilbase: no checks of "websit" are recorded; did you mean "website"?\n'
    result = run("history", "\x1b[2Jzzz", cwd=tmp_path, environ={})
    assert result.stderr == (
        'vigilbase: no checks of "\\x1b[2Jzzz" are recorded; `vigilbase status` lists the services\n'
    )


async def test_history_markup_and_control_characters_are_escaped(backend: Backend, tmp_path: Path) -> None:
    backend.execute(f"{CHECK} ('website', 'down', 1, E'[red]\\x1b[2J \\u202egnp.exe \\u009b2J \\u00fc', now())")
    table = run("history", "website", cwd=tmp_path, environ={}).stdout
    assert "[red]\\x1b[2J \\u202egnp.exe \\x9b2J ü" in table
    printed = run("history", "website", "--json", cwd=tmp_path, environ={}).stdout
    assert printed.isascii()
    assert json.loads(printed)["checks"][0]["error_message"] == "[red]\x1b[2J \u202egnp.exe \x9b2J ü"


def test_history_json_on_terminal_contains_only_colour_sequences(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    server.execute(f"{CHECK} ('website', 'down', 1, E'\\x1b[2J \\u202egnp.exe \\u009b2J', now())", database)
    ours, theirs = os.openpty()
    environ = {**os.environ, "DATABASE_URL": server.url(database), "TERM": "xterm-256color"}
    command = [VIGILBASE, "history", "website", "--json"]
    subprocess.run(command, cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, stdout=theirs, check=True)
    os.close(theirs)
    printed = os.read(ours, 60_000).decode("ascii")
    os.close(ours)
    assert r"\u001b[2J \u202egnp.exe \u009b2J" in printed
    assert set(re.findall(r"\x1b.*?[a-zA-Z]", printed)) <= set(re.findall(r"\x1b\[[0-9;]*m", printed))  # only colours


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--last", "yesterday"], "--last must be a duration such as 30m, 24h or 7d"),
        (["--last", "99999999d"], "--last must be at most 36500d"),
        (["--limit", "x"], "--limit must be a whole number from 1 to 2147483647"),
        (["--limit", "9" * 5000], "--limit must be a whole number from 1 to 2147483647"),
        (["--limit", "0"], "--limit must be a whole number from 1 to 2147483647"),
        (["--limit", "3000000000"], "--limit must be a whole number from 1 to 2147483647"),
    ],
)
def test_history_invalid_option_is_one_line_error(
    database: str, server: PostgresServer, tmp_path: Path, arguments: list[str], message: str
) -> None:
    environ = {"DATABASE_URL": server.url(database)}
    result = run("history", "website", *arguments, cwd=tmp_path, environ=environ)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"vigilbase: {message}\n")
