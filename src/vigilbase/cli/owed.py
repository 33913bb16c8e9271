"""What is known of messages that have not gone out, as the commands show it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rich.table import Table

from vigilbase.alerts.wording import in_words
from vigilbase.cli.context import DEFAULT_CONFIG
from vigilbase.cli.render import ago, iso, new_table, plain
from vigilbase.errors import ConfigurationError
from vigilbase.models import AlertDelivery, ChannelState


@dataclass(frozen=True, slots=True)
class Outlook:
    """What decides when a message is tried: the state of its channel, and what the file says about channels.

    `gathers_s` is for how many seconds each channel of the file gathers what follows a message; None where the file
    can't be read.
    """

    states: Mapping[str, ChannelState]
    gathers_s: Mapping[str, float] | None
    now: datetime

    def next_try(self, delivery: AlertDelivery) -> str:
        """When a message that is still owed is tried, or what has to happen first."""
        if delivery.status != "pending" or delivery.due_at is None:
            return ""
        state = self.states.get(delivery.channel)
        if self.gathers_s is not None and delivery.channel not in self.gathers_s:
            return "never: its channel is not in the file"
        if state is not None and state.off_reason is not None:
            return "when its channel is on again"
        if is_withheld(delivery, self.now):
            return "when that is over"
        due_at, why = delivery.due_at, ""
        if state is not None and state.paused_until is not None:
            due_at, why = max((due_at, why), (state.paused_until, ", as its channel has asked"))
        if delivery.attempts == 0 and state is not None and state.last_message_at is not None:
            window_s = (self.gathers_s or {}).get(delivery.channel, 0)
            gathered_until = state.last_message_at + timedelta(seconds=window_s)
            due_at, why = max((due_at, why), (gathered_until, ", with what else comes"))
        return "now" if due_at <= self.now else f"in {in_words(max(due_at - self.now, timedelta(seconds=1)))}{why}"


def outlook(states: Sequence[ChannelState], now: datetime, config: Path = DEFAULT_CONFIG) -> Outlook:
    """What can be known of the next tries.

    Raises:
        ConfigurationError: a file that is not the usual one can't be read.

    """
    return Outlook({state.channel: state for state in states}, _gathers_s(config), now)


def _gathers_s(config: Path) -> Mapping[str, float] | None:
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


def is_withheld(delivery: AlertDelivery, now: datetime) -> bool:
    """Whether it waits for the end of a silence or of maintenance; once it is due, that is over or looked at again."""
    is_due = delivery.due_at is None or delivery.due_at <= now
    return delivery.status == "pending" and delivery.withheld_by is not None and not is_due


def told(delivery: AlertDelivery, now: datetime) -> str:
    """What the receiver answered, or why there is no answer."""
    if delivery.status == "delivered":
        return plain(delivery.answer).plain
    if is_withheld(delivery, now) or (delivery.status == "cancelled" and delivery.withheld_by):
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
        "created_at": iso(delivery.created_at),
        "ended_at": iso(delivery.ended_at),
    }


def table_of_owed(deliveries: Sequence[AlertDelivery], outlook: Outlook) -> Table:
    """Of one alert, what is still to be sent, or was given up."""
    table = new_table("number", "channel", "still owed", "next try", "", wraps={"next try", ""})
    for delivery in deliveries:
        following = "given up" if delivery.status == "dead" else outlook.next_try(delivery)
        said = plain(told(delivery, outlook.now))
        table.add_row(str(delivery.id), plain(delivery.channel), delivery.kind, following, said)
    return table
