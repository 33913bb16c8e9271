"""The channel `pagerduty` against a local receiver: events, checked against the published schema."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.support.batches import make_alert, make_batch
from tests.support.receiver import Receiver, Reply, receiving, retry_after
from tests.support.schemas import assert_matches
from vigilbase.channels import CHANNELS
from vigilbase.channels.errors import PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.channels.pagerduty import MAX_BYTES, PagerDutyConfig, send_pagerduty
from vigilbase.domain import AlertType, NotificationKind

KEY = "e93facc04764012d7bfb002500d5d1a6"
ACCEPTED = Reply(202, body=b'{"status":"success","message":"Event processed","dedup_key":"x"}')


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        receiver.answer = ACCEPTED
        yield receiver


def make_config(receiver: Receiver, **values: object) -> PagerDutyConfig:
    return PagerDutyConfig.model_validate({"routing_key": KEY, "url": f"{receiver.url}/v2/enqueue", **values})


@pytest.mark.parametrize(
    ("kind", "action"),
    [("triggered", "trigger"), ("reminder", "trigger"), ("acknowledged", "acknowledge"), ("resolved", "resolve")],
)
async def test_send_pagerduty_event_has_action_and_alert_id_as_key(
    receiver: Receiver, kind: NotificationKind, action: str
) -> None:
    alert = make_alert("shop", is_resolved=kind == "resolved")
    answer = await send_pagerduty(make_config(receiver), make_batch(alert, kind=kind))
    assert answer.startswith("202 Accepted: ")
    (request,) = receiver.requests
    event = request.json()
    assert_matches(event, "pagerduty-event")
    assert event["routing_key"] == KEY
    assert event["event_action"] == action
    assert event["dedup_key"] == str(alert.id)
    assert ("payload" in event) == (action == "trigger")


async def test_send_pagerduty_trigger_has_summary_and_details(receiver: Receiver) -> None:
    alert = replace(make_alert("shop"), details={"last_error": "refused", "down_since": "2026-11-24T11:56:00+00:00"})
    await send_pagerduty(make_config(receiver), make_batch(alert))
    assert receiver.requests[0].json()["payload"] == {
        "summary": "shop is down: refused",
        "source": "shop",
        "severity": "critical",
        "timestamp": "2026-11-24T11:56:00.000+00:00",
        "component": "shop",
        "class": "service_down",
        "custom_details": {"message": "shop is down: connection refused", **(alert.details or {})},
    }


@pytest.mark.parametrize(
    ("values", "alert_type", "severity"),
    [
        ({}, "service_down", "critical"),
        ({}, "service_degraded", "warning"),
        ({}, "recovery", "info"),
        ({"severity": {"down": "error"}}, "service_down", "error"),
        ({"severity": {"degraded": "info"}}, "service_degraded", "info"),
    ],
)
async def test_send_pagerduty_severity_is_default_or_configured(
    receiver: Receiver, values: dict[str, object], alert_type: AlertType, severity: str
) -> None:
    await send_pagerduty(make_config(receiver, **values), make_batch(make_alert(alert_type=alert_type)))
    assert receiver.requests[0].json()["payload"]["severity"] == severity


async def test_send_pagerduty_long_event_is_truncated_without_details(receiver: Receiver) -> None:
    alert = replace(make_alert("shop", "x" * 5000), details={"last_error": "ä" * MAX_BYTES})
    await send_pagerduty(make_config(receiver), make_batch(alert))
    (request,) = receiver.requests
    assert_matches(request.json(), "pagerduty-event")
    assert len(request.body) <= MAX_BYTES
    assert request.json()["payload"]["custom_details"] == {"omitted": "the details are too long for PagerDuty"}


@pytest.mark.parametrize(
    ("errors", "is_channel_fault"),
    [
        (["Length of 'routing_key' is incorrect (should be 32 characters)"], True),
        (["'payload.severity' is invalid"], False),
    ],
)
async def test_send_pagerduty_rejection_is_quoted_without_key(
    receiver: Receiver, errors: list[str], is_channel_fault: bool
) -> None:
    body = {"status": "invalid event", "message": f"Event object {KEY} is invalid", "errors": errors}
    receiver.answer = Reply(400, body=json.dumps(body).encode())
    with pytest.raises(PermanentDeliveryError) as caught:
        await send_pagerduty(make_config(receiver), make_batch())
    assert caught.value.is_channel_fault is is_channel_fault
    assert errors[0] in str(caught.value)
    assert KEY not in str(caught.value)


async def test_send_pagerduty_busy_receiver_is_temporary(receiver: Receiver) -> None:
    receiver.reply_next(retry_after("30"), Reply(500))
    for _ in range(2):
        with pytest.raises(TemporaryDeliveryError):
            await send_pagerduty(make_config(receiver), make_batch())


def test_pagerduty_channel_cannot_batch() -> None:
    assert not CHANNELS["pagerduty"].can_batch


@pytest.mark.parametrize("key", ["", "short", "é" * 32, "x" * 33])
def test_pagerduty_config_invalid_key_is_rejected_without_quoting(key: str) -> None:
    with pytest.raises(ValidationError, match="must be an integration key of 32 letters and digits") as caught:
        PagerDutyConfig.model_validate({"routing_key": key})
    assert not key or key not in str(caught.value)


def test_pagerduty_config_repr_and_dump_hide_key() -> None:
    config = PagerDutyConfig.model_validate({"routing_key": KEY})
    assert KEY not in f"{config!r} {config.model_dump_json()}"
    assert config.url.get_secret_value() == "https://events.pagerduty.com/v2/enqueue"
