"""The channels of the file as JSON and as a table."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from vigilbase.channels import CHANNELS, Channel
from vigilbase.domain import JSON
from vigilbase.durations import format_duration
from vigilbase.models import ChannelState
from vigilbase.times import format_ago, format_json_time
from vigilbase.views.channel_state import count_notifications, describe_disabled
from vigilbase.views.terminal import Column, escape, make_table

COLUMNS = (
    Column("name"),
    Column("kind", drop=2),
    Column("destination", drop=3),
    Column("state", wraps=True),
    Column("notifications", wraps=True),
    Column("last delivered", drop=1),
)
_STATE_KEYS = (
    "disabled_at",
    "disabled_reason",
    "paused_until",
    "last_delivered_at",
    "last_error",
    "pending",
    "retrying",
    "suppressed",
    "failed",
)


def make_channel_json(channel: Channel, state: ChannelState | None) -> Mapping[str, JSON]:
    """A channel of the file, and its state; null where the database doesn't know it."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "destination": describe_destination(channel),
        **(_make_state_json(state) if state else dict.fromkeys(_STATE_KEYS)),
    }


def _make_state_json(state: ChannelState) -> Mapping[str, JSON]:
    return {
        "disabled_at": format_json_time(state.disabled_at),
        "disabled_reason": state.disabled_reason,
        "paused_until": format_json_time(state.paused_until),
        "last_delivered_at": format_json_time(state.last_delivered_at),
        "last_error": state.last_error,
        "pending": state.pending,
        "retrying": state.retrying,
        "suppressed": state.suppressed,
        "failed": state.failed,
    }


def make_channels_table(
    channels: Sequence[Channel], states: Mapping[str, ChannelState] | None, now: datetime, width: int
) -> Table:
    """A row for each channel of the file. `states` is None if the database could not be read."""
    rows = []
    for channel in channels:
        state = states.get(channel.name) if states is not None else None
        rows.append(
            (
                escape(channel.name),
                channel.kind,
                escape(describe_destination(channel)),
                "" if states is None else _describe_state(state, now),
                count_notifications(state) if state else "",
                format_ago(state.last_delivered_at, now) if state else "",
            )
        )
    return make_table(COLUMNS, rows, width)


def describe_destination(channel: Channel) -> str | None:
    """Where a channel sends to, as far as that is not secret."""
    return CHANNELS[channel.kind].describe(channel.config)


def _describe_state(state: ChannelState | None, now: datetime) -> Text:
    if state is not None and state.is_disabled:
        return Text(describe_disabled(state, now), style="red")
    # The database keeps the time of a pause that is over.
    if state is not None and state.paused_until is not None and state.paused_until > now:
        remaining = format_duration(state.paused_until - now)
        return Text(f"paused for {remaining} at the receiver's request: {escape(state.last_error)}", style="yellow")
    if state is not None and state.retrying:
        return Text(f"enabled, but fails: {escape(state.last_error)}", style="yellow")
    return Text("enabled")
