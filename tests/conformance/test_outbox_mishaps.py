"""Failures and races: no notification is lost, sent twice without need, or out of order."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Backend
from tests.support.outbox import (
    OPS,
    ROWS,
    claim_due,
    claim_one,
    end_leases,
    list_ids,
    list_services,
    make_due,
    record_transition,
    suppress,
)
from vigilbase import AlertEventModel, ChannelModel, CreateSuppressionData, NotificationModel, SuppressionModel
from vigilbase.notifications.outbox import disable_channel, enqueue_missing_resolutions, record_result
from vigilbase.runner.retention import delete_expired


@pytest.fixture
def other_transaction(backend: Backend) -> Iterator[psycopg.Connection]:
    """A transaction of other code."""
    with psycopg.connect(backend.server.url(backend.database)) as connection:
        yield connection


def _resolve_by_sql(backend: Backend) -> None:
    backend.execute("UPDATE alert_events SET status = 'resolved', resolved_at = now() WHERE status <> 'resolved'")


def _make_older(backend: Backend, days: int) -> None:
    backend.execute(f"UPDATE alert_events SET created_at = created_at - interval '{days} days'")
    backend.execute(f"UPDATE vigilbase.notifications SET created_at = created_at - interval '{days} days'")


async def test_claim_retried_batch_is_returned_whole_despite_limit(backend: Backend) -> None:
    for number in range(30):
        await record_transition(f"s{number}", "down")
    first = await claim_one(window_s=60)
    assert len(first.notifications) == 30
    await record_result(first, "retry", error="503", delay_s=0)
    [again] = (await claim_due(limit=1)).batches  # even by a worker without a group window
    assert (again.id, list_ids(again)) == (first.id, list_ids(first))


async def test_claim_retried_batch_waits_until_all_its_notifications_are_due(backend: Backend) -> None:
    await record_transition("a", "down")
    await record_transition("b", "down")
    first = await claim_one(window_s=60)
    await record_result(first, "retry", error="503", delay_s=0)
    backend.execute("UPDATE vigilbase.notifications SET due_at = now() + interval '1 hour' WHERE service_name = 'b'")
    assert (await claim_due()).batches == []
    make_due(backend)
    assert list_ids(await claim_one()) == list_ids(first)


async def test_record_result_delivered_applies_only_to_given_ids(backend: Backend) -> None:
    await record_transition("a", "down")
    await record_transition("b", "down")
    batch = await claim_one(window_s=60)
    await record_result(batch, "delivered", ids=list_ids(batch)[:1])
    assert backend.execute(ROWS) == [("ops", "triggered", "delivered"), ("ops", "triggered", "pending")]


async def test_claim_deferred_trigger_of_resolved_alert_sends_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    batch = await claim_one()
    await record_result(batch, "deferred", ids=list_ids(batch), delay_s=60)
    await record_transition("api", "healthy")
    assert (await claim_one()).kind == "resolved"


async def test_silence_end_suppressed_alert_resolved_by_sql_sends_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    silence = await SuppressionModel.create(CreateSuppressionData("silence", "ana", "why", service_glob="*"))
    await suppress(await claim_one())
    _resolve_by_sql(backend)
    await SuppressionModel.end("silence", silence.id)
    assert (await claim_one()).kind == "resolved"


async def test_claim_clock_set_back_delays_no_notification(backend: Backend) -> None:
    await record_transition("api", "down")
    # As if the clock had been ahead.
    backend.execute("UPDATE alert_events SET created_at = created_at + interval '1 min'")
    backend.execute(
        "UPDATE vigilbase.notifications SET due_at = due_at + interval '1 min', created_at = created_at + '1 min'"
    )
    await record_transition("api", "healthy")
    resolution = await claim_one()
    assert resolution.kind == "resolved"
    await record_result(resolution, "delivered")
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() + interval '1 hour'")
    await record_transition("db", "down")
    assert (await claim_one(window_s=30)).kind == "triggered"


@pytest.mark.parametrize("kind", ["reminder", "acknowledged"])
async def test_claim_follow_up_awaiting_retry_holds_back_resolution(backend: Backend, kind: str) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered", remind_after_s=0 if kind == "reminder" else None)
    if kind == "acknowledged":
        [alert] = await AlertEventModel.find_open()
        await AlertEventModel.acknowledge(alert.id)
    follow_up = await claim_one()
    assert follow_up.kind == kind
    await record_result(follow_up, "retry", error="no answer within 10 s", delay_s=5)
    await record_transition("api", "healthy")
    assert (await claim_due()).batches == []
    make_due(backend)
    assert (await claim_one()).kind == "resolved"


async def test_claim_new_trigger_waits_four_attempts_for_previous_resolution(backend: Backend) -> None:
    """Alertmanager distinguishes the alerts of a service only by type, so the last notification counts."""
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered")
    await record_transition("api", "healthy")
    resolution = await claim_one()
    await record_transition("api", "down")
    assert (await claim_due()).batches == []
    for _ in range(3):
        await record_result(resolution, "retry", error="503", delay_s=600)
        assert (await claim_due()).batches == []
        make_due(backend)
        resolution = await claim_one()
    await record_result(resolution, "retry", error="503", delay_s=600)
    assert (await claim_one()).kind == "triggered"  # it doesn't wait for ever


async def test_claim_deferred_trigger_of_acknowledged_alert_sends_both(backend: Backend) -> None:
    await record_transition("api", "down")
    trigger = await claim_one()
    await suppress(trigger, delay_s=0)
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    trigger = await claim_one()
    await record_result(trigger, "delivered")
    assert (await claim_one()).kind == "acknowledged"


async def test_acknowledge_during_claim_of_trigger_sends_acknowledgement(
    backend: Backend, other_transaction: psycopg.Connection
) -> None:
    await record_transition("api", "down")
    lease = uuid4()
    other_transaction.execute("SELECT vigilbase_claim_notifications('ops', 0, %s, 60, 10)", [lease])
    [alert] = await AlertEventModel.find_open()
    acknowledging = asyncio.create_task(AlertEventModel.acknowledge(alert.id))
    while not acknowledging.done() and not backend.execute("SELECT 1 FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0)  # it waits for the claim, so it sees that the trigger is in flight
    other_transaction.commit()
    await acknowledging
    end_leases(backend)
    await record_result(await claim_one(), "delivered")
    assert (await claim_one()).kind == "acknowledged"


async def test_claim_failed_trigger_delivered_reminder_sends_acknowledgement(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "failed", error="400", remind_after_s=0)
    await record_result(await claim_one(), "delivered")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    assert (await claim_one()).kind == "acknowledged"


async def test_claim_paused_channel_returns_nothing_until_pause_ends(backend: Backend) -> None:
    await record_transition("a", "down")
    await record_result(await claim_one(), "retry", error="429", delay_s=1, pause_s=600)
    await record_transition("a", "healthy")
    await record_transition("b", "down", [OPS, {**OPS, "channel": "team"}])
    make_due(backend)
    assert (await claim_due()).batches == []
    assert len((await claim_due("team")).batches) == 1  # it requested no pause
    [ops, _] = await ChannelModel.find_all()
    assert ops.paused_until is not None
    backend.execute("UPDATE vigilbase.channels SET paused_until = now()")
    assert len((await claim_due()).batches) == 2


async def test_claim_repeated_retries_do_not_extend_group_window(backend: Backend) -> None:
    await record_transition("a", "down")
    await record_result(await claim_one(window_s=3600), "retry", error="500", delay_s=0)
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() - interval '2 hours'")
    await record_result(await claim_one(window_s=3600), "retry", error="500", delay_s=600)
    await record_transition("b", "down")
    assert list_services(await claim_one(window_s=3600)) == ["b"]


@pytest.mark.parametrize("answer", ["250 f\udcfcr uns", "zero \x00 byte"])
async def test_record_result_answer_with_unstorable_characters_is_kept(each_backend: Backend, answer: str) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered", answer=answer)
    assert each_backend.execute("SELECT status, answer IS NOT NULL FROM vigilbase.notifications") == [
        ("delivered", True)
    ]
    assert await disable_channel("ops", answer, [])


async def test_delete_expired_keeps_alert_with_undelivered_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered")
    _make_older(backend, 40)
    _resolve_by_sql(backend)
    assert await delete_expired(30) == (0, 0)
    await enqueue_missing_resolutions()
    resolution = await claim_one()
    assert resolution.kind == "resolved"
    await record_result(resolution, "failed", error="400")
    assert await delete_expired(30) == (0, 0)
    retried = await NotificationModel.retry(*list_ids(resolution))
    assert retried is not None
    assert retried[1] == "requeued"
    await record_result(await claim_one(), "delivered")
    assert await delete_expired(30) == (0, 1)


async def test_delete_expired_keeps_delivered_trigger_while_resolution_is_pending(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered")
    _make_older(backend, 91)
    await record_transition("api", "healthy")
    await delete_expired(30)
    assert (await claim_one()).notifications[0].may_know_alert is True


async def test_silence_end_skips_notification_locked_by_other_transaction(
    backend: Backend, other_transaction: psycopg.Connection
) -> None:
    silence = await SuppressionModel.create(CreateSuppressionData("silence", "ana", "why", service_glob="*"))
    for name in ("a", "b"):
        await record_transition(name, "down")
        await suppress(await claim_one())
    other_transaction.execute("SELECT FROM vigilbase.notifications WHERE service_name = 'a' FOR UPDATE")
    await SuppressionModel.end("silence", silence.id)
    other_transaction.commit()
    assert list_services(await claim_one()) == ["b"]


async def test_claim_suppressed_notifications_do_not_block_others(backend: Backend) -> None:
    for name in ("a", "b", "c"):
        await record_transition(name, "down")
        await suppress(await claim_one())
    await record_transition("d", "down")
    make_due(backend)
    [batch] = (await claim_due(limit=1)).batches
    assert list_services(batch) == ["d"]


async def test_record_result_retry_after_resolution_delays_it_at_most_ten_seconds(backend: Backend) -> None:
    await record_transition("api", "down")
    trigger = await claim_one()
    await record_transition("api", "healthy")  # while the trigger is in flight
    await record_result(trigger, "retry", error="503", delay_s=3600)
    await record_transition("api", "down")
    [(wait_s,)] = backend.execute(
        "SELECT extract(epoch FROM max(due_at) - now())::float FROM vigilbase.notifications WHERE status = 'pending'"
    )
    assert isinstance(wait_s, float)
    assert wait_s < 11
    make_due(backend)
    resolution = await claim_one()
    assert (resolution.kind, resolution.notifications[0].may_know_alert) == ("resolved", True)
    await record_result(resolution, "delivered")
    assert (await claim_one()).kind == "triggered"


async def test_claim_new_trigger_waits_for_suppressed_resolution(backend: Backend) -> None:
    await record_transition("api", "down")
    trigger = await claim_one()
    await suppress(trigger)
    await record_transition("api", "healthy")
    resolution = await claim_one()
    await suppress(resolution)
    await record_transition("api", "down")
    await suppress(await claim_one())
    make_due(backend)  # the silence has ended
    resolution = await claim_one()
    assert resolution.kind == "resolved"
    await record_result(resolution, "delivered")
    assert (await claim_one()).kind == "triggered"


async def test_claim_split_batch_that_may_have_arrived_sends_resolution(backend: Backend) -> None:
    route = {**OPS, "send_resolved": False}
    await record_transition("a", "down", [route])
    await record_transition("b", "down", [route])
    await record_result(await claim_one(window_s=60), "retry", error="no answer within 10 s", delay_s=0)
    batch = await claim_one()
    for number in list_ids(batch):
        await record_result(batch, "split", ids=[number], error="413")
    await record_transition("a", "healthy")
    [resolution] = [batch for batch in (await claim_due()).batches if batch.kind == "resolved"]
    assert resolution.notifications[0].may_know_alert is True


async def test_enable_channel_ends_pause(backend: Backend) -> None:
    await record_transition("a", "down")
    await record_result(await claim_one(), "retry", error="429", delay_s=0, pause_s=21_600)
    assert (await claim_due()).batches == []
    assert await ChannelModel.enable("ops")
    assert await ChannelModel.enable("ops") is False
    assert len((await claim_due()).batches) == 1


async def test_delete_expired_keeps_alert_with_pending_trigger(backend: Backend) -> None:
    """As with a disabled channel."""
    await record_transition("api", "down")
    _make_older(backend, 40)
    _resolve_by_sql(backend)
    assert await delete_expired(30) == (0, 0)
    assert (await claim_one()).kind == "resolved"


async def test_record_result_reminders_of_one_batch_are_due_together(backend: Backend) -> None:
    for number in range(30):
        await record_transition(f"s{number}", "down")
    await record_result(await claim_one(window_s=60), "delivered", remind_after_s=3600)
    due = "SELECT count(*), count(DISTINCT due_at) FROM vigilbase.notifications WHERE kind = 'reminder'"
    assert backend.execute(due) == [(30, 1)]


async def test_claim_deleted_alert_cancels_only_its_own_notification(backend: Backend) -> None:
    for name in ("a", "b"):
        await record_transition(name, "down")
    backend.execute("DELETE FROM alert_events WHERE service_name = 'a'")
    [batch] = (await claim_due()).batches
    assert list_services(batch) == ["b"]
    assert ("ops", "triggered", "cancelled") in backend.execute(ROWS)


async def test_retry_notification_of_deleted_alert_is_not_requeued(backend: Backend) -> None:
    await record_transition("api", "down")
    batch = await claim_one()
    await record_result(batch, "failed", error="400")
    backend.execute("DELETE FROM alert_events")
    retried = await NotificationModel.retry(*list_ids(batch))
    assert retried is not None
    assert retried[1] == "resolved"


async def test_delete_notifications_older_than_keeps_those_of_reopened_alert(backend: Backend) -> None:
    await record_transition("api", "down")
    await record_result(await claim_one(), "delivered")
    await record_transition("api", "healthy")
    await record_result(await claim_one(), "delivered")
    _make_older(backend, 200)
    backend.execute("UPDATE alert_events SET status = 'active', resolved_at = NULL WHERE alert_type = 'service_down'")
    await NotificationModel.delete_older_than(90)
    assert len(backend.execute(ROWS)) == 2
