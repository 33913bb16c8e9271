"""`vigilbase channels list|test`: real notifications, and no secret in the output."""

import json
from pathlib import Path

from tests.support.command import run
from tests.support.mailbox import mail_server
from tests.support.server import free_port

SECRET = "hunter2-hunter2"


def write_config(folder: Path, smtp_port: int, chat_port: int = 1) -> None:
    (folder / "vigilbase.yaml").write_text(
        "services: [{name: api, tcp: 'localhost:1'}]\n"
        "channels:\n"
        f"  team: {{email: {{to: [team@example.com], from: v@example.com, smtp: 'smtp://u:{SECRET}@localhost:{smtp_port}'}}}}\n"
        f"  open: {{email: {{to: [team@example.com], from: v@example.com, smtp: 'smtp://127.0.0.1:{smtp_port}'}}}}\n"
        f"  chat: {{apprise: 'json://127.0.0.1:{chat_port}/{SECRET}'}}\n"
    )


def test_channels_list_shows_destinations_without_secrets(tmp_path: Path) -> None:
    """Also without a database, which knows whether they are disabled."""
    write_config(tmp_path, 2525)
    environ = {"VIGILBASE_HOME": str(tmp_path / "home")}
    listed = run("channels", "list", "--json", cwd=tmp_path, environ=environ)
    assert listed.returncode == 0
    assert [(each["name"], each["kind"], each["destination"]) for each in json.loads(listed.stdout)["channels"]] == [
        ("team", "email", "localhost:2525"),
        ("open", "email", "127.0.0.1:2525"),
        ("chat", "apprise", "json"),
    ]
    assert {each["disabled_reason"] for each in json.loads(listed.stdout)["channels"]} == {None}
    table = run("channels", "list", cwd=tmp_path, environ=environ)
    assert [line.split() for line in table.stdout.splitlines()] == [
        ["name", "kind", "destination", "state", "notifications", "last", "delivered"],
        ["team", "email", "localhost:2525"],
        ["open", "email", "127.0.0.1:2525"],
        ["chat", "apprise", "json"],
    ]
    assert "there is no database in" in table.stderr
    assert table.stderr.count("\n") == 1
    assert SECRET not in listed.stdout + table.stdout + table.stderr


def test_channels_file_without_channels_is_reported(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("services: [{name: api, tcp: 'localhost:1'}]\n")
    listed = run("channels", "list", "--config", "other.yaml", cwd=tmp_path, environ={})
    assert (listed.returncode, listed.stdout) == (0, "other.yaml has no channels.\n")
    unknown = run("channels", "test", "team", "--config", "other.yaml", cwd=tmp_path, environ={})
    assert unknown.returncode == 2
    assert unknown.stderr == 'vigilbase: there is no channel "team"; the file has none under `channels:`\n'


def test_channels_test_sends_trigger_and_resolution_and_prints_answers(tmp_path: Path) -> None:
    with mail_server() as mailbox:
        write_config(tmp_path, mailbox.port)
        tested = run("channels", "test", "open", cwd=tmp_path, environ={})
        assert (tested.returncode, tested.stderr) == (0, "")
        assert tested.stdout.splitlines() == [
            "open: triggered: 250 2.0.0 queued as 4711",
            "open: resolved: 250 2.0.0 queued as 4711",
        ]
        trigger, resolution = mailbox.mails
        assert trigger["Subject"] == "vigilbase test is down"
        assert resolution["Subject"].startswith("vigilbase test is ")
        assert trigger["References"] == resolution["References"]
        for mail in mailbox.mails:
            assert 'this is a test of the channel "open", nothing is wrong' in mail.as_string().replace("=\n", "")
        as_json = run("channels", "test", "open", "--json", cwd=tmp_path, environ={})
    answer = "250 2.0.0 queued as 4711"
    assert json.loads(as_json.stdout) == {
        "channel": "open",
        "kind": "email",
        "is_delivered": True,
        "notifications": [
            {"kind": "triggered", "answer": answer, "error": None},
            {"kind": "resolved", "answer": answer, "error": None},
        ],
    }


def test_channels_test_failed_delivery_exits_1_with_reason(tmp_path: Path) -> None:
    port = free_port()
    write_config(tmp_path, port, free_port())
    team = run("channels", "test", "team", cwd=tmp_path, environ={})
    refused = f"team: triggered: localhost:{port}: connection refused\n"
    assert (team.returncode, team.stdout, team.stderr) == (1, "", refused)
    chat = run("channels", "test", "chat", "--json", cwd=tmp_path, environ={})
    assert (chat.returncode, chat.stderr) == (1, "")
    result = json.loads(chat.stdout)
    assert result["is_delivered"] is False
    assert result["notifications"][0]["error"].startswith("json: A Connection error occurred")
    assert SECRET not in chat.stdout


def test_channels_test_unknown_channel_exits_2_with_known_names(tmp_path: Path) -> None:
    write_config(tmp_path, 2525)
    unknown = run("channels", "test", "taem", cwd=tmp_path, environ={})
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == 'vigilbase: there is no channel "taem"; the file has team, open, chat\n'
