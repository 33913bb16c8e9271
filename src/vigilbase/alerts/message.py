"""A message about alert events to one channel, and what it says in words. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from vigilbase.alerts.wording import in_words
from vigilbase.models import AlertEvent
from vigilbase.vocabulary import AlertType, DeliveryKind

LONGEST_REASON = 500
_STATES: Mapping[AlertType, str] = {"service_down": "down", "service_degraded": "degraded"}


@dataclass(frozen=True, slots=True)
class Message:
    """What happened to one alert or, in a group, to several.

    `id` is the deduplication key: the same on every try. `kind` says what happened, the same to all; `at` is when the
    message was made (UTC), the same on every try too. The alerts are as they stand now, oldest first; one that was
    resolved before its trigger went out comes as `resolved` alone, and tells its whole episode.
    """

    id: UUID
    kind: DeliveryKind
    at: datetime
    alerts: Sequence[AlertEvent]


def title(message: Message) -> str:
    """What happened, in one line: `website is down`, `3 services are down`, `website is healthy again after 3 min`."""
    if len(message.alerts) != 1:
        return _title_of_several(message)
    alert = message.alerts[0]
    match message.kind:
        case "triggered":
            return _standing(alert)
        case "acknowledged":
            return f"{_name(alert)}: acknowledged"
        case "resolved":
            return _ending(alert)
        case "reminder":
            lasting = in_words(lasted(alert, message.at))
            return f"Reminder: {_standing(alert, 'still ')} after {lasting}"


def lines(message: Message, now: datetime | None = None) -> list[str]:
    """One line an alert: what it is about, the error, since when, and how long it lasted up to `now`."""
    return [_line(message.kind, alert, now or message.at) for alert in message.alerts]


def text(message: Message, now: datetime | None = None) -> str:
    """The whole message as plain text: the title, and below it a line an alert."""
    return "\n".join([title(message), "", *lines(message, now)])


def state(alert: AlertEvent) -> str | None:
    """What the service is while the alert lasts: `down`, `degraded`; None for an alert about something else."""
    return _STATES.get(alert.alert_type)


def reason(alert: AlertEvent) -> str:
    """Why, in one line of at most 500 characters: the last error, or what the alert says; may be empty."""
    error = (alert.details or {}).get("last_error")
    said = error if isinstance(error, str) and error else _beyond_the_state(alert)
    return shortened(_one_line(said), LONGEST_REASON)


def since(alert: AlertEvent, otherwise: datetime) -> datetime:
    """When it began: when the first of the checks ran that caused the alert, or when the alert was written."""
    return _moment(alert, f"{state(alert)}_since") or alert.created_at or otherwise


def ended(alert: AlertEvent) -> datetime | None:
    """When it was over: when the first of the better checks ran, if that is known, or when the alert was resolved."""
    return alert.resolved_at and (_moment(alert, "recovered_at") or alert.resolved_at)


def lasted(alert: AlertEvent, now: datetime) -> timedelta:
    """How long it lasted, or has lasted until now."""
    return max((ended(alert) or now) - since(alert, now), timedelta(0))


def in_utc(moment: datetime) -> str:
    """A moment as people read it: `2026-11-24 09:31:23 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def shortened(said: str, longest: int) -> str:
    """A text of at most so many characters, with an ellipsis where something is missing."""
    return said if len(said) <= longest else said[: longest - 1] + "…"


def _title_of_several(message: Message) -> str:
    count = len(message.alerts)
    services = len({alert.service_name for alert in message.alerts})
    if message.kind == "acknowledged":
        return f"{count} alerts are acknowledged"
    if message.kind == "resolved":
        is_over = services == count and all(_recovered_to(alert) == "healthy" for alert in message.alerts)
        return f"{count} services are healthy again" if is_over else f"{count} alerts are resolved"
    states = Counter(state(alert) for alert in message.alerts)
    still = "still " if message.kind == "reminder" else ""
    begin = "Reminder: " if still else ""
    if services != count or None in states:
        return f"{begin}{count} alerts are {still}open"
    if len(states) == 1:
        return f"{begin}{count} services are {still}{next(iter(states))}"
    return f"{begin}{count} services are {still}not healthy: {states['down']} down, {states['degraded']} degraded"


def _line(kind: DeliveryKind, alert: AlertEvent, now: datetime) -> str:
    why = f": {reason(alert)}" if reason(alert) else ""
    begin, over = since(alert, now), ended(alert)
    if kind == "resolved" and over:
        return f"{_ending(alert)}{why} (from {in_utc(begin)} to {in_utc(over)})"
    still = "still " if kind == "reminder" else ""
    acknowledged = ", acknowledged" if alert.acknowledged_at else ""
    length = f", {in_words(lasted(alert, now))}" if lasted(alert, now) >= timedelta(seconds=1) else ""
    return f"{_standing(alert, still)}{acknowledged}{why} (since {in_utc(begin)}{length})"


def _standing(alert: AlertEvent, still: str = "") -> str:
    known = state(alert)
    return f"{_name(alert)} is {still}{known}" if known else f"{_name(alert)}: {still}{alert.alert_type}"


def _ending(alert: AlertEvent) -> str:
    """How it ended. An alert that was resolved by hand doesn't say what the service is now."""
    name, known = _name(alert), state(alert)
    length = in_words(lasted(alert, ended(alert) or since(alert, datetime.min.replace(tzinfo=UTC))))
    if "superseded_by" in (alert.details or {}):
        return f"{name} was degraded for {length}, and is down now"
    if not known:
        return f"{name}: resolved after {length}"
    match _recovered_to(alert):
        case "healthy":
            return f"{name} is healthy again after {length}" + ("" if known == "down" else " degraded")
        case "degraded":
            return f"{name} is degraded, after {length} down"
        case _:
            return f"{name} is no longer {known}, after {length}"


def _recovered_to(alert: AlertEvent) -> object:
    return (alert.details or {}).get("recovered_to")


def _beyond_the_state(alert: AlertEvent) -> str:
    """What an alert says besides that the service is down, which a title says already."""
    return (alert.message or "").removeprefix(_standing(alert)).removeprefix(": ")


def _name(alert: AlertEvent) -> str:
    return _one_line(alert.service_name)


def _one_line(said: str) -> str:
    return " ".join(said.split())


def _moment(alert: AlertEvent, key: str) -> datetime | None:
    """A time of the details, in UTC; None where somebody else's detail is none that there is in UTC."""
    value = (alert.details or {}).get(key)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC) if moment else None
    except (ValueError, OverflowError):
        return None
