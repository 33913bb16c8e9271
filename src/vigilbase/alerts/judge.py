"""The judge: a pure function from a service's state and one observation to its next state and, maybe, a transition.

No clock and no I/O, so the runner, the rebuild after a restart and a replay of recorded history are the same thing over
different inputs. A check that is `down` counts as a failure, every other as a success.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from vigilbase.vocabulary import JSON, Observation, Policy, Status, Transition


@dataclass(frozen=True, slots=True)
class JudgedService:
    """Where a service stands.

    `judged` is its judged status; `failing` and `streak` how its last checks went, and how many in a row did;
    `streak_since` when the first of those ran; `down_since` when the first failed check of the outage ran.
    """

    service_name: str
    judged: Literal["healthy", "down"] = "healthy"
    failing: bool = False
    streak: int = 0
    streak_since: datetime | None = None
    down_since: datetime | None = None


def judge(state: JudgedService, observation: Observation, policy: Policy) -> tuple[JudgedService, Transition | None]:
    """The state after an observation, and the transition that it causes, if it causes one."""
    state = _count(state, observation.status, observation.checked_at)
    if state.judged == "healthy" and state.failing and state.streak >= policy.failures:
        state = replace(state, judged="down", down_since=state.streak_since)
        return state, _down(state, observation)
    if state.judged == "down" and not state.failing and state.streak >= policy.successes:
        transition = _healthy(state, observation)
        return replace(state, judged="healthy", down_since=None), transition
    return state, None


def rebuild(
    service_name: str, newest_first: Sequence[tuple[Status, datetime]], down_since: datetime | None
) -> JudgedService:
    """The state that history tells: the last checks, and since when the service is judged down, if it is."""
    state = JudgedService(service_name, judged="down" if down_since else "healthy", down_since=down_since)
    for status, checked_at in reversed(newest_first):
        state = _count(state, status, checked_at)
    return state


def _count(state: JudgedService, status: Status, checked_at: datetime) -> JudgedService:
    failing = status == "down"
    if state.streak and failing == state.failing:
        return replace(state, streak=state.streak + 1)
    return replace(state, failing=failing, streak=1, streak_since=checked_at)


def _down(state: JudgedService, observation: Observation) -> Transition:
    since = state.streak_since or observation.checked_at
    details: dict[str, JSON] = {
        "reason": f"{_times(state.streak, 'failed check')} in a row",
        "down_since": since.isoformat(),
        "last_error": observation.error_message,
    }
    message = f"{state.service_name} is down: {observation.error_message or 'the check failed'}"
    return Transition(state.service_name, "down", observation.checked_at, message, details)


def _healthy(state: JudgedService, observation: Observation) -> Transition:
    recovered_at = state.streak_since or observation.checked_at
    downtime = max(recovered_at - (state.down_since or recovered_at), timedelta(0))
    details: Mapping[str, JSON] = {
        "reason": f"{_times(state.streak, 'successful check')} in a row",
        "down_since": state.down_since.isoformat() if state.down_since else None,
        "recovered_at": recovered_at.isoformat(),
        "downtime_s": round(downtime.total_seconds(), 3),
    }
    message = f"{state.service_name} is healthy again after {in_words(downtime)}"
    return Transition(state.service_name, "healthy", observation.checked_at, message, details)


def in_words(duration: timedelta) -> str:
    """A duration as people say it, in its two largest units: 42 s, 3 min 5 s, 2 h 10 min, 4 d 1 h."""
    seconds = int(duration.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count or len(parts) == 1)


def _times(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
