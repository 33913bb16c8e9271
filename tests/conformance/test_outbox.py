"""The outbox on every transport: what is owed when, who may claim it, and how it ends."""

import json
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.outbox import OPS, ROWS, claim_due, end_leases, make_due, only, transition
from vigilbase import (
    AlertEventModel,
    CreateMaintenanceData,
    CreateSilenceData,
    DeliveryModel,
    MaintenanceModel,
    SilenceModel,
    get_supabase_service_client,
)
from vigilbase.runner.outbox import ClaimedMessage, finish, owe_missing, switch_channel_off

TIMELINE = "SELECT event, details ->> 'channel' FROM vigilbase.alert_timeline ORDER BY id"


async def test_what_opens_is_told_and_what_was_told_is_told_to_be_over(backend: Backend) -> None:
    await transition("api", "down")
    trigger = await only()
    assert (trigger.kind, trigger.attempts) == ("triggered", 1)
    [delivery] = trigger.deliveries
    assert (delivery.alert.service_name, delivery.alert.status, list(delivery.tags)) == ("api", "active", ["shop"])
    assert delivery.told is False
    await finish(trigger, "delivered", answer="200 OK")
    assert (await claim_due()).messages == []
    await transition("api", "healthy")
    resolution = await only()
    assert resolution.kind == "resolved"
    assert resolution.deliveries[0].told is True
    assert resolution.deliveries[0].alert.id == delivery.alert.id
    assert resolution.deliveries[0].alert.status == "resolved"
    await finish(resolution, "delivered", answer="200 OK")
    assert (await claim_due()).messages == []
    assert backend.execute(ROWS) == [("ops", "triggered", "delivered"), ("ops", "resolved", "delivered")]
    assert backend.execute(TIMELINE) == [
        ("opened", None),
        ("delivered", "ops"),
        ("resolved", None),
        ("delivered", "ops"),
    ]


async def test_a_trigger_that_has_not_gone_out_is_told_by_its_resolution_alone(backend: Backend) -> None:
    await transition("api", "down")
    await transition("api", "healthy")
    alone = await only()
    assert (alone.kind, alone.deliveries[0].told) == ("resolved", False)
    assert backend.execute(ROWS) == [("ops", "triggered", "cancelled"), ("ops", "resolved", "pending")]


async def test_where_no_recoveries_are_told_nothing_is_told_of_what_was_over_before_it_went_out(
    backend: Backend,
) -> None:
    await transition("api", "down", [{**OPS, "send_resolved": False}])
    await transition("api", "healthy")
    assert (await claim_due()).messages == []


async def test_a_resolution_follows_a_trigger_though_no_recoveries_are_told(backend: Backend) -> None:
    await transition("api", "down", [{**OPS, "send_resolved": False}])
    await finish(await only(), "delivered")
    await transition("api", "healthy")
    assert (await only()).kind == "resolved"


async def test_a_resolution_waits_for_a_trigger_that_is_on_its_way(backend: Backend) -> None:
    await transition("api", "down")
    trigger = await only()
    await transition("api", "healthy")
    assert (await claim_due()).messages == []
    await finish(trigger, "delivered")
    assert (await only()).kind == "resolved"


async def test_a_failed_trigger_is_not_tried_again_once_it_is_over_but_its_resolution_comes(backend: Backend) -> None:
    await transition("api", "down")
    trigger = await only()
    await transition("api", "healthy")
    await finish(trigger, "retry", error="503", in_s=0)
    first = await claim_due()
    second = await claim_due()
    [resolution] = [*first.messages, *second.messages]
    assert (resolution.kind, resolution.deliveries[0].told) == ("resolved", True)  # it may have arrived
    assert backend.execute(ROWS)[0] == ("ops", "triggered", "cancelled")


