"""What comes between a message and its channel, on every transport: and nothing is lost, doubled or out of order."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Backend
from tests.support.outbox import OPS, ROWS, claim_due, end_leases, make_due, only, transition
from vigilbase import AlertEventModel, CreateSilenceData, DeliveryModel, SilenceModel
from vigilbase.runner.outbox import ClaimedMessage, finish, owe_missing, switch_channel_off
from vigilbase.runner.retention import delete_old


@pytest.fixture
def claiming(backend: Backend) -> Iterator[psycopg.Connection]:
    """Somebody else's transaction."""
    with psycopg.connect(backend.server.url(backend.database)) as connection:
        yield connection


def _ids(message: ClaimedMessage) -> list[int]:
    return [delivery.id for delivery in message.deliveries]


def _resolve_past_us(backend: Backend) -> None:
    backend.execute("UPDATE alert_events SET status = 'resolved', resolved_at = now() WHERE status <> 'resolved'")


def _set_back(backend: Backend, days: int) -> None:
    backend.execute(f"UPDATE alert_events SET created_at = created_at - interval '{days} days'")
    backend.execute(f"UPDATE vigilbase.notifications SET created_at = created_at - interval '{days} days'")


async def test_a_message_that_was_tried_is_claimed_whole_however_many_it_is_about(backend: Backend) -> None:
    for number in range(30):
        await transition(f"s{number}", "down")
    first = await only(window_s=60)
    assert len(first.deliveries) == 30
    await finish(first, "retry", error="503", in_s=0)
    [again] = (await claim_due(limit=1)).messages  # also by somebody whose file has no window any more
    assert (again.id, _ids(again)) == (first.id, _ids(first))


async def test_of_a_message_that_was_tried_nothing_is_claimed_while_some_of_it_is_not_due(backend: Backend) -> None:
    await transition("a", "down")
    await transition("b", "down")
    first = await only(window_s=60)
    await finish(first, "retry", error="503", in_s=0)
    backend.execute("UPDATE vigilbase.notifications SET due_at = now() + interval '1 hour' WHERE service_name = 'b'")
    assert (await claim_due()).messages == []
    make_due(backend)
    assert _ids(await only()) == _ids(first)


async def test_only_what_went_out_counts_as_delivered(backend: Backend) -> None:
    await transition("a", "down")
    await transition("b", "down")
    message = await only(window_s=60)
    await finish(message, "delivered", ids=_ids(message)[:1])
    assert backend.execute(ROWS) == [("ops", "triggered", "delivered"), ("ops", "triggered", "pending")]


async def test_what_was_given_back_is_told_also_if_it_is_over_before_its_next_try(backend: Backend) -> None:
    await transition("api", "down")
    message = await only()
    await finish(message, "deferred", ids=_ids(message), in_s=60)
    await transition("api", "healthy")
    assert (await only()).kind == "resolved"


async def test_what_a_silence_put_off_and_other_code_resolved_is_told_when_that_is_over(backend: Backend) -> None:
    await transition("api", "down")
    silence = await SilenceModel.add(CreateSilenceData("ana", "why", service_glob="*"))
    message = await only()
    await finish(message, "deferred", ids=_ids(message), in_s=300, suppressed_by="silence 1 of ana: why")
    _resolve_past_us(backend)
    await SilenceModel.end(silence.id)
    assert (await only()).kind == "resolved"


async def test_a_clock_that_is_set_back_keeps_nothing_from_being_told(backend: Backend) -> None:
    await transition("api", "down")
    # As if the clock had been ahead then.
    backend.execute("UPDATE alert_events SET created_at = created_at + interval '1 min'")
    backend.execute(
        "UPDATE vigilbase.notifications SET due_at = due_at + interval '1 min', created_at = created_at + '1 min'"
    )
    await transition("api", "healthy")
    resolution = await only()
    assert resolution.kind == "resolved"
    await finish(resolution, "delivered")
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() + interval '1 hour'")
    await transition("db", "down")
    assert (await only(window_s=30)).kind == "triggered"


@pytest.mark.parametrize("kind", ["reminder", "acknowledged"])
async def test_a_resolution_waits_for_whatever_may_still_arrive(backend: Backend, kind: str) -> None:
    await transition("api", "down")
    await finish(await only(), "delivered", remind_in_s=0 if kind == "reminder" else None)
    if kind == "acknowledged":
        [alert] = await AlertEventModel.find_open()
        await AlertEventModel.acknowledge(alert.id)
    following = await only()
    assert following.kind == kind
    await finish(following, "retry", error="no answer within 10 s", in_s=5)
    await transition("api", "healthy")
    assert (await claim_due()).messages == []
    make_due(backend)
    assert (await only()).kind == "resolved"


