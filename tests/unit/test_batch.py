"""The text of batches: titles, lines, and the length of outages."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.batches import NOON, make_alert, make_batch
from vigilbase.alerts.batch import render_lines, render_text, render_title
from vigilbase.alerts.outage import MAX_REASON_LENGTH, measure_length
from vigilbase.domain import JSON, NotificationKind
from vigilbase.models import AlertEvent


def add_details(alert: AlertEvent, **details: JSON) -> AlertEvent:
    return replace(alert, details={**(alert.details or {}), "source": "judge", **details})


# These times are outside the range of datetime in UTC.
EXTREMES = [{"down_since": "9999-12-31T23:59:59-14:00"}, {"down_since": "0001-01-01T00:00:00+14:00"}]
DOWN = add_details(make_alert("website"), down_since="2026-11-24T11:56:00+00:00")
DEGRADED = add_details(
    make_alert("shop", "slow", alert_type="service_degraded"), degraded_since="2026-11-24T11:59:00+00:00"
)
RESOLVED = replace(DOWN, status="resolved", resolved_at=NOON)


@pytest.mark.parametrize(
    ("kind", "alert", "expected"),
    [
        ("triggered", DOWN, "website is down"),
        ("triggered", DEGRADED, "shop is degraded"),
        ("acknowledged", DOWN, "website: acknowledged"),
        ("reminder", DOWN, "Reminder: website is still down after 4m"),
        ("resolved", RESOLVED, "website is no longer down after 4m"),
        ("resolved", add_details(RESOLVED, recovered_to="healthy"), "website is healthy again after 4m"),
        ("resolved", add_details(RESOLVED, recovered_to="degraded"), "website is degraded after 4m down"),
        (
            "resolved",
            add_details(RESOLVED, recovered_to="healthy", recovered_at="2026-11-24T11:59:00+00:00"),
            "website is healthy again after 3m",
        ),
        (
            "resolved",
            replace(add_details(DEGRADED, recovered_to="healthy"), resolved_at=NOON),
            "shop is healthy again after 1m degraded",
        ),
        (
            "resolved",
            replace(add_details(DEGRADED, superseded_by="4711"), resolved_at=NOON),
            "shop was degraded for 1m and is down now",
        ),
    ],
)
def test_render_title_single_alert_describes_event(kind: NotificationKind, alert: AlertEvent, expected: str) -> None:
    assert render_title(make_batch(alert, kind=kind)) == expected


@pytest.mark.parametrize(
    ("kind", "alerts", "expected"),
    [
        ("triggered", [make_alert(name) for name in "abc"], "3 services are down"),
        ("triggered", [make_alert("a"), DEGRADED, DOWN], "3 services are not healthy: 2 down, 1 degraded"),
        ("triggered", [make_alert("a"), make_alert("a")], "2 alerts are open"),
        ("triggered", [make_alert("a"), make_alert("b", alert_type="recovery")], "2 alerts are open"),
        ("acknowledged", [DOWN, DEGRADED], "2 alerts are acknowledged"),
        ("reminder", [make_alert("a"), make_alert("b")], "Reminder: 2 services are still down"),
        ("reminder", [DOWN, DEGRADED], "Reminder: 2 services are still not healthy: 1 down, 1 degraded"),
        ("resolved", [RESOLVED, make_alert("a", is_resolved=True)], "2 alerts are resolved"),
        (
            "resolved",
            [add_details(make_alert(name, is_resolved=True), recovered_to="healthy") for name in "ab"],
            "2 services are healthy again",
        ),
        (
            "resolved",
            [
                add_details(make_alert(name, is_resolved=True), recovered_to=to)
                for name, to in {"a": "healthy", "b": "degraded"}.items()
            ],
            "2 alerts are resolved",
        ),
    ],
)
def test_render_title_several_alerts_states_counts(
    kind: NotificationKind, alerts: list[AlertEvent], expected: str
) -> None:
    assert render_title(make_batch(*alerts, kind=kind)) == expected


def test_render_lines_contain_cause_start_and_duration() -> None:
    assert render_lines(make_batch(DOWN)) == ["website is down: connection refused (since 2026-11-24 11:56:00 UTC, 4m)"]
    acknowledged = replace(DOWN, acknowledged_at=NOON)
    assert render_lines(make_batch(acknowledged, kind="reminder"), NOON + timedelta(hours=2)) == [
        "website is still down, acknowledged: connection refused (since 2026-11-24 11:56:00 UTC, 2h 4m)"
    ]
    assert render_lines(
        make_batch(add_details(RESOLVED, recovered_to="healthy", last_error="slow"), kind="resolved")
    ) == ["website is healthy again after 4m: slow (from 2026-11-24 11:56:00 UTC to 2026-11-24 12:00:00 UTC)"]


def test_render_text_contains_title_and_one_line_per_alert() -> None:
    batch = make_batch(DOWN, DEGRADED)
    assert render_text(batch).split("\n") == [render_title(batch), "", *render_lines(batch)]


@pytest.mark.parametrize(
    "details", [None, {}, {"down_since": 7, "last_error": 8}, {"down_since": "yesterday"}, *EXTREMES]
)
def test_render_lines_missing_or_malformed_details_use_alert_fields(details: Mapping[str, JSON] | None) -> None:
    alert = replace(make_alert("website"), details=details, message="website is down: the pump is dry")
    assert render_lines(make_batch(alert)) == ["website is down: the pump is dry (since 2026-11-24 11:57:00 UTC, 3m)"]
    minimal = replace(alert, message=None, created_at=None)
    assert render_lines(make_batch(minimal)) == ["website is down (since 2026-11-24 12:00:00 UTC)"]


def test_measure_length_time_without_zone_is_utc() -> None:
    assert measure_length(add_details(DOWN, down_since="2026-11-24T11:58:00"), NOON) == timedelta(minutes=2)


def test_measure_length_clock_set_back_is_zero() -> None:
    assert measure_length(replace(DOWN, resolved_at=NOON - timedelta(days=1)), NOON) == timedelta(0)


def test_render_title_other_alert_type_is_named() -> None:
    alert = make_alert("website", "odd", alert_type="recovery")
    assert render_title(make_batch(alert)) == "website: recovery"
    assert render_title(make_batch(replace(alert, resolved_at=NOON), kind="resolved")) == "website: resolved after 3m"


def test_render_lines_multiline_text_is_joined_and_truncated() -> None:
    (line,) = render_lines(make_batch(make_alert("web\nsite", "first\r\n  second" + "x" * 1000)))
    assert line.startswith("web site is down: first secondxxx")
    assert "…" in line
    assert len(line) < MAX_REASON_LENGTH + 100
