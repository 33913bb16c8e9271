"""Claims: which notifications are sent, in which batches, and in which order."""

import asyncio

import pytest

from tests.conftest import Backend
from tests.support.outbox import (
    OPS,
    ROWS,
    TIMELINE,
    claim_due,
    claim_one,
    end_leases,
    list_ids,
    list_services,
    make_due,
    record_transition,
    suppress,
)
from vigilbase import AlertEventModel
from vigilbase.notifications.outbox import record_result


async def test_outbox_alert_opened_and_resolved_sends_trigger_then_resolution(each_backend: Backend) -> None:
    await record_transition("api", "down")
    trigger = await claim_one()
    assert (trigger.kind, trigger.attempts) == ("triggered", 1)
    [first] = trigger.notifications
    assert (first.alert.service_name, first.alert.status, list(first.tags)) == ("api", "active", ["shop"])
    assert first.may_know_alert is False
    await record_result(trigger, "delivered", answer="200 OK")
    assert (await claim_due()).batches == []
    await record_transition("api", "healthy")
    resolution = await claim_one()
    assert resolution.kind == "resolved"
    assert resolution.notifications[0].may_know_alert is True
    assert resolution.notifications[0].alert.id == first.alert.id
    assert resolution.notifications[0].alert.status == "resolved"
    await record_result(resolution, "delivered", answer="200 OK")
    assert (await claim_due()).batches == []
    assert each_backend.execute(ROWS) == [("ops", "triggered", "delivered"), ("ops", "resolved", "delivered")]
    assert each_backend.execute(TIMELINE) == [
        ("opened", None),
        ("delivered", "ops"),
        ("resolved", None),
        ("delivered", "ops"),
    ]


async def test_claim_unsent_trigger_of_resolved_alert_sends_only_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_transition("api", "healthy")
    resolution = await claim_one()
    assert (resolution.kind, resolution.notifications[0].may_know_alert) == ("resolved", False)
    assert backend.execute(ROWS) == [("ops", "triggered", "cancelled"), ("ops", "resolved", "pending")]


async def test_claim_unsent_trigger_without_send_resolved_sends_nothing(backend: Backend) -> None:
    await record_transition("api", "down", [{**OPS, "send_resolved": False}])
    await record_transition("api", "healthy")
    assert (await claim_due()).batches == []


async def test_claim_delivered_trigger_without_send_resolved_sends_resolution(backend: Backend) -> None:
    await record_transition("api", "down", [{**OPS, "send_resolved": False}])
    await record_result(await claim_one(), "delivered")
    await record_transition("api", "healthy")
    assert (await claim_one()).kind == "resolved"


async def test_claim_trigger_in_flight_holds_back_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    trigger = await claim_one()
    await record_transition("api", "healthy")
    assert (await claim_due()).batches == []
    await record_result(trigger, "delivered")
    assert (await claim_one()).kind == "resolved"


async def test_claim_expired_lease_returns_same_batch_and_late_success_counts(backend: Backend) -> None:
    await record_transition("api", "down")
    first = await claim_one()
    assert (await claim_due()).batches == []
    end_leases(backend)
    again = await claim_one()
    assert (again.id, again.at, again.attempts) == (first.id, first.at, 2)
    # A late failure of the first worker doesn't count, since the batch is no longer its own. A late success does.
    await record_result(first, "failed", error="connection closed")
    assert backend.execute(ROWS) == [("ops", "triggered", "pending")]
    await record_result(first, "delivered", answer="200 OK")
    assert backend.execute(ROWS) == [("ops", "triggered", "delivered")]


async def test_claim_reclaimed_batch_in_flight_holds_back_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    slow = await claim_one()
    end_leases(backend)
    again = await claim_one()
    await record_result(slow, "delivered")  # late, while another worker is sending the batch again
    await record_transition("api", "healthy")
    assert (await claim_due()).batches == []
    await record_result(again, "delivered")
    assert (await claim_one()).kind == "resolved"
    assert [event for event, _ in backend.execute(TIMELINE)].count("delivered") == 1


