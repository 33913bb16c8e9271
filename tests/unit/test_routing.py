"""Which messages are owed: as a table, and as rules that hold for any routes."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.alerts.routing import OCCASIONS, Owed, Route, owed

QUARTER = 900.0


def _route(channels: str, on: str = "down degraded recovery", after_s: float = 0, *, unless: bool = False) -> Route:
    occasions = frozenset(word for word in OCCASIONS if word in on.split())
    return Route(tuple(channels.split()), occasions, after_s, unless)


def _now(channel: str, *, tells_recovery: bool = True) -> Owed:
    return Owed(channel, 0, unless_acknowledged=False, tells_recovery=tells_recovery)


def _later(channel: str, *, unless: bool, tells_recovery: bool) -> Owed:
    return Owed(channel, QUARTER, unless_acknowledged=unless, tells_recovery=tells_recovery)


@pytest.mark.parametrize(
    ("routes", "down", "degraded"),
    [
        pytest.param([], [], [], id="no routes"),
        pytest.param([_route("")], [], [], id="no channels"),
        pytest.param([_route("ops team")], [_now("ops"), _now("team")], [_now("ops"), _now("team")], id="everything"),
        pytest.param([_route("ops", "down")], [_now("ops", tells_recovery=False)], [], id="one occasion"),
        pytest.param([_route("ops", "degraded recovery")], [], [_now("ops")], id="the other, and its end"),
        pytest.param([_route("ops", "recovery")], [], [], id="an end without a beginning"),
        pytest.param(
            [_route("ops team"), _route("boss", "down", QUARTER, unless=True)],
            [_now("ops"), _now("team"), _later("boss", unless=True, tells_recovery=False)],
            [_now("ops"), _now("team")],
            id="escalation to another channel",
        ),
        pytest.param(
            [_route("ops"), _route("ops", "down recovery", QUARTER)],
            [_now("ops"), _later("ops", unless=False, tells_recovery=True)],
            [_now("ops")],
            id="escalation to the same channel",
        ),
        pytest.param(
            [_route("ops", "down"), _route("team ops")],
            [_now("ops"), _now("team")],
            [_now("team"), _now("ops")],
            id="two routes to one channel",
        ),
        pytest.param([_route("ops"), _route("ops", "down")], [_now("ops")], [_now("ops")], id="the other way round"),
        pytest.param(
            [_route("boss", "down", QUARTER, unless=True), _route("boss", "down", QUARTER)],
            [_later("boss", unless=False, tells_recovery=False)],
            [],
            id="acknowledged or not",
        ),
        pytest.param(
            [_route("boss", "down", QUARTER, unless=True), _route("boss", "down recovery", QUARTER, unless=True)],
            [_later("boss", unless=True, tells_recovery=True)],
            [],
            id="not when acknowledged, twice",
        ),
    ],
)
def test_what_is_owed(routes: list[Route], down: list[Owed], degraded: list[Owed]) -> None:
    assert owed(routes, "down") == down
    assert owed(routes, "degraded") == degraded


CHANNELS = st.sampled_from(["ops", "team", "boss"])
DELAYS = st.sampled_from([0.0, 60.0, QUARTER])
ROUTES = st.lists(
    st.builds(
        Route,
        channels=st.lists(CHANNELS, max_size=3).map(tuple),
        on=st.frozensets(st.sampled_from(OCCASIONS)),
        after_s=DELAYS,
        unless_acknowledged=st.booleans(),
    ),
    max_size=6,
)
BAD: st.SearchStrategy[Literal["down", "degraded"]] = st.sampled_from(["down", "degraded"])


@given(ROUTES, BAD)
def test_there_is_one_message_for_each_channel_and_delay_that_a_route_names(
    routes: list[Route], to: Literal["down", "degraded"]
) -> None:
    named = {(channel, route.after_s) for route in routes if to in route.on for channel in route.channels}
    found = [(message.channel, message.after_s) for message in owed(routes, to)]
    assert set(found) == named
    assert len(found) == len(named)


@given(ROUTES, BAD)
def test_one_route_is_enough_to_be_told_and_all_are_needed_to_be_spared(
    routes: list[Route], to: Literal["down", "degraded"]
) -> None:
    for message in owed(routes, to):
        causes = [
            route
            for route in routes
            if to in route.on and message.channel in route.channels and route.after_s == message.after_s
        ]
        assert message.tells_recovery == any("recovery" in route.on for route in causes)
        assert message.unless_acknowledged == all(route.unless_acknowledged for route in causes)


@given(ROUTES, BAD)
def test_neither_the_order_of_routes_nor_saying_them_twice_changes_what_is_owed(
    routes: list[Route], to: Literal["down", "degraded"]
) -> None:
    assert owed(routes + routes, to) == owed(routes, to)
    assert set(owed(routes[::-1], to)) == set(owed(routes, to))
