"""Every model method works on every transport, and logs its success and its failure as structured events."""

import logging
from collections.abc import Awaitable, Callable, Mapping
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
)
from vigilbase.errors import MissingSchemaError

MODELS = (HealthCheckModel, AlertEventModel, TimelineModel, SuppressionModel, NotificationModel, ChannelModel)
NIL = UUID(int=0)
CHECK = CreateHealthCheckData("api", "healthy")
ALERT = CreateAlertEventData("api", "service_down")
SILENCE = CreateSuppressionData("silence", "ada", "why", service_glob="*")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

MethodCall = Callable[[], Awaitable[object]]

# For each method: what it logs when it succeeds and when it fails, and a call that does.
METHOD_CALLS: Mapping[str, tuple[str, str, MethodCall, MethodCall]] = {
    "HealthCheckModel.create": (
        "health_check.created",
        "health_check.create.failed",
        lambda: HealthCheckModel.create(CHECK),
        lambda: HealthCheckModel.create(CreateHealthCheckData("", "healthy")),
    ),
    "HealthCheckModel.create_many": (
        "health_check.created_many",
        "health_check.create_many.failed",
        lambda: HealthCheckModel.create_many([CHECK]),
        lambda: HealthCheckModel.create_many([CreateHealthCheckData("", "healthy")]),
    ),
    "HealthCheckModel.find_latest_by_service": (
        "health_check.found_latest_by_service",
        "health_check.find_latest_by_service.failed",
        lambda: HealthCheckModel.find_latest_by_service("api"),
        lambda: HealthCheckModel.find_latest_by_service(""),
    ),
    "HealthCheckModel.find_all": (
        "health_check.found_all",
        "health_check.find_all.failed",
        HealthCheckModel.find_all,
        lambda: HealthCheckModel.find_all(limit=0),
    ),
    "HealthCheckModel.find_history": (
        "health_check.found_history",
        "health_check.find_history.failed",
        lambda: HealthCheckModel.find_history("api", since=NOON),
        lambda: HealthCheckModel.find_history("", since=NOON),
    ),
    "HealthCheckModel.delete_older_than": (
        "health_check.deleted_older_than",
        "health_check.delete_older_than.failed",
        lambda: HealthCheckModel.delete_older_than(1),
        lambda: HealthCheckModel.delete_older_than(-1),
    ),
    "AlertEventModel.create": (
        "alert_event.created",
        "alert_event.create.failed",
        lambda: AlertEventModel.create(ALERT),
        lambda: AlertEventModel.create(CreateAlertEventData("", "recovery")),
    ),
    "AlertEventModel.find_active": (
        "alert_event.found_active",
        "alert_event.find_active.failed",
        AlertEventModel.find_active,
        lambda: AlertEventModel.find_active(""),
    ),
    "AlertEventModel.find_open": (
        "alert_event.found_open",
        "alert_event.find_open.failed",
        AlertEventModel.find_open,
        lambda: AlertEventModel.find_open(""),
    ),
    "AlertEventModel.acknowledge": (
        "alert_event.acknowledged",
        "alert_event.acknowledge.failed",
        lambda: AlertEventModel.acknowledge(NIL),
        lambda: AlertEventModel.acknowledge("x"),
    ),
    "AlertEventModel.resolve": (
        "alert_event.resolved",
        "alert_event.resolve.failed",
        lambda: AlertEventModel.resolve(NIL),
        lambda: AlertEventModel.resolve("x"),
    ),
    "AlertEventModel.find_recent_by_service": (
        "alert_event.found_recent",
        "alert_event.find_recent_by_service.failed",
        lambda: AlertEventModel.find_recent_by_service("api", "recovery", 5),
        lambda: AlertEventModel.find_recent_by_service("api", "recovery", -5),
    ),
    "AlertEventModel.raise_alert": (
        "alert_event.raised",
        "alert_event.raise.failed",
        lambda: AlertEventModel.raise_alert(ALERT),
        lambda: AlertEventModel.raise_alert(ALERT, within_minutes=-1),
    ),
    "AlertEventModel.delete_older_than": (
        "alert_event.deleted_older_than",
        "alert_event.delete_older_than.failed",
        lambda: AlertEventModel.delete_older_than(1),
        lambda: AlertEventModel.delete_older_than(36_501),
    ),
    "AlertEventModel.find_newest": (
        "alert_event.found_newest",
        "alert_event.find_newest.failed",
        AlertEventModel.find_newest,
        lambda: AlertEventModel.find_newest(limit=0),
    ),
    "AlertEventModel.find_by_id_prefix": (
        "alert_event.found_by_id_prefix",
        "alert_event.find_by_id_prefix.failed",
        lambda: AlertEventModel.find_by_id_prefix("abcd"),
        lambda: AlertEventModel.find_by_id_prefix("x"),
    ),
    "TimelineModel.find_by_alert": (
        "timeline.found_by_alert",
        "timeline.find_by_alert.failed",
        lambda: TimelineModel.find_by_alert(NIL),
        lambda: TimelineModel.find_by_alert("x"),
    ),
    "SuppressionModel.create": (
        "suppression.created",
        "suppression.create.failed",
        lambda: SuppressionModel.create(SILENCE),
        lambda: SuppressionModel.create(replace(SILENCE, author="")),
    ),
    "SuppressionModel.find_current": (
        "suppression.found",
        "suppression.find.failed",
        SuppressionModel.find_current,
        lambda: SuppressionModel.find_current("x"),  # type: ignore[arg-type]
    ),
    "SuppressionModel.find_since": (
        "suppression.found",
        "suppression.find.failed",
        lambda: SuppressionModel.find_since(NOON),
        lambda: SuppressionModel.find_since(datetime(2026, 1, 1)),  # noqa: DTZ001
    ),
    "SuppressionModel.find_newest": (
        "suppression.found",
        "suppression.find.failed",
        SuppressionModel.find_newest,
        lambda: SuppressionModel.find_newest(limit=0),
    ),
    "SuppressionModel.find_by_id_prefix": (
        "suppression.found_by_id_prefix",
        "suppression.find_by_id_prefix.failed",
        lambda: SuppressionModel.find_by_id_prefix("silence", "abcd"),
        lambda: SuppressionModel.find_by_id_prefix("silence", "x"),
    ),
    "SuppressionModel.end": (
        "suppression.ended",
        "suppression.end.failed",
        lambda: SuppressionModel.end("silence", NIL),
        lambda: SuppressionModel.end("silence", "x"),
    ),
    "NotificationModel.retry": (
        "notification.retried",
        "notification.retry.failed",
        lambda: NotificationModel.retry(1),
        lambda: NotificationModel.retry(0),
    ),
    "NotificationModel.discard": (
        "notification.discarded",
        "notification.discard.failed",
        lambda: NotificationModel.discard(1),
        lambda: NotificationModel.discard(0),
    ),
    "ChannelModel.enable": (
        "channel.enabled",
        "channel.enable.failed",
        lambda: ChannelModel.enable("ops"),
        lambda: ChannelModel.enable(""),
    ),
    "NotificationModel.find": (
        "notification.found",
        "notification.find.failed",
        NotificationModel.find,
        lambda: NotificationModel.find(limit=0),
    ),
    "NotificationModel.delete_older_than": (
        "notification.deleted_older_than",
        "notification.delete_older_than.failed",
        lambda: NotificationModel.delete_older_than(1),
        lambda: NotificationModel.delete_older_than(-1),
    ),
}


