"""`vigilbase notifications` and `vigilbase channels enable`."""

import json
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.support.command import run
from tests.support.outbox import enqueue
from vigilbase import (
    AlertEventModel,
    ChannelModel,
    CreateAlertEventData,
    NotificationModel,
    get_supabase_service_client,
)

FILE = (
    "services: [{name: itself, postgres: self}]\n"
    "channels: {ops: {webhook: {url: 'http://127.0.0.1:9/'}}, team: {webhook: {url: 'http://127.0.0.1:9/'}}}\n"
)
ROUTES = json.dumps([{"channel": "ops", "after_s": 0, "unless_acknowledged": False, "send_resolved": True}])


async def _enqueue_failed_notification(backend: Backend) -> int:
    """Enqueue a notification that has failed, and return its id."""
    alert, _ = await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down", message="api is down"))
    enqueue(backend, alert)
    backend.execute(
        "UPDATE vigilbase.notifications SET status = 'failed', ended_at = now(), attempts = 20, last_error = '503', "
        "batch_id = gen_random_uuid(), batched_at = now()"
    )
    [notification] = await NotificationModel.find()
    return notification.id


async def test_notifications_failed_notification_is_listed_and_retried_once(backend: Backend, tmp_path: Path) -> None:
    empty = run("notifications", "list", cwd=tmp_path, environ={})
    assert (empty.returncode, empty.stdout) == (0, "No pending or failed notifications.\n")
    number = await _enqueue_failed_notification(backend)
    [listed] = json.loads(run("notifications", "list", "--json", cwd=tmp_path, environ={}).stdout)["notifications"]
    assert (listed["id"], listed["status"], listed["last_error"]) == (number, "failed", "503")
    assert "503" in run("notifications", "list", cwd=tmp_path, environ={}).stdout
    retried = run("notifications", "retry", str(number), "--json", cwd=tmp_path, environ={})
    assert json.loads(retried.stdout)["status"] == "pending"
    again = run("notifications", "retry", str(number), cwd=tmp_path, environ={})
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "only a failed notification can be sent again" in again.stderr
    unknown = run("notifications", "retry", "999999", cwd=tmp_path, environ={})
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("limit", ["0", "-1", "99999999999", "many"])
def test_notifications_list_invalid_limit_is_one_line_error(limit: str, tmp_path: Path) -> None:
    result = run("notifications", "list", "--limit", limit, cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "--limit must be a whole number" in result.stderr


@pytest.mark.parametrize("notification_id", ["x", "1.5", "4f3a21c9", "9" * 19, "²"])
@pytest.mark.parametrize("command", ["retry", "discard"])
def test_notifications_retry_or_discard_invalid_id_is_one_line_error(
    command: str, notification_id: str, tmp_path: Path
) -> None:
    result = run("notifications", command, notification_id, cwd=tmp_path, environ={})
    error = "ID must be the number of a notification, such as 42; `vigilbase notifications list --all` lists the ids"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"vigilbase: {error}\n")


async def test_channels_enable_named_channel_is_enabled_and_other_name_rejected(
    backend: Backend, tmp_path: Path
) -> None:
    (tmp_path / "vigilbase.yaml").write_text(FILE)
    await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": "ops", "p_reason": "410 Gone", "p_message": "ops is disabled", "p_routes": "[]"},
    )
    [state] = await ChannelModel.find_all()
    assert (state.channel, state.disabled_reason) == ("ops", "410 Gone")
    assert state.disabled_at is not None
    wrong = run("channels", "enable", "opps", cwd=tmp_path, environ={})
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert run("channels", "enable", "ops", cwd=tmp_path, environ={}).stdout == "ops is enabled.\n"
    assert run("channels", "enable", "ops", cwd=tmp_path, environ={}).stdout == "ops was not disabled.\n"
    [state] = await ChannelModel.find_all()
    assert (state.disabled_at, state.disabled_reason) == (None, None)
    assert await AlertEventModel.find_open() == []
