"""`AlertEventModel` on every transport."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.conftest import Backend
from vigilbase import AlertEvent, AlertEventModel, CreateAlertEventData, InvalidInputError, InvalidTransitionError

DOWN = CreateAlertEventData("api", "service_down", message="api is down", details={"rule": "availability", "n": 3})


async def test_a_created_alert_is_returned_as_it_is_stored(backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    assert isinstance(alert.id, UUID)
    assert (alert.service_name, alert.alert_type, alert.status) == ("api", "service_down", "active")
    assert (alert.message, alert.details) == ("api is down", {"rule": "availability", "n": 3})
    assert alert.created_at is not None
    assert alert.created_at.tzinfo is UTC
    assert (alert.acknowledged_at, alert.resolved_at) == (None, None)
    assert backend.execute("SELECT id, created_at FROM alert_events") == [(alert.id, alert.created_at)]


async def test_create_inserts_whether_or_not_there_is_one(backend: Backend) -> None:
    first, second = await AlertEventModel.create(DOWN), await AlertEventModel.create(DOWN)
    assert first.id != second.id


async def test_an_alert_created_in_a_later_status_has_the_time_that_goes_with_it(backend: Backend) -> None:
    resolved = await AlertEventModel.create(CreateAlertEventData("api", "recovery", "resolved"))
    assert resolved.resolved_at == resolved.created_at
    assert resolved.details is None
    acknowledged = await AlertEventModel.create(CreateAlertEventData("api", "service_degraded", "acknowledged"))
    assert acknowledged.acknowledged_at == acknowledged.created_at


async def test_active_alerts_come_newest_first_of_one_service_or_of_all(backend: Backend) -> None:
    old, new = await AlertEventModel.create(DOWN), await AlertEventModel.create(DOWN)
    other = await AlertEventModel.create(CreateAlertEventData("db", "service_degraded"))
    acknowledged = await AlertEventModel.create(DOWN)
    await AlertEventModel.acknowledge(acknowledged.id)
    await AlertEventModel.create(CreateAlertEventData("api", "recovery", "resolved"))
    assert await AlertEventModel.find_active() == [other, new, old]
    assert await AlertEventModel.find_active("api") == [new, old]
    assert await AlertEventModel.find_active("nobody") == []
    assert [alert.id for alert in await AlertEventModel.find_open("api")] == [acknowledged.id, new.id, old.id]


async def test_active_alerts_are_complete_beyond_a_page(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) "
        "SELECT 's' || n, 'service_down', 'active' FROM generate_series(1, 2345) n"
    )
    assert len(await AlertEventModel.find_active()) == 2345


async def test_acknowledging_sets_the_time_and_keeps_the_first(backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    first = await AlertEventModel.acknowledge(alert.id)
    assert first is not None
    assert first.status == "acknowledged"
    assert first.acknowledged_at is not None
    assert alert.created_at is not None
    assert first.acknowledged_at > alert.created_at
    assert await AlertEventModel.acknowledge(str(alert.id)) == first


async def test_a_resolved_alert_cannot_be_acknowledged(backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    resolved = await AlertEventModel.resolve(alert.id)
    with pytest.raises(InvalidTransitionError, match=str(alert.id)):
        await AlertEventModel.acknowledge(alert.id)
    assert await AlertEventModel.resolve(alert.id) == resolved


@pytest.mark.parametrize("acknowledged_before", [False, True])
async def test_resolving_sets_the_time_and_keeps_the_first(backend: Backend, acknowledged_before: bool) -> None:
    alert = await AlertEventModel.create(DOWN)
    if acknowledged_before:
        acknowledged = await AlertEventModel.acknowledge(alert.id)
        assert acknowledged is not None
        alert = acknowledged
    first = await AlertEventModel.resolve(alert.id)
    assert first is not None
    assert first.status == "resolved"
    assert first.resolved_at is not None
    assert first.acknowledged_at == alert.acknowledged_at
    assert await AlertEventModel.resolve(str(alert.id)) == first


async def test_an_unknown_id_is_none(backend: Backend) -> None:
    assert await AlertEventModel.acknowledge(uuid4()) is None
    assert await AlertEventModel.resolve(str(uuid4())) is None


@pytest.mark.parametrize("bad", ["", "42", "not-a-uuid", 42, None, b"x", ["a"]])
async def test_what_is_no_uuid_is_refused(backend: Backend, bad: object) -> None:
    for act in (AlertEventModel.acknowledge, AlertEventModel.resolve):
        with pytest.raises(InvalidInputError, match="id must be a UUID"):
            await act(bad)  # type: ignore[arg-type]


async def test_a_recent_alert_is_the_newest_of_its_type_inside_the_window(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, message, created_at) VALUES "
        "('api', 'service_down', 'resolved', 'old', now() - interval '61 minutes'), "
        "('api', 'service_down', 'resolved', 'newer', now() - interval '20 minutes'), "
        "('api', 'service_degraded', 'active', 'other type', now()), "
        "('db', 'service_down', 'active', 'other service', now())"
    )

    async def message(within_minutes: int) -> str | None:
        alert = await AlertEventModel.find_recent_by_service("api", "service_down", within_minutes)
        return alert.message if alert else None

    assert await message(19) is None
    assert await message(0) is None
    assert await message(21) == "newer"
    assert await message(2**31 - 1) == "newer"


async def test_raising_again_returns_the_open_alert_unchanged(backend: Backend) -> None:
    alert, is_new = await AlertEventModel.raise_alert(DOWN)
    assert is_new
    again = CreateAlertEventData("api", "service_down", message="another word", details={"rule": "availability"})
    assert await AlertEventModel.raise_alert(again) == (alert, False)
    acknowledged = await AlertEventModel.acknowledge(alert.id)
    assert await AlertEventModel.raise_alert(again) == (acknowledged, False)


async def test_alerts_of_another_service_type_or_rule_are_others(backend: Backend) -> None:
    others = [
        DOWN,
        CreateAlertEventData("db", "service_down", details={"rule": "availability"}),
        CreateAlertEventData("api", "service_degraded", details={"rule": "availability"}),
        CreateAlertEventData("api", "service_down", details={"rule": "latency"}),
        CreateAlertEventData("api", "service_down", details={"n": 1}),
    ]
    for data in others:
        assert (await AlertEventModel.raise_alert(data))[1]
    # No rule is a rule of its own, whether or not there are other details.
    assert not (await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down")))[1]


async def test_after_a_resolution_raising_makes_a_new_alert_unless_the_old_is_recent(backend: Backend) -> None:
    alert, _ = await AlertEventModel.raise_alert(DOWN)
    resolved = await AlertEventModel.resolve(alert.id)
    assert await AlertEventModel.raise_alert(DOWN, within_minutes=5) == (resolved, False)
    backend.execute("UPDATE alert_events SET created_at = now() - interval '6 minutes'")
    second, is_new = await AlertEventModel.raise_alert(DOWN, within_minutes=5)
    assert is_new
    assert second.id != alert.id
    # An open alert counts however old it is, and before a resolved one that is newer.
    backend.execute("UPDATE alert_events SET created_at = now() - interval '3 hours' WHERE status = 'active'")
    raised, is_new = await AlertEventModel.raise_alert(DOWN, within_minutes=5)
    assert (raised.id, is_new) == (second.id, False)


async def test_an_alert_is_raised_active_or_not_at_all(backend: Backend) -> None:
    with pytest.raises(InvalidInputError, match="status"):
        await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down", "resolved"))
    assert await AlertEventModel.find_open() == []


@pytest.mark.parametrize("round_", range(5))
async def test_of_ten_who_raise_an_alert_at_once_one_makes_it(backend: Backend, round_: int) -> None:
    answers = await asyncio.gather(*(AlertEventModel.raise_alert(DOWN) for _ in range(10)))
    assert sorted(is_new for _, is_new in answers) == [False] * 9 + [True]
    assert len({alert.id for alert, _ in answers}) == 1
    assert backend.execute("SELECT count(*) FROM alert_events") == [(1,)]


async def test_of_ten_who_resolve_and_acknowledge_at_once_nobody_undoes_another(backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    acts = [AlertEventModel.resolve(alert.id) if n % 2 else AlertEventModel.acknowledge(alert.id) for n in range(10)]
    answers = await asyncio.gather(*acts, return_exceptions=True)
    assert all(isinstance(answer, (AlertEvent, InvalidTransitionError)) for answer in answers)
    [(status, is_resolved)] = backend.execute("SELECT status, resolved_at IS NOT NULL FROM alert_events")
    assert (status, is_resolved) == ("resolved", True)


async def test_retention_may_spare_open_alerts(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at) "
        "SELECT 'api', 'service_down', s, now() - interval '40 days' "
        "FROM unnest(ARRAY['active', 'acknowledged', 'resolved']) s"
    )
    recent = await AlertEventModel.create(DOWN)
    assert await AlertEventModel.delete_older_than(30, keep_open=True) == 1
    assert len(await AlertEventModel.find_open()) == 3
    assert await AlertEventModel.delete_older_than(30) == 2
    assert await AlertEventModel.find_open() == [recent]


async def test_a_stored_alert_outlives_the_clock_of_its_reader(backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    assert alert.created_at is not None
    assert abs(datetime.now(UTC) - alert.created_at) < timedelta(minutes=1)


async def test_the_newest_alerts_come_of_one_service_or_of_all_and_at_most_so_many(backend: Backend) -> None:
    alerts = [
        await AlertEventModel.create(CreateAlertEventData(name, "service_down")) for name in ("api", "web", "api")
    ]
    newest_first = alerts[::-1]
    assert await AlertEventModel.find_newest() == newest_first
    assert await AlertEventModel.find_newest(limit=2) == newest_first[:2]
    assert await AlertEventModel.find_newest(service_name="api") == [alerts[2], alerts[0]]
    for limit in (0, -1, True):
        with pytest.raises(InvalidInputError, match="limit"):
            await AlertEventModel.find_newest(limit=limit)


async def test_the_newest_alerts_may_leave_out_what_is_resolved_or_was_before_a_moment(backend: Backend) -> None:
    old, open_, recent = [await AlertEventModel.create(DOWN) for _ in range(3)]
    backend.execute("UPDATE alert_events SET created_at = now() - interval '2 days'")
    await AlertEventModel.resolve(old.id)
    backend.execute(f"UPDATE alert_events SET resolved_at = now() - interval '1 day' WHERE id = '{old.id}'")
    await AlertEventModel.resolve(recent.id)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert {alert.id for alert in await AlertEventModel.find_newest(since=an_hour_ago)} == {open_.id, recent.id}
    assert [alert.id for alert in await AlertEventModel.find_newest(only_open=True)] == [open_.id]
    with pytest.raises(InvalidInputError, match="since"):
        await AlertEventModel.find_newest(since=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_alerts_are_found_by_the_beginning_of_their_id(backend: Backend) -> None:
    ids = [UUID(f"{start}-0000-4000-8000-000000000001") for start in ("abcd0000", "abcd1111", "ffffffff", "00000000")]
    for id_ in ids:
        backend.execute(
            "INSERT INTO alert_events (id, service_name, alert_type, status) "
            f"VALUES ('{id_}', 'api', 'recovery', 'active')"
        )

    async def found(prefix: str) -> list[UUID]:
        return [alert.id for alert in await AlertEventModel.find_by_id_prefix(prefix)]

    assert await found("abcd") == ids[:2]
    assert await found("ABCD1") == [ids[1]]
    assert await found("abcd1111-0000-4") == [ids[1]]
    assert await found(str(ids[2])) == [ids[2]]
    assert await found("0000") == [ids[3]]
    assert await found("abce") == []
    for prefix in ("abc", "", "wxyz", "abcd%", f"{ids[0]}0"):
        with pytest.raises(InvalidInputError, match="id must be a UUID or its first digits"):
            await found(prefix)
