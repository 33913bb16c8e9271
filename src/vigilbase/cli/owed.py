"""What is known of messages that have not gone out, as the commands show it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from rich.table import Table

from vigilbase.alerts.wording import in_words
from vigilbase.cli.context import DEFAULT_CONFIG
from vigilbase.cli.render import ago, iso, new_table, plain
from vigilbase.errors import ConfigurationError
from vigilbase.models import AlertDelivery, ChannelState

_WAITS = {
    "not_needed": "never: nobody needs it any more",
    "sender": "being sent",
    "channel_disabled": "when its channel is on again",
    "suppression": "when that is over",
    "earlier": "after an earlier one",
    "resolution": "after the end of the last outage",
}
_DELAYS = {"channel_pause": ", as its channel has asked", "window": ", with what else comes"}


def next_try(delivery: AlertDelivery, windows: Mapping[str, float] | None, now: datetime) -> str:
    """When a message that is still owed is tried, or what has to happen first."""
    if delivery.status != "pending":
        return ""
    if windows is not None and delivery.channel not in windows:
        return "never: its channel is not in the file"
    if delivery.waits_for in _WAITS:
        return _WAITS[delivery.waits_for]
    if delivery.next_attempt_at is None or delivery.next_attempt_at <= now:
        return "now"
    wait = max(delivery.next_attempt_at - now, timedelta(seconds=1))
    return f"in {in_words(wait)}{_DELAYS.get(delivery.waits_for or '', '')}"


def gather_windows(config: Path = DEFAULT_CONFIG) -> Mapping[str, float] | None:
    """For how many seconds each channel of the file gathers what follows a message; None where it can't be read.

    Raises:
        ConfigurationError: a file that is not the usual one can't be read.

    """
    # Half a second, which not every command that shows messages needs to take.
    from vigilbase.alerts.channels import CHANNELS  # noqa: PLC0415
    from vigilbase.spec import load_spec  # noqa: PLC0415

    try:
        spec = load_spec(config)
    except ConfigurationError:
        if config != DEFAULT_CONFIG:
            raise
        return None
    return {
        name: spec.group_window_s if CHANNELS[channel.kind].groups else 0.0 for name, channel in spec.channels.items()
    }


def told(delivery: AlertDelivery) -> str:
    """What the receiver answered, or why there is no answer."""
    if delivery.status == "delivered":
        return plain(delivery.answer).plain
    if delivery.waits_for == "suppression" or (delivery.status == "cancelled" and delivery.withheld_by):
        return plain(f"withheld by {delivery.withheld_by}").plain
    return plain(delivery.last_error).plain


def switched_off(states: Sequence[ChannelState]) -> list[ChannelState]:
    """The channels that are."""
    return [state for state in states if state.off_reason is not None]


def tell_off(state: ChannelState, now: datetime) -> str:
    """Since when a channel is switched off, and why."""
    return f"switched off {ago(state.off_since, now)}: {plain(state.off_reason)}"


def remedy_of_off(state: ChannelState) -> str:
    """What to do about a channel that is switched off."""
    return f"mend it, start `vigilbase up` again if the file changed, and `vigilbase channels enable {state.channel}`"


def tell_off_and_remedy(state: ChannelState, now: datetime) -> str:
    """Of a channel that is switched off: since when, why, and what to do, in one line."""
    return f"{state.channel} was {tell_off(state, now)}: {remedy_of_off(state)}"


def tell_owed(state: ChannelState) -> str:
    """How many messages a channel is owed, and how many were given up."""
    counts = {
        "waiting": state.waiting,
        "tried in vain": state.failing,
        "withheld": state.withheld,
        "given up": state.given_up,
    }
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


def tell_unnamed(states: Sequence[ChannelState], named: Sequence[str], file: Path) -> Iterator[tuple[str, str]]:
    """The channels that are owed something, or are off, and that the file doesn't name; and what to do."""
    for state in states:
        owed = tell_owed(state)
        if state.channel not in named and (owed or state.off_reason is not None):
            what = f"is owed messages ({owed})" if owed else "is switched off"
            how = f"`vigilbase {'deliveries cancel NUMBER' if owed else f'channels enable {state.channel}'}`"
            yield f"{file} doesn't name {state.channel}, which {what}", f"name it again, or end that by {how}"


def delivery_as_json(delivery: AlertDelivery) -> dict[str, object]:
    """A delivery as every command with `--json` shows it."""
    return {
        "id": delivery.id,
        "alert_id": str(delivery.alert_id),
        "service_name": delivery.service_name,
        "channel": delivery.channel,
        "kind": delivery.kind,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "due_at": iso(delivery.due_at),
        "message_id": delivery.message_id and str(delivery.message_id),
        "answer": delivery.answer,
        "last_error": delivery.last_error,
        "withheld_by": delivery.withheld_by,
        "waits_for": delivery.waits_for,
        "next_attempt_at": iso(delivery.next_attempt_at),
        "created_at": iso(delivery.created_at),
        "ended_at": iso(delivery.ended_at),
    }


def table_of_owed(deliveries: Sequence[AlertDelivery], windows: Mapping[str, float] | None, now: datetime) -> Table:
    """Of one alert, what is still to be sent, or was given up."""
    table = new_table("number", "channel", "still owed", "next try", "", wraps={"next try", ""})
    for delivery in deliveries:
        following = "given up" if delivery.status == "failed" else next_try(delivery, windows, now)
        table.add_row(str(delivery.id), plain(delivery.channel), delivery.kind, following, plain(told(delivery)))
    return table
