"""The judge, as a table, and as a state machine over any history with restarts at every point."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vigilbase.alerts.judge import JudgedService, judge, rebuild
from vigilbase.alerts.wording import opening, recovery
from vigilbase.vocabulary import Observation, Policy, Status, Transition

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MAX_GAP = 2 * MINUTE + timedelta(seconds=5)  # of a service that is probed once a minute, for 5 s at the most
LETTERS: dict[str, Status] = {"h": "healthy", "d": "down", "g": "degraded"}
ERRORS = {"h": None, "d": "connection refused", "g": "took 2 s, more than 1 s"}


def _history(letters: str) -> list[Observation]:
    """One check a minute; a dot is a minute without one."""
    return [
        Observation(LETTERS[letter], START + place * MINUTE, 5, ERRORS[letter], id=UUID(int=place))
        for place, letter in enumerate(letters)
        if letter != "."
    ]


def _play(letters: str, policy: Policy) -> list[tuple[int, Transition]]:
    """The transitions of a history, each with the minute of the check that tipped it."""
    state, found = JudgedService("api"), []
    for observation in _history(letters):
        state, transition = judge(state, observation, policy)
        if transition:
            found.append((observation.id.int, transition))
    return found


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        # healthy from the start, or not for long enough
        ("hhhhhhhh", []),
        ("dd", []),
        ("gg", []),
        ("hddhddhdd", []),
        ("hgghdghg", []),
        # healthy → down
        ("ddd", [(2, "down")]),
        ("ddddddd", [(2, "down")]),
        ("hhddd", [(4, "down")]),
        # healthy → degraded
        ("ggg", [(2, "degraded")]),
        ("hhggggg", [(4, "degraded")]),
        ("ddg", [(2, "degraded")]),
        ("gdd", [(2, "degraded")]),
        ("ddgdd", [(2, "degraded")]),
        # degraded → down
        ("gggddd", [(2, "degraded"), (5, "down")]),
        ("ggddd", [(2, "degraded"), (4, "down")]),
        ("gggdgdgd", [(2, "degraded")]),
        # degraded → healthy
        ("ggghh", [(2, "degraded"), (4, "healthy")]),
        ("ggghghghg", [(2, "degraded")]),
        ("gggdhh", [(2, "degraded"), (5, "healthy")]),
        # down → healthy
        ("dddhh", [(2, "down"), (4, "healthy")]),
        ("dddhdhdhd", [(2, "down")]),
        ("dddhhddhhddd", [(2, "down"), (4, "healthy"), (11, "down")]),
        # down → degraded
        ("dddgg", [(2, "down"), (4, "degraded")]),
        ("dddgh", [(2, "down"), (4, "degraded")]),
        ("dddhg", [(2, "down"), (4, "degraded")]),
        ("dddghh", [(2, "down"), (4, "degraded"), (5, "healthy")]),
        ("dddggddd", [(2, "down"), (4, "degraded"), (7, "down")]),
        # a gap of more than two minutes breaks a row, and changes nothing else
        ("dd..d", []),
        ("dd.d", [(3, "down")]),
        ("dd..ddd", [(6, "down")]),
        ("dddh..h", [(2, "down")]),
        ("dddh..hh", [(2, "down"), (7, "healthy")]),
        ("ddd.......d", [(2, "down")]),
        ("gg...g", []),
    ],
)
def test_three_in_a_row_make_it_worse_and_two_better(letters: str, expected: list[tuple[int, str]]) -> None:
    assert [(minute, transition.to) for minute, transition in _play(letters, Policy(3, 2, MAX_GAP))] == expected


def test_with_one_and_one_every_change_is_a_transition() -> None:
    found = [(minute, t.was, t.to) for minute, t in _play("hdhgdgh", Policy(1, 1))]
    assert found == [
        (1, "healthy", "down"),
        (2, "down", "healthy"),
        (3, "healthy", "degraded"),
        (4, "degraded", "down"),
        (5, "down", "degraded"),
        (6, "degraded", "healthy"),
    ]


def test_a_gap_of_just_the_longest_is_none() -> None:
    policy = Policy(2, 1, timedelta(seconds=10))
    for seconds, judged in ((10, "down"), (10.001, "healthy")):
        state, _ = judge(JudgedService("api"), Observation("down", START), policy)
        state, _ = judge(state, Observation("down", START + timedelta(seconds=seconds)), policy)
        assert state.judged == judged


def test_a_transition_names_its_checks_its_reason_and_since_when() -> None:
    [(_, down), (_, healthy)] = _play("hdddddhh", Policy(3, 2))
    assert (down.was, down.to, down.reason) == ("healthy", "down", "3 checks in a row were down")
    assert down.check_ids == (UUID(int=1), UUID(int=2), UUID(int=3))
    assert (down.since, down.at, down.was_since) == (START + MINUTE, START + 3 * MINUTE, None)
    assert down.last_error == "connection refused"
    assert (healthy.was, healthy.to, healthy.reason) == ("down", "healthy", "2 checks in a row were healthy")
    assert healthy.check_ids == (UUID(int=6), UUID(int=7))
    assert (healthy.since, healthy.was_since, healthy.last_error) == (START + 6 * MINUTE, START + MINUTE, None)
    [(_, degraded)] = _play("ddg", Policy(3, 2))
    assert degraded.reason == "3 checks in a row were not healthy"
    [_, (_, better)] = _play("dgh", Policy(1, 2))
    assert (better.reason, better.last_error) == ("2 checks in a row were not down", "took 2 s, more than 1 s")
    [(_, at_once)] = _play("d", Policy(1, 1))
    assert at_once.reason == "a check was down"


def test_what_an_alert_says_is_the_status_the_cause_and_the_checks() -> None:
    [(_, down), (_, healthy)] = _play("hdddddhh", Policy(3, 2))
    opened, recovered = opening(down), recovery(healthy)
    assert opened
    assert recovered
    assert recovery(down) is None
    assert opening(healthy) is None
    assert opened.message == "api is down: connection refused"
    assert opened.details == {
        "reason": "3 checks in a row were down",
        "check_ids": [str(UUID(int=number)) for number in (1, 2, 3)],
        "down_since": "2026-11-24T12:01:00+00:00",
        "last_error": "connection refused",
    }
    silent = opening(replace(down, last_error=None))
    assert silent
    assert silent.message == "api is down"
    assert recovered.message == "api is healthy again after 5 min"
    assert recovered.details == {
        "reason": "2 checks in a row were healthy",
        "check_ids": [str(UUID(int=number)) for number in (6, 7)],
        "recovered_to": "healthy",
        "down_since": "2026-11-24T12:01:00+00:00",
        "recovered_at": "2026-11-24T12:06:00+00:00",
        "downtime_s": 300.0,
    }


def test_a_recovery_says_degraded_where_that_is_all_that_was_reached() -> None:
    [_, (_, degraded), (_, healthy)] = _play("dddghh", Policy(3, 2))
    opened, eased, recovered = opening(degraded), recovery(degraded), recovery(healthy)
    assert opened
    assert eased
    assert recovered
    assert opened.message == "api is degraded: took 2 s, more than 1 s"
    assert opened.details["degraded_since"] == "2026-11-24T12:03:00+00:00"
    assert eased.message == "api is degraded, after 3 min down"
    assert (eased.details["recovered_to"], eased.details["downtime_s"]) == ("degraded", 180.0)
    assert recovered.message == "api is healthy again after 1 min degraded"
    assert recovered.details["degraded_s"] == 60.0
    assert "downtime_s" not in recovered.details


def test_a_service_that_goes_from_degraded_to_down_has_no_recovery() -> None:
    [_, (_, down)] = _play("gggddd", Policy(3, 2))
    assert (down.was, down.to, recovery(down)) == ("degraded", "down", None)


policies = st.builds(
    Policy, st.integers(1, 5), st.integers(1, 5), st.sampled_from([timedelta.max, MAX_GAP, timedelta(seconds=90)])
)


@given(letters=st.text("hdg.", max_size=60), policy=policies)
def test_a_history_played_again_gives_the_same_transitions(letters: str, policy: Policy) -> None:
    assert _play(letters, policy) == _play(letters, policy)


@given(letters=st.text("hdg.", max_size=60), policy=policies)
def test_the_rules_are_those_of_the_table_said_another_way(letters: str, policy: Policy) -> None:
    """The same rules over the whole history at every check, without a state that is carried along."""
    history, judged, expected = _history(letters), "healthy", []
    for place, observation in enumerate(history):
        row = _last_in_a_row(history[: place + 1], policy.max_gap)
        failing, passing = row[-policy.failures :], row[-policy.successes :]
        becomes = judged
        if len(row) >= policy.failures and "healthy" not in failing:
            if set(failing) == {"down"}:
                becomes = "down"
            elif judged == "healthy":
                becomes = "degraded"
        if len(row) >= policy.successes and "down" not in passing:
            if set(passing) == {"healthy"}:
                becomes = "healthy"
            elif judged == "down":
                becomes = "degraded"
        if becomes != judged:
            expected.append((observation.id.int, judged, becomes))
            judged = becomes
    assert [(minute, t.was, t.to) for minute, t in _play(letters, policy)] == expected


def _last_in_a_row(history: Sequence[Observation], max_gap: timedelta) -> list[Status]:
    row: list[Status] = []
    for before, observation in zip([None, *history], history, strict=False):
        if before and observation.checked_at - before.checked_at > max_gap:
            row = []
        row.append(observation.status)
    return row


class Watching(RuleBasedStateMachine):
    """A service, a judge that is restarted at any point, one that never is, and the alerts that come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[Observation] = []
        self.transitions: list[Transition] = []
        self.state = self.undisturbed = JudgedService("api")
        self.now = START
        self.open: list[str] = []
        self.triggers = self.recoveries = 0

    @initialize(policy=policies)
    def a_policy(self, policy: Policy) -> None:
        self.policy = policy

    @rule(letter=st.sampled_from("hdg"), minutes=st.sampled_from([1, 1, 1, 2, 5]))
    def a_check(self, letter: str, minutes: int) -> None:
        self.now += minutes * MINUTE
        observation = Observation(LETTERS[letter], self.now, 5, ERRORS[letter])
        self.recorded.append(observation)
        self.state, transition = judge(self.state, observation, self.policy)
        self.undisturbed, expected = judge(self.undisturbed, observation, self.policy)
        assert transition == expected
        if transition:
            self.transitions.append(transition)
            self._apply(transition)

    @precondition(lambda self: self.recorded)
    @rule()
    def a_restart(self) -> None:
        """All that is known now is what was recorded: the last checks, and the newest word about the service."""
        newest = self.transitions[-1] if self.transitions else None
        judged = newest.to if newest else "healthy"
        since = newest.since if newest and judged != "healthy" else None
        depth = max(self.policy.failures, self.policy.successes)
        self.state = rebuild("api", judged, since, self.recorded[-depth:], self.policy)

    def _apply(self, transition: Transition) -> None:
        if recovery(transition):
            assert self.open, "a recovery follows a trigger"
            self.recoveries += 1
        self.open.clear()
        if opening(transition):
            self.open.append(transition.to)
            self.triggers += 1

    @invariant()
    def one_alert_is_open_for_what_is_judged(self) -> None:
        assert self.open == ([] if self.state.judged == "healthy" else [self.state.judged])
        assert (self.state.since is None) == (self.state.judged == "healthy")

    @invariant()
    def every_trigger_is_open_superseded_or_recovered(self) -> None:
        superseded = sum(t.was == "degraded" and t.to == "down" for t in self.transitions)
        assert self.triggers == len(self.open) + superseded + self.recoveries


TestWatching = Watching.TestCase
