"""The timeline of an alert: what happened, and who did it."""

import asyncio
import json
from uuid import uuid4

import pytest

from tests.conftest import Backend
from vigilbase import (
    AlertEventModel,
    CreateAlertEventData,
    InvalidInputError,
    InvalidTransitionError,
    TimelineModel,
    get_supabase_service_client,
)

ROUTES = [{"channel": "ops", "after_s": 0, "unless_acknowledged": False, "send_resolved": True}]
NOTIFICATIONS = "SELECT kind, status FROM vigilbase.notifications ORDER BY id"


async def _open_alert() -> str:
    """Open an alert as the judge does, with a notification for a channel."""
    transition = {
        "service_name": "api",
        "to": "down",
        "opening": {"message": "api is down", "details": {"reason": "3 consecutive checks were down"}},
        "routes": ROUTES,
        "tags": [],
    }
    answer = await get_supabase_service_client().call(
        "vigilbase_record", {"p_checks": "[]", "p_transitions": json.dumps([transition])}
    )
    return str(json.loads(json.dumps(answer))["transitions"][0]["opened"]["id"])


async def _list_entries(alert_id: str) -> list[tuple[str, str | None, str | None]]:
    return [(entry.event, entry.author, entry.comment) for entry in await TimelineModel.find_by_alert(alert_id)]


async def test_timeline_has_opening_reason_and_author_of_each_action(each_backend: Backend) -> None:
    alert_id = await _open_alert()
    await AlertEventModel.acknowledge(alert_id, author="ada", comment="looking into it")
    await AlertEventModel.resolve(alert_id, author=" bob ", comment="restarted")
    entries = await TimelineModel.find_by_alert(alert_id)
    assert [(entry.event, entry.author, entry.comment) for entry in entries] == [
        ("opened", None, None),
        ("acknowledged", "ada", "looking into it"),
        ("resolved", "bob", "restarted"),
        ("cancelled", None, None),  # the trigger, which was still pending
    ]
    assert entries[0].details == {"reason": "3 consecutive checks were down"}
    assert entries[3].details == {
        "channel": "ops",
        "kind": "triggered",
        "attempts": 0,
        "suppressed_by": None,
        "reason": "resolved",
    }
    assert {entry.service_name for entry in entries} == {"api"}
    assert {str(entry.alert_id) for entry in entries} == {alert_id}
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)


async def test_acknowledge_and_resolve_delivered_trigger_enqueue_follow_ups_once(backend: Backend) -> None:
    alert_id = await _open_alert()
    backend.execute("UPDATE vigilbase.notifications SET status = 'delivered', ended_at = now(), attempts = 1")
    await AlertEventModel.acknowledge(alert_id)
    await AlertEventModel.acknowledge(alert_id)
    await AlertEventModel.resolve(alert_id)
    await AlertEventModel.resolve(alert_id)
    assert backend.execute(NOTIFICATIONS) == [
        ("triggered", "delivered"),
        ("acknowledged", "cancelled"),
        ("resolved", "pending"),
    ]
    assert await _list_entries(alert_id) == [
        ("opened", None, None),
        ("acknowledged", None, None),
        ("resolved", None, None),
    ]


async def test_timeline_comment_on_repeated_action_is_separate_entry(backend: Backend) -> None:
    alert = await AlertEventModel.create(CreateAlertEventData("api", "service_down"))
    await AlertEventModel.acknowledge(alert.id, author="ada")
    await AlertEventModel.acknowledge(alert.id, author="bob")
    await AlertEventModel.acknowledge(alert.id, author="bob", comment="so am I")
    first = await AlertEventModel.resolve(alert.id, author="ada")
    assert await AlertEventModel.resolve(alert.id, author="bob", comment="it was the disk") == first
    assert await _list_entries(str(alert.id)) == [
        ("acknowledged", "ada", None),
        ("commented", "bob", "so am I"),
        ("resolved", "ada", None),
        ("commented", "bob", "it was the disk"),
    ]


async def test_timeline_rejected_action_adds_no_entry(backend: Backend) -> None:
    alert = await AlertEventModel.create(CreateAlertEventData("api", "service_down", "resolved"))
    with pytest.raises(InvalidTransitionError):
        await AlertEventModel.acknowledge(alert.id, author="ada", comment="late")
    for field in ("author", "comment"):
        for act in (AlertEventModel.acknowledge, AlertEventModel.resolve):
            with pytest.raises(InvalidInputError, match=f"{field} must not be empty"):
                await act(alert.id, **{field: " "})
    assert await AlertEventModel.resolve(uuid4(), author="ada", comment="who?") is None
    assert await AlertEventModel.acknowledge(uuid4(), author="ada", comment="who?") is None
    assert backend.execute("SELECT count(*) FROM vigilbase.alert_timeline") == [(0,)]


async def test_timeline_ten_concurrent_acknowledgements_add_one_entry(backend: Backend) -> None:
    alert = await AlertEventModel.create(CreateAlertEventData("api", "service_down"))
    await asyncio.gather(*(AlertEventModel.acknowledge(alert.id, author=f"author {n}") for n in range(10)))
    assert [event for event, _, _ in await _list_entries(str(alert.id))] == ["acknowledged"]


async def test_timeline_find_by_alert_is_complete_and_empty_for_unknown_id(each_backend: Backend) -> None:
    alert_id = (await AlertEventModel.create(CreateAlertEventData("api", "service_down"))).id
    each_backend.execute(
        "INSERT INTO vigilbase.alert_timeline (alert_id, service_name, event, comment) "
        f"SELECT '{alert_id}', 'api', 'commented', n FROM generate_series(1, 1234) n"
    )
    assert [comment for _, _, comment in await _list_entries(str(alert_id))] == [str(n) for n in range(1, 1235)]
    assert await TimelineModel.find_by_alert(uuid4()) == []
    with pytest.raises(InvalidInputError, match="id must be a UUID"):
        await TimelineModel.find_by_alert("42")
