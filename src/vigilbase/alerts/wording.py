"""What an alert event says: the message and the details of a transition. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from vigilbase.vocabulary import JSON, Transition


@dataclass(frozen=True, slots=True)
class Wording:
    """The message of an alert event, and what it keeps beside."""

    message: str
    details: Mapping[str, JSON]


def opening(transition: Transition) -> Wording | None:
    """What the alert says that a transition opens; None when the service became healthy."""
    if transition.to == "healthy":
        return None
    cause = f": {transition.last_error}" if transition.last_error else ""
    return Wording(
        f"{transition.service_name} is {transition.to}{cause}",
        {
            **_cause(transition),
            f"{transition.to}_since": transition.since.isoformat(),
            "last_error": transition.last_error,
        },
    )


def recovery(transition: Transition) -> Wording | None:
    """What the recovery says that a transition brings; None when it brings none."""
    if transition.was == "healthy" or transition.to == "down":
        return None
    began = transition.was_since or transition.since
    lasted = max(transition.since - began, timedelta(0))
    return Wording(
        f"{transition.service_name} is {_better(transition, in_words(lasted))}",
        {
            **_cause(transition),
            "recovered_to": transition.to,
            f"{transition.was}_since": began.isoformat(),
            "recovered_at": transition.since.isoformat(),
            "downtime_s" if transition.was == "down" else "degraded_s": round(lasted.total_seconds(), 3),
        },
    )


def _cause(transition: Transition) -> Mapping[str, JSON]:
    return {"reason": transition.reason, "check_ids": [str(id) for id in transition.check_ids]}  # noqa: A001


def _better(transition: Transition, lasted: str) -> str:
    if transition.to == "degraded":
        return f"degraded, after {lasted} down"
    return f"healthy again after {lasted}" + ("" if transition.was == "down" else " degraded")


def in_words(duration: timedelta) -> str:
    """A duration as people say it, in its two largest units: 42 s, 3 min 5 s, 2 h 10 min, 4 d 1 h."""
    seconds = int(duration.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count or len(parts) == 1)