async def test_a_message_whose_sender_died_is_claimed_again_under_its_id_and_only_then(backend: Backend) -> None:
    await transition("api", "down")
    first = await only()
    assert (await claim_due()).messages == []
    end_leases(backend)
    again = await only()
    assert (again.id, again.at, again.attempts) == (first.id, first.at, 2)
    # The first one comes late with a failure: it is not his any more. With a success, it counts.
    await finish(first, "failed", error="hung up")
    assert backend.execute(ROWS) == [("ops", "triggered", "pending")]
    await finish(first, "delivered", answer="200 OK")
    assert backend.execute(ROWS) == [("ops", "triggered", "delivered")]


async def test_what_follows_waits_for_whoever_may_be_sending_the_same_once_more(backend: Backend) -> None:
    await transition("api", "down")
    slow = await only()
    end_leases(backend)
    again = await only()  # another took it over …
    await finish(slow, "delivered")  # … and the first one comes late with its success
    await transition("api", "healthy")
    assert (await claim_due()).messages == []
    await finish(again, "delivered")
    assert (await only()).kind == "resolved"
    assert [event for event, _ in backend.execute(TIMELINE)].count("delivered") == 1


async def test_an_acknowledgement_waits_for_a_trigger_that_is_still_to_be_tried_again(backend: Backend) -> None:
    await transition("api", "down")
    trigger = await only()
    await finish(trigger, "retry", error="503", in_s=60)
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    assert (await claim_due()).messages == []
    make_due(backend)
    again = await only()
    assert (again.kind, again.id) == ("triggered", trigger.id)
    await finish(again, "delivered")
    assert (await only()).kind == "acknowledged"


async def test_what_was_given_up_is_not_acknowledged_but_its_end_is_told(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "failed", error="400")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    assert (await claim_due()).messages == []
    await transition("api", "healthy")
    assert (await only()).kind == "resolved"


async def test_a_refused_message_can_be_taken_apart_into_untried_ones(backend: Backend) -> None:
    for name in ("a", "b", "c"):
        await transition(name, "down")
    whole = await only(window_s=60)
    [first, *rest] = [delivery.id for delivery in whole.deliveries]
    for ids in ([first], rest):
        await finish(whole, "split", ids=ids, error="413")
    parts = (await claim_due(window_s=60)).messages  # no window holds them up
    assert [[delivery.id for delivery in part.deliveries] for part in parts] == [[first], rest]
    assert {part.attempts for part in parts} == {1}
    assert len({whole.id, *(part.id for part in parts)}) == 3
    for part in parts:
        await finish(part, "delivered")
    assert [status for *_, status in backend.execute(ROWS)] == ["delivered"] * 3
    # A refused part is told by its alert's end alone, if that comes first.
    await transition("d", "down")
    await transition("e", "down")
    both = await only(window_s=0.000001)
    await finish(both, "split", ids=[both.deliveries[0].id], error="413")
    await transition("d", "healthy")
    [resolution] = (await claim_due(window_s=0)).messages
    assert (resolution.kind, resolution.deliveries[0].told) == ("resolved", False)


async def test_a_message_is_tried_again_when_it_is_due_again_and_not_before(backend: Backend) -> None:
    await transition("api", "down")
    first = await only()
    await finish(first, "retry", error="503", in_s=60)
    claimed = await claim_due()
    assert claimed.messages == []
    assert claimed.next_in_s == pytest.approx(60, abs=5)
    make_due(backend)
    again = await only()
    assert (again.id, again.attempts) == (first.id, 2)
    assert ("attempt_failed", "ops") in backend.execute(TIMELINE)


async def test_of_ten_senders_at_once_one_gets_each_message(backend: Backend) -> None:
    import asyncio

    for number in range(5):
        await transition(f"s{number}", "down")
    claims = await asyncio.gather(*(claim_due() for _ in range(10)))
    messages = [message for claimed in claims for message in claimed.messages]
    messages += (await claim_due()).messages  # who came when another was claiming went away with nothing
    assert sorted(message.deliveries[0].alert.service_name for message in messages) == [f"s{n}" for n in range(5)]
    assert len({message.id for message in messages}) == 5


