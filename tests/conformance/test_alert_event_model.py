"""`AlertEventModel`."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Backend
from vigilbase import AlertEvent, AlertEventModel, CreateAlertEventData, InvalidInputError, InvalidTransitionError

DOWN = CreateAlertEventData("api", "service_down", message="api is down", details={"rule": "availability", "n": 3})


async def test_alert_create_returns_alert_as_stored(each_backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    assert isinstance(alert.id, UUID)
    assert (alert.service_name, alert.alert_type, alert.status) == ("api", "service_down", "active")
    assert (alert.message, alert.details) == ("api is down", {"rule": "availability", "n": 3})
    assert alert.created_at is not None
    assert alert.created_at.tzinfo is UTC
    assert (alert.acknowledged_at, alert.resolved_at) == (None, None)
    assert each_backend.execute("SELECT id, created_at FROM alert_events") == [(alert.id, alert.created_at)]


async def test_alert_create_repeated_inserts_new_alert(backend: Backend) -> None:
    first, second = await AlertEventModel.create(DOWN), await AlertEventModel.create(DOWN)
    assert first.id != second.id


async def test_alert_create_with_later_status_sets_time_of_that_status(backend: Backend) -> None:
    resolved = await AlertEventModel.create(CreateAlertEventData("api", "recovery", "resolved"))
    assert resolved.resolved_at == resolved.created_at
    assert resolved.details is None
    acknowledged = await AlertEventModel.create(CreateAlertEventData("api", "service_degraded", "acknowledged"))
    assert acknowledged.acknowledged_at == acknowledged.created_at


async def test_alert_find_active_newest_first_and_filtered_by_service(each_backend: Backend) -> None:
    old, new = await AlertEventModel.create(DOWN), await AlertEventModel.create(DOWN)
    other = await AlertEventModel.create(CreateAlertEventData("db", "service_degraded"))
    acknowledged = await AlertEventModel.create(DOWN)
    await AlertEventModel.acknowledge(acknowledged.id)
    await AlertEventModel.create(CreateAlertEventData("api", "recovery", "resolved"))
    assert await AlertEventModel.find_active() == [other, new, old]
    assert await AlertEventModel.find_active("api") == [new, old]
    assert await AlertEventModel.find_active("unknown") == []
    assert [alert.id for alert in await AlertEventModel.find_open("api")] == [acknowledged.id, new.id, old.id]


async def test_alert_find_active_beyond_one_page_returns_all(each_backend: Backend) -> None:
    each_backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status) "
        "SELECT 's' || n, 'service_down', 'active' FROM generate_series(1, 2345) n"
    )
    assert len(await AlertEventModel.find_active()) == 2345


async def test_alert_acknowledge_repeated_keeps_first_time(each_backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    first = await AlertEventModel.acknowledge(alert.id)
    assert first is not None
    assert first.status == "acknowledged"
    assert first.acknowledged_at is not None
    assert alert.created_at is not None
    assert first.acknowledged_at > alert.created_at
    assert await AlertEventModel.acknowledge(str(alert.id)) == first


async def test_alert_acknowledge_resolved_alert_is_rejected(each_backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    resolved = await AlertEventModel.resolve(alert.id)
    with pytest.raises(InvalidTransitionError, match=str(alert.id)):
        await AlertEventModel.acknowledge(alert.id)
    assert await AlertEventModel.resolve(alert.id) == resolved


@pytest.mark.parametrize("acknowledged_before", [False, True])
async def test_alert_resolve_repeated_keeps_first_time(backend: Backend, acknowledged_before: bool) -> None:
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


async def test_alert_acknowledge_and_resolve_unknown_id_return_none(each_backend: Backend) -> None:
    assert await AlertEventModel.acknowledge(uuid4()) is None
    assert await AlertEventModel.resolve(str(uuid4())) is None


async def test_alert_acknowledge_and_resolve_invalid_id_is_rejected(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    bad: Any
    for bad in ("", "42", "not-a-uuid", 42, None, b"x", ["a"]):
        for act in (AlertEventModel.acknowledge, AlertEventModel.resolve):
            with subtests.test(act=act.__name__, id=bad), pytest.raises(InvalidInputError, match="id must be a UUID"):
                await act(bad)


async def test_alert_find_recent_returns_newest_of_type_within_window(each_backend: Backend) -> None:
    each_backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, message, created_at) VALUES "
        "('api', 'service_down', 'resolved', 'old', now() - interval '61 minutes'), "
        "('api', 'service_down', 'resolved', 'newer', now() - interval '20 minutes'), "
        "('api', 'service_degraded', 'active', 'other type', now()), "
        "('db', 'service_down', 'active', 'other service', now())"
    )

    async def find_message(within_minutes: int) -> str | None:
        alert = await AlertEventModel.find_recent_by_service("api", "service_down", within_minutes)
        return alert.message if alert else None

    assert await find_message(19) is None
    assert await find_message(0) is None
    assert await find_message(21) == "newer"
    assert await find_message(2**31 - 1) == "newer"


async def test_alert_raise_open_alert_is_returned_unchanged(each_backend: Backend) -> None:
    alert, is_new = await AlertEventModel.raise_alert(DOWN)
    assert is_new
    again = CreateAlertEventData("api", "service_down", message="another message", details={"rule": "availability"})
    assert await AlertEventModel.raise_alert(again) == (alert, False)
    acknowledged = await AlertEventModel.acknowledge(alert.id)
    assert await AlertEventModel.raise_alert(again) == (acknowledged, False)


async def test_alert_raise_other_service_type_or_rule_creates_alert(backend: Backend) -> None:
    others = [
        DOWN,
        CreateAlertEventData("db", "service_down", details={"rule": "availability"}),
        CreateAlertEventData("api", "service_degraded", details={"rule": "availability"}),
        CreateAlertEventData("api", "service_down", details={"rule": "latency"}),
        CreateAlertEventData("api", "service_down", details={"n": 1}),
    ]
    for data in others:
        assert (await AlertEventModel.raise_alert(data))[1]
    # Alerts without a rule belong together, with or without other details.
    assert not (await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down")))[1]


async def test_alert_raise_resolved_alert_is_reused_only_within_window(backend: Backend) -> None:
    alert, _ = await AlertEventModel.raise_alert(DOWN)
    resolved = await AlertEventModel.resolve(alert.id)
    assert await AlertEventModel.raise_alert(DOWN, within_minutes=5) == (resolved, False)
    backend.execute("UPDATE alert_events SET created_at = now() - interval '6 minutes'")
    second, is_new = await AlertEventModel.raise_alert(DOWN, within_minutes=5)
    assert is_new
    assert second.id != alert.id
    # An open alert counts at any age, and takes precedence over a newer resolved one.
    backend.execute("UPDATE alert_events SET created_at = now() - interval '3 hours' WHERE status = 'active'")
    raised, is_new = await AlertEventModel.raise_alert(DOWN, within_minutes=5)
    assert (raised.id, is_new) == (second.id, False)


async def test_alert_raise_status_other_than_active_is_rejected(backend: Backend) -> None:
    with pytest.raises(InvalidInputError, match="status"):
        await AlertEventModel.raise_alert(CreateAlertEventData("api", "service_down", "resolved"))
    assert await AlertEventModel.find_open() == []


async def test_alert_raise_ten_concurrent_calls_create_one_alert(backend: Backend) -> None:
    for round_ in range(5):
        backend.execute("TRUNCATE alert_events")
        answers = await asyncio.gather(*(AlertEventModel.raise_alert(DOWN) for _ in range(10)))
        assert sorted(is_new for _, is_new in answers) == [False] * 9 + [True], f"round {round_}"
        assert len({alert.id for alert, _ in answers}) == 1
        assert backend.execute("SELECT count(*) FROM alert_events") == [(1,)]


async def test_alert_concurrent_acknowledge_and_resolve_leaves_alert_resolved(backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    acts = [AlertEventModel.resolve(alert.id) if n % 2 else AlertEventModel.acknowledge(alert.id) for n in range(10)]
    answers = await asyncio.gather(*acts, return_exceptions=True)
    assert all(isinstance(answer, (AlertEvent, InvalidTransitionError)) for answer in answers)
    [(status, is_resolved)] = backend.execute("SELECT status, resolved_at IS NOT NULL FROM alert_events")
    assert (status, is_resolved) == ("resolved", True)


async def test_alert_delete_older_than_keep_open_keeps_open_alerts(backend: Backend) -> None:
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


async def test_alert_create_sets_created_at_to_current_time(backend: Backend) -> None:
    alert = await AlertEventModel.create(DOWN)
    assert alert.created_at is not None
    assert abs(datetime.now(UTC) - alert.created_at) < timedelta(minutes=1)


async def test_alert_find_newest_filters_by_service_and_respects_limit(each_backend: Backend) -> None:
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


async def test_alert_find_newest_filters_by_since_and_only_open(each_backend: Backend) -> None:
    old, open_, recent = [await AlertEventModel.create(DOWN) for _ in range(3)]
    each_backend.execute("UPDATE alert_events SET created_at = now() - interval '2 days'")
    await AlertEventModel.resolve(old.id)
    each_backend.execute(f"UPDATE alert_events SET resolved_at = now() - interval '1 day' WHERE id = '{old.id}'")
    await AlertEventModel.resolve(recent.id)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert {alert.id for alert in await AlertEventModel.find_newest(since=an_hour_ago)} == {open_.id, recent.id}
    assert [alert.id for alert in await AlertEventModel.find_newest(only_open=True)] == [open_.id]
    with pytest.raises(InvalidInputError, match="since"):
        await AlertEventModel.find_newest(since=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_alert_find_by_id_prefix_returns_matches_and_rejects_invalid_prefix(each_backend: Backend) -> None:
    ids = [UUID(f"{start}-0000-4000-8000-000000000001") for start in ("abcd0000", "abcd1111", "ffffffff", "00000000")]
    for id_ in ids:
        each_backend.execute(
            "INSERT INTO alert_events (id, service_name, alert_type, status) "
            f"VALUES ('{id_}', 'api', 'recovery', 'active')"
        )

    async def find_ids(prefix: str) -> list[UUID]:
        return [alert.id for alert in await AlertEventModel.find_by_id_prefix(prefix)]

    assert await find_ids("abcd") == ids[:2]
    assert await find_ids("ABCD1") == [ids[1]]
    assert await find_ids("abcd1111-0000-4") == [ids[1]]
    assert await find_ids(str(ids[2])) == [ids[2]]
    assert await find_ids("0000") == [ids[3]]
    assert await find_ids("abce") == []
    for prefix in ("abc", "", "wxyz", "abcd%", f"{ids[0]}0"):
        with pytest.raises(InvalidInputError, match="id must be a UUID or at least its first"):
            await find_ids(prefix)
