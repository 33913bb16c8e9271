"""How the timeline of an alert looks in a terminal."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.table import Table

from vigilbase.alerts.wording import in_words
from vigilbase.cli.render import clock, iso, new_table, plain
from vigilbase.models import AlertEvent, TimelineEntry
from vigilbase.vocabulary import JSON

# Why something is not sent any more: codes of the function vigilbase.cancel_unneeded.
_REASONS = {"resolved": "the alert is over", "acknowledged": "the alert is acknowledged"}


def timeline_table(alert: AlertEvent, entries: Sequence[TimelineEntry]) -> Table:
    """What happened to an alert, a line for each entry."""
    table = new_table("time", "what", "", wraps={""})
    for entry in entries:
        table.add_row(clock(entry.at), entry.event.replace("_", " "), plain(_told(alert, entry)))
    return table


def entry_as_json(entry: TimelineEntry) -> dict[str, object]:
    """An entry as `alerts show --json` has it."""
    return {
        "at": iso(entry.at),
        "event": entry.event,
        "author": entry.author,
        "comment": entry.comment,
        "details": entry.details,
    }


def _told(alert: AlertEvent, entry: TimelineEntry) -> str:
    details = entry.details or {}
    said = ": ".join(filter(None, [f"by {entry.author}" if entry.author else "", entry.comment]))
    parts = [said, _delivery(details) if "channel" in details else _text(details, "reason")]
    if entry.event == "resolved" and alert.created_at is not None:
        parts.append(f"after {in_words(max(entry.at - alert.created_at, timedelta(0)))}")
    return "; ".join(filter(None, parts))


def _delivery(details: Mapping[str, JSON]) -> str:
    """The channel, what was to be said, the receiver's answer, which try it was, and what withheld it."""
    was = "before that " if details.get("attempts") else ""
    answer = _text(details, "error") or _text(details, "answer")
    tries = details.get("attempts")
    return ", ".join(
        filter(
            None,
            [
                f"{_text(details, 'channel')}: {_text(details, 'kind')}",
                answer or _REASONS.get(_text(details, "reason"), ""),
                f"try {tries}" if tries else "",
                f"{was}withheld by {withheld_by}" if (withheld_by := _text(details, "suppressed_by")) else "",
            ],
        )
    )


def _text(details: Mapping[str, JSON], name: str) -> str:
    value = details.get(name)
    return value if isinstance(value, str) else ""
