"""`vigilbase deliveries` and `channels enable`, by the installed command."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import SETTINGS, Backend
from tests.support.outbox import enqueue
from tests.support.watched import run
from vigilbase import AlertEventModel, CreateAlertEventData, DeliveryModel, get_supabase_service_client

FILE = (
    "services: [{name: itself, postgres: self}]\n"
    "channels: {ops: {webhook: {url: 'http://127.0.0.1:9/'}}, team: {webhook: {url: 'http://127.0.0.1:9/'}}}\n"
)
OWED = json.dumps([{"channel": "ops", "after_s": 0, "unless_acknowledged": False, "send_resolved": True}])


def _environ() -> dict[str, str]:
    return {name: value for name in SETTINGS if (value := os.environ.get(name))}


async def _owe(backend: Backend) -> int:
    """A delivery that was given up; its number."""
    alert, _ = await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down", message="api is down"))
    enqueue(backend, alert)
    backend.execute(
        "UPDATE vigilbase.notifications SET status = 'failed', ended_at = now(), attempts = 20, last_error = '503', "
        "batch_id = gen_random_uuid(), batched_at = now()"
    )
    [delivery] = await DeliveryModel.find()
    return delivery.id


async def test_what_was_given_up_is_listed_and_can_be_tried_again(backend: Backend, tmp_path: Path) -> None:
    empty = run("deliveries", "list", cwd=tmp_path, environ=_environ())
    assert (empty.returncode, empty.stdout) == (0, "Nothing is owed, and nothing was given up.\n")
    number = await _owe(backend)
    [listed] = json.loads(run("deliveries", "list", "--json", cwd=tmp_path, environ=_environ()).stdout)["deliveries"]
    assert (listed["id"], listed["status"], listed["last_error"]) == (number, "failed", "503")
    assert "503" in run("deliveries", "list", cwd=tmp_path, environ=_environ()).stdout
    tried = run("deliveries", "retry", str(number), "--json", cwd=tmp_path, environ=_environ())
    assert json.loads(tried.stdout)["status"] == "pending"
    again = run("deliveries", "retry", str(number), cwd=tmp_path, environ=_environ())
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "only what failed can be tried again" in again.stderr
    unknown = run("deliveries", "retry", "999999", cwd=tmp_path, environ=_environ())
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("limit", ["0", "-1", "99999999999", "many"])
def test_a_limit_that_is_none_is_one_line(limit: str, tmp_path: Path) -> None:
    done = run("deliveries", "list", "--limit", limit, cwd=tmp_path, environ={})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--limit must be a whole number" in done.stderr


@pytest.mark.parametrize("number", ["x", "1.5", "4f3a21c9", "9" * 19, "²"])
@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_what_is_no_number_of_a_delivery_is_one_line(command: str, number: str, tmp_path: Path) -> None:
    done = run("deliveries", command, number, cwd=tmp_path, environ={})
    said = "NUMBER must be the number of a delivery, such as 42; `vigilbase deliveries list --all` shows the numbers"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"vigilbase: {said}\n")


async def test_a_channel_is_switched_on_by_its_name_and_by_no_other(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text(FILE)
    await get_supabase_service_client().call(
        "vigilbase_disable_channel",
        {"p_channel": "ops", "p_reason": "410 Gone", "p_message": "ops is off", "p_routes": "[]"},
    )
    [off] = await DeliveryModel.find_channels()
    assert (off.channel, off.off_reason) == ("ops", "410 Gone")
    assert off.off_since is not None
    wrong = run("channels", "enable", "opps", cwd=tmp_path, environ=_environ())
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert run("channels", "enable", "ops", cwd=tmp_path, environ=_environ()).stdout == "ops is on again\n"
    assert run("channels", "enable", "ops", cwd=tmp_path, environ=_environ()).stdout == "ops was not switched off\n"
    [on] = await DeliveryModel.find_channels()
    assert (on.off_since, on.off_reason) == (None, None)
    assert await AlertEventModel.find_open() == []
