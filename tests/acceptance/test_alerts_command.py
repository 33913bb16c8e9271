"""`vigilbase alerts`: list, show, acknowledge and resolve."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.conftest import Backend
from tests.support.command import run

OPEN = "4f3a21c9-0000-4000-8000-000000000001"
ACKNOWLEDGED = "4f3abbbb-0000-4000-8000-000000000002"
RESOLVED = "99990000-0000-4000-8000-000000000003"
CAUSES = ["10000000-0000-4000-8000-00000000000a", "10000000-0000-4000-8000-00000000000b"]
INSERT = """
    INSERT INTO alert_events
        (id, service_name, alert_type, status, message, details, created_at, acknowledged_at, resolved_at)
    VALUES
        ('{open}', 'website', 'service_down', 'active', 'website is down: [bold]', '{details}',
            now() - interval '3 hours 5 minutes 5 seconds', NULL, NULL),
        ('{acknowledged}', 'api', 'service_degraded', 'acknowledged', 'slow', NULL,
            now() - interval '4 hours 10 minutes 5 seconds', now() - interval '1 hour', NULL),
        ('{resolved}', 'api', 'service_down', 'resolved', 'gone', '{{"by": {{"hand": true}}}}',
            now() - interval '2 days', NULL, now() - interval '1 day')
