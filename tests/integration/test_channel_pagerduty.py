"""The channel `pagerduty`: events by the published schema, to a local receiver."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.support.messages import a_message, an_alert
from tests.support.receiver import Receiver, Reply, receiving, retry_after
from tests.support.schemas import assert_matches
from vigilbase.alerts.channels import CHANNELS
from vigilbase.alerts.channels.pagerduty import MAX_BYTES, PagerDutyConfig, send_pagerduty
from vigilbase.alerts.channels.sending import PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.vocabulary import AlertType, DeliveryKind

KEY = "e93facc04764012d7bfb002500d5d1a6"
ACCEPTED = Reply(202, body=b'{"status":"success","message":"Event processed","dedup_key":"x"}')


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        receiver.answer = ACCEPTED
        yield receiver


def config(receiver: Receiver, **values: object) -> PagerDutyConfig:
    return PagerDutyConfig.model_validate({"routing_key": KEY, "url": f"{receiver.url}/v2/enqueue", **values})


@pytest.mark.parametrize(
    ("kind", "action"),
    [("triggered", "trigger"), ("reminder", "trigger"), ("acknowledged", "acknowledge"), ("resolved", "resolve")],
)
async def test_every_event_of_an_alert_has_its_id_as_key(receiver: Receiver, kind: DeliveryKind, action: str) -> None:
    alert = an_alert("shop", resolved=kind == "resolved")
    answer = await send_pagerduty(config(receiver), a_message(alert, kind=kind))
    assert answer.startswith("202 Accepted: ")
    (request,) = receiver.requests
    event = request.json()
    assert_matches(event, "pagerduty-event")
    assert event["routing_key"] == KEY
    assert event["event_action"] == action
    assert event["dedup_key"] == str(alert.id)
    assert ("payload" in event) == (action == "trigger")


async def test_a_trigger_says_what_is_known(receiver: Receiver) -> None:
    alert = replace(an_alert("shop"), details={"last_error": "refused", "down_since": "2026-11-24T11:56:00+00:00"})
    await send_pagerduty(config(receiver), a_message(alert))
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
async def test_the_file_may_say_how_severe_it_is(
    receiver: Receiver, values: dict[str, object], alert_type: AlertType, severity: str
) -> None:
    await send_pagerduty(config(receiver, **values), a_message(an_alert(alert_type=alert_type)))
    assert receiver.requests[0].json()["payload"]["severity"] == severity


async def test_what_is_too_long_is_cut_or_left_out(receiver: Receiver) -> None:
    alert = replace(an_alert("shop", "x" * 5000), details={"last_error": "ä" * MAX_BYTES})
    await send_pagerduty(config(receiver), a_message(alert))
    (request,) = receiver.requests
    assert_matches(request.json(), "pagerduty-event")
    assert len(request.body) <= MAX_BYTES
    assert request.json()["payload"]["custom_details"] == {"left_out": "the details are too long for PagerDuty"}


@pytest.mark.parametrize(
    ("said", "of_the_channel"),
    [
        (["Length of 'routing_key' is incorrect (should be 32 characters)"], True),
        (["'payload.severity' is invalid"], False),
    ],
)
async def test_a_refusal_is_quoted_without_the_key(receiver: Receiver, said: list[str], of_the_channel: bool) -> None:
    body = {"status": "invalid event", "message": f"Event object {KEY} is invalid", "errors": said}
    receiver.answer = Reply(400, body=json.dumps(body).encode())
    with pytest.raises(PermanentDeliveryError) as caught:
        await send_pagerduty(config(receiver), a_message())
    assert caught.value.of_the_channel is of_the_channel
    assert said[0] in str(caught.value)
    assert KEY not in str(caught.value)


async def test_a_busy_pagerduty_is_tried_again(receiver: Receiver) -> None:
    receiver.reply_next(retry_after("30"), Reply(500))
    for _ in range(2):
        with pytest.raises(TemporaryDeliveryError):
            await send_pagerduty(config(receiver), a_message())


def test_a_message_to_pagerduty_is_about_one_alert() -> None:
    assert not CHANNELS["pagerduty"].groups


@pytest.mark.parametrize("key", ["", "short", "é" * 32, "x" * 33])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValidationError, match="must be an integration key of 32 letters and digits") as caught:
        PagerDutyConfig.model_validate({"routing_key": key})
    assert not key or key not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    made = PagerDutyConfig.model_validate({"routing_key": KEY})
    assert KEY not in f"{made!r} {made.model_dump_json()}"
    assert made.url.get_secret_value() == "https://events.pagerduty.com/v2/enqueue"
