"""`vigilbase alerts`: what is open, one alert in full, and taking care of it."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.conftest import Backend
from tests.support.watched import run

# What stands behind the commands is held to every transport by tests/conformance; how it looks is the same on all.
pytestmark = pytest.mark.parametrize("backend", ["postgres"], indirect=True)

OPEN = "4f3a21c9-0000-4000-8000-000000000001"
ACKNOWLEDGED = "4f3abbbb-0000-4000-8000-000000000002"
RESOLVED = "99990000-0000-4000-8000-000000000003"
CAUSES = ["10000000-0000-4000-8000-00000000000a", "10000000-0000-4000-8000-00000000000b"]
DETAILS = {
    "source": "judge",
    "reason": "2 checks in a row were down",
    "last_error": "connection refused",
    "down_since": "2026-11-24T09:43:18.277846+00:00",
    "downtime_s": 194.0,
    "check_ids": CAUSES,
}
ALERTS = f"""
    INSERT INTO alert_events
        (id, service_name, alert_type, status, message, details, created_at, acknowledged_at, resolved_at)
    VALUES
        ('{OPEN}', 'website', 'service_down', 'active', 'website is down: [bold]', '{json.dumps(DETAILS)}',
            now() - interval '3 hours 5 minutes 5 seconds', NULL, NULL),
        ('{ACKNOWLEDGED}', 'api', 'service_degraded', 'acknowledged', 'slow', NULL,
            now() - interval '4 hours 10 minutes 5 seconds', now() - interval '1 hour', NULL),
        ('{RESOLVED}', 'api', 'service_down', 'resolved', 'gone', '{{"by": {{"hand": true}}}}',
            now() - interval '2 days', NULL, now() - interval '1 day')
