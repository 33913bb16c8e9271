"""What messages say in words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.messages import NOON, a_message, an_alert
from vigilbase.alerts.message import LONGEST_REASON, lasted, lines, text, title
from vigilbase.models import AlertEvent
from vigilbase.vocabulary import JSON, DeliveryKind


def judged(alert: AlertEvent, **details: JSON) -> AlertEvent:
    return replace(alert, details={**(alert.details or {}), "source": "judge", **details})


# There are no such times in UTC.
EXTREMES = [{"down_since": "9999-12-31T23:59:59-14:00"}, {"down_since": "0001-01-01T00:00:00+14:00"}]
DOWN = judged(an_alert("website"), down_since="2026-11-24T11:56:00+00:00")
DEGRADED = judged(an_alert("shop", "slow", alert_type="service_degraded"), degraded_since="2026-11-24T11:59:00+00:00")
OVER = replace(DOWN, status="resolved", resolved_at=NOON)


@pytest.mark.parametrize(
    ("kind", "alert", "said"),
    [
        ("triggered", DOWN, "website is down"),
        ("triggered", DEGRADED, "shop is degraded"),
        ("acknowledged", DOWN, "website: acknowledged"),
        ("reminder", DOWN, "Reminder: website is still down after 4 min"),
        ("resolved", OVER, "website is no longer down, after 4 min"),
        ("resolved", judged(OVER, recovered_to="healthy"), "website is healthy again after 4 min"),
        ("resolved", judged(OVER, recovered_to="degraded"), "website is degraded, after 4 min down"),
        (
            "resolved",
            judged(OVER, recovered_to="healthy", recovered_at="2026-11-24T11:59:00+00:00"),
            "website is healthy again after 3 min",
        ),
        (
            "resolved",
            replace(judged(DEGRADED, recovered_to="healthy"), resolved_at=NOON),
            "shop is healthy again after 1 min degraded",
        ),
        (
            "resolved",
            replace(judged(DEGRADED, superseded_by="4711"), resolved_at=NOON),
            "shop was degraded for 1 min, and is down now",
        ),
    ],
)
def test_a_title_says_in_one_line_what_happened(kind: DeliveryKind, alert: AlertEvent, said: str) -> None:
    assert title(a_message(alert, kind=kind)) == said


@pytest.mark.parametrize(
    ("kind", "alerts", "said"),
    [
        ("triggered", [an_alert(name) for name in "abc"], "3 services are down"),
        ("triggered", [an_alert("a"), DEGRADED, DOWN], "3 services are not healthy: 2 down, 1 degraded"),
        ("triggered", [an_alert("a"), an_alert("a")], "2 alerts are open"),
        ("triggered", [an_alert("a"), an_alert("b", alert_type="recovery")], "2 alerts are open"),
        ("acknowledged", [DOWN, DEGRADED], "2 alerts are acknowledged"),
        ("reminder", [an_alert("a"), an_alert("b")], "Reminder: 2 services are still down"),
        ("reminder", [DOWN, DEGRADED], "Reminder: 2 services are still not healthy: 1 down, 1 degraded"),
        ("resolved", [OVER, an_alert("a", resolved=True)], "2 alerts are resolved"),
        (
            "resolved",
            [judged(an_alert(name, resolved=True), recovered_to="healthy") for name in "ab"],
            "2 services are healthy again",
        ),
        (
            "resolved",
            [
                judged(an_alert(name, resolved=True), recovered_to=to)
                for name, to in {"a": "healthy", "b": "degraded"}.items()
            ],
            "2 alerts are resolved",
        ),
    ],
)
def test_the_title_of_a_group_counts(kind: DeliveryKind, alerts: list[AlertEvent], said: str) -> None:
    assert title(a_message(*alerts, kind=kind)) == said


def test_a_line_says_why_since_when_and_how_long() -> None:
    assert lines(a_message(DOWN)) == ["website is down: connection refused (since 2026-11-24 11:56:00 UTC, 4 min)"]
    acknowledged = replace(DOWN, acknowledged_at=NOON)
    assert lines(a_message(acknowledged, kind="reminder"), NOON + timedelta(hours=2)) == [
        "website is still down, acknowledged: connection refused (since 2026-11-24 11:56:00 UTC, 2 h 4 min)"
    ]
    assert lines(a_message(judged(OVER, recovered_to="healthy", last_error="slow"), kind="resolved")) == [
        "website is healthy again after 4 min: slow (from 2026-11-24 11:56:00 UTC to 2026-11-24 12:00:00 UTC)"
    ]


def test_a_text_is_the_title_and_a_line_for_each_alert() -> None:
    message = a_message(DOWN, DEGRADED)
    assert text(message).split("\n") == [title(message), "", *lines(message)]


@pytest.mark.parametrize(
    "details", [None, {}, {"down_since": 7, "last_error": 8}, {"down_since": "yesterday"}, *EXTREMES]
)
def test_an_alert_of_other_code_may_lack_all_details(details: Mapping[str, JSON] | None) -> None:
    alert = replace(an_alert("website"), details=details, message="website is down: it said so")
    assert lines(a_message(alert)) == ["website is down: it said so (since 2026-11-24 11:57:00 UTC, 3 min)"]
    bare = replace(alert, message=None, created_at=None)
    assert lines(a_message(bare)) == ["website is down (since 2026-11-24 12:00:00 UTC)"]


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert lasted(judged(DOWN, down_since="2026-11-24T11:58:00"), NOON) == timedelta(minutes=2)


def test_a_clock_that_went_back_makes_no_duration_negative() -> None:
    assert lasted(replace(DOWN, resolved_at=NOON - timedelta(days=1)), NOON) == timedelta(0)


def test_an_alert_about_something_else_says_what_it_is() -> None:
    alert = an_alert("website", "odd", alert_type="recovery")
    assert title(a_message(alert)) == "website: recovery"
    assert title(a_message(replace(alert, resolved_at=NOON), kind="resolved")) == "website: resolved after 3 min"


def test_names_and_errors_of_many_lines_become_one_and_long_ones_are_cut() -> None:
    (line,) = lines(a_message(an_alert("web\nsite", "first\r\n  second" + "x" * 1000)))
    assert line.startswith("web site is down: first secondxxx")
    assert "…" in line
    assert len(line) < LONGEST_REASON + 100