async def test_what_opens_within_the_window_of_the_first_is_one_message(backend: Backend) -> None:
    await transition("s0", "down")
    first = await only(window_s=30)
    for number in range(1, 30):
        await transition(f"s{number}", "down")
    assert (await claim_due(window_s=30)).messages == []  # the first is on its way
    await finish(first, "delivered")
    assert (await claim_due(window_s=30)).messages == []  # and now the window is open
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() - interval '31 s'")
    group = await only(window_s=30)
    assert sorted(d.alert.service_name for d in group.deliveries) == sorted(f"s{number}" for number in range(1, 30))
    await finish(group, "retry", error="503", in_s=0)
    await transition("late", "down")
    again = await only(window_s=30)
    assert again.id == group.id
    assert [d.id for d in again.deliveries] == [d.id for d in group.deliveries]


async def test_an_escalation_comes_later_and_not_if_somebody_has_acknowledged(backend: Backend) -> None:
    boss = {"channel": "boss", "after_s": 900, "unless_acknowledged": True, "send_resolved": False}
    await transition("api", "down", [OPS, boss])
    await finish(await only(), "delivered")
    assert (await claim_due("boss")).messages == []
    assert (await claim_due("boss")).next_in_s == pytest.approx(900, abs=5)
    make_due(backend)
    [alert] = await AlertEventModel.find_open()
    backend.execute("UPDATE alert_events SET status = 'acknowledged', acknowledged_at = now()")
    assert (await claim_due("boss")).messages == []
    assert ("boss", "triggered", "cancelled") in backend.execute(ROWS)
    assert alert.service_name == "api"


async def test_who_was_to_be_told_later_hears_nothing_of_what_is_over_by_then(backend: Backend) -> None:
    boss = {"channel": "boss", "after_s": 900, "unless_acknowledged": False, "send_resolved": True}
    await transition("api", "down", [boss])
    await transition("api", "healthy")
    make_due(backend)
    assert (await claim_due("boss")).messages == []


async def test_it_is_said_again_until_somebody_acknowledges(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "delivered", remind_in_s=3600)
    assert (await claim_due()).next_in_s == pytest.approx(3600, abs=5)
    for number in (1, 2):
        make_due(backend)
        reminder = await only()
        assert reminder.kind == "reminder"
        await finish(reminder, "delivered", remind_in_s=3600)
        assert backend.execute("SELECT max(number) FROM vigilbase.notifications") == [(number + 1,)]
    backend.execute("UPDATE alert_events SET status = 'acknowledged', acknowledged_at = now()")
    make_due(backend)
    assert (await claim_due()).messages == []
    await transition("api", "healthy")
    assert (await only()).kind == "resolved"


async def test_what_is_resolved_past_us_is_told_all_the_same(backend: Backend) -> None:
    await transition("told", "down")
    await finish(await only(), "delivered")
    await transition("untold", "down")
    backend.execute("UPDATE alert_events SET status = 'resolved', resolved_at = now()")
    assert await owe_missing() == 2
    assert await owe_missing() == 0
    messages = [*(await claim_due()).messages, *(await claim_due()).messages]
    assert {(m.kind, m.deliveries[0].alert.service_name) for m in messages} == {
        ("resolved", "told"),
        ("resolved", "untold"),
    }


async def test_what_was_degraded_and_is_down_is_told_as_both(backend: Backend) -> None:
    await transition("api", "degraded")
    await finish(await only(), "delivered")
    await transition("api", "down")
    messages = (await claim_due()).messages  # at once, since they are told apart by their types
    assert sorted((m.kind, m.deliveries[0].alert.alert_type) for m in messages) == [
        ("resolved", "service_degraded"),
        ("triggered", "service_down"),
    ]


async def test_a_channel_that_is_switched_off_keeps_what_it_is_owed_and_the_others_hear_of_it(
    backend: Backend,
) -> None:
    await transition("api", "down")
    message = await only()
    await finish(message, "retry", error="401 Unauthorized", in_s=0)
    assert await switch_channel_off("ops", "401 Unauthorized", ["team"])
    assert not await switch_channel_off("ops", "401 Unauthorized", ["team"])
    assert (await claim_due()).messages == []
    news = await only("team")
    assert news.deliveries[0].alert.message == (
        "channel ops is disabled: 401 Unauthorized; its notifications wait for `vigilbase channels enable ops`"
    )
    await finish(news, "delivered")
    assert await get_supabase_service_client().call("vigilbase_enable_channel", {"p_channel": "ops"}) is True
    assert (await only("team")).kind == "resolved"
    assert (await only()).id == message.id


