"""The judge: a table of histories, and a state machine over any history with restarts at any point."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vigilbase.alerts.alert_text import make_opening_text, make_recovery_text
from vigilbase.alerts.judge import ServiceState, judge, rebuild_state
from vigilbase.domain import Policy, ProbeResult, Status, Transition

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MAX_GAP = 2 * MINUTE + timedelta(seconds=5)  # for a service that is probed every minute, with a timeout of 5 s
LETTERS: dict[str, Status] = {"h": "healthy", "d": "down", "g": "degraded"}
ERRORS = {"h": None, "d": "connection refused", "g": "took 2 s, more than 1 s"}


def _make_history(letters: str) -> list[ProbeResult]:
    """One check a minute; a dot is a minute without a check."""
    return [
        ProbeResult(LETTERS[letter], ERRORS[letter], None, 5, START + place * MINUTE, UUID(int=place))
        for place, letter in enumerate(letters)
        if letter != "."
    ]


def _judge_history(letters: str, policy: Policy) -> list[tuple[int, Transition]]:
    """The transitions of a history, each with the minute of the check that caused it."""
    state, transitions = ServiceState("api"), []
    for result in _make_history(letters):
        state, transition = judge(state, result, policy)
        if transition:
            transitions.append((result.id.int, transition))
    return transitions


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        # no transition: the streak is too short
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
        # a gap of more than two minutes ends the streak, but not the current status
        ("dd..d", []),
        ("dd.d", [(3, "down")]),
        ("dd..ddd", [(6, "down")]),
        ("dddh..h", [(2, "down")]),
        ("dddh..hh", [(2, "down"), (7, "healthy")]),
        ("ddd.......d", [(2, "down")]),
        ("gg...g", []),
    ],
)
def test_judge_failure_and_success_thresholds_cause_transitions(letters: str, expected: list[tuple[int, str]]) -> None:
    assert [
        (minute, transition.to_status) for minute, transition in _judge_history(letters, Policy(3, 2, MAX_GAP))
    ] == expected


def test_judge_thresholds_of_one_make_every_change_a_transition() -> None:
    transitions = _judge_history("hdhgdgh", Policy(1, 1))
    assert [(minute, t.from_status, t.to_status) for minute, t in transitions] == [
        (1, "healthy", "down"),
        (2, "down", "healthy"),
        (3, "healthy", "degraded"),
        (4, "degraded", "down"),
        (5, "down", "degraded"),
        (6, "degraded", "healthy"),
    ]


def test_judge_gap_of_exactly_max_gap_keeps_streak() -> None:
    policy = Policy(2, 1, timedelta(seconds=10))
    for seconds, expected in ((10, "down"), (10.001, "healthy")):
        state, _ = judge(ServiceState("api"), ProbeResult("down", checked_at=START), policy)
        state, _ = judge(state, ProbeResult("down", checked_at=START + timedelta(seconds=seconds)), policy)
        assert state.status == expected


def test_judge_transition_has_check_ids_reason_and_times() -> None:
    [(_, down), (_, healthy)] = _judge_history("hdddddhh", Policy(3, 2))
    assert (down.from_status, down.to_status, down.reason) == ("healthy", "down", "3 consecutive checks were down")
    assert down.check_ids == (UUID(int=1), UUID(int=2), UUID(int=3))
    assert (down.since, down.at, down.previous_since) == (START + MINUTE, START + 3 * MINUTE, None)
    assert down.last_error == "connection refused"
    assert (healthy.from_status, healthy.to_status, healthy.reason) == (
        "down",
        "healthy",
        "2 consecutive checks were healthy",
    )
    assert healthy.check_ids == (UUID(int=6), UUID(int=7))
    assert (healthy.since, healthy.previous_since, healthy.last_error) == (START + 6 * MINUTE, START + MINUTE, None)
    [(_, degraded)] = _judge_history("ddg", Policy(3, 2))
    assert degraded.reason == "3 consecutive checks were not healthy"
    [_, (_, better)] = _judge_history("dgh", Policy(1, 2))
    assert (better.reason, better.last_error) == ("2 consecutive checks were not down", "took 2 s, more than 1 s")
    [(_, immediate)] = _judge_history("d", Policy(1, 1))
    assert immediate.reason == "1 check was down"


def test_alert_text_contains_status_cause_and_check_ids() -> None:
    [(_, down), (_, healthy)] = _judge_history("hdddddhh", Policy(3, 2))
    opened, recovered = make_opening_text(down), make_recovery_text(healthy)
    assert opened
    assert recovered
    assert make_recovery_text(down) is None
    assert make_opening_text(healthy) is None
    assert opened.message == "api is down: connection refused"
    assert opened.details == {
        "reason": "3 consecutive checks were down",
        "check_ids": [str(UUID(int=number)) for number in (1, 2, 3)],
        "down_since": "2026-11-24T12:01:00+00:00",
        "last_error": "connection refused",
    }
    without_error = make_opening_text(replace(down, last_error=None))
    assert without_error
    assert without_error.message == "api is down"
    assert recovered.message == "api is healthy again after 5m"
    assert recovered.details == {
        "reason": "2 consecutive checks were healthy",
        "check_ids": [str(UUID(int=number)) for number in (6, 7)],
        "recovered_to": "healthy",
        "down_since": "2026-11-24T12:01:00+00:00",
        "recovered_at": "2026-11-24T12:06:00+00:00",
        "downtime_s": 300.0,
    }


def test_recovery_text_down_to_degraded_reports_partial_recovery() -> None:
    [_, (_, degraded), (_, healthy)] = _judge_history("dddghh", Policy(3, 2))
    opened, partial, recovered = make_opening_text(degraded), make_recovery_text(degraded), make_recovery_text(healthy)
    assert opened
    assert partial
    assert recovered
    assert opened.message == "api is degraded: took 2 s, more than 1 s"
    assert opened.details["degraded_since"] == "2026-11-24T12:03:00+00:00"
    assert partial.message == "api is degraded after 3m down"
    assert (partial.details["recovered_to"], partial.details["downtime_s"]) == ("degraded", 180.0)
    assert recovered.message == "api is healthy again after 1m degraded"
    assert recovered.details["degraded_s"] == 60.0
    assert "downtime_s" not in recovered.details


def test_recovery_text_degraded_to_down_is_none() -> None:
    [_, (_, down)] = _judge_history("gggddd", Policy(3, 2))
    assert (down.from_status, down.to_status, make_recovery_text(down)) == ("degraded", "down", None)


policies = st.builds(
    Policy, st.integers(1, 5), st.integers(1, 5), st.sampled_from([timedelta.max, MAX_GAP, timedelta(seconds=90)])
)


@given(letters=st.text("hdg.", max_size=60), policy=policies)
def test_judge_replayed_history_gives_same_transitions(letters: str, policy: Policy) -> None:
    assert _judge_history(letters, policy) == _judge_history(letters, policy)


@given(letters=st.text("hdg.", max_size=60), policy=policies)
def test_judge_any_history_matches_stateless_reference(letters: str, policy: Policy) -> None:
    """The reference applies the rules to the whole history at every check, without keeping a state."""
    history, status, expected = _make_history(letters), "healthy", []
    for place, result in enumerate(history):
        streak = _find_last_streak(history[: place + 1], policy.max_gap)
        failing, passing = streak[-policy.failure_threshold :], streak[-policy.success_threshold :]
        becomes = status
        if len(streak) >= policy.failure_threshold and "healthy" not in failing:
            if set(failing) == {"down"}:
                becomes = "down"
            elif status == "healthy":
                becomes = "degraded"
        if len(streak) >= policy.success_threshold and "down" not in passing:
            if set(passing) == {"healthy"}:
                becomes = "healthy"
            elif status == "down":
                becomes = "degraded"
        if becomes != status:
            expected.append((result.id.int, status, becomes))
            status = becomes
    assert [(minute, t.from_status, t.to_status) for minute, t in _judge_history(letters, policy)] == expected


def _find_last_streak(history: Sequence[ProbeResult], max_gap: timedelta) -> list[Status]:
    streak: list[Status] = []
    for before, result in zip([None, *history], history, strict=False):
        if before and result.checked_at - before.checked_at > max_gap:
            streak = []
        streak.append(result.status)
    return streak


class JudgeMachine(RuleBasedStateMachine):
    """A judge that restarts at any point gives the same transitions as one that never restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[ProbeResult] = []
        self.transitions: list[Transition] = []
        self.state = self.never_restarted = ServiceState("api")
        self.now = START
        self.open: list[str] = []
        self.triggers = self.recoveries = 0

    @initialize(policy=policies)
    def set_policy(self, policy: Policy) -> None:
        self.policy = policy

    @rule(letter=st.sampled_from("hdg"), minutes=st.sampled_from([1, 1, 1, 2, 5]))
    def record_check(self, letter: str, minutes: int) -> None:
        self.now += minutes * MINUTE
        result = ProbeResult(LETTERS[letter], ERRORS[letter], None, 5, self.now)
        self.recorded.append(result)
        self.state, transition = judge(self.state, result, self.policy)
        self.never_restarted, expected = judge(self.never_restarted, result, self.policy)
        assert transition == expected
        if transition:
            self.transitions.append(transition)
            self._apply(transition)

    @precondition(lambda self: self.recorded)
    @rule()
    def restart(self) -> None:
        """Rebuild the state from what the database has: the last checks, and the newest transition."""
        newest = self.transitions[-1] if self.transitions else None
        status = newest.to_status if newest else "healthy"
        since = newest.since if newest and status != "healthy" else None
        depth = max(self.policy.failure_threshold, self.policy.success_threshold)
        self.state = rebuild_state("api", status, since, self.recorded[-depth:], self.policy)

    def _apply(self, transition: Transition) -> None:
        if make_recovery_text(transition):
            assert self.open, "a recovery follows a trigger"
            self.recoveries += 1
        self.open.clear()
        if make_opening_text(transition):
            self.open.append(transition.to_status)
            self.triggers += 1

    @invariant()
    def current_status_has_one_open_alert(self) -> None:
        assert self.open == ([] if self.state.status == "healthy" else [self.state.status])
        assert (self.state.since is None) == (self.state.status == "healthy")

    @invariant()
    def every_trigger_is_open_superseded_or_recovered(self) -> None:
        superseded = sum(t.from_status == "degraded" and t.to_status == "down" for t in self.transitions)
        assert self.triggers == len(self.open) + superseded + self.recoveries


TestJudgeMachine = JudgeMachine.TestCase
