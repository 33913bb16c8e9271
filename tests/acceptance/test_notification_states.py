"""What the commands show about notifications that are suppressed, failed or retried, and about disabled channels."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.command import run
from vigilbase import (
    AlertEventModel,
    CreateHealthCheckData,
    CreateSuppressionData,
    HealthCheckModel,
    SuppressionModel,
    get_supabase_service_client,
)
from vigilbase.notifications.outbox import claim_batches, record_result

FILE = """
services: [{name: api, tcp: "127.0.0.1:9", tags: [shop]}]
channels: {ops: {webhook: {url: "http://127.0.0.1:9/"}}, team: {webhook: {url: "http://127.0.0.1:9/"}}}
"""
BY = "silence 4f3a21c9 of ana: the new release"


def run_and_get_lines(config_folder: Path, *arguments: str, code: int = 0) -> list[str]:
    """The lines that a command prints, with single spaces."""
    result = run(*arguments, cwd=config_folder, environ={})
    assert (result.returncode, result.stderr) == (code, "")
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def run_and_parse_json(config_folder: Path, *arguments: str) -> Any:
    return json.loads("\n".join(run_and_get_lines(config_folder, *arguments, "--json")))


@pytest.fixture
def config_folder(tmp_path: Path) -> Path:
    (tmp_path / "vigilbase.yaml").write_text(FILE)
    return tmp_path


async def _open_alert(*channels: str) -> None:
    """Open an alert of the service `api`, with a notification to each channel."""
    await HealthCheckModel.create(CreateHealthCheckData(service_name="api", status="down"))
    routes = [{"channel": each, "after_s": 0, "unless_acknowledged": False, "send_resolved": True} for each in channels]
    transition = {
        "service_name": "api",
        "to": "down",
        "opening": {"message": "api is down", "details": {"reason": "3 consecutive checks"}},
        "routes": routes,
        "tags": ["shop"],
    }
    await get_supabase_service_client().call(
        "vigilbase_record", {"p_checks": "[]", "p_transitions": json.dumps([transition])}
    )


async def _claim_and_record(channel: str, result: Any, **details: Any) -> None:
    claimed = await claim_batches(channel, window_s=0, lease_id=uuid4(), limit=10)
    [batch] = claimed.batches
    await record_result(batch, result, ids=[notification.id for notification in batch.notifications], **details)


async def test_commands_suppressed_notification_names_its_silence(backend: Backend, config_folder: Path) -> None:
    await SuppressionModel.create(CreateSuppressionData("silence", "ana", "the new release", tag="shop"))
    await _open_alert("ops")
    await _claim_and_record("ops", "deferred", delay_s=3600, suppressed_by=BY)
    assert (
        f"when the suppression ends suppressed by {BY}" in run_and_get_lines(config_folder, "notifications", "list")[1]
    )
    assert run_and_parse_json(config_folder, "notifications", "list")["notifications"][0]["suppressed_by"] == BY
    assert run_and_get_lines(config_folder, "channels", "list")[1] == "ops webhook 127.0.0.1:9 enabled 1 suppressed"
    [remark] = [line for line in run_and_get_lines(config_folder, "status") if line.startswith("Notifications about")]
    assert remark.startswith("Notifications about api are suppressed by silence ")
    assert remark.endswith(" of ana: the new release")
    assert run_and_parse_json(config_folder, "status")["services"][0]["suppressed_by"].endswith(
        " of ana: the new release"
    )

    [alert] = await AlertEventModel.find_open()
    last = run_and_get_lines(config_folder, "alerts", "show", str(alert.id))[-1]
    assert last.endswith(f" ops triggered when the suppression ends suppressed by {BY}")
    await AlertEventModel.resolve(alert.id)
    [line] = [
        line for line in run_and_get_lines(config_folder, "alerts", "show", str(alert.id)) if " cancelled " in line
    ]
    assert line.endswith(f" cancelled ops: triggered, the alert is resolved, suppressed by {BY}")
    # The worker that sends the resolution finds out whether it was suppressed to the end.
    assert [
        each["kind"] for each in run_and_parse_json(config_folder, "alerts", "show", str(alert.id))["notifications"]
    ] == ["resolved"]


async def test_commands_disabled_channel_is_shown_with_reason_and_advice(backend: Backend, config_folder: Path) -> None:
    await _open_alert("ops", "team", "old")
    await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": "ops", "p_reason": "410 Gone", "p_message": "ops is disabled", "p_routes": "[]"},
    )
    assert " when its channel is enabled" in run_and_get_lines(config_folder, "notifications", "list")[3]
    assert " now" in run_and_get_lines(config_folder, "notifications", "list")[2]
    for command in (["notifications", "list"], ["status"]):
        last = run_and_get_lines(config_folder, *command)[-1]
        assert re.match(r"ops was disabled \d+s ago: 410 Gone: fix the cause, ", last)
        assert last.endswith("`vigilbase channels enable ops`")
    _, ops, team, unnamed_channel = run_and_get_lines(config_folder, "channels", "list")
    assert re.fullmatch(r"ops webhook 127\.0\.0\.1:9 disabled \d+s ago: 410 Gone 1 pending", ops)
    assert team == "team webhook 127.0.0.1:9 enabled 1 pending"
    unnamed = "vigilbase.yaml doesn't name the channel old, which has notifications (1 pending)"
    assert unnamed_channel == f"{unnamed}: add it to the file again, or run `vigilbase notifications discard ID`"
    assert " never: the file doesn't name its channel" in run_and_get_lines(config_folder, "notifications", "list")[1]
    [disabled] = run_and_parse_json(config_folder, "status")["disabled_channels"]
    assert (disabled["channel"], disabled["disabled_reason"]) == ("ops", "410 Gone")
    listed = {each["name"]: each for each in run_and_parse_json(config_folder, "channels", "list")["channels"]}
    assert (listed["ops"]["disabled_reason"], listed["ops"]["pending"]) == ("410 Gone", 1)
    assert listed["team"]["disabled_reason"] is None
    lines = run_and_get_lines(config_folder, "doctor", code=1)
    assert f"warning notifications {unnamed}" in lines
    [at] = [number for number, line in enumerate(lines) if line.startswith("problem notifications ops was disabled")]
    assert "`vigilbase channels enable ops`" in lines[at + 1]


async def test_commands_failed_notification_is_warning_until_alert_is_resolved(
    backend: Backend, config_folder: Path
) -> None:
    await _open_alert("ops")
    await _claim_and_record("ops", "failed", error="400 Bad Request")
    assert any(
        line.startswith("warning notifications failed: 1 to ops") for line in run_and_get_lines(config_folder, "doctor")
    )
    [alert] = await AlertEventModel.find_open()
    [number] = [
        each["id"] for each in run_and_parse_json(config_folder, "alerts", "show", str(alert.id))["notifications"]
    ]
    assert (
        run_and_get_lines(config_folder, "alerts", "show", str(alert.id))[-1]
        == f"{number} ops triggered failed 400 Bad Request"
    )
    await AlertEventModel.resolve(alert.id)
    retry = run("notifications", "retry", str(number), cwd=config_folder, environ={})
    assert (retry.returncode, retry.stdout) == (2, "")
    error = f"notification {number} (triggered) is not needed any more: its alert is resolved"
    assert retry.stderr == f"vigilbase: {error}\n"
    # A failed notification that isn't needed any more is no warning; its resolution is still pending.
    assert not any("failed" in line for line in run_and_get_lines(config_folder, "doctor"))
    [resolution] = run_and_parse_json(config_folder, "alerts", "show", str(alert.id))["notifications"]
    assert resolution["kind"] == "resolved"
    run_and_get_lines(config_folder, "notifications", "discard", str(resolution["id"]), "--by", "ana")
    assert run_and_parse_json(config_folder, "alerts", "show", str(alert.id))["notifications"] == []
    *_, last = run_and_get_lines(config_folder, "alerts", "show", str(alert.id))
    assert last.endswith(" cancelled by ana; ops: resolved")
    assert "ok notifications none are pending" in run_and_get_lines(config_folder, "doctor")


async def test_commands_retrying_channel_is_shown_with_error(backend: Backend, config_folder: Path) -> None:
    await _open_alert("ops", "team")
    await _claim_and_record("ops", "retry", error="503", delay_s=60)
    assert "enabled, but fails: 503 1 retrying" in run_and_get_lines(config_folder, "channels", "list")[1]
    [warning] = [
        line for line in run_and_get_lines(config_folder, "doctor") if line.startswith("warning notifications")
    ]
    assert warning.startswith("warning notifications 1 notification is being retried on ops: 503")
    assert warning.endswith(": 503")
    listed = run_and_get_lines(config_folder, "notifications", "list")
    assert any(" ops triggered pending 1 " in line and line.endswith(" 503") and " in " in line for line in listed)


async def test_commands_paused_channel_is_shown_with_remaining_time(backend: Backend, config_folder: Path) -> None:
    await _open_alert("ops")
    await _claim_and_record("ops", "retry", error="429 Too Many Requests", delay_s=5, pause_s=7200)
    [state] = [line for line in run_and_get_lines(config_folder, "channels", "list") if line.startswith("ops")]
    assert re.search(r" paused for 1h 5\dm at the receiver's request: 429 Too Many Requests 1 retrying$", state)
    [line] = [
        line
        for line in run_and_get_lines(config_folder, "notifications", "list")
        if " ops triggered pending 1 " in line
    ]
    assert re.search(r" in .*, as the receiver requested", line)
    assert run_and_parse_json(config_folder, "channels", "list")["channels"][0]["paused_until"] is not None


async def test_notifications_list_shows_wait_for_group_window(backend: Backend, config_folder: Path) -> None:
    """The default `group_window` is 30 s."""
    await _open_alert("ops")
    await _claim_and_record("ops", "delivered", answer="200 OK")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.resolve(alert.id)
    [line] = run_and_get_lines(config_folder, "notifications", "list")[1:]
    assert re.search(r" ops resolved pending 0 .* in \d+s, in a batch$", line)


async def test_channels_enable_channel_missing_from_config_is_enabled(backend: Backend, config_folder: Path) -> None:
    await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": "old", "p_reason": "410 Gone", "p_message": "ops is disabled", "p_routes": "[]"},
    )
    [warning] = [line for line in run_and_get_lines(config_folder, "channels", "list") if "old" in line]
    assert warning.endswith("which is disabled: add it to the file again, or run `vigilbase channels enable old`")
    assert run_and_get_lines(config_folder, "channels", "enable", "old") == ["old is enabled."]
    assert await AlertEventModel.find_open() == []