# Methods that accept any input, and the functions that they call.
METHODS_WITHOUT_INVALID_INPUT: Mapping[str, tuple[str, str, MethodCall, str]] = {
    "HealthCheckModel.find_latest": (
        "health_check.found_latest",
        "health_check.find_latest.failed",
        HealthCheckModel.find_latest,
        "vigilbase_find_latest_health_checks()",
    ),
    "ChannelModel.find_all": (
        "channel.found_all",
        "channel.find_all.failed",
        ChannelModel.find_all,
        "vigilbase_list_channels()",
    ),
}


def require_event(caplog: pytest.LogCaptureFixture, level: str, event: str) -> None:
    [record] = caplog.records
    assert (record.levelname, record.message) == (level, event)
    assert level == "INFO" or record.__dict__["fields"]["reason"], event
    caplog.clear()


async def test_model_methods_log_success_and_failure(each_backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vigilbase.models")
    for method, (success, failure, act, fail) in METHOD_CALLS.items():
        await act()
        require_event(caplog, "INFO", success)
        try:
            await fail()
        except InvalidInputError:
            require_event(caplog, "ERROR", failure)
        else:
            raise AssertionError(f"{method} accepts an invalid value")


async def test_model_methods_without_invalid_input_log_success_and_failure(
    each_backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vigilbase.models")
    for success, failure, act, function in METHODS_WITHOUT_INVALID_INPUT.values():
        await act()
        require_event(caplog, "INFO", success)
        name, brackets, types = function.partition("(")
        each_backend.execute(f"ALTER FUNCTION {function} RENAME TO gone")
        try:
            with pytest.raises(MissingSchemaError, match=name):
                await act()
        finally:
            each_backend.execute(f"ALTER FUNCTION gone{brackets}{types} RENAME TO {name}")
        require_event(caplog, "ERROR", failure)


def test_model_methods_above_are_all_methods() -> None:
    tested = {*METHOD_CALLS, *METHODS_WITHOUT_INVALID_INPUT}
    public = {f"{model.__name__}.{name}" for model in MODELS for name in vars(model) if not name.startswith("_")}
    assert tested == public
