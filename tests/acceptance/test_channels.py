"""`vigilbase channels list|test`: real messages through the installed command, and no secret in what it prints."""

import json
from pathlib import Path

from tests.support.mailbox import mail_server
from tests.support.server import free_port
from tests.support.watched import run

SECRET = "hunter2-hunter2"


def write(folder: Path, smtp_port: int, chat_port: int = 1) -> None:
    (folder / "vigilbase.yaml").write_text(
        "services: [{name: api, tcp: 'localhost:1'}]\n"
        "channels:\n"
        f"  team: {{email: {{to: [team@example.com], from: v@example.com, smtp: 'smtp://u:{SECRET}@localhost:{smtp_port}'}}}}\n"
        f"  open: {{email: {{to: [team@example.com], from: v@example.com, smtp: 'smtp://127.0.0.1:{smtp_port}'}}}}\n"
        f"  chat: {{apprise: 'json://127.0.0.1:{chat_port}/{SECRET}'}}\n"
    )


def test_the_channels_are_listed_with_where_they_lead_and_without_secrets(tmp_path: Path) -> None:
    """Also where no database says whether they are switched off."""
    write(tmp_path, 2525)
    environ = {"VIGILBASE_HOME": str(tmp_path / "home")}
    listed = run("channels", "list", "--json", cwd=tmp_path, environ=environ)
    assert listed.returncode == 0
    assert [(each["name"], each["kind"], each["receiver"]) for each in json.loads(listed.stdout)["channels"]] == [
        ("team", "email", "localhost:2525"),
        ("open", "email", "127.0.0.1:2525"),
        ("chat", "apprise", "json"),
    ]
    assert {each["off_reason"] for each in json.loads(listed.stdout)["channels"]} == {None}
    table = run("channels", "list", cwd=tmp_path, environ=environ)
    assert [line.split() for line in table.stdout.splitlines()] == [
        ["name", "kind", "receiver", "state", "messages", "last", "taken"],
        ["team", "email", "localhost:2525"],
        ["open", "email", "127.0.0.1:2525"],
        ["chat", "apprise", "json"],
    ]
    assert "there is no database in" in table.stderr
    assert table.stderr.count("\n") == 1
    assert SECRET not in listed.stdout + table.stdout + table.stderr


def test_a_file_without_channels_says_so(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("services: [{name: api, tcp: 'localhost:1'}]\n")
    listed = run("channels", "list", "--config", "other.yaml", cwd=tmp_path, environ={})
    assert (listed.returncode, listed.stdout) == (0, "other.yaml names no channels.\n")
    unknown = run("channels", "test", "team", "--config", "other.yaml", cwd=tmp_path, environ={})
    assert unknown.returncode == 2
    assert unknown.stderr == 'vigilbase: there is no channel "team"; the file names none, under `channels:`\n'


def test_a_test_message_arrives_and_is_resolved_and_the_answers_are_printed(tmp_path: Path) -> None:
    with mail_server() as mailbox:
        write(tmp_path, mailbox.port)
        tested = run("channels", "test", "open", cwd=tmp_path, environ={})
        assert (tested.returncode, tested.stderr) == (0, "")
        assert tested.stdout.splitlines() == [
            "open: triggered: 250 2.0.0 queued as 4711",
            "open: resolved: 250 2.0.0 queued as 4711",
        ]
        begun, ended = mailbox.mails
        assert begun["Subject"] == "vigilbase test is down"
        assert ended["Subject"].startswith("vigilbase test is ")
        assert begun["References"] == ended["References"]
        for mail in mailbox.mails:
            assert 'this is a test of the channel "open", nothing is wrong' in mail.as_string().replace("=\n", "")
        as_json = run("channels", "test", "open", "--json", cwd=tmp_path, environ={})
    answer = "250 2.0.0 queued as 4711"
    assert json.loads(as_json.stdout) == {
        "channel": "open",
        "kind": "email",
        "delivered": True,
        "messages": [
            {"kind": "triggered", "answer": answer, "error": None},
            {"kind": "resolved", "answer": answer, "error": None},
        ],
    }


def test_a_channel_that_does_not_take_it_is_exit_code_1_with_the_reason(tmp_path: Path) -> None:
    port = free_port()
    write(tmp_path, port, free_port())
    team = run("channels", "test", "team", cwd=tmp_path, environ={})
    said_of_team = f"team: triggered: localhost:{port}: connection refused\n"
    assert (team.returncode, team.stdout, team.stderr) == (1, "", said_of_team)
    chat = run("channels", "test", "chat", "--json", cwd=tmp_path, environ={})
    assert (chat.returncode, chat.stderr) == (1, "")
    said = json.loads(chat.stdout)
    assert said["delivered"] is False
    assert said["messages"][0]["error"].startswith("json: A Connection error occurred")
    assert SECRET not in chat.stdout


def test_an_unknown_channel_is_exit_code_2_with_the_names(tmp_path: Path) -> None:
    write(tmp_path, 2525)
    unknown = run("channels", "test", "taem", cwd=tmp_path, environ={})
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == 'vigilbase: there is no channel "taem"; there are team, open, chat\n'