async def test_claim_trigger_awaiting_retry_holds_back_acknowledgement(backend: Backend) -> None:
    await record_transition("api", "down")
    trigger = await claim_one()
    await record_result(trigger, "retry", error="503", delay_s=60)
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    assert (await claim_due()).batches == []
    make_due(backend)
    again = await claim_one()
    assert (again.kind, again.id) == ("triggered", trigger.id)
    await record_result(again, "delivered")
    assert (await claim_one()).kind == "acknowledged"


async def test_claim_failed_trigger_sends_resolution_but_no_acknowledgement(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "failed", error="400")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    assert (await claim_due()).batches == []
    await record_transition("api", "healthy")
    assert (await claim_one()).kind == "resolved"


async def test_claim_retried_batch_is_returned_only_when_due(backend: Backend) -> None:
    await record_transition("api", "down")
    first = await claim_one()
    await record_result(first, "retry", error="503", delay_s=60)
    claimed = await claim_due()
    assert claimed.batches == []
    assert claimed.next_in_s == pytest.approx(60, abs=5)
    make_due(backend)
    again = await claim_one()
    assert (again.id, again.attempts) == (first.id, 2)
    assert ("attempt_failed", "ops") in backend.execute(TIMELINE)


async def test_claim_ten_concurrent_workers_get_each_notification_once(backend: Backend) -> None:
    for number in range(5):
        await record_transition(f"s{number}", "down")
    claims = await asyncio.gather(*(claim_due() for _ in range(10)))
    batches = [batch for claimed in claims for batch in claimed.batches]
    batches += (await claim_due()).batches  # a claim during another one returns nothing
    assert sorted(map(list_services, batches)) == [[f"s{n}"] for n in range(5)]
    assert len({batch.id for batch in batches}) == 5


async def test_claim_alerts_within_group_window_form_one_batch(backend: Backend) -> None:
    await record_transition("s0", "down")
    first = await claim_one(window_s=30)
    for number in range(1, 30):
        await record_transition(f"s{number}", "down")
    assert (await claim_due(window_s=30)).batches == []  # the first is in flight
    await record_result(first, "delivered")
    assert (await claim_due(window_s=30)).batches == []  # its group window has begun
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() - interval '31 s'")
    group = await claim_one(window_s=30)
    assert list_services(group) == sorted(f"s{number}" for number in range(1, 30))
    await record_result(group, "retry", error="503", delay_s=0)
    await record_transition("late", "down")
    again = await claim_one(window_s=30)
    assert again.id == group.id
    assert list_ids(again) == list_ids(group)


async def test_claim_escalation_is_delayed_and_cancelled_by_acknowledgement(backend: Backend) -> None:
    boss = {"channel": "boss", "after_s": 900, "unless_acknowledged": True, "send_resolved": False}
    await record_transition("api", "down", [OPS, boss])
    await record_result(await claim_one(), "delivered")
    assert (await claim_due("boss")).batches == []
    assert (await claim_due("boss")).next_in_s == pytest.approx(900, abs=5)
    make_due(backend)
    [alert] = await AlertEventModel.find_open()
    backend.execute("UPDATE alert_events SET status = 'acknowledged', acknowledged_at = now()")
    assert (await claim_due("boss")).batches == []
    assert ("boss", "triggered", "cancelled") in backend.execute(ROWS)
    assert alert.service_name == "api"


async def test_claim_delayed_route_of_resolved_alert_sends_nothing(backend: Backend) -> None:
    boss = {"channel": "boss", "after_s": 900, "unless_acknowledged": False, "send_resolved": True}
    await record_transition("api", "down", [boss])
    await record_transition("api", "healthy")
    make_due(backend)
    assert (await claim_due("boss")).batches == []


