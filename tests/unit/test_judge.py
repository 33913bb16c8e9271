"""The judge, as a table and as properties over histories with restarts at every point."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.alerts.judge import JudgedService, in_words, judge, rebuild
from vigilbase.vocabulary import Observation, Policy, Status, Transition

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
LETTERS: dict[str, Status] = {"h": "healthy", "d": "down", "g": "degraded"}


def _observation(letter: str, minute: int) -> Observation:
    error = "connection refused" if letter == "d" else None
    return Observation(LETTERS[letter], START + timedelta(minutes=minute), 5, error)


def _play(history: str, policy: Policy, state: JudgedService | None = None) -> list[tuple[int, Transition]]:
    """The transitions of a history, one check a minute, each with the place of the check that caused it."""
    state = state or JudgedService("api")
    found = []
    for place, letter in enumerate(history):
        state, transition = judge(state, _observation(letter, place), policy)
        if transition:
            found.append((place, transition))
    return found


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("hhhhhhhh", []),
        ("dd", []),
        ("ddd", [(2, "down")]),
        ("ddddddd", [(2, "down")]),
        ("hddhddhdd", []),
        ("hhddd", [(4, "down")]),
        ("dddh", [(2, "down")]),
        ("dddhdhdhd", [(2, "down")]),
        ("dddhh", [(2, "down"), (4, "healthy")]),
        ("dddgg", [(2, "down"), (4, "healthy")]),
        ("ggggg", []),
        ("ddgdd", []),
        ("dddhhddhhddd", [(2, "down"), (4, "healthy"), (11, "down")]),
    ],
)
def test_three_failures_in_a_row_open_and_two_successes_resolve(history: str, expected: list[tuple[int, str]]) -> None:
    assert [(place, transition.to) for place, transition in _play(history, Policy(3, 2))] == expected


def test_with_one_and_one_every_change_is_a_transition() -> None:
    assert [(place, t.to) for place, t in _play("hdhd", Policy(1, 1))] == [(1, "down"), (2, "healthy"), (3, "down")]


def test_a_transition_says_why_and_since_when() -> None:
    [(_, down), (_, healthy)] = _play("hdddddhh", Policy(3, 2))
    assert down.message == "api is down: connection refused"
    assert down.details == {
        "reason": "3 failed checks in a row",
        "down_since": "2026-11-24T12:01:00+00:00",
        "last_error": "connection refused",
    }
    assert healthy.message == "api is healthy again after 5 min"
    assert healthy.details == {
        "reason": "2 successful checks in a row",
        "down_since": "2026-11-24T12:01:00+00:00",
        "recovered_at": "2026-11-24T12:06:00+00:00",
        "downtime_s": 300.0,
    }


@given(
    history=st.text("hdg", max_size=40),
    restarts=st.sets(st.integers(0, 40)),
    failures=st.integers(1, 5),
    successes=st.integers(1, 5),
)
def test_a_restart_at_any_point_neither_forgets_nor_repeats(
    history: str, restarts: set[int], failures: int, successes: int
) -> None:
    policy = Policy(failures, successes)
    expected = [(place, transition) for place, transition in _play(history, policy)]
    state, down_since, found = JudgedService("api"), None, []
    for place, letter in enumerate(history):
        if place in restarts:  # all that is known now is what was recorded
            recorded = [(LETTERS[past], START + timedelta(minutes=n)) for n, past in enumerate(history[:place])]
            state = rebuild("api", recorded[::-1][: max(failures, successes)], down_since)
        state, transition = judge(state, _observation(letter, place), policy)
        if transition:
            down_since = state.down_since
            found.append((place, transition))
    assert [(place, t.to) for place, t in found] == [(place, t.to) for place, t in expected]
    assert [t.details.get("down_since") for _, t in found] == [t.details.get("down_since") for _, t in expected]


@given(history=st.text("hdg", max_size=60), failures=st.integers(1, 5), successes=st.integers(1, 5))
def test_down_and_healthy_take_turns_beginning_with_down(history: str, failures: int, successes: int) -> None:
    turns = [transition.to for _, transition in _play(history, Policy(failures, successes))]
    assert turns == ["down", "healthy"] * (len(turns) // 2) + ["down"] * (len(turns) % 2)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (42.9, "42 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (7801, "2 h 10 min"),
        (86_400 * 4 + 3600, "4 d 1 h"),
        (86_400, "1 d"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words
