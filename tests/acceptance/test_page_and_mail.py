"""The how-to page-and-mail.md as written, against receivers on this machine."""

import json
import re
import signal
from functools import partial
from operator import eq
from pathlib import Path

from tests.support.command import run, running
from tests.support.mailbox import mail_server
from tests.support.receiver import Reply, receiving
from tests.support.schemas import assert_matches
from tests.support.server import PostgresServer
from tests.support.waiting import wait_until
from tests.support.website import Website

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "page-and-mail.md"
FIFTEEN_MINUTES_LATER = (
    "UPDATE vigilbase.notifications SET due_at = due_at - interval '15 min' WHERE status = 'pending'"
)
STATUS_OF_MAIL = "SELECT status FROM vigilbase.notifications WHERE channel = 'team' AND kind = 'triggered'"
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


def test_docs_page_and_mail_how_to_works_as_written(
    server: PostgresServer, database: str, website: Website, tmp_path: Path
) -> None:
    key = "0123456789abcdef0123456789abcdef"
    environ = {"DATABASE_URL": server.url(database), "PAGERDUTY_KEY": key}

    def execute(statement: str) -> list[tuple[object, ...]]:
        return server.execute(statement, database)

    def run_and_show(*arguments: str) -> str:
        result = run(*arguments, cwd=tmp_path, environ=environ)
        assert result.returncode == 0, result.stderr
        return result.stdout

    with receiving() as pagerduty, mail_server() as mailbox:
        pagerduty.answer = ACCEPTED
        (tmp_path / "vigilbase.yaml").write_text(_read_how_to_config(pagerduty.url, mailbox.port, website.port))
        for channel in ("boss", "team"):
            run_and_show("channels", "test", channel)
        assert (len(pagerduty.accepted), len(mailbox.mails)) == (2, 2)
        with running("up", cwd=tmp_path, environ=environ) as up:
            wait_until(lambda: execute("SELECT 1 FROM service_health_checks WHERE status = 'healthy'"))
            for acknowledged in (False, True):
                paged, mailed = len(pagerduty.accepted), len(mailbox.mails)
                website.stop()
                page = pagerduty.wait_for(paged + 1, accepted=True)[paged].json()
                assert (page["event_action"], page["routing_key"]) == ("trigger", key)
                [alert] = json.loads(run_and_show("alerts", "list", "--json"))["alerts"]
                if acknowledged:
                    run_and_show("alerts", "ack", alert["id"][:8], "--by", "ana", "--comment", "on it")
                    acknowledgement = pagerduty.wait_for(paged + 2, accepted=True)[paged + 1].json()
                    assert acknowledgement["event_action"] == "acknowledge"
                assert len(mailbox.mails) == mailed
                execute(FIFTEEN_MINUTES_LATER)
                if not acknowledged:
                    wait_until(lambda: len(mailbox.mails), partial(eq, mailed + 1))
                    assert mailbox.mails[mailed]["subject"] == "website is down"
                website.start()
                resolution = pagerduty.wait_for(paged + 2 + acknowledged, accepted=True)[-1].json()
                assert (resolution["event_action"], resolution["dedup_key"]) == ("resolve", page["dedup_key"])
                if not acknowledged:
                    wait_until(lambda: len(mailbox.mails), partial(eq, mailed + 2))
                    assert mailbox.mails[-1]["subject"].startswith("website is healthy again")
                    assert mailbox.mails[-1]["references"] == mailbox.mails[mailed]["references"]
                wait_until(lambda: not execute("SELECT 1 FROM vigilbase.notifications WHERE status = 'pending'"))
                assert len(mailbox.mails) == mailed + (0 if acknowledged else 2)
                shown = run_and_show("alerts", "show", alert["id"][:8])
                assert "boss" in shown
                assert ("ana" in shown) == acknowledged
                assert key not in shown
                assert execute(f"{STATUS_OF_MAIL} AND alert_id = '{alert['id']}'") == [
                    ("cancelled" if acknowledged else "delivered",)
                ]
            up.send_signal(signal.SIGTERM)
            assert up.wait(60) == 0
        for request in pagerduty.accepted:
            assert_matches(request.json(), "pagerduty-event")
    assert key not in (tmp_path / "events.log").read_text()
