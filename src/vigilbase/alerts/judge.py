"""The judge: from a service's state and one probe result to its next state and, perhaps, a transition. Pure.

The runner, the rebuild after a restart and a replay of recorded history are this function over different inputs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from vigilbase.domain import Policy, ProbeResult, Status, Transition


class RecentCheck(NamedTuple):
    """What the judge remembers of a check."""

    id: UUID
    status: Status
    checked_at: datetime
    error_message: str | None


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service's current status and the streak of checks that may change it.

    `since` is when the first of the checks ran that caused the current status; None while it is healthy. `streak` has
    the last consecutive checks, oldest first, as many as the policy needs.
    """

    service_name: str
    status: Status = "healthy"
    since: datetime | None = None
    streak: tuple[RecentCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rule:
    """A service with a status in `from_statuses` gets `to_status` after enough consecutive checks in `checks`."""

    from_statuses: Sequence[Status]
    to_status: Status
    checks: Sequence[Status]
    text: str


# The first rule that applies decides: a down check also counts as "not healthy", and a healthy one as "not down".
_FAILURE_RULES = (
    _Rule(("healthy", "degraded"), "down", ("down",), "down"),
    _Rule(("healthy",), "degraded", ("degraded", "down"), "not healthy"),
)
_SUCCESS_RULES = (
    _Rule(("degraded", "down"), "healthy", ("healthy",), "healthy"),
    _Rule(("down",), "degraded", ("healthy", "degraded"), "not down"),
)


def judge(state: ServiceState, result: ProbeResult, policy: Policy) -> tuple[ServiceState, Transition | None]:
    """The state after a probe result, and the transition that it causes, if any."""
    state = _append_check(state, result, policy)
    for rules, threshold in ((_FAILURE_RULES, policy.failure_threshold), (_SUCCESS_RULES, policy.success_threshold)):
        streak = state.streak[-threshold:]
        if len(streak) < threshold:
            continue
        for rule in rules:
            if state.status in rule.from_statuses and all(check.status in rule.checks for check in streak):
                transition = _make_transition(state, rule, streak)
                since = None if rule.to_status == "healthy" else transition.since
                return replace(state, status=rule.to_status, since=since), transition
    return state, None


def rebuild_state(
    service_name: str, status: Status, since: datetime | None, checks: Iterable[ProbeResult], policy: Policy
) -> ServiceState:
    """The state after a restart, from the recorded status and the last checks, oldest first."""
    state = ServiceState(service_name, status, since)
    # Appended without judging: the recorded status includes what these checks have caused.
    for result in checks:
        state = _append_check(state, result, policy)
    return state


def _append_check(state: ServiceState, result: ProbeResult, policy: Policy) -> ServiceState:
    streak = state.streak
    if streak and result.checked_at - streak[-1].checked_at > policy.max_gap:
        streak = ()  # nothing probed the service in between, so the checks are not consecutive
    check = RecentCheck(result.id, result.status, result.checked_at, result.error_message)
    depth = max(policy.failure_threshold, policy.success_threshold)
    return replace(state, streak=(*streak, check)[-depth:])


def _make_transition(state: ServiceState, rule: _Rule, streak: Sequence[RecentCheck]) -> Transition:
    count = "1 check was" if len(streak) == 1 else f"{len(streak)} consecutive checks were"
    return Transition(
        service_name=state.service_name,
        from_status=state.status,
        to_status=rule.to_status,
        at=streak[-1].checked_at,
        since=streak[0].checked_at,
        previous_since=state.since,
        reason=f"{count} {rule.text}",
        check_ids=tuple(check.id for check in streak),
        last_error=next((check.error_message for check in reversed(streak) if check.error_message), None),
    )
