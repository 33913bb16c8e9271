"""`vigilbase history`: what a service went through, on every transport."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from tests.support.watched import VIGILBASE, run

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


def rows(table: str) -> list[str]:
    """The rows of a table below its head, without their times and with single spaces."""
    return [" ".join(line.split()[1:]) for line in table.splitlines()[1:-1]]


async def test_checks_come_newest_first_with_their_alerts_in_between_and_a_summary(
    backend: Backend, tmp_path: Path
) -> None:
    backend.execute(HISTORY)
    result = run("history", "website", cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0].split() == ["time", "status", "latency", "error"]
    assert rows(result.stdout) == [
        "degraded 900 ms",
        "service_down, resolved website is down",
        "down 3 ms connection refused",
        "healthy 12 ms",
    ]
    assert result.stdout.splitlines()[-1] == "3 checks in the last 24h: 33.33 % healthy, down once."
    [(time,)] = backend.execute(
        "SELECT to_char(max(checked_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
        "FROM service_health_checks WHERE service_name = 'website'"
    )
    assert result.stdout.splitlines()[1].split()[0] == time


async def test_the_period_and_the_number_of_checks_may_be_chosen(backend: Backend, tmp_path: Path) -> None:
    backend.execute(HISTORY)
    longer = run("history", "website", "--last", "7d", cwd=tmp_path, environ={}).stdout
    assert rows(longer)[-2:] == ["service_down, resolved long ago", "healthy 7 ms"]
    assert longer.splitlines()[-1] == "4 checks in the last 7d: 50 % healthy, down twice."
    cut = run("history", "website", "--limit", "1", cwd=tmp_path, environ={}).stdout
    assert rows(cut) == ["degraded 900 ms"]
    assert cut.endswith("33.33 % healthy, down once. The newest one is shown.\n")


async def test_a_service_without_checks_in_the_period_says_when_the_newest_was(
    backend: Backend, tmp_path: Path
) -> None:
    backend.execute(f"{CHECK} ('website', 'healthy', 1, NULL, now() - interval '3 days 1 minute')")
    result = run("history", "website", cwd=tmp_path, environ={})
    assert result.stdout == "No checks of website in the last 24h; the newest ran 3 d ago.\n"


async def test_a_service_whose_newest_check_has_no_time_says_that(backend: Backend, tmp_path: Path) -> None:
    backend.execute(f"{CHECK} ('website', 'healthy', 1, NULL, NULL)")
    result = run("history", "website", cwd=tmp_path, environ={})
    assert result.stdout == "No checks of website in the last 24h; when the newest ran is not recorded.\n"


async def test_a_service_that_was_down_without_an_alert_was_not_never_down(backend: Backend, tmp_path: Path) -> None:
    backend.execute(f"{CHECK} ('website', 'down', 1, NULL, now()), ('other', 'degraded', 1, NULL, now())")
    result = run("history", "website", cwd=tmp_path, environ={})
    assert result.stdout.endswith("\n1 check in the last 24h: 0 % healthy, down without an alert.\n")
    result = run("history", "other", cwd=tmp_path, environ={})
    assert result.stdout.endswith("\n1 check in the last 24h: 0 % healthy, never down.\n")


async def test_history_as_json_is_whole(backend: Backend, tmp_path: Path) -> None:
    backend.execute(HISTORY)
    result = run("history", "website", "--json", cwd=tmp_path, environ={})
    found = json.loads(result.stdout)
    assert set(found) == {"service_name", "checks", "alerts"}
    assert found["service_name"] == "website"
    assert [check["status"] for check in found["checks"]] == ["degraded", "down", "healthy"]
    assert set(found["checks"][0]) == {
        "id", "status", "latency_ms", "checked_at", "error_message", "probe_details"
    }  # fmt: skip
    assert [alert["message"] for alert in found["alerts"]] == ["website is down"]
    assert set(found["alerts"][0]) == {
        "id", "service_name", "alert_type", "status", "message", "details", "created_at", "acknowledged_at",
        "resolved_at",
    }  # fmt: skip


async def test_an_unknown_service_is_told_with_the_name_that_was_meant(backend: Backend, tmp_path: Path) -> None:
    backend.execute(HISTORY)
    result = run("history", "websit", cwd=tmp_path, environ={})
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == 'vigilbase: no checks of "websit" are recorded; did you mean "website"?\n'
    result = run("history", "\x1b[2Jzzz", cwd=tmp_path, environ={})
    assert result.stderr == (
        'vigilbase: no checks of "\\x1b[2Jzzz" are recorded; `vigilbase status` shows which there are\n'
    )


async def test_a_service_says_what_it_likes_and_a_terminal_obeys_none_of_it(backend: Backend, tmp_path: Path) -> None:
    backend.execute(f"{CHECK} ('website', 'down', 1, E'[red]\\x1b[2J \\u202egnp.exe \\u009b2J \\u00fc', now())")
    table = run("history", "website", cwd=tmp_path, environ={}).stdout
    assert "[red]\\x1b[2J \\u202egnp.exe \\x9b2J ü" in table
    printed = run("history", "website", "--json", cwd=tmp_path, environ={}).stdout
    assert printed.isascii()
    assert json.loads(printed)["checks"][0]["error_message"] == "[red]\x1b[2J \u202egnp.exe \x9b2J ü"


def test_json_on_a_terminal_is_coloured_and_as_harmless(server: PostgresServer, database: str, tmp_path: Path) -> None:
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
    ("arguments", "said"),
    [
        (["--last", "yesterday"], "--last must be a duration such as 30m, 24h or 7d"),
        (["--last", "99999999d"], "--last must be at most 36500d"),
        (["--limit", "x"], "--limit must be a whole number from 1 to 2147483647"),
        (["--limit", "9" * 5000], "--limit must be a whole number from 1 to 2147483647"),
        (["--limit", "0"], "--limit must be a whole number from 1 to 2147483647"),
        (["--limit", "3000000000"], "--limit must be a whole number from 1 to 2147483647"),
    ],
)
def test_a_wrong_option_ends_with_one_line(
    database: str, server: PostgresServer, tmp_path: Path, arguments: list[str], said: str
) -> None:
    environ = {"DATABASE_URL": server.url(database)}
    result = run("history", "website", *arguments, cwd=tmp_path, environ=environ)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"vigilbase: {said}\n")
