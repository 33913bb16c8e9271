"""Alerts in Alertmanager's format, checked against its schemas."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.batches import NOON, make_alert, make_batch
from tests.support.schemas import assert_matches
from vigilbase.alerts.batch import Batch
from vigilbase.channels.alertmanager_payload import (
    compute_fingerprint,
    make_annotations,
    make_postable_alerts,
    make_webhook_payload,
)
from vigilbase.domain import NOTIFICATION_KINDS, NotificationKind
from vigilbase.models import AlertEvent

DAY = timedelta(days=1)
WITHOUT_REASON = replace(make_alert("api"), message="api is down", details=None)


def to_json(payload: object) -> object:
    return json.loads(json.dumps(payload))


@pytest.mark.parametrize("kind", NOTIFICATION_KINDS)
@pytest.mark.parametrize("count", [1, 2, 200])
def test_alertmanager_payload_any_kind_and_size_matches_schemas(kind: NotificationKind, count: int) -> None:
    alerts = [make_alert(f"api {n}", is_resolved=kind == "resolved") for n in range(count)]
    batch = make_batch(*alerts, kind=kind)
    assert_matches(to_json(make_webhook_payload(batch)), "alertmanager-webhook")
    assert_matches(to_json(make_postable_alerts(batch, DAY)), "alertmanager-alerts")


def test_postable_alert_ends_at_resolution_or_expiry_with_same_labels() -> None:
    alert = make_alert("api")
    (firing,) = make_postable_alerts(make_batch(alert), DAY)
    (resolved,) = make_postable_alerts(
        make_batch(replace(alert, status="resolved", resolved_at=NOON), kind="resolved"), DAY
    )
    assert firing["startsAt"] == resolved["startsAt"] == "2026-11-24T11:57:00Z"
    assert firing["endsAt"] == "2026-11-25T12:00:00Z"
    assert resolved["endsAt"] == "2026-11-24T12:00:00Z"
    assert firing["labels"] == resolved["labels"]
    assert firing["labels"] == {
        "alertname": "ServiceDown",
        "service": "api",
        "severity": "critical",
        "source": "vigilbase",
    }


def test_postable_alert_resolved_before_start_ends_at_start() -> None:
    alert = replace(make_alert("api"), status="resolved", resolved_at=NOON - DAY)
    (resolved,) = make_postable_alerts(make_batch(alert, kind="resolved"), DAY)
    assert resolved["endsAt"] == resolved["startsAt"]


def test_webhook_payload_is_firing_while_any_alert_is_open() -> None:
    firing = make_webhook_payload(make_batch(make_alert("a"), make_alert("b", is_resolved=True)))
    assert firing["status"] == "firing"
    assert firing["groupKey"] == '{}:{alertname="ServiceDown"}'
    assert firing["commonLabels"] == {"alertname": "ServiceDown", "severity": "critical", "source": "vigilbase"}
    resolved = make_webhook_payload(make_batch(make_alert("a", is_resolved=True), kind="resolved"))
    assert resolved["status"] == "resolved"
    assert resolved["groupLabels"] == {"alertname": "ServiceDown", "service": "a"}


def test_webhook_payload_acknowledged_alert_fires_with_annotation() -> None:
    alert = replace(make_alert("a"), status="acknowledged", acknowledged_at=NOON)
    acknowledged = _make_first_alert(make_batch(alert, kind="acknowledged"))
    assert acknowledged["status"] == "firing"
    assert acknowledged["annotations"]["acknowledged"] == "2026-11-24T12:00:00Z"
    assert "acknowledged" not in _make_first_alert(make_batch(make_alert("a")))["annotations"]


@pytest.mark.parametrize(
    ("alert", "summary", "description"),
    [
        (make_alert("api"), "api is down", "connection refused"),
        (WITHOUT_REASON, "api is down", "api is down"),
        (make_alert("api", is_resolved=True), "api was down for 3m", "connection refused"),
        (replace(WITHOUT_REASON, resolved_at=NOON), "api was down for 3m", "api was down for 3m"),
        (make_alert("api", alert_type="recovery"), "api is alerting", "connection refused"),
        (make_alert("api", alert_type="recovery", is_resolved=True), "api was alerting for 3m", "connection refused"),
    ],
)
def test_make_annotations_text_fits_open_and_resolved_alerts(alert: AlertEvent, summary: str, description: str) -> None:
    annotations = make_annotations(alert, NOON)
    assert (annotations["summary"], annotations["description"]) == (summary, description)


def test_compute_fingerprint_matches_prometheus_common() -> None:
    # From prometheus/common, model/signature_test.go.
    assert int(compute_fingerprint({}), 16) == 14695981039346656037
    assert (
        int(compute_fingerprint({"name": "garland, briggs", "fear": "love is not enough"}), 16) == 5799056148416392346
    )


def _make_first_alert(batch: Batch) -> dict[str, Any]:
    alert = json.loads(json.dumps(make_webhook_payload(batch)))["alerts"][0]
    assert isinstance(alert, dict)
    return alert
