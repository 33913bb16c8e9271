"""The state of a channel in the database, in sentences: disabled, or with notifications that nothing sends."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from vigilbase.domain import JSON
from vigilbase.models import ChannelState
from vigilbase.times import format_ago, format_json_time
from vigilbase.views.terminal import escape


def make_disabled_channel_json(state: ChannelState) -> Mapping[str, JSON]:
    """A disabled channel as `status --json` has it."""
    return {
        "channel": state.channel,
        "disabled_at": format_json_time(state.disabled_at),
        "disabled_reason": state.disabled_reason,
    }


def count_notifications(state: ChannelState) -> str:
    """`2 pending, 1 failed`."""
    counts = {
        "pending": state.pending,
        "retrying": state.retrying,
        "suppressed": state.suppressed,
        "failed": state.failed,
    }
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


def describe_disabled(state: ChannelState, now: datetime) -> str:
    """`disabled 2m17s ago: the reason`."""
    return f"disabled {format_ago(state.disabled_at, now)}: {escape(state.disabled_reason)}"


def describe_enabling(state: ChannelState) -> str:
    """How to enable a disabled channel."""
    # A runner reads the file only when it starts.
    restart = "restart `vigilbase up` if you changed the file"
    return f"fix the cause, {restart}, then run `vigilbase channels enable {state.channel}`"


def describe_disabled_channel(state: ChannelState, now: datetime) -> str:
    """Since when, why, and what to do, in one line."""
    return f"{state.channel} was {describe_disabled(state, now)}: {describe_enabling(state)}"


def warn_of_unnamed_channels(
    states: Sequence[ChannelState], named: Sequence[str], file: Path
) -> Iterator[tuple[str, str]]:
    """For each channel that has notifications or is disabled, but isn't in the file: the finding and the advice."""
    for state in states:
        counts = count_notifications(state)
        if state.channel in named or not (counts or state.is_disabled):
            continue
        command = "notifications discard ID" if counts else f"channels enable {state.channel}"
        leftover = f"has notifications ({counts})" if counts else "is disabled"
        finding = f"{file} doesn't name the channel {state.channel}, which {leftover}"
        yield finding, f"add it to the file again, or run `vigilbase {command}`"
