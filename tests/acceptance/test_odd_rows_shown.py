"""What commands show of rows that can't be read, and of rows from the future."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.server import PostgresServer

CHECK = "INSERT INTO service_health_checks (service_name, status, checked_at) VALUES"
ALERT = "INSERT INTO alert_events (id, service_name, alert_type, status, created_at) VALUES"
ID = "4f3a21c9-0000-4000-8000-000000000001"
REASON = "status is 'paused', not one of healthy, degraded, down"

Command = Callable[..., tuple[str, str]]


@pytest.fixture
def command(server: PostgresServer, database: str, tmp_path: Path) -> Command:
    """Runs a command on a database whose tables accept any status; returns what it prints."""
    server.execute(
        "ALTER TABLE service_health_checks DROP CONSTRAINT service_health_checks_status_check; "
        "ALTER TABLE alert_events DROP CONSTRAINT alert_events_status_check",
        database,
    )

    def run_on_database(*arguments: str) -> tuple[str, str]:
        result = run(*arguments, cwd=tmp_path, environ={"DATABASE_URL": server.url(database)})
        return result.stdout, result.stderr

    return run_on_database


def test_status_unreadable_checks_are_counted_in_remark_and_json(
    server: PostgresServer, database: str, command: Command
) -> None:
    server.execute(
        f"{CHECK} ('api', 'paused', now()), ('api', 'down', now() - interval '1 min'), ('web', 'paused', now())",
        database,
    )
    stdout, stderr = command("status")
    assert stderr == ""
    assert [line.split()[:2] for line in stdout.splitlines()[1:-1]] == [["api", "down"]]
    remark = stdout.splitlines()[-1]
    assert remark.startswith("2 rows can't be read and are left out; the first: health_check ")
    assert remark.endswith(REASON)
    status = json.loads(command("status", "--json")[0])
    assert [(service["service_name"], service["status"]) for service in status["services"]] == [("api", "down")]
    assert status["skipped_rows"] == 2


def test_status_only_unreadable_checks_does_not_claim_that_there_are_none(
    server: PostgresServer, database: str, command: Command
) -> None:
    server.execute(f"{CHECK} ('api', 'paused', now())", database)
    [remark] = command("status")[0].splitlines()
    assert remark.startswith("1 row can't be read and is left out; ")
    assert json.loads(command("status", "--json")[0]) == {"services": [], "disabled_channels": [], "skipped_rows": 1}


def test_lists_without_unreadable_rows_have_no_remark(server: PostgresServer, database: str, command: Command) -> None:
    server.execute(f"{CHECK} ('api', 'down', now())", database)
    lists = (["alerts", "list"], ["silence", "list"], ["maintenance", "list"], ["notifications", "list"])
    for arguments in (["status"], ["history", "api"], *lists):
        assert "can't be read" not in command(*arguments)[0]
        assert json.loads(command(*arguments, "--json")[0])["skipped_rows"] == 0


def test_history_unreadable_checks_are_counted_in_remark_and_json(
    server: PostgresServer, database: str, command: Command
) -> None:
    server.execute(f"{CHECK} ('api', 'paused', now()), ('api', 'down', now()), ('odd', 'paused', now())", database)
    lines = command("history", "api")[0].splitlines()
    assert lines[-2].startswith("1 check in the last 24h: ")
    assert lines[-1] == f"1 row can't be read and is left out; the first: health_check: {REASON}"
    history = json.loads(command("history", "api", "--json")[0])
    assert ([check["status"] for check in history["checks"]], history["skipped_rows"]) == (["down"], 1)
    assert "No checks of odd in the last 24h can be read." in command("history", "odd")[0]


def test_alerts_unreadable_alert_is_counted_or_named(server: PostgresServer, database: str, command: Command) -> None:
    server.execute(f"{ALERT} ('{ID}', 'api', 'service_down', 'snoozed', now())", database)
    stdout, _ = command("alerts", "list", "--all")
    assert stdout == (
        "No alerts.\n"
        f"1 row can't be read and is left out; the first: alert_event {ID}: "
        "status is 'snoozed', not one of active, acknowledged, resolved\n"
    )
    assert json.loads(command("alerts", "list", "--all", "--json")[0]) == {"alerts": [], "skipped_rows": 1}
    stdout, stderr = command("alerts", "show", "4f3a")
    assert stdout == ""
    assert "status is 'snoozed'" in stderr
    assert "there is no alert" not in stderr


def test_history_and_alerts_of_service_without_readable_check_are_shown(
    server: PostgresServer, database: str, command: Command
) -> None:
    server.execute(f"{CHECK} ('odd', 'paused', now())", database)
    stdout, stderr = command("alerts", "list", "--service", "odd")
    assert (stdout, stderr) == ("No open alerts of odd.\n", "")
    assert json.loads(command("alerts", "list", "--service", "odd", "--json")[0]) == {"alerts": [], "skipped_rows": 0}
    server.execute(f"{ALERT} ('{ID}', 'odd', 'service_down', 'active', now())", database)
    stdout, stderr = command("history", "odd")
    assert stderr == ""
    assert "service_down" in stdout
    assert "No checks of odd in the last 24h can be read." in stdout
    assert "1 row can't be read and is left out" in stdout


def test_notifications_list_unreadable_row_is_counted(server: PostgresServer, database: str, command: Command) -> None:
    server.execute(f"{ALERT} ('{ID}', 'api', 'service_down', 'active', now())", database)
    route = '{"channel": "ops", "after_s": 0, "unless_acknowledged": false, "send_resolved": true}'
    server.execute(
        "ALTER TABLE vigilbase.notifications DROP CONSTRAINT notifications_kind_check; "
        f"SELECT vigilbase.enqueue_alert(a, '[{route}]', '[]') FROM alert_events AS a; "
        "UPDATE vigilbase.notifications SET kind = 'whisper'",
        database,
    )
    stdout, _ = command("notifications", "list")
    assert stdout.startswith("1 row can't be read and is left out; the first: notification ")
    assert "kind is 'whisper'" in stdout
    assert json.loads(command("notifications", "list", "--json")[0]) == {"notifications": [], "skipped_rows": 1}


def test_status_and_history_service_with_only_future_checks_is_not_shown_as_checked_now(
    server: PostgresServer, database: str, command: Command
) -> None:
    server.execute(f"{CHECK} ('api', 'healthy', now() + interval '3650 days')", database)
    stdout, _ = command("status")
    assert "in 3649d" in stdout
    assert "ago" not in stdout
    stdout, _ = command("history", "api")
    assert "the newest is dated in the future (" in stdout


def test_alerts_list_alert_from_future_is_not_shown_as_opened_now(
    server: PostgresServer, database: str, command: Command
) -> None:
    server.execute(f"{ALERT} ('{ID}', 'api', 'service_down', 'active', now() + interval '3650 days')", database)
    stdout, _ = command("alerts", "list")
    assert "in 3649d" in stdout