"""


@pytest.fixture(autouse=True)
def _alerts(backend: Backend) -> None:
    backend.execute(ALERTS)


def alerts(folder: Path, *arguments: str) -> "CompletedProcess[str]":
    return run("alerts", *arguments, cwd=folder, environ={})


def require_one_line(result: "CompletedProcess[str]", said: str) -> None:
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"vigilbase: {said}\n")


async def test_open_alerts_are_listed_newest_first(tmp_path: Path) -> None:
    result = alerts(tmp_path, "list")
    assert (result.returncode, result.stderr) == (0, "")
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "id service type status opened lasted message",
        "4f3a21c9 website service_down active 3 h 5 min ago 3 h 5 min so far down: [bold]",
        "4f3abbbb api service_degraded acknowledged 4 h 10 min ago 4 h 10 min so far slow",
    ]


async def test_all_may_be_listed_or_those_of_a_service_or_a_few(backend: Backend, tmp_path: Path) -> None:
    def listed(*arguments: str) -> list[str]:
        found = json.loads(alerts(tmp_path, "list", "--json", *arguments).stdout)["alerts"]
        return [alert["id"] for alert in found]

    assert listed() == [OPEN, ACKNOWLEDGED]
    assert listed("--all") == [OPEN, ACKNOWLEDGED, RESOLVED]
    assert listed("--all", "--service", "api") == [ACKNOWLEDGED, RESOLVED]
    assert listed("--service", "nobody") == []
    assert listed("--limit", "1") == [OPEN]
    assert alerts(tmp_path, "list", "--limit", "1").stdout.endswith("There may be more: --limit 2 shows them.\n")
    assert alerts(tmp_path, "list", "--service", "nobody").stdout == (
        "No open alerts of nobody, and no checks are recorded of it; `vigilbase status` shows which there are\n"
    )
    backend.execute("INSERT INTO service_health_checks (service_name, status) VALUES ('somebody', 'healthy')")
    assert alerts(tmp_path, "list", "--service", "sombody").stdout.endswith('; did you mean "somebody"?\n')
    assert alerts(tmp_path, "list", "--service", "somebody").stdout == "No open alerts of somebody.\n"


async def test_one_alert_is_shown_in_full(tmp_path: Path) -> None:
    result = alerts(tmp_path, "show", "4F3A2")
    assert (result.returncode, result.stderr) == (0, "")
    shown = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert shown[:5] == [
        f"id {OPEN}",
        "service website",
        "type service_down",
        "status active",
        "message website is down: [bold]",
    ]
    assert shown[5].startswith("opened 20")
    assert shown[5].endswith("Z (3 h 5 min ago)")
    assert shown.pop(9).startswith("down since 2026-11-24T09:43:18Z (")
    assert shown[6:] == [
        "lasted 3 h 5 min so far",
        "reason 2 checks in a row were down",
        "last error connection refused",
        "downtime 3 min 14 s",
        "source judge",
        f"check ids {CAUSES[0]}",
        CAUSES[1],
    ]
    other = alerts(tmp_path, "show", RESOLVED).stdout
    assert "lasted 1 d" in " ".join(other.split())
    assert '{"hand": true}' in other
    found = json.loads(alerts(tmp_path, "show", OPEN, "--json").stdout)
    assert (found["id"], found["details"], found["resolved_at"]) == (OPEN, DETAILS, None)
    assert found["timeline"] == []


async def test_the_timeline_tells_who_did_what_and_who_was_told(backend: Backend, tmp_path: Path) -> None:
    told = {"channel": "ops", "kind": "triggered", "message_id": str(OPEN)}
    for event, details in (
        ("opened", {"reason": DETAILS["reason"]}),
        ("failed", {**told, "attempts": 1, "answer": None, "error": "HTTP 503"}),
        ("delivered", {**told, "attempts": 2, "answer": "204 No Content", "error": None}),
    ):
        backend.execute(
            "INSERT INTO vigilbase.alert_timeline (alert_id, service_name, event, details) "
            f"VALUES ('{OPEN}', 'website', '{event}', '{json.dumps(details)}')"
        )
    assert alerts(tmp_path, "ack", OPEN, "--by", "ada", "--comment", "[bold]looking\x1b[2J").returncode == 0
    assert alerts(tmp_path, "ack", OPEN, "--by", "bob", "--comment", "me too").returncode == 0
    assert alerts(tmp_path, "resolve", OPEN, "--by", "ada").returncode == 0
    result = alerts(tmp_path, "show", OPEN)
    assert (result.returncode, result.stderr) == (0, "")
    _, _, timeline = result.stdout.partition("\n\n")
    heading, *entries = timeline.splitlines()
    assert heading.split() == ["time", "what"]
    times, whats, texts = zip(*(re.split(r" {2,}", line.strip()) for line in entries), strict=True)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)
    assert whats == ("opened", "failed", "delivered", "acknowledged", "commented", "resolved")
    assert texts == (
        "2 checks in a row were down",
        "ops: triggered, HTTP 503, try 1",
        "ops: triggered, 204 No Content, try 2",
        "by ada: [bold]looking\\x1b[2J",
        "by bob: me too",
        "by ada; after 3 h 5 min",
    )
    found = json.loads(alerts(tmp_path, "show", OPEN, "--json").stdout)["timeline"]
    assert [(entry["event"], entry["author"], entry["comment"]) for entry in found[3:]] == [
        ("acknowledged", "ada", "[bold]looking\x1b[2J"),
        ("commented", "bob", "me too"),
        ("resolved", "ada", None),
    ]
    assert found[2]["details"]["answer"] == "204 No Content"


async def test_an_alert_is_acknowledged_once(tmp_path: Path) -> None:
    first = alerts(tmp_path, "ack", "4f3a21")
    assert (first.returncode, first.stdout) == (0, "website: service_down 4f3a21c9 is acknowledged.\n")
    again = alerts(tmp_path, "ack", "4f3a21")
    assert again.returncode == 0
    assert again.stdout.startswith("website: service_down 4f3a21c9 was acknowledged already, ")
    assert json.loads(alerts(tmp_path, "ack", OPEN, "--json").stdout)["status"] == "acknowledged"
    require_one_line(alerts(tmp_path, "ack", "9999"), f"alert event {RESOLVED} is resolved and can't be acknowledged")


async def test_an_alert_is_resolved_once_and_what_the_judge_makes_of_it_is_said(tmp_path: Path) -> None:
    first = alerts(tmp_path, "resolve", "4f3a21")
    assert (first.returncode, first.stdout) == (
        0,
        "website: service_down 4f3a21c9 is resolved; Vigilbase stays quiet until website is healthy again.\n",
    )
    again = alerts(tmp_path, "resolve", "4f3a21")
    assert again.returncode == 0
    assert again.stdout.startswith("website: service_down 4f3a21c9 was resolved already, ")
    # An alert of somebody else's is no episode of the judge's.
    assert alerts(tmp_path, "resolve", "4f3abb").stdout == "api: service_degraded 4f3abbbb is resolved.\n"
    assert json.loads(alerts(tmp_path, "resolve", OPEN, "--json").stdout)["status"] == "resolved"


async def test_an_id_that_means_no_alert_or_several_ends_with_one_line(backend: Backend, tmp_path: Path) -> None:
    see = "`vigilbase alerts list --all` shows the ids"
    require_one_line(
        alerts(tmp_path, "show", "4f3"),
        f'"4f3": id must be a UUID or its first digits, at least 4 of them; {see}',
    )
    require_one_line(
        alerts(tmp_path, "ack", "4f3a"),
        f"several alerts begin with 4f3a: {OPEN}, {ACKNOWLEDGED}: give more of the id; {see}",
    )
    require_one_line(alerts(tmp_path, "resolve", "abcdef"), f"there is no alert abcdef; {see}")
    assert backend.execute("SELECT count(*) FROM alert_events WHERE status = 'active'") == [(1,)]
