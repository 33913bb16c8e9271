"""The how-to page-and-mail.md as written, against receivers on this machine."""

import json
import re
import signal
from pathlib import Path

import psycopg
import pytest

from tests.support.command import run, running
from tests.support.mailbox import mail_server
from tests.support.receiver import Reply, receiving
from tests.support.schemas import assert_matches
from tests.support.server import PostgresServer, free_port
from tests.support.waiting import wait_until
from tests.support.website import Website

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "page-and-mail.md"
ACCEPTED = Reply(202, body=b'{"status": "success", "message": "Event processed", "dedup_key": "k"}')


def _read_how_to_config(pagerduty: str, mail_port: int, website_port: int) -> str:
    """The how-to's file; only the addresses and the interval are changed."""
    [text] = re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    text = "\n".join(line.removeprefix("   ") for line in text.splitlines())
    for written, replacement in {
        '"${PAGERDUTY_KEY}"}': f'"${{PAGERDUTY_KEY}}", url: "{pagerduty}/v2/enqueue"}}',
        "localhost:25": f"127.0.0.1:{mail_port}",
        "https://example.com/": f"http://127.0.0.1:{website_port}/",
    }.items():
        assert written in text
        text = text.replace(written, replacement)
    return f"group_window: 1s\ndefaults: {{interval: 200ms, timeout: 30s}}\n{text}\n"


@pytest.mark.parametrize("acknowledged", [False, True])
def test_docs_page_and_mail_how_to_works_as_written(
    server: PostgresServer, database: str, tmp_path: Path, *, acknowledged: bool
) -> None:
    website = Website(free_port())
    website.start()
    key = "0123456789abcdef0123456789abcdef"
    environ = {"DATABASE_URL": server.url(database), "PAGERDUTY_KEY": key}

    def execute(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(environ["DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def advance_fifteen_minutes() -> None:
        execute("UPDATE vigilbase.notifications SET due_at = due_at - interval '15 min' WHERE status = 'pending'")

    with receiving() as pagerduty, mail_server() as mailbox:
        pagerduty.answer = ACCEPTED
        (tmp_path / "vigilbase.yaml").write_text(_read_how_to_config(pagerduty.url, mailbox.port, website.port))
        for channel in ("boss", "team"):
            result = run("channels", "test", channel, cwd=tmp_path, environ=environ)
            assert result.returncode == 0, result.stderr
        assert (len(pagerduty.accepted), len(mailbox.mails)) == (2, 2)
        with running("up", cwd=tmp_path, environ=environ) as up:
            wait_until(
                lambda: execute("SELECT 1 FROM service_health_checks LIMIT 1") if _is_migrated(execute) else [], bool
            )
            website.stop()
            page = pagerduty.wait_for(3, accepted=True)[2].json()
            assert (page["event_action"], page["routing_key"]) == ("trigger", key)
            assert len(mailbox.mails) == 2
            [alert] = json.loads(run("alerts", "list", "--json", cwd=tmp_path, environ=environ).stdout)["alerts"]
            if acknowledged:
                result = run(
                    "alerts", "ack", alert["id"][:8], "--by", "ana", "--comment", "on it", cwd=tmp_path, environ=environ
                )
                assert result.returncode == 0, result.stderr
                assert pagerduty.wait_for(4, accepted=True)[3].json()["event_action"] == "acknowledge"
            advance_fifteen_minutes()
            if not acknowledged:
                wait_until(lambda: len(mailbox.mails), lambda count: count == 3)
                assert mailbox.mails[2]["subject"] == "website is down"
            website.start()
            resolution = pagerduty.wait_for(4 + acknowledged, accepted=True)[-1].json()
            assert (resolution["event_action"], resolution["dedup_key"]) == ("resolve", page["dedup_key"])
            if not acknowledged:
                wait_until(lambda: len(mailbox.mails), lambda count: count == 4)
                assert mailbox.mails[3]["subject"].startswith("website is healthy again")
                assert mailbox.mails[3]["references"] == mailbox.mails[2]["references"]
            wait_until(
                lambda: execute("SELECT 1 FROM vigilbase.notifications WHERE status = 'pending'"), lambda rows: not rows
            )
            up.send_signal(signal.SIGTERM)
            assert up.wait(60) == 0
        for request in pagerduty.accepted:
            assert_matches(request.json(), "pagerduty-event")
        assert len(mailbox.mails) == (2 if acknowledged else 4)
        shown = run("alerts", "show", alert["id"][:8], cwd=tmp_path, environ=environ).stdout
    website.stop()
    assert "boss" in shown
    assert ("ana" in shown) == acknowledged
    assert key not in shown + (tmp_path / "events.log").read_text()
    assert execute("SELECT status FROM vigilbase.notifications WHERE channel = 'team' AND kind = 'triggered'") == [
        ("cancelled" if acknowledged else "delivered",)
    ]


def _is_migrated(execute: object) -> bool:
    try:
        assert callable(execute)
        execute("SELECT 1 FROM service_health_checks")
    except psycopg.Error:
        return False
    return True
