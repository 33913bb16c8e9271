"""Rows of other code that can't be read: lists leave them out and say so, on every transport."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.conftest import Backend
from vigilbase import (
    AlertEvent,
    AlertEventModel,
    CreateAlertEventData,
    DatabaseError,
    HealthCheckModel,
    InvalidInputError,
)
from vigilbase.configfile import ServiceConfig
from vigilbase.domain import Policy, ProbeResult
from vigilbase.models.rows import collect_skipped
from vigilbase.runner.history import load_history

ODD_ID = UUID("abcd0000-0000-4000-8000-000000000001")
FINE_ID = UUID("abcd0000-0000-4000-8000-000000000002")
CHECK = "INSERT INTO service_health_checks (service_name, status, checked_at) VALUES"
ALERT = "INSERT INTO alert_events (id, service_name, alert_type, status, details) VALUES"
# What the contract ensures, and a host may drop.
CONSTRAINTS = {
    "service_health_checks_status_check": ("service_health_checks", "status IN ('healthy', 'degraded', 'down')"),
    "alert_events_status_check": ("alert_events", "status IN ('active', 'acknowledged', 'resolved')"),
    "alert_events_alert_type_check": ("alert_events", "alert_type IN ('service_down', 'service_degraded', 'recovery')"),
}
SINCE = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(autouse=True)
def _unmuted(caplog: pytest.LogCaptureFixture) -> None:
    """Another test may have run a command, which mutes the models."""
    caplog.set_level(logging.WARNING, "vigilbase.models")


@pytest.fixture
def lax(each_backend: Backend) -> Iterator[Backend]:
    """Tables that accept any status."""
    for name, (table, _) in CONSTRAINTS.items():
        each_backend.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ALTER status DROP NOT NULL")
    yield each_backend
    each_backend.execute("TRUNCATE service_health_checks, alert_events")
    for name, (table, rule) in CONSTRAINTS.items():
        each_backend.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({rule}), ALTER status SET NOT NULL")


def list_warnings(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object, object]]:
    """The event, the count and the reason of each warning, without those of other libraries."""
    records = [record for record in caplog.records if record.levelname == "WARNING"]
    fields = [record.__dict__["fields"] for record in records]
    return [(record.message, each["count"], each["reason"]) for record, each in zip(records, fields, strict=True)]


@pytest.mark.parametrize("status", ["'paused'", "NULL", "''", "'Healthy'"])
async def test_find_all_unknown_status_skips_row_with_one_warning(
    lax: Backend, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    lax.execute(f"{CHECK} ('odd', {status}, now()), ('odd', {status}, now()), ('fine', 'healthy', now())")
    [check] = await HealthCheckModel.find_all()
    assert check.service_name == "fine"
    [(event, count, reason)] = list_warnings(caplog)
    assert (event, count) == ("health_check.skipped", 2)
    assert str(reason).startswith("status is ")


async def test_find_all_only_unknown_statuses_returns_nothing(lax: Backend, caplog: pytest.LogCaptureFixture) -> None:
    lax.execute(f"{CHECK} ('odd', 'paused', now())")
    assert await HealthCheckModel.find_all() == []
    assert list_warnings(caplog) == [
        ("health_check.skipped", 1, "status is 'paused', not one of healthy, degraded, down")
    ]


@pytest.mark.parametrize("status", ["'paused'", "NULL"])
async def test_find_latest_unknown_status_returns_newest_readable_check(
    lax: Backend, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    lax.execute(
        f"{CHECK} ('odd', {status}, now()), ('odd', {status}, now() - interval '1 s'), "
        "('odd', 'down', now() - interval '1 min'), ('odd', 'healthy', now() - interval '2 min'), "
        "('fine', 'healthy', now())"
    )
    assert [(check.service_name, check.status) for check in await HealthCheckModel.find_latest()] == [
        ("fine", "healthy"),
        ("odd", "down"),
    ]
    one = await HealthCheckModel.find_latest_by_service("odd")
    assert one is not None
    assert one.status == "down"
    assert [(event, count) for event, count, _ in list_warnings(caplog)] == [("health_check.skipped", 1)] * 2


async def test_find_latest_no_readable_check_leaves_service_out_with_warning(
    lax: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """`find_latest_by_service` can't return None, which would mean that there are no checks."""
    lax.execute(f"{CHECK} ('odd', 'paused', now()), ('fine', 'healthy', now())")
    with collect_skipped() as skipped:
        assert [check.service_name for check in await HealthCheckModel.find_latest()] == ["fine"]
    assert [(each.noun, each.count) for each in skipped] == [("health_check", 1)]
    assert len(list_warnings(caplog)) == 1
    with pytest.raises(DatabaseError, match="status is 'paused'"):
        await HealthCheckModel.find_latest_by_service("odd")


