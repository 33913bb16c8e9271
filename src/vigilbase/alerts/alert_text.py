"""The message and details of an alert event, made from a transition. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from vigilbase.domain import JSON, Transition
from vigilbase.durations import format_duration


@dataclass(frozen=True, slots=True)
class AlertText:
    """The columns `message` and `details` of an alert event."""

    message: str
    details: Mapping[str, JSON]


def make_opening_text(transition: Transition) -> AlertText | None:
    """The text of the alert that a transition opens; None when the service became healthy."""
    if transition.to_status == "healthy":
        return None
    error = f": {transition.last_error}" if transition.last_error else ""
    return AlertText(
        f"{transition.service_name} is {transition.to_status}{error}",
        {
            **_make_cause(transition),
            f"{transition.to_status}_since": transition.since.isoformat(),
            "last_error": transition.last_error,
        },
    )


def make_recovery_text(transition: Transition) -> AlertText | None:
    """The text of the recovery that a transition causes; None when it causes none."""
    if transition.from_status == "healthy" or transition.to_status == "down":
        return None
    start = transition.previous_since or transition.since
    # If a clock is set back, the outage may seem to end before it began.
    length = max(transition.since - start, timedelta(0))
    return AlertText(
        f"{transition.service_name} is {_describe_recovery(transition, format_duration(length))}",
        {
            **_make_cause(transition),
            "recovered_to": transition.to_status,
            f"{transition.from_status}_since": start.isoformat(),
            "recovered_at": transition.since.isoformat(),
            "downtime_s" if transition.from_status == "down" else "degraded_s": round(length.total_seconds(), 3),
        },
    )


def _make_cause(transition: Transition) -> Mapping[str, JSON]:
    return {"reason": transition.reason, "check_ids": [str(check_id) for check_id in transition.check_ids]}


def _describe_recovery(transition: Transition, length: str) -> str:
    if transition.to_status == "degraded":
        return f"degraded after {length} down"
    return f"healthy again after {length}" + ("" if transition.from_status == "down" else " degraded")
