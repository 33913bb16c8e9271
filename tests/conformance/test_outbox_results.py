"""Results: what an attempt's result, a retry, a discard or a deletion does to a notification."""

import json
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.outbox import (
    OPS,
    ROWS,
    SUPPRESSED_BY,
    TIMELINE,
    claim_due,
    claim_one,
    list_ids,
    list_services,
    record_transition,
    suppress,
)
from vigilbase import (
    AlertEventModel,
    ChannelModel,
    CreateSuppressionData,
    NotificationModel,
    SuppressionModel,
    get_supabase_service_client,
)
from vigilbase.models.suppression import KINDS, SuppressionKind
from vigilbase.notifications.outbox import ClaimedBatch, disable_channel, enqueue_missing_resolutions, record_result


async def test_record_result_retry_after_resolution_cancels_trigger(backend: Backend) -> None:
    await record_transition("api", "down")
    trigger = await claim_one()
    await record_transition("api", "healthy")
    await record_result(trigger, "retry", error="503", delay_s=0)
    first = await claim_due()
    second = await claim_due()
    [resolution] = [*first.batches, *second.batches]
    assert (resolution.kind, resolution.notifications[0].may_know_alert) == ("resolved", True)  # it may have arrived
    assert backend.execute(ROWS)[0] == ("ops", "triggered", "cancelled")


async def test_record_result_split_creates_batches_without_attempts(backend: Backend) -> None:
    for name in ("a", "b", "c"):
        await record_transition(name, "down")
    rejected = await claim_one(window_s=60)
    [first, *rest] = list_ids(rejected)
    for ids in ([first], rest):
        await record_result(rejected, "split", ids=ids, error="413")
    parts = (await claim_due(window_s=60)).batches  # the window doesn't delay them
    assert [list_ids(part) for part in parts] == [[first], rest]
    assert {part.attempts for part in parts} == {1}
    assert len({rejected.id, *(part.id for part in parts)}) == 3
    for part in parts:
        await record_result(part, "delivered")
    assert [status for *_, status in backend.execute(ROWS)] == ["delivered"] * 3
    # If its alert resolves first, only the resolution of a split part is sent.
    await record_transition("d", "down")
    await record_transition("e", "down")
    both = await claim_one(window_s=0.000001)
    await record_result(both, "split", ids=[both.notifications[0].id], error="413")
    await record_transition("d", "healthy")
    [resolution] = (await claim_due(window_s=0)).batches
    assert (resolution.kind, resolution.notifications[0].may_know_alert) == ("resolved", False)


async def test_enqueue_missing_resolutions_alert_resolved_by_sql_sends_resolution(backend: Backend) -> None:
    await record_transition("notified", "down")
    await record_result(await claim_one(), "delivered")
    await record_transition("pending", "down")
    backend.execute("UPDATE alert_events SET status = 'resolved', resolved_at = now()")
    assert await enqueue_missing_resolutions() == 2
    assert await enqueue_missing_resolutions() == 0
    batches = [*(await claim_due()).batches, *(await claim_due()).batches]
    assert {(batch.kind, *list_services(batch)) for batch in batches} == {
        ("resolved", "notified"),
        ("resolved", "pending"),
    }


async def test_disable_channel_keeps_notifications_and_alerts_other_channels(backend: Backend) -> None:
    await record_transition("api", "down")
    batch = await claim_one()
    await record_result(batch, "retry", error="401 Unauthorized", delay_s=0)
    assert await disable_channel("ops", "401 Unauthorized", ["team"])
    assert not await disable_channel("ops", "401 Unauthorized", ["team"])
    assert (await claim_due()).batches == []
    alert = await claim_one("team")
    assert alert.notifications[0].alert.message == (
        "channel ops is disabled: 401 Unauthorized; its notifications wait for `vigilbase channels enable ops`"
    )
    await record_result(alert, "delivered")
    assert await get_supabase_service_client().call("vigilbase_enable_channel", {"p_channel": "ops"}) is True
    assert (await claim_one("team")).kind == "resolved"
    assert (await claim_one()).id == batch.id


