"""The judge: a pure function from a service's state and one observation to its next state and, maybe, a transition.

No clock and no I/O, so the runner, the rebuild after a restart and a replay of recorded history are the same thing over
different inputs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from vigilbase.vocabulary import Observation, Policy, Status, Transition


class Seen(NamedTuple):
    """What the judge remembers of a check."""

    id: UUID
    status: Status
    checked_at: datetime
    error_message: str | None


@dataclass(frozen=True, slots=True)
class JudgedService:
    """Where a service stands.

    `judged` is its judged status and `since` when the first of the checks that made it so ran (None if it is healthy);
    `recent` are its last checks in a row, oldest first, as many as the policy looks at.
    """

    service_name: str
    judged: Status = "healthy"
    since: datetime | None = None
    recent: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rule:
    """A service that is judged one of `judged` becomes `becomes` when enough checks in a row are among `checks`."""

    judged: Sequence[Status]
    becomes: Status
    checks: Sequence[Status]
    in_words: str


# Rules that end well wait for `successes` checks in a row, the others for `failures`.
_FAILING = (
    _Rule(("healthy", "degraded"), "down", ("down",), "down"),
    _Rule(("healthy",), "degraded", ("degraded", "down"), "not healthy"),
)
_PASSING = (
    _Rule(("degraded", "down"), "healthy", ("healthy",), "healthy"),
    _Rule(("down",), "degraded", ("healthy", "degraded"), "not down"),
)


def judge(state: JudgedService, observation: Observation, policy: Policy) -> tuple[JudgedService, Transition | None]:
    """The state after an observation, and the transition that it causes, if it causes one."""
    state = _remember(state, observation, policy)
    for rules, count in ((_FAILING, policy.failures), (_PASSING, policy.successes)):
        streak = state.recent[-count:]
        for rule in rules:
            if len(streak) == count and state.judged in rule.judged and all(s.status in rule.checks for s in streak):
                transition = _transition(state, rule, streak)
                since = None if rule.becomes == "healthy" else transition.since
                return replace(state, judged=rule.becomes, since=since), transition
    return state, None


def rebuild(
    service_name: str, judged: Status, since: datetime | None, checks: Iterable[Observation], policy: Policy
) -> JudgedService:
    """The state that history tells: the judged status, since when, and the last checks, oldest first."""
    state = JudgedService(service_name, judged, since)
    for observation in checks:
        state = _remember(state, observation, policy)
    return state


def _remember(state: JudgedService, observation: Observation, policy: Policy) -> JudgedService:
    """The state with one more check in a row, or with the first of a new row after a gap."""
    before = state.recent
    if before and observation.checked_at - before[-1].checked_at > policy.max_gap:
        before = ()
    seen = Seen(observation.id, observation.status, observation.checked_at, observation.error_message)
    depth = max(policy.failures, policy.successes)
    return replace(state, recent=(*before, seen)[-depth:])


def _transition(state: JudgedService, rule: _Rule, streak: Sequence[Seen]) -> Transition:
    count = "a check was" if len(streak) == 1 else f"{len(streak)} checks in a row were"
    return Transition(
        service_name=state.service_name,
        was=state.judged,
        to=rule.becomes,
        at=streak[-1].checked_at,
        since=streak[0].checked_at,
        was_since=state.since,
        reason=f"{count} {rule.in_words}",
        check_ids=tuple(seen.id for seen in streak),
        last_error=next((seen.error_message for seen in reversed(streak) if seen.error_message), None),
    )