async def test_what_is_put_off_comes_later_as_if_it_had_never_been_claimed(backend: Backend) -> None:
    for service in ("a", "b"):
        await transition(service, "down")
    message = await only(window_s=30)
    [a, b] = message.deliveries
    await finish(message, "deferred", ids=[a.id], in_s=600, suppressed_by="silence 1 of ana: why")
    await finish(message, "delivered")
    assert backend.execute("SELECT status, attempts, batch_id IS NULL FROM vigilbase.notifications ORDER BY id") == [
        ("pending", 0, True),
        ("delivered", 1, False),
    ]
    assert b.alert.service_name == "b"
    by_service = {delivery.service_name: delivery.withheld_by for delivery in await DeliveryModel.find()}
    assert by_service == {"a": "silence 1 of ana: why", "b": None}
    [ops] = await DeliveryModel.find_channels()
    assert (ops.channel, ops.waiting, ops.failing, ops.withheld, ops.given_up) == ("ops", 0, 0, 1, 0)
    assert ops.last_delivered_at is not None


async def test_what_was_withheld_goes_out_once_the_silence_is_ended_and_what_withheld_it_is_kept(
    backend: Backend,
) -> None:
    silence = await SilenceModel.add(CreateSilenceData("ana", "why", service_glob="*"))
    await transition("api", "down")
    message = await only()
    await finish(message, "deferred", ids=[message.deliveries[0].id], in_s=600, suppressed_by="silence 1 of ana: why")
    assert (await claim_due()).messages == []
    await SilenceModel.end(silence.id)
    again = await only()
    assert again.id != message.id
    await finish(again, "delivered", answer="200 OK")
    [entry] = backend.execute(
        "SELECT details ->> 'suppressed_by' FROM vigilbase.alert_timeline WHERE event = 'delivered'"
    )
    assert entry == ("silence 1 of ana: why",)


@pytest.mark.parametrize("kind", ["silence", "maintenance"])
async def test_what_is_put_off_for_what_has_ended_meanwhile_is_looked_at_again_soon(
    backend: Backend, kind: str
) -> None:
    added = (
        await SilenceModel.add(CreateSilenceData("ana", "why", service_glob="*"))
        if kind == "silence"
        else await MaintenanceModel.add(CreateMaintenanceData("ana", "why", service_glob="*", length_s=600))
    )
    await transition("api", "down")
    message = await only()
    await (SilenceModel if kind == "silence" else MaintenanceModel).end(added.id)
    await finish(message, "deferred", ids=[message.deliveries[0].id], in_s=600, suppressed_by="by whom ever")
    assert backend.execute("SELECT due_at < now() + interval '1 s' FROM vigilbase.notifications") == [(True,)]
    backend.execute("UPDATE vigilbase.notifications SET due_at = now()")  # nothing has ended since, and it isn't news
    again = await only()
    await finish(again, "deferred", ids=[again.deliveries[0].id], in_s=600, suppressed_by="by whom ever")
    assert backend.execute("SELECT due_at > now() + interval '1 min' FROM vigilbase.notifications") == [(True,)]


async def test_a_trigger_that_is_not_sent_any_more_is_noted_with_the_reason(backend: Backend) -> None:
    later = {**OPS, "after_s": 600, "unless_acknowledged": True}
    for service in ("a", "b"):
        await transition(service, "down", [later])
    await transition("a", "healthy")
    [alert] = await AlertEventModel.find_open()
    await AlertEventModel.acknowledge(alert.id)
    noted = (
        "SELECT service_name, details ->> 'reason' FROM vigilbase.alert_timeline WHERE event = 'cancelled' ORDER BY id"
    )
    assert backend.execute(noted) == [("a", "resolved"), ("b", "acknowledged")]