async def test_record_result_deferred_releases_notification_without_attempt(backend: Backend) -> None:
    for service in ("a", "b"):
        await record_transition(service, "down")
    batch = await claim_one(window_s=30)
    [a, b] = batch.notifications
    await record_result(batch, "deferred", ids=[a.id], delay_s=600, suppressed_by=SUPPRESSED_BY)
    await record_result(batch, "delivered")
    assert backend.execute("SELECT status, attempts, batch_id IS NULL FROM vigilbase.notifications ORDER BY id") == [
        ("pending", 0, True),
        ("delivered", 1, False),
    ]
    assert b.alert.service_name == "b"
    by_service = {each.service_name: each.suppressed_by for each in await NotificationModel.find()}
    assert by_service == {"a": SUPPRESSED_BY, "b": None}
    [ops] = await ChannelModel.find_all()
    assert (ops.channel, ops.pending, ops.retrying, ops.suppressed, ops.failed) == ("ops", 0, 0, 1, 0)
    assert ops.last_delivered_at is not None


async def test_silence_end_requeues_suppressed_notification_and_keeps_suppressed_by(backend: Backend) -> None:
    silence = await SuppressionModel.create(CreateSuppressionData("silence", "ana", "why", service_glob="*"))
    await record_transition("api", "down")
    batch = await claim_one()
    await suppress(batch)
    assert (await claim_due()).batches == []
    await SuppressionModel.end("silence", silence.id)
    again = await claim_one()
    assert again.id != batch.id
    await record_result(again, "delivered", answer="200 OK")
    [entry] = backend.execute(
        "SELECT details ->> 'suppressed_by' FROM vigilbase.alert_timeline WHERE event = 'delivered'"
    )
    assert entry == (SUPPRESSED_BY,)


@pytest.mark.parametrize("kind", KINDS)
async def test_record_result_deferred_by_ended_suppression_is_due_at_once(
    backend: Backend, kind: SuppressionKind
) -> None:
    suppression = await SuppressionModel.create(
        CreateSuppressionData(kind, "ana", "why", service_glob="*", length_s=600)
    )
    await record_transition("api", "down")
    batch = await claim_one()
    await SuppressionModel.end(kind, suppression.id)
    await suppress(batch, delay_s=600)
    assert backend.execute("SELECT due_at < now() + interval '1 s' FROM vigilbase.notifications") == [(True,)]
    backend.execute("UPDATE vigilbase.notifications SET due_at = now()")  # nothing has ended since
    again = await claim_one()
    await suppress(again, delay_s=600)
    assert backend.execute("SELECT due_at > now() + interval '1 min' FROM vigilbase.notifications") == [(True,)]


async def test_timeline_cancelled_trigger_has_reason(backend: Backend) -> None:
    later = {**OPS, "after_s": 600, "unless_acknowledged": True}
    for service in ("a", "b"):
        await record_transition(service, "down", [later])
    await record_transition("a", "healthy")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    reasons = (
        "SELECT service_name, details ->> 'reason' FROM vigilbase.alert_timeline WHERE event = 'cancelled' ORDER BY id"
    )
    assert backend.execute(reasons) == [("a", "resolved"), ("b", "acknowledged")]


async def test_retry_failed_notification_is_requeued_once(each_backend: Backend) -> None:
    await record_transition("api", "down")
    batch = await claim_one()
    await record_result(batch, "failed", error="503")
    assert (await claim_due()).batches == []
    assert ("failed", "ops") in each_backend.execute(TIMELINE)
    [ops] = await ChannelModel.find_all()
    assert (ops.pending, ops.failed) == (0, 1)
    assert await _retry(batch) == "requeued"
    assert await _retry(batch) == "not_failed"
    assert (await claim_one()).id == batch.id


async def test_retry_failed_notification_is_requeued_only_if_still_needed(backend: Backend) -> None:
    """A batch of two alerts, an escalation and a resolution, all failed."""
    for service in ("a", "b"):
        await record_transition(service, "down")
    both = await claim_one(window_s=30)
    await record_result(both, "failed", error="400")
    await record_transition("c", "down", [{**OPS, "channel": "boss", "unless_acknowledged": True}])
    escalation = await claim_one("boss")
    await record_result(escalation, "failed", error="400")
    [c] = [alert for alert in await AlertEventModel.find_open() if alert.service_name == "c"]
    await AlertEventModel.acknowledge(c.id)
    await record_transition("a", "healthy")
    resolution = await claim_one()
    await record_result(resolution, "failed", error="400")

    assert await _retry(both) == "resolved"  # for `a`
    assert await _retry(escalation) == "acknowledged"
    assert await _retry(resolution) == "requeued"
    assert await _retry(both, 1) == "requeued"
    again = {batch.id: batch for batch in (await claim_due()).batches}
    assert list_ids(again[both.id]) == [both.notifications[1].id]
    assert again.keys() == {both.id, resolution.id}


