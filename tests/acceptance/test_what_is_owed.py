"""What the commands say of messages that don't go out: withheld, or of a channel that is switched off, or given up."""

import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import SETTINGS, Backend
from tests.support.watched import run
from vigilbase import (
    AlertEventModel,
    CreateHealthCheckData,
    CreateSilenceData,
    HealthCheckModel,
    SilenceModel,
    get_supabase_service_client,
)
from vigilbase.runner.outbox import claim, finish

# What stands behind the commands is held to every transport by tests/conformance; how it looks is the same on all.
pytestmark = pytest.mark.parametrize("backend", ["postgres"], indirect=True)

FILE = """
services: [{name: api, tcp: "127.0.0.1:9", tags: [shop]}]
channels: {ops: {webhook: {url: "http://127.0.0.1:9/"}}, team: {webhook: {url: "http://127.0.0.1:9/"}}}
"""
BY = "silence 4f3a21c9 of ana: the new release"


def printed(folder: Path, *arguments: str, code: int = 0) -> list[str]:
    """What a command prints, its lines without the room between columns."""
    done = run(*arguments, cwd=folder, environ={name: value for name in SETTINGS if (value := os.environ.get(name))})
    assert (done.returncode, done.stderr) == (code, "")
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def found(folder: Path, *arguments: str) -> Any:
    return json.loads("\n".join(printed(folder, *arguments, "--json")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vigilbase.yaml").write_text(FILE)
    return tmp_path


async def _open_alert(*channels: str) -> None:
    """An alert about the service `api`, owed to some channels."""
    await HealthCheckModel.create(CreateHealthCheckData(service_name="api", status="down"))
    owed = [{"channel": each, "after_s": 0, "unless_acknowledged": False, "send_resolved": True} for each in channels]
    transition = {
        "service_name": "api",
        "to": "down",
        "opening": {"message": "api is down", "details": {"reason": "3 checks in a row"}},
        "routes": owed,
        "tags": ["shop"],
    }
    await get_supabase_service_client().call(
        "vigilbase_record", {"p_checks": "[]", "p_transitions": json.dumps([transition])}
    )


async def _finish(channel: str, outcome: Any, **how: Any) -> None:
    claimed = await claim(channel, window_s=0, lease_id=uuid4(), limit=10)
    [message] = claimed.messages
    await finish(message, outcome, ids=[delivery.id for delivery in message.deliveries], **how)


async def test_what_is_withheld_says_by_what(backend: Backend, folder: Path) -> None:
    await SilenceModel.add(CreateSilenceData("ana", "the new release", tag="shop"))
    await _open_alert("ops")
    await _finish("ops", "deferred", in_s=3600, suppressed_by=BY)
    assert f"when that is over withheld by {BY}" in printed(folder, "deliveries", "list")[1]
    assert found(folder, "deliveries", "list")["deliveries"][0]["withheld_by"] == BY
    assert printed(folder, "channels", "list")[1] == "ops webhook 127.0.0.1:9 on 1 withheld"
    [said] = [line for line in printed(folder, "status") if line.startswith("Messages about")]
    assert said.startswith("Messages about api are withheld by silence ")
    assert said.endswith(" of ana: the new release")
    assert found(folder, "status")["services"][0]["withheld_by"].endswith(" of ana: the new release")

    [alert] = await AlertEventModel.find_open()
    last = printed(folder, "alerts", "show", str(alert.id))[-1]
    assert last.endswith(f" ops triggered when that is over withheld by {BY}")
    await AlertEventModel.resolve(alert.id)
    [line] = [line for line in printed(folder, "alerts", "show", str(alert.id)) if " cancelled " in line]
    assert line.endswith(f" cancelled ops: triggered, the alert is over, withheld by {BY}")
    # Whether it was withheld to the end, whoever sends its resolution finds out.
    assert [each["kind"] for each in found(folder, "alerts", "show", str(alert.id))["owed"]] == ["resolved"]


async def test_a_channel_that_is_switched_off_is_seen_by_every_command_that_lists_messages(
    backend: Backend, folder: Path
) -> None:
    await _open_alert("ops", "team", "old")
    await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": "ops", "p_reason": "410 Gone", "p_message": "ops is off", "p_routes": "[]"},
    )
    assert " when its channel is on again" in printed(folder, "deliveries", "list")[3]
    assert " now" in printed(folder, "deliveries", "list")[2]
    mend = "mend it, start `vigilbase up` again if the file changed, and `vigilbase channels enable ops`"
    switched = f"ops was switched off 0 s ago: 410 Gone: {mend}"
    for command in (["deliveries", "list"], ["status"]):
        assert _without_age(printed(folder, *command)[-1]) == _without_age(switched)
    _, ops, team, more = printed(folder, "channels", "list")
    assert _without_age(ops) == _without_age("ops webhook 127.0.0.1:9 switched off 0 s ago: 410 Gone 1 waiting")
    assert team == "team webhook 127.0.0.1:9 on 1 waiting"
    unnamed = "vigilbase.yaml doesn't name old, which is owed messages (1 waiting)"
    assert more == f"{unnamed}: name it again, or end that by `vigilbase deliveries cancel NUMBER`"
    assert " never: its channel is not in the file" in printed(folder, "deliveries", "list")[1]
    [off] = found(folder, "status")["channels_off"]
    assert (off["channel"], off["reason"]) == ("ops", "410 Gone")
    listed = {each["name"]: each for each in found(folder, "channels", "list")["channels"]}
    assert (listed["ops"]["off_reason"], listed["ops"]["waiting"]) == ("410 Gone", 1)
    assert listed["team"]["off_reason"] is None
    lines = printed(folder, "doctor", code=1)
    assert f"warning messages {unnamed}" in lines
    [at] = [number for number, line in enumerate(lines) if line.startswith("problem messages ops was switched off")]
    assert "`vigilbase channels enable ops`" in lines[at + 1]


async def test_what_was_given_up_is_a_warning_and_is_not_tried_again_for_an_alert_that_is_over(
    backend: Backend, folder: Path
) -> None:
    await _open_alert("ops")
    await _finish("ops", "failed", error="400 Bad Request")
    assert any(line.startswith("warning messages given up: 1 to ops") for line in printed(folder, "doctor"))
    [alert] = await AlertEventModel.find_open()
    [number] = [each["id"] for each in found(folder, "alerts", "show", str(alert.id))["owed"]]
    assert printed(folder, "alerts", "show", str(alert.id))[-1] == f"{number} ops triggered given up 400 Bad Request"
    await AlertEventModel.resolve(alert.id)
    environ = {name: value for name in SETTINGS if (value := os.environ.get(name))}
    refused = run("deliveries", "retry", str(number), cwd=folder, environ=environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"vigilbase: delivery {number} (triggered) isn't needed any more: its alert is over\n"
    # What nobody needs any more is no reason to worry; its end, which is still owed, is.
    assert not any("given up" in line for line in printed(folder, "doctor"))
    [end] = found(folder, "alerts", "show", str(alert.id))["owed"]
    assert end["kind"] == "resolved"
    printed(folder, "deliveries", "cancel", str(end["id"]), "--by", "ana")
    assert found(folder, "alerts", "show", str(alert.id))["owed"] == []
    *_, last = printed(folder, "alerts", "show", str(alert.id))
    assert last.endswith(" cancelled by ana; ops: resolved")
    assert "ok messages all that is owed went out" in printed(folder, "doctor")


async def test_a_channel_that_fails_is_seen_before_anything_is_given_up(backend: Backend, folder: Path) -> None:
    await _open_alert("ops", "team")
    await _finish("ops", "retry", error="503", in_s=60)
    assert "on, but fails: 503 1 tried in vain" in printed(folder, "channels", "list")[1]
    assert "warning messages 1 to ops tried in vain, and tried again: 503" in printed(folder, "doctor")
    listed = printed(folder, "deliveries", "list")
    assert any(" ops triggered pending 1 " in line and line.endswith(" 503") and " in " in line for line in listed)


async def test_a_channel_that_asked_for_a_pause_says_so(backend: Backend, folder: Path) -> None:
    await _open_alert("ops")
    await _finish("ops", "retry", error="429 Too Many Requests", in_s=5, pause_s=7200)
    [state] = [line for line in printed(folder, "channels", "list") if line.startswith("ops")]
    assert re.search(r" asked for a pause, which lasts .* more: 429 Too Many Requests 1 tried in vain$", state)
    [line] = [line for line in printed(folder, "deliveries", "list") if " ops triggered pending 1 " in line]
    assert re.search(r" in .*, as its channel has asked", line)
    assert found(folder, "channels", "list")["channels"][0]["paused_until"] is not None


async def test_what_is_gathered_says_so(backend: Backend, folder: Path) -> None:
    """The file's `group_window` is 30 s, unless it says another."""
    await _open_alert("ops")
    await _finish("ops", "delivered", answer="200 OK")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.resolve(alert.id)
    [line] = printed(folder, "deliveries", "list")[1:]
    assert re.search(r" ops resolved pending 0 .* in \d+ s, with what else comes$", line)


async def test_a_channel_that_the_file_does_not_name_any_more_can_still_be_switched_on(
    backend: Backend, folder: Path
) -> None:
    await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": "old", "p_reason": "410 Gone", "p_message": "ops is off", "p_routes": "[]"},
    )
    [at] = [line for line in printed(folder, "channels", "list") if "old" in line]
    assert at.endswith("which is switched off: name it again, or end that by `vigilbase channels enable old`")
    assert printed(folder, "channels", "enable", "old") == ["old is on again"]
    assert await AlertEventModel.find_open() == []


def _without_age(line: str) -> str:
    before, _, after = line.partition(" off ")
    return before + after.partition(" ago")[2]
