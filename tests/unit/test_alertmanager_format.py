"""Alerts in Alertmanager's words, by its schemas."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.messages import NOON, a_message, an_alert
from tests.support.schemas import assert_matches
from vigilbase.alerts.channels.alertmanager_format import fingerprint, postable_alerts, webhook_payload
from vigilbase.alerts.message import Message
from vigilbase.vocabulary import DeliveryKind

DAY = timedelta(days=1)
ALL_KINDS: tuple[DeliveryKind, ...] = ("triggered", "acknowledged", "resolved", "reminder")


def as_json(made: object) -> object:
    return json.loads(json.dumps(made))


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("count", [1, 2, 200])
def test_every_message_is_what_the_schemas_say(kind: DeliveryKind, count: int) -> None:
    alerts = [an_alert(f"api {n}", resolved=kind == "resolved") for n in range(count)]
    message = a_message(*alerts, kind=kind)
    assert_matches(as_json(webhook_payload(message)), "alertmanager-webhook")
    assert_matches(as_json(postable_alerts(message, DAY)), "alertmanager-alerts")


def test_an_alert_goes_on_until_it_is_resolved() -> None:
    alert = an_alert("api")
    (open_one,) = postable_alerts(a_message(alert), DAY)
    (over,) = postable_alerts(a_message(replace(alert, status="resolved", resolved_at=NOON), kind="resolved"), DAY)
    assert open_one["startsAt"] == over["startsAt"] == "2026-11-24T11:57:00Z"
    assert open_one["endsAt"] == "2026-11-25T12:00:00Z"
    assert over["endsAt"] == "2026-11-24T12:00:00Z"
    assert open_one["labels"] == over["labels"]
    assert open_one["labels"] == {
        "alertname": "ServiceDown",
        "service": "api",
        "severity": "critical",
        "source": "vigilbase",
    }


def test_an_alert_never_ends_before_it_begins() -> None:
    alert = replace(an_alert("api"), status="resolved", resolved_at=NOON - DAY)
    (over,) = postable_alerts(a_message(alert, kind="resolved"), DAY)
    assert over["endsAt"] == over["startsAt"]


def test_a_group_fires_as_long_as_one_of_its_alerts_does() -> None:
    fires = webhook_payload(a_message(an_alert("a"), an_alert("b", resolved=True)))
    assert fires["status"] == "firing"
    assert fires["groupKey"] == '{}:{alertname="ServiceDown"}'
    assert fires["commonLabels"] == {"alertname": "ServiceDown", "severity": "critical", "source": "vigilbase"}
    over = webhook_payload(a_message(an_alert("a", resolved=True), kind="resolved"))
    assert over["status"] == "resolved"
    assert over["groupLabels"] == {"alertname": "ServiceDown", "service": "a"}


def test_an_acknowledged_alert_fires_and_says_so() -> None:
    alert = replace(an_alert("a"), status="acknowledged", acknowledged_at=NOON)
    made = _first(a_message(alert, kind="acknowledged"))
    assert made["status"] == "firing"
    assert made["annotations"]["acknowledged"] == "2026-11-24T12:00:00Z"
    assert "acknowledged" not in _first(a_message(an_alert("a")))["annotations"]


def test_the_fingerprint_is_alertmanagers() -> None:
    # Of prometheus/common, model/signature_test.go.
    assert int(fingerprint({}), 16) == 14695981039346656037
    assert int(fingerprint({"name": "garland, briggs", "fear": "love is not enough"}), 16) == 5799056148416392346


def _first(message: Message) -> dict[str, Any]:
    made = json.loads(json.dumps(webhook_payload(message)))["alerts"][0]
    assert isinstance(made, dict)
    return made
