"""Model methods log their success and their failure as structured events, on every transport."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.conftest import Backend
from vigilbase import (
    AlertEventModel,
    ChannelModel,
    CreateAlertEventData,
    CreateHealthCheckData,
    CreateSuppressionData,
    HealthCheckModel,
    InvalidInputError,
    NotificationModel,
    SuppressionModel,
    TimelineModel,
    VigilbaseError,
)

NIL = UUID(int=0)
CHECK = CreateHealthCheckData("api", "healthy")
ALERT = CreateAlertEventData("api", "service_down")
SILENCE = CreateSuppressionData("silence", "ada", "why", service_glob="*")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

MethodCall = Callable[[], Awaitable[object]]
METHOD_CALLS: dict[str, tuple[str, str, MethodCall, MethodCall]] = {
    "create": (
        "health_check.created",
        "health_check.create.failed",
        lambda: HealthCheckModel.create(CHECK),
        lambda: HealthCheckModel.create(CreateHealthCheckData("", "healthy")),
    ),
    "create_many": (
        "health_check.created_many",
        "health_check.create_many.failed",
        lambda: HealthCheckModel.create_many([CHECK]),
        lambda: HealthCheckModel.create_many([CreateHealthCheckData("", "healthy")]),
    ),
    "find_latest_by_service": (
        "health_check.found_latest_by_service",
        "health_check.find_latest_by_service.failed",
        lambda: HealthCheckModel.find_latest_by_service("api"),
        lambda: HealthCheckModel.find_latest_by_service(""),
    ),
    "find_all": (
        "health_check.found_all",
        "health_check.find_all.failed",
        HealthCheckModel.find_all,
        lambda: HealthCheckModel.find_all(limit=0),
    ),
    "delete_older_than": (
        "health_check.deleted_older_than",
        "health_check.delete_older_than.failed",
        lambda: HealthCheckModel.delete_older_than(1),
        lambda: HealthCheckModel.delete_older_than(-1),
    ),
    "alert create": (
        "alert_event.created",
        "alert_event.create.failed",
        lambda: AlertEventModel.create(ALERT),
        lambda: AlertEventModel.create(CreateAlertEventData("", "recovery")),
    ),
    "find_active": (
        "alert_event.found_active",
        "alert_event.find_active.failed",
        AlertEventModel.find_active,
        lambda: AlertEventModel.find_active(""),
    ),
    "find_open": (
        "alert_event.found_open",
        "alert_event.find_open.failed",
        AlertEventModel.find_open,
        lambda: AlertEventModel.find_open(""),
    ),
    "acknowledge": (
        "alert_event.acknowledged",
        "alert_event.acknowledge.failed",
        lambda: AlertEventModel.acknowledge(NIL),
        lambda: AlertEventModel.acknowledge("x"),
    ),
    "resolve": (
        "alert_event.resolved",
        "alert_event.resolve.failed",
        lambda: AlertEventModel.resolve(NIL),
        lambda: AlertEventModel.resolve("x"),
    ),
    "find_recent_by_service": (
        "alert_event.found_recent",
        "alert_event.find_recent_by_service.failed",
        lambda: AlertEventModel.find_recent_by_service("api", "recovery", 5),
        lambda: AlertEventModel.find_recent_by_service("api", "recovery", -5),
    ),
    "raise_alert": (
        "alert_event.raised",
        "alert_event.raise.failed",
        lambda: AlertEventModel.raise_alert(ALERT),
        lambda: AlertEventModel.raise_alert(ALERT, within_minutes=-1),
    ),
    "alert delete_older_than": (
        "alert_event.deleted_older_than",
        "alert_event.delete_older_than.failed",
        lambda: AlertEventModel.delete_older_than(1),
        lambda: AlertEventModel.delete_older_than(36_501),
    ),
    "find_history": (
        "health_check.found_history",
        "health_check.find_history.failed",
        lambda: HealthCheckModel.find_history("api", since=NOON),
        lambda: HealthCheckModel.find_history("", since=NOON),
    ),
    "alert find_newest": (
        "alert_event.found_newest",
        "alert_event.find_newest.failed",
        AlertEventModel.find_newest,
        lambda: AlertEventModel.find_newest(limit=0),
    ),
    "alert find_by_id_prefix": (
        "alert_event.found_by_id_prefix",
        "alert_event.find_by_id_prefix.failed",
        lambda: AlertEventModel.find_by_id_prefix("abcd"),
        lambda: AlertEventModel.find_by_id_prefix("x"),
    ),
    "find_by_alert": (
        "timeline.found_by_alert",
        "timeline.find_by_alert.failed",
        lambda: TimelineModel.find_by_alert(NIL),
        lambda: TimelineModel.find_by_alert("x"),
    ),
    "suppression create": (
        "suppression.created",
        "suppression.create.failed",
        lambda: SuppressionModel.create(SILENCE),
        lambda: SuppressionModel.create(replace(SILENCE, author="")),
    ),
    "suppression find_newest": (
        "suppression.found",
        "suppression.find.failed",
        SuppressionModel.find_newest,
        lambda: SuppressionModel.find_newest(limit=0),
    ),
    "suppression find_by_id_prefix": (
        "suppression.found_by_id_prefix",
        "suppression.find_by_id_prefix.failed",
        lambda: SuppressionModel.find_by_id_prefix("silence", "abcd"),
        lambda: SuppressionModel.find_by_id_prefix("silence", "x"),
    ),
    "suppression end": (
        "suppression.ended",
        "suppression.end.failed",
        lambda: SuppressionModel.end("silence", NIL),
        lambda: SuppressionModel.end("silence", "x"),
    ),
    "notification retry": (
        "notification.retried",
        "notification.retry.failed",
        lambda: NotificationModel.retry(1),
        lambda: NotificationModel.retry(0),
    ),
    "notification discard": (
        "notification.discarded",
        "notification.discard.failed",
        lambda: NotificationModel.discard(1),
        lambda: NotificationModel.discard(0),
    ),
    "channel enable": (
        "channel.enabled",
        "channel.enable.failed",
        lambda: ChannelModel.enable("ops"),
        lambda: ChannelModel.enable(""),
    ),
    "notification find": (
        "notification.found",
        "notification.find.failed",
        NotificationModel.find,
        lambda: NotificationModel.find(limit=0),
    ),
    "notification delete_older_than": (
        "notification.deleted_older_than",
        "notification.delete_older_than.failed",
        lambda: NotificationModel.delete_older_than(1),
        lambda: NotificationModel.delete_older_than(-1),
    ),
}


@pytest.mark.parametrize("method", METHOD_CALLS)
async def test_model_method_success_and_failure_are_logged(
    backend: Backend, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    success, failure, act, fail = METHOD_CALLS[method]
    caplog.set_level(logging.INFO, "vigilbase.models")
    await act()
    assert [(record.levelname, record.message) for record in caplog.records] == [("INFO", success)]
    caplog.clear()
    with pytest.raises(InvalidInputError):
        await fail()
    [record] = caplog.records
    assert (record.levelname, record.message) == ("ERROR", failure)
    assert record.__dict__["fields"]["reason"]


async def test_find_latest_success_and_failure_are_logged(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vigilbase.models")
    await HealthCheckModel.find_latest()
    backend.execute("ALTER FUNCTION vigilbase_find_latest_health_checks() RENAME TO gone")
    try:
        with pytest.raises(VigilbaseError, match="vigilbase_find_latest_health_checks"):
            await HealthCheckModel.find_latest()
    finally:
        backend.execute("ALTER FUNCTION gone() RENAME TO vigilbase_find_latest_health_checks")
    events = [(record.levelname, record.message) for record in caplog.records]
    assert events == [("INFO", "health_check.found_latest"), ("ERROR", "health_check.find_latest.failed")]