async def test_record_result_failed_reminder_enqueues_next_reminder(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "failed", error="400", remind_after_s=0)
    reminder = await claim_one()
    await record_result(reminder, "failed", error="400", remind_after_s=0)
    assert (await claim_one()).kind == "reminder"
    assert backend.execute(ROWS)[1:] == [("ops", "reminder", "failed"), ("ops", "reminder", "pending")]


async def test_delete_alerts_older_than_keeps_alert_with_pending_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered")
    await record_transition("api", "healthy")
    backend.execute("UPDATE alert_events SET created_at = now() - interval '40 days'")
    assert await AlertEventModel.delete_older_than(30, keep_open=True) == 1  # the recovery
    resolution = await claim_one()
    await record_result(resolution, "delivered")
    assert await AlertEventModel.delete_older_than(30, keep_open=True) == 1


async def test_delete_notifications_older_than_deletes_in_enqueue_order(backend: Backend) -> None:
    """A resolution deleted before its trigger would be enqueued again."""
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered")
    await record_transition("api", "healthy")
    await record_result(await claim_one(), "delivered")
    # The updates put the resolution before the trigger in the heap.
    backend.execute(
        "UPDATE vigilbase.notifications SET created_at = now() - interval '91 days' WHERE kind = 'resolved'"
    )
    backend.execute(
        "UPDATE vigilbase.notifications SET created_at = now() - interval '91 days' WHERE kind = 'triggered'"
    )
    await get_supabase_service_client().call("vigilbase_delete_notifications", {"p_days": 90, "p_limit": 1})
    assert backend.execute(ROWS) == [("ops", "resolved", "delivered")]
    assert await enqueue_missing_resolutions() == 0


async def test_discard_notification_is_cancelled_unless_in_flight(each_backend: Backend) -> None:
    for service in ("a", "b"):
        await record_transition(service, "down")
    [failed, pending] = (await claim_due()).batches
    assert await _discard(failed) is False  # it is in flight
    await record_result(failed, "failed", error="400")
    answer = await NotificationModel.discard(*list_ids(failed), author="ana")
    assert answer is not None
    assert (answer[0].status, answer[1]) == ("cancelled", True)
    assert await _discard(failed) is False
    await record_result(pending, "retry", error="503", delay_s=600)
    [ops] = await ChannelModel.find_all()
    assert (ops.retrying, ops.last_error, ops.failed) == (1, "503", 0)
    assert await _discard(pending) is True
    assert await NotificationModel.discard(10**9) is None
    authors = each_backend.execute("SELECT author FROM vigilbase.alert_timeline WHERE event = 'cancelled' ORDER BY id")
    assert authors == [("ana",), (None,)]


async def test_record_repeated_batch_enqueues_notifications_once(backend: Backend) -> None:
    check = [{"id": str(uuid4()), "service_name": "api", "status": "down", "checked_at": "2026-11-24T12:00:00Z"}]
    transitions = [
        {
            "service_name": "api",
            "to": to,
            "opening": {"message": "m", "details": {}},
            "routes": [OPS],
            "recovery": {"message": "m", "details": {}},
        }
        for to in ("down", "healthy", "down")
    ]
    for _ in range(2):
        await get_supabase_service_client().call(
            "vigilbase_record", {"p_checks": json.dumps(check), "p_transitions": json.dumps(transitions)}
        )
    assert [kind for _, kind, _ in backend.execute(ROWS)] == ["triggered", "resolved", "triggered"]


async def _discard(batch: ClaimedBatch) -> bool | None:
    answer = await NotificationModel.discard(*list_ids(batch))
    return answer[1] if answer else None


async def _retry(batch: ClaimedBatch, index: int = 0) -> str | None:
    answer = await NotificationModel.retry(batch.notifications[index].id)
    return answer[1] if answer else None