async def test_find_history_unknown_statuses_do_not_use_up_limit(
    lax: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    lax.execute(
        f"{CHECK} ('api', 'paused', now()), ('api', NULL, now()), ('api', 'down', now() - interval '1 min'), "
        "('api', 'healthy', now() - interval '2 min')"
    )
    history = await HealthCheckModel.find_history("api", since=SINCE, limit=1)
    assert [check.status for check in history.checks] == ["down"]
    assert history.counts == {"healthy": 1, "degraded": 0, "down": 1}
    assert [(event, count) for event, count, _ in list_warnings(caplog)] == [("health_check.skipped", 2)]


async def test_alert_lists_unreadable_alert_is_skipped_with_warning(
    lax: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    lax.execute(
        f"{ALERT} ('{ODD_ID}', 'api', 'expired', 'active', NULL), ('{FINE_ID}', 'api', 'service_down', 'active', NULL)"
    )
    finds: list[Callable[[], Awaitable[list[AlertEvent]]]] = [
        AlertEventModel.find_active,
        AlertEventModel.find_open,
        AlertEventModel.find_newest,
        lambda: AlertEventModel.find_by_id_prefix("abcd"),
    ]
    for find in finds:
        caplog.clear()
        assert [alert.id for alert in await find()] == [FINE_ID]
        reason = "alert_type is 'expired', not one of service_down, service_degraded, recovery"
        assert list_warnings(caplog) == [("alert_event.skipped", 1, reason)]
        assert caplog.records[0].__dict__["fields"]["id"] == str(ODD_ID)


async def test_alert_lists_unknown_alert_status_is_not_hidden_silently(
    lax: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    lax.execute(f"{ALERT} ('{ODD_ID}', 'api', 'service_down', 'snoozed', NULL)")
    assert await AlertEventModel.find_newest() == []
    assert [(event, count) for event, count, _ in list_warnings(caplog)] == [("alert_event.skipped", 1)]


async def test_alert_single_row_methods_unknown_status_raises_database_error(lax: Backend) -> None:
    """The caller's input was right, so it's no `InvalidInputError`."""
    lax.execute(f"{ALERT} ('{ODD_ID}', 'api', 'service_down', 'snoozed', NULL)")
    data = CreateAlertEventData("api", "service_down")
    for call in (
        AlertEventModel.raise_alert(data),
        AlertEventModel.find_recent_by_service("api", "service_down", 5),
    ):
        with pytest.raises(DatabaseError, match="status is 'snoozed'") as caught:
            await call
        assert not isinstance(caught.value, InvalidInputError)
    lax.execute(f"UPDATE alert_events SET alert_type = 'expired' WHERE id = '{ODD_ID}'")
    for call in (AlertEventModel.acknowledge(ODD_ID), AlertEventModel.resolve(ODD_ID)):
        with pytest.raises(DatabaseError, match="alert_type is 'expired'"):
            await call


async def _fail_if_probed() -> ProbeResult:
    raise AssertionError("this test doesn't probe")


async def test_load_history_unreadable_rows_are_skipped(lax: Backend, caplog: pytest.LogCaptureFixture) -> None:
    lax.execute(
        f"{CHECK} ('api', 'down', now() - interval '2 s'), ('api', 'paused', now() - interval '1 s'), "
        "('api', 'down', now()), ('web', NULL, now())"
    )
    lax.execute(
        f"""{ALERT} (gen_random_uuid(), 'api', 'service_down', 'active', '{{"source": "judge", "down_since": "noon"}}'),
        ('{ODD_ID}', 'web', 'expired', 'active', '{{"source": "judge"}}');
        UPDATE alert_events SET created_at = NULL"""
    )
    configs = [ServiceConfig(name, "tcp", 30, 5, Policy(3, 2), _fail_if_probed) for name in ("api", "web", "new")]
    states = (await load_history(configs)).states
    assert [(name, states[name].status) for name in states] == [("api", "down"), ("web", "healthy"), ("new", "healthy")]
    assert [check.status for check in states["api"].streak] == ["down", "down"]
    assert states["web"].streak == ()
    assert [(event, count) for event, count, _ in list_warnings(caplog)] == [("health_check.skipped", 2)]