async def test_the_next_outage_is_told_after_the_end_of_the_last_one(backend: Backend) -> None:
    """Alertmanager knows the alerts of a service apart by their type alone: the last word counts."""
    await transition("api", "down")
    await finish(await only(), "delivered")
    await transition("api", "healthy")
    resolution = await only()
    await transition("api", "down")
    assert (await claim_due()).messages == []
    for _ in range(3):
        await finish(resolution, "retry", error="503", in_s=600)
        assert (await claim_due()).messages == []
        make_due(backend)
        resolution = await only()
    await finish(resolution, "retry", error="503", in_s=600)
    assert (await only()).kind == "triggered"  # but not for ever


async def test_an_acknowledgement_follows_a_trigger_that_could_not_know_of_it(backend: Backend) -> None:
    await transition("api", "down")
    trigger = await only()
    await finish(trigger, "deferred", ids=_ids(trigger), in_s=0, suppressed_by="silence 1 of ana: why")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    trigger = await only()
    await finish(trigger, "delivered")
    assert (await only()).kind == "acknowledged"


async def test_an_acknowledgement_that_comes_while_the_trigger_is_claimed_is_told(
    backend: Backend, claiming: psycopg.Connection
) -> None:
    await transition("api", "down")
    lease = uuid4()
    claiming.execute("SELECT vigilbase_claim_notifications('ops', 0, %s, 60, 10)", [lease])
    [alert] = await AlertEventModel.find_open()
    acknowledging = asyncio.create_task(AlertEventModel.acknowledge(alert.id))
    while not acknowledging.done() and not backend.execute("SELECT 1 FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0)  # it waits for the claim, and so it sees that the trigger is on its way
    claiming.commit()
    await acknowledging
    end_leases(backend)
    await finish(await only(), "delivered")
    assert (await only()).kind == "acknowledged"


async def test_an_acknowledgement_follows_a_reminder_where_the_trigger_was_given_up(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "failed", error="400", remind_in_s=0)
    await finish(await only(), "delivered")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    assert (await only()).kind == "acknowledged"


async def test_a_channel_that_asks_for_a_pause_gets_nothing_until_it_is_over(backend: Backend) -> None:
    await transition("a", "down")
    await finish(await only(), "retry", error="429", in_s=1, pause_s=600)
    await transition("a", "healthy")
    await transition("b", "down", [OPS, {**OPS, "channel": "team"}])
    make_due(backend)
    assert (await claim_due()).messages == []
    assert len((await claim_due("team")).messages) == 1  # which asked for nothing
    [ops, _] = await DeliveryModel.find_channels()
    assert ops.paused_until is not None
    backend.execute("UPDATE vigilbase.channels SET paused_until = now()")
    assert len((await claim_due()).messages) == 2


async def test_a_message_that_fails_again_and_again_keeps_no_window_open(backend: Backend) -> None:
    await transition("a", "down")
    await finish(await only(window_s=3600), "retry", error="500", in_s=0)
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() - interval '2 hours'")
    await finish(await only(window_s=3600), "retry", error="500", in_s=600)
    await transition("b", "down")
    assert [delivery.alert.service_name for delivery in (await only(window_s=3600)).deliveries] == ["b"]


@pytest.mark.parametrize("said", ["250 f\udcfcr uns", "zero \x00 byte"])
async def test_an_answer_in_whatever_bytes_is_kept(backend: Backend, said: str) -> None:
    await transition("api", "down")
    await finish(await only(), "delivered", answer=said)
    assert backend.execute("SELECT status, answer IS NOT NULL FROM vigilbase.notifications") == [("delivered", True)]
    assert await switch_channel_off("ops", said, [])


async def test_retention_spares_an_alert_whose_end_is_still_to_be_told(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "delivered")
    _set_back(backend, 40)
    _resolve_past_us(backend)
    assert await delete_old(30) == (0, 0)
    await owe_missing()
    resolution = await only()
    assert resolution.kind == "resolved"
    await finish(resolution, "failed", error="400")
    assert await delete_old(30) == (0, 0)
    assert (again := await DeliveryModel.retry(_ids(resolution)[0])) is not None
    assert again[1] == "requeued"
    await finish(await only(), "delivered")
    assert await delete_old(30) == (0, 1)


async def test_retention_forgets_nothing_of_an_alert_of_which_something_is_owed(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "delivered")
    _set_back(backend, 91)
    await transition("api", "healthy")
    await delete_old(30)
    assert (await only()).deliveries[0].told is True


async def test_a_silence_can_be_ended_while_others_change_what_it_withholds(
    backend: Backend, claiming: psycopg.Connection
) -> None:
    silence = await SilenceModel.add(CreateSilenceData("ana", "why", service_glob="*"))
    for name in ("a", "b"):
        await transition(name, "down")
        message = await only()
        await finish(message, "deferred", ids=_ids(message), in_s=300, suppressed_by="silence 1 of ana: why")
    claiming.execute("SELECT FROM vigilbase.notifications WHERE service_name = 'a' FOR UPDATE")
    await SilenceModel.end(silence.id)
    claiming.commit()
    assert [delivery.alert.service_name for delivery in (await only()).deliveries] == ["b"]


async def test_what_is_withheld_keeps_nothing_else_from_going_out(backend: Backend) -> None:
    for name in ("a", "b", "c"):
        await transition(name, "down")
        message = await only()
        await finish(message, "deferred", ids=_ids(message), in_s=300, suppressed_by="silence 1 of ana: why")
    await transition("d", "down")
    make_due(backend)
    [first] = (await claim_due(limit=1)).messages
    assert first.deliveries[0].alert.service_name == "d"


async def test_an_end_waits_no_longer_than_it_has_to_for_a_try_that_failed_as_the_alert_ended(backend: Backend) -> None:
    await transition("api", "down")
    trigger = await only()
    await transition("api", "healthy")  # it is on its way
    await finish(trigger, "retry", error="503", in_s=3600)
    await transition("api", "down")
    [(wait_s,)] = backend.execute(
        "SELECT extract(epoch FROM max(due_at) - now())::float FROM vigilbase.notifications WHERE status = 'pending'"
    )
    assert isinstance(wait_s, float)
    assert wait_s < 11
    make_due(backend)
    resolution = await only()
    assert (resolution.kind, resolution.deliveries[0].told) == ("resolved", True)
    await finish(resolution, "delivered")
    assert (await only()).kind == "triggered"


async def test_the_next_outage_is_told_after_the_end_of_one_that_was_withheld(backend: Backend) -> None:
    await transition("api", "down")
    trigger = await only()
    await finish(trigger, "deferred", ids=_ids(trigger), in_s=300, suppressed_by="silence 1 of ana: why")
    await transition("api", "healthy")
    resolution = await only()
    await finish(resolution, "deferred", ids=_ids(resolution), in_s=300, suppressed_by="silence 1 of ana: why")
    await transition("api", "down")
    await finish(
        trigger := await only(), "deferred", ids=_ids(trigger), in_s=300, suppressed_by="silence 1 of ana: why"
    )
    make_due(backend)  # the silence is over
    resolution = await only()
    assert resolution.kind == "resolved"
    await finish(resolution, "delivered")
    assert (await only()).kind == "triggered"


async def test_a_refused_message_that_may_have_arrived_before_is_ended_where_it_may_have(backend: Backend) -> None:
    owed = {**OPS, "send_resolved": False}
    await transition("a", "down", [owed])
    await transition("b", "down", [owed])
    await finish(await only(window_s=60), "retry", error="no answer within 10 s", in_s=0)
    message = await only()
    for number in _ids(message):
        await finish(message, "split", ids=[number], error="413")
    await transition("a", "healthy")
    assert [(one.kind, one.deliveries[0].told) for one in (await claim_due()).messages if one.kind == "resolved"] == [
        ("resolved", True)
    ]


async def test_a_pause_can_be_ended_by_hand(backend: Backend) -> None:
    await transition("a", "down")
    await finish(await only(), "retry", error="429", in_s=0, pause_s=21_600)
    assert (await claim_due()).messages == []
    assert await DeliveryModel.switch_channel_on("ops")
    assert await DeliveryModel.switch_channel_on("ops") is False
    assert len((await claim_due()).messages) == 1


async def test_retention_spares_an_alert_that_was_never_told(backend: Backend) -> None:
    """As of a channel that is off."""
    await transition("api", "down")
    _set_back(backend, 40)
    _resolve_past_us(backend)
    assert await delete_old(30) == (0, 0)
    assert (await only()).kind == "resolved"


async def test_reminders_of_one_message_are_due_at_one_moment(backend: Backend) -> None:
    for number in range(30):
        await transition(f"s{number}", "down")
    await finish(await only(window_s=60), "delivered", remind_in_s=3600)
    due = "SELECT count(*), count(DISTINCT due_at) FROM vigilbase.notifications WHERE kind = 'reminder'"
    assert backend.execute(due) == [(30, 1)]


async def test_an_alert_that_is_deleted_costs_no_other_its_notification(backend: Backend) -> None:
    for name in ("a", "b"):
        await transition(name, "down")
    backend.execute("DELETE FROM alert_events WHERE service_name = 'a'")
    [message] = (await claim_due()).messages
    assert message.deliveries[0].alert.service_name == "b"
    assert ("ops", "triggered", "cancelled") in backend.execute(ROWS)


async def test_a_failed_notification_of_an_alert_that_is_gone_is_not_requeued(backend: Backend) -> None:
    await transition("api", "down")
    message = await only()
    await finish(message, "failed", error="400")
    backend.execute("DELETE FROM alert_events")
    again = await DeliveryModel.retry(_ids(message)[0])
    assert again is not None
    assert again[1] == "resolved"


async def test_a_reopened_alert_keeps_its_notifications(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "delivered")
    await transition("api", "healthy")
    await finish(await only(), "delivered")
    _set_back(backend, 200)
    backend.execute("UPDATE alert_events SET status = 'active', resolved_at = NULL WHERE alert_type = 'service_down'")
    await DeliveryModel.delete_older_than(90)
    assert len(backend.execute(ROWS)) == 2
