"""Routing: a table of routes, and properties of any routes."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.alerts.routing import ROUTE_EVENTS, PlannedNotification, Route, plan_notifications

QUARTER = 900.0


def _make_route(
    channels: str, on: str = "down degraded recovery", after_s: float = 0, *, unless: bool = False
) -> Route:
    events = frozenset(event for event in ROUTE_EVENTS if event in on.split())
    return Route(tuple(channels.split()), events, after_s, unless)


def _make_immediate(channel: str, *, send_resolved: bool = True) -> PlannedNotification:
    return PlannedNotification(channel, 0, unless_acknowledged=False, send_resolved=send_resolved)


def _make_delayed(channel: str, *, unless: bool, send_resolved: bool) -> PlannedNotification:
    return PlannedNotification(channel, QUARTER, unless_acknowledged=unless, send_resolved=send_resolved)


@pytest.mark.parametrize(
    ("routes", "down", "degraded"),
    [
        pytest.param([], [], [], id="no routes"),
        pytest.param([_make_route("")], [], [], id="no channels"),
        pytest.param(
            [_make_route("ops team")],
            [_make_immediate("ops"), _make_immediate("team")],
            [_make_immediate("ops"), _make_immediate("team")],
            id="all events",
        ),
        pytest.param([_make_route("ops", "down")], [_make_immediate("ops", send_resolved=False)], [], id="down only"),
        pytest.param(
            [_make_route("ops", "degraded recovery")], [], [_make_immediate("ops")], id="degraded and recovery"
        ),
        pytest.param([_make_route("ops", "recovery")], [], [], id="recovery only"),
        pytest.param(
            [_make_route("ops team"), _make_route("boss", "down", QUARTER, unless=True)],
            [_make_immediate("ops"), _make_immediate("team"), _make_delayed("boss", unless=True, send_resolved=False)],
            [_make_immediate("ops"), _make_immediate("team")],
            id="escalation to another channel",
        ),
        pytest.param(
            [_make_route("ops"), _make_route("ops", "down recovery", QUARTER)],
            [_make_immediate("ops"), _make_delayed("ops", unless=False, send_resolved=True)],
            [_make_immediate("ops")],
            id="escalation to the same channel",
        ),
        pytest.param(
            [_make_route("ops", "down"), _make_route("team ops")],
            [_make_immediate("ops"), _make_immediate("team")],
            [_make_immediate("team"), _make_immediate("ops")],
            id="two routes to one channel, second with recovery",
        ),
        pytest.param(
            [_make_route("ops"), _make_route("ops", "down")],
            [_make_immediate("ops")],
            [_make_immediate("ops")],
            id="two routes to one channel, first with recovery",
        ),
        pytest.param(
            [_make_route("boss", "down", QUARTER, unless=True), _make_route("boss", "down", QUARTER)],
            [_make_delayed("boss", unless=False, send_resolved=False)],
            [],
            id="one route unless acknowledged",
        ),
        pytest.param(
            [
                _make_route("boss", "down", QUARTER, unless=True),
                _make_route("boss", "down recovery", QUARTER, unless=True),
            ],
            [_make_delayed("boss", unless=True, send_resolved=True)],
            [],
            id="both routes unless acknowledged",
        ),
    ],
)
def test_plan_notifications_routes_give_expected_notifications(
    routes: list[Route], down: list[PlannedNotification], degraded: list[PlannedNotification]
) -> None:
    assert plan_notifications(routes, "down") == down
    assert plan_notifications(routes, "degraded") == degraded


CHANNELS = st.sampled_from(["ops", "team", "boss"])
DELAYS = st.sampled_from([0.0, 60.0, QUARTER])
ROUTES = st.lists(
    st.builds(
        Route,
        channels=st.lists(CHANNELS, max_size=3).map(tuple),
        on=st.frozensets(st.sampled_from(ROUTE_EVENTS)),
        after_s=DELAYS,
        unless_acknowledged=st.booleans(),
    ),
    max_size=6,
)
STATUSES: st.SearchStrategy[Literal["down", "degraded"]] = st.sampled_from(["down", "degraded"])


@given(ROUTES, STATUSES)
def test_plan_notifications_gives_one_per_channel_and_delay(
    routes: list[Route], status: Literal["down", "degraded"]
) -> None:
    expected = {(channel, route.after_s) for route in routes if status in route.on for channel in route.channels}
    planned = [(each.channel, each.after_s) for each in plan_notifications(routes, status)]
    assert set(planned) == expected
    assert len(planned) == len(expected)


@given(ROUTES, STATUSES)
def test_plan_notifications_send_resolved_needs_any_route_unless_acknowledged_needs_all(
    routes: list[Route], status: Literal["down", "degraded"]
) -> None:
    for planned in plan_notifications(routes, status):
        causes = [
            route
            for route in routes
            if status in route.on and planned.channel in route.channels and route.after_s == planned.after_s
        ]
        assert planned.send_resolved == any("recovery" in route.on for route in causes)
        assert planned.unless_acknowledged == all(route.unless_acknowledged for route in causes)


@given(ROUTES, STATUSES)
def test_plan_notifications_route_order_and_duplicates_have_no_effect(
    routes: list[Route], status: Literal["down", "degraded"]
) -> None:
    assert plan_notifications(routes + routes, status) == plan_notifications(routes, status)
    assert set(plan_notifications(routes[::-1], status)) == set(plan_notifications(routes, status))
