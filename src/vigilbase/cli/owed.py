"""What is known of messages that have not gone out, as the commands show it."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from rich.table import Table

from vigilbase.alerts.wording import in_words
from vigilbase.cli.render import ago, iso, plain
from vigilbase.models import AlertDelivery, ChannelState


def switched_off(states: Sequence[ChannelState]) -> list[ChannelState]:
    """The channels that are."""
    return [state for state in states if state.off_reason is not None]


def tell_off(state: ChannelState, now: datetime) -> str:
    """Since when a channel is switched off, and why."""
    return f"switched off {ago(state.off_since, now)}: {plain(state.off_reason)}"


def tell_owed(state: ChannelState) -> str:
    """How many messages a channel is owed, and how many were given up."""
    counts = {"waiting": state.waiting, "withheld": state.withheld, "given up": state.given_up}
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


def next_try(delivery: AlertDelivery, off: Collection[str], now: datetime) -> str:
    """When a message that is still owed is tried, or what has to happen first."""
    if delivery.status != "pending" or delivery.due_at is None:
        return ""
    if delivery.channel in off:
        return "when its channel is on again"
    if delivery.due_at <= now:
        return "now"
    if delivery.withheld_by is not None and delivery.attempts == 0:
        return "when that is over"
    return f"in {in_words(max(delivery.due_at - now, timedelta(seconds=1)))}"


def told(delivery: AlertDelivery) -> str:
    """What the receiver answered, or why there is no answer."""
    if delivery.status == "delivered":
        return plain(delivery.answer).plain
    withheld = f"withheld by {delivery.withheld_by}" if delivery.withheld_by and delivery.attempts == 0 else None
    return plain(delivery.last_error or withheld).plain


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


def table_of_owed(deliveries: Sequence[AlertDelivery], off: Collection[str], now: datetime) -> Table:
    """Of one alert, what is still to be sent, or was given up."""
    table = Table("number", "channel", "still owed", "next try", "", box=None, header_style="bold")
    for delivery in deliveries:
        following = "given up" if delivery.status == "dead" else next_try(delivery, off, now)
        table.add_row(str(delivery.id), plain(delivery.channel), delivery.kind, following, plain(told(delivery)))
    return table