async def test_a_resolution_gives_a_try_that_has_just_failed_the_time_to_arrive(backend: Backend) -> None:
    for service, in_s in (("a", 5), ("b", 3600)):
        await transition(service, "down")
        await finish(await only(), "retry", error="no answer within 10 s", in_s=in_s)
        await transition(service, "healthy")
        claimed = await claim_due()
        assert claimed.messages == []
        assert claimed.next_in_s is not None
        assert 0 < claimed.next_in_s <= min(in_s, 10)  # the trigger itself would have waited that long
        assert backend.execute(ROWS)[-2:] == [("ops", "triggered", "cancelled"), ("ops", "resolved", "pending")]
        make_due(backend)
        resolution = await only()
        assert resolution.kind == "resolved"
        await finish(resolution, "delivered")


async def test_a_dead_delivery_can_be_tried_again(backend: Backend) -> None:
    await transition("api", "down")
    message = await only()
    await finish(message, "failed", error="503")
    assert (await claim_due()).messages == []
    assert ("failed", "ops") in backend.execute(TIMELINE)
    [ops] = await DeliveryModel.find_channels()
    assert (ops.waiting, ops.given_up) == (0, 1)
    assert await _retried(message) == "requeued"
    assert await _retried(message) == "not_failed"
    assert (await only()).id == message.id


async def test_of_what_is_dead_only_what_somebody_still_needs_is_tried_again(backend: Backend) -> None:
    """One message of two alerts, an escalation and a resolution, all given up."""
    for service in ("a", "b"):
        await transition(service, "down")
    both = await only(window_s=30)
    await finish(both, "failed", error="400")
    await transition("c", "down", [{**OPS, "channel": "boss", "unless_acknowledged": True}])
    escalation = await only("boss")
    await finish(escalation, "failed", error="400")
    [c] = [alert for alert in await AlertEventModel.find_open() if alert.service_name == "c"]
    await AlertEventModel.acknowledge(c.id)
    await transition("a", "healthy")
    resolution = await only()
    await finish(resolution, "failed", error="400")

    assert await _retried(both) == "resolved"  # that of `a`
    assert await _retried(escalation) == "acknowledged"
    assert await _retried(resolution) == "requeued"
    assert await _retried(both, 1) == "requeued"
    again = {message.id: message for message in (await claim_due()).messages}
    assert {one.id for one in again[both.id].deliveries} == {both.deliveries[1].id}
    assert again.keys() == {both.id, resolution.id}


async def test_however_many_wait_for_what_is_to_be_tried_again_the_others_go_out(backend: Backend) -> None:
    for service in ("a", "b", "c", "d"):
        await transition(service, "down", [OPS, OPS])
    failing = "attempts = 1, batch_id = gen_random_uuid(), batched_at = now(), due_at = now() + interval '1 hour'"
    backend.execute(f"UPDATE vigilbase.notifications SET {failing} WHERE number = 1")
    assert (await claim_due(limit=1)).messages == []
    await transition("e", "down")
    [message] = (await claim_due(limit=1)).messages
    assert message.deliveries[0].alert.service_name == "e"


async def test_a_window_lets_out_what_began_and_what_is_over(backend: Backend) -> None:
    for service in ("a", "b"):
        await transition(service, "down")
    await finish(await only(window_s=30), "delivered")
    backend.execute("UPDATE vigilbase.channels SET last_batch_at = now() - interval '1 minute'")
    for service in ("a", "b"):
        await transition(service, "healthy")
    for service in ("c", "d"):
        await transition(service, "down")
    messages = (await claim_due(window_s=30)).messages
    told = {one.kind: sorted(each.alert.service_name for each in one.deliveries) for one in messages}
    assert told == {"resolved": ["a", "b"], "triggered": ["c", "d"]}