"""


@pytest.fixture(autouse=True)
def details(backend: Backend) -> dict[str, object]:
    """Insert the alerts; the details of the open one, whose outage began a minute before it."""
    details: dict[str, object] = {
        "source": "judge",
        "reason": "2 consecutive checks were down",
        "last_error": "connection refused",
        "down_since": (datetime.now(UTC) - timedelta(hours=3, minutes=6, seconds=5)).isoformat(),
        "downtime_s": 194.0,
        "check_ids": CAUSES,
    }
    backend.execute(INSERT.format(open=OPEN, acknowledged=ACKNOWLEDGED, resolved=RESOLVED, details=json.dumps(details)))
    return details


def run_alerts(folder: Path, *arguments: str) -> "CompletedProcess[str]":
    return run("alerts", *arguments, cwd=folder, environ={})


def require_one_line_error(result: "CompletedProcess[str]", *phrases: str) -> None:
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("vigilbase: ")
    for phrase in phrases:
        assert phrase in result.stderr


async def test_alerts_list_shows_open_alerts_newest_first(tmp_path: Path) -> None:
    result = run_alerts(tmp_path, "list")
    assert (result.returncode, result.stderr) == (0, "")
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "id service type status opened lasted message",
        "4f3a21c9 website service_down active 3h5m ago 3h6m so far down: [bold]",
        "4f3abbbb api service_degraded acknowledged 4h10m ago 4h10m so far slow",
    ]


async def test_alerts_list_applies_all_service_and_limit_options(backend: Backend, tmp_path: Path) -> None:
    def list_ids(*arguments: str) -> list[str]:
        alerts = json.loads(run_alerts(tmp_path, "list", "--json", *arguments).stdout)["alerts"]
        return [alert["id"] for alert in alerts]

    assert list_ids() == [OPEN, ACKNOWLEDGED]
    assert list_ids("--all") == [OPEN, ACKNOWLEDGED, RESOLVED]
    assert list_ids("--all", "--service", "api") == [ACKNOWLEDGED, RESOLVED]
    assert list_ids("--service", "unknown") == []
    assert list_ids("--limit", "1") == [OPEN]
    assert run_alerts(tmp_path, "list", "--limit", "1").stdout.endswith("There may be more: --limit 2 shows them.\n")
    assert run_alerts(tmp_path, "list", "--service", "unknown").stdout == (
        "No open alerts of unknown, and no checks of it are recorded; `vigilbase status` lists the services\n"
    )
    backend.execute("INSERT INTO service_health_checks (service_name, status) VALUES ('checkout', 'healthy')")
    assert run_alerts(tmp_path, "list", "--service", "chekout").stdout.endswith('; did you mean "checkout"?\n')
    assert run_alerts(tmp_path, "list", "--service", "checkout").stdout == "No open alerts of checkout.\n"


async def test_alerts_show_prints_every_field(details: dict[str, object], tmp_path: Path) -> None:
    result = run_alerts(tmp_path, "show", "4F3A2")
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
    assert shown[5].endswith("Z (3h5m ago)")
    assert shown.pop(9) == f"down since {str(details['down_since'])[:19]}Z (3h6m ago)"
    assert shown[6:] == [
        "lasted 3h 6m so far",
        "reason 2 consecutive checks were down",
        "last error connection refused",
        "downtime 3m 14s",
        "source judge",
        f"check ids {CAUSES[0]}",
        CAUSES[1],
    ]
    other = run_alerts(tmp_path, "show", RESOLVED).stdout
    assert "lasted 1d" in " ".join(other.split())
    assert '{"hand": true}' in other
    alert = json.loads(run_alerts(tmp_path, "show", OPEN, "--json").stdout)
    assert (alert["id"], alert["details"], alert["resolved_at"]) == (OPEN, details, None)
    assert re.fullmatch(r"20\S+Z", alert["created_at"])
    assert (alert["timeline"], alert["notifications"]) == ([], [])


async def test_alerts_show_timeline_lists_actions_and_notifications(backend: Backend, tmp_path: Path) -> None:
    notification = {"channel": "ops", "kind": "triggered", "batch_id": str(OPEN)}
    for event, details in (
        ("opened", {"reason": "2 consecutive checks were down"}),
        ("attempt_failed", {**notification, "attempts": 1, "answer": None, "error": "HTTP 503"}),
        ("delivered", {**notification, "attempts": 2, "answer": "204 No Content", "error": None}),
    ):
        backend.execute(
            "INSERT INTO vigilbase.alert_timeline (alert_id, service_name, event, details) "
            f"VALUES ('{OPEN}', 'website', '{event}', '{json.dumps(details)}')"
        )
    assert run_alerts(tmp_path, "ack", OPEN, "--by", "ada", "--comment", "[bold]looking\x1b[2J").returncode == 0
    assert run_alerts(tmp_path, "ack", OPEN, "--by", "bob", "--comment", "me too").returncode == 0
    assert run_alerts(tmp_path, "resolve", OPEN, "--by", "ada").returncode == 0
    result = run_alerts(tmp_path, "show", OPEN)
    assert (result.returncode, result.stderr) == (0, "")
    _, _, timeline = result.stdout.partition("\n\n")
    heading, *entries = timeline.splitlines()
    assert heading.split() == ["time", "event"]
    times, events, texts = zip(*(re.split(r" {2,}", line.strip()) for line in entries), strict=True)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)
    assert events == ("opened", "attempt failed", "delivered", "acknowledged", "commented", "resolved")
    assert texts == (
        "2 consecutive checks were down",
        "ops: triggered, HTTP 503, attempt 1",
        "ops: triggered, 204 No Content, attempt 2",
        "by ada: [bold]looking\\x1b[2J",
        "by bob: me too",
        "by ada; after 3h 6m",
    )
    listed = json.loads(run_alerts(tmp_path, "show", OPEN, "--json").stdout)["timeline"]
    assert [(entry["event"], entry["author"], entry["comment"]) for entry in listed[3:]] == [
        ("acknowledged", "ada", "[bold]looking\x1b[2J"),
        ("commented", "bob", "me too"),
        ("resolved", "ada", None),
    ]
    assert all(entry["at"].endswith("Z") for entry in listed)
    assert listed[2]["details"]["answer"] == "204 No Content"


async def test_alerts_ack_repeated_reports_first_and_rejects_resolved_alert(tmp_path: Path) -> None:
    first = run_alerts(tmp_path, "ack", "4f3a21")
    assert (first.returncode, first.stdout) == (0, "website: service_down 4f3a21c9 is acknowledged.\n")
    again = run_alerts(tmp_path, "ack", "4f3a21")
    assert again.returncode == 0
    assert again.stdout.startswith("website: service_down 4f3a21c9 was acknowledged already, ")
    assert json.loads(run_alerts(tmp_path, "ack", OPEN, "--json").stdout)["status"] == "acknowledged"
    require_one_line_error(run_alerts(tmp_path, "ack", "9999"), RESOLVED, "is resolved and can't be acknowledged")


async def test_alerts_resolve_reports_effect_and_repeated_call_reports_first(tmp_path: Path) -> None:
    first = run_alerts(tmp_path, "resolve", "4f3a21")
    assert (first.returncode, first.stdout) == (
        0,
        "website: service_down 4f3a21c9 is resolved; no new alert opens until website has been healthy again.\n",
    )
    again = run_alerts(tmp_path, "resolve", "4f3a21")
    assert again.returncode == 0
    assert again.stdout.startswith("website: service_down 4f3a21c9 was resolved already, ")
    # The judge didn't open this alert.
    assert run_alerts(tmp_path, "resolve", "4f3abb").stdout == "api: service_degraded 4f3abbbb is resolved.\n"
    assert json.loads(run_alerts(tmp_path, "resolve", OPEN, "--json").stdout)["status"] == "resolved"


async def test_alerts_unknown_or_ambiguous_id_is_one_line_error(backend: Backend, tmp_path: Path) -> None:
    hint = "; `vigilbase alerts list --all` lists the ids\n"
    require_one_line_error(run_alerts(tmp_path, "show", "4f3"), '"4f3": id must be', "4 digits", hint)
    require_one_line_error(
        run_alerts(tmp_path, "ack", "4f3a"), f"several alerts begin with 4f3a: {OPEN}, {ACKNOWLEDGED}", hint
    )
    require_one_line_error(run_alerts(tmp_path, "resolve", "abcdef"), "there is no alert abcdef", hint)
    assert backend.execute("SELECT count(*) FROM alert_events WHERE status = 'active'") == [(1,)]