async def test_claim_reminders_repeat_until_acknowledgement(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered", remind_after_s=3600)
    assert (await claim_due()).next_in_s == pytest.approx(3600, abs=5)
    for number in (1, 2):
        make_due(backend)
        reminder = await claim_one()
        assert reminder.kind == "reminder"
        await record_result(reminder, "delivered", remind_after_s=3600)
        assert backend.execute("SELECT max(number) FROM vigilbase.notifications") == [(number + 1,)]
    backend.execute("UPDATE alert_events SET status = 'acknowledged', acknowledged_at = now()")
    make_due(backend)
    assert (await claim_due()).batches == []
    await record_transition("api", "healthy")
    assert (await claim_one()).kind == "resolved"


async def test_claim_degraded_to_down_sends_resolution_and_trigger_together(backend: Backend) -> None:
    await record_transition("api", "degraded")
    await record_result(await claim_one(), "delivered")
    await record_transition("api", "down")
    batches = (await claim_due()).batches  # at once, since receivers distinguish them by type
    assert sorted((batch.kind, batch.notifications[0].alert.alert_type) for batch in batches) == [
        ("resolved", "service_degraded"),
        ("triggered", "service_down"),
    ]


async def test_claim_resolution_after_failed_attempt_waits_at_most_ten_seconds(backend: Backend) -> None:
    for service, delay_s in (("a", 5), ("b", 3600)):
        await record_transition(service, "down")
        await record_result(await claim_one(), "retry", error="no answer within 10 s", delay_s=delay_s)
        await record_transition(service, "healthy")
        claimed = await claim_due()
        assert claimed.batches == []
        assert claimed.next_in_s is not None
        assert 0 < claimed.next_in_s <= min(delay_s, 10)  # as long as the trigger would have waited
        assert backend.execute(ROWS)[-2:] == [("ops", "triggered", "cancelled"), ("ops", "resolved", "pending")]
        make_due(backend)
        resolution = await claim_one()
        assert resolution.kind == "resolved"
        await record_result(resolution, "delivered")


async def test_claim_notifications_behind_retries_do_not_block_others(backend: Backend) -> None:
    for service in ("a", "b", "c", "d"):
        await record_transition(service, "down", [OPS, OPS])
    failing = "attempts = 1, batch_id = gen_random_uuid(), batched_at = now(), due_at = now() + interval '1 hour'"
    backend.execute(f"UPDATE vigilbase.notifications SET {failing} WHERE number = 1")
    assert (await claim_due(limit=1)).batches == []
    await record_transition("e", "down")
    [batch] = (await claim_due(limit=1)).batches
    assert batch.notifications[0].alert.service_name == "e"


async def test_claim_after_group_window_batches_triggers_and_resolutions_by_kind(backend: Backend) -> None:
    for service in ("a", "b"):
        await record_transition(service, "down")
    await record_result(await claim_one(window_s=30), "delivered")
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() - interval '1 minute'")
    for service in ("a", "b"):
        await record_transition(service, "healthy")
    for service in ("c", "d"):
        await record_transition(service, "down")
    batches = (await claim_due(window_s=30)).batches
    assert {batch.kind: list_services(batch) for batch in batches} == {"resolved": ["a", "b"], "triggered": ["c", "d"]}


async def test_claim_suppressed_trigger_of_resolved_alert_sends_resolution(backend: Backend) -> None:
    """The worker decides whether the alert was suppressed to its end."""
    await record_transition("api", "down")
    batch = await claim_one()
    await suppress(batch)
    await record_transition("api", "healthy")
    assert backend.execute(ROWS) == [("ops", "triggered", "cancelled"), ("ops", "resolved", "pending")]
    resolution = await claim_one()
    assert (resolution.kind, resolution.notifications[0].may_know_alert) == ("resolved", False)


async def test_claim_delayed_route_of_alert_resolved_by_sql_sends_nothing(backend: Backend) -> None:
    await record_transition("api", "down", [{**OPS, "after_s": 600}])
    backend.execute("UPDATE alert_events SET status = 'resolved', resolved_at = now()")
    make_due(backend)
    backend.execute("UPDATE alert_events SET resolved_at = now() - interval '1 minute'")
    assert (await claim_due()).batches == []
    assert backend.execute(ROWS) == [("ops", "triggered", "cancelled")]