async def test_what_began_before_it_was_withheld_is_told_though_it_ended_meanwhile(backend: Backend) -> None:
    """Whether it was withheld to the end, its sender finds out."""
    await transition("api", "down")
    message = await only()
    await finish(message, "deferred", ids=[message.deliveries[0].id], in_s=600, suppressed_by="silence 1 of ana: why")
    await transition("api", "healthy")
    assert backend.execute(ROWS) == [("ops", "triggered", "cancelled"), ("ops", "resolved", "pending")]
    resolution = await only()
    assert (resolution.kind, resolution.deliveries[0].told) == ("resolved", False)


async def test_who_was_to_be_told_later_hears_nothing_of_what_other_code_has_resolved_before(backend: Backend) -> None:
    await transition("api", "down", [{**OPS, "after_s": 600}])
    backend.execute("UPDATE alert_events SET status = 'resolved', resolved_at = now()")
    make_due(backend)
    backend.execute("UPDATE alert_events SET resolved_at = now() - interval '1 minute'")
    assert (await claim_due()).messages == []
    assert backend.execute(ROWS) == [("ops", "triggered", "cancelled")]


async def test_a_reminder_that_is_given_up_is_followed_by_the_next(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "failed", error="400", remind_in_s=0)
    reminder = await only()
    await finish(reminder, "failed", error="400", remind_in_s=0)
    assert (await only()).kind == "reminder"
    assert backend.execute(ROWS)[1:] == [("ops", "reminder", "failed"), ("ops", "reminder", "pending")]


async def test_an_old_alert_whose_end_is_still_owed_is_not_deleted(backend: Backend) -> None:
    await transition("api", "down")
    await finish(await only(), "delivered")
    await transition("api", "healthy")
    backend.execute("UPDATE alert_events SET created_at = now() - interval '40 days'")
    assert await AlertEventModel.delete_older_than(30, keep_open=True) == 1  # the recovery
    resolution = await only()
    await finish(resolution, "delivered")
    assert await AlertEventModel.delete_older_than(30, keep_open=True) == 1


async def test_old_deliveries_go_in_the_order_in_which_they_came(backend: Backend) -> None:
    """A resolution that went before its trigger would be owed again."""
    await transition("api", "down")
    await finish(await only(), "delivered")
    await transition("api", "healthy")
    await finish(await only(), "delivered")
    # An update puts a row behind the others.
    backend.execute(
        "UPDATE vigilbase.notifications SET created_at = now() - interval '91 days' WHERE kind = 'resolved'"
    )
    backend.execute(
        "UPDATE vigilbase.notifications SET created_at = now() - interval '91 days' WHERE kind = 'triggered'"
    )
    await get_supabase_service_client().call("vigilbase_delete_notifications", {"p_days": 90, "p_limit": 1})
    assert backend.execute(ROWS) == [("ops", "resolved", "delivered")]
    assert await owe_missing() == 0


async def test_what_nobody_needs_can_be_dropped_but_not_while_it_is_sent(backend: Backend) -> None:
    for service in ("a", "b"):
        await transition(service, "down")
    [dead, pending] = (await claim_due()).messages
    number = dead.deliveries[0].id
    assert await _cancelled(dead) is False  # just now it is being sent
    await finish(dead, "failed", error="400")
    found = await DeliveryModel.cancel(number, author="ana")
    assert found is not None
    assert (found[0].status, found[1]) == ("cancelled", True)
    assert await _cancelled(dead) is False
    await finish(pending, "retry", error="503", in_s=600)
    [ops] = await DeliveryModel.find_channels()
    assert (ops.failing, ops.last_error, ops.given_up) == (1, "503", 0)
    assert await _cancelled(pending) is True
    assert await DeliveryModel.cancel(10**9) is None
    by = backend.execute("SELECT author FROM vigilbase.alert_timeline WHERE event = 'cancelled' ORDER BY id")
    assert by == [("ana",), (None,)]


async def _cancelled(message: ClaimedMessage) -> bool | None:
    found = await DeliveryModel.cancel(message.deliveries[0].id)
    return found[1] if found else None


async def _retried(message: ClaimedMessage, index: int = 0) -> str | None:
    found = await DeliveryModel.retry(message.deliveries[index].id)
    return found[1] if found else None


async def test_a_batch_that_is_recorded_twice_owes_once(backend: Backend) -> None:
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
