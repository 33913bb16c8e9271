"""Rows of `vigilbase.channels`: what the database knows of a channel, whether or not the file still names it."""

from dataclasses import dataclass
from datetime import datetime

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row, Value
from vigilbase.database.json_codec import parse_timestamp
from vigilbase.logging import get_logger
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.rows import as_optional_integer, as_optional_moment, as_optional_text, as_text, read_rows

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChannelState:
    """The state of a channel, and how many of its notifications are unfinished. Times are aware, in UTC.

    A channel is disabled while `disabled_at` is set, and paused at its receiver's request until `paused_until`.
    `last_batch_at` is the first attempt of its newest batch. `pending` are due and untried; `retrying` have failed at
    least once, the newest with `last_error`; `suppressed` wait for a silence or maintenance window to end; `failed`
    failed for good and are still needed.
    """

    channel: str
    disabled_at: datetime | None
    disabled_reason: str | None
    paused_until: datetime | None
    last_batch_at: datetime | None
    last_delivered_at: datetime | None
    last_error: str | None
    pending: int
    retrying: int
    suppressed: int
    failed: int

    @property
    def is_disabled(self) -> bool:
        """Whether its notifications wait until it is enabled."""
        return self.disabled_at is not None


class ChannelModel:
    """Reads channels and enables them.

    Every method raises `DatabaseError` when the database fails.
    """

    @staticmethod
    async def find_all() -> list[ChannelState]:
        """Every channel that the database knows, by name."""
        with log_failures(log, "channel.find_all"):
            function = "vigilbase_list_channels"
            answer = await get_supabase_service_client().call(function)
            states = [_read_channel(row) for row in read_rows(answer, f"call {function}")]
        log.info("channel.found_all", count=len(states))
        return states

    @staticmethod
    async def enable(channel: str) -> bool:
        """Enable a channel, or end its pause; False if it was neither disabled nor paused."""
        with log_failures(log, "channel.enable", channel=channel):
            answer = await get_supabase_service_client().call("vigilbase_enable_channel", {"p_channel": channel})
        log.info("channel.enabled", channel=channel, has_changed=answer is True)
        return answer is True


def _read_channel(row: Row) -> ChannelState:
    return ChannelState(
        channel=as_text(row["channel"]),
        disabled_at=as_optional_moment(row["disabled_at"]),
        disabled_reason=as_optional_text(row["disabled_reason"]),
        paused_until=_read_moment(row["paused_until"]),
        last_batch_at=as_optional_moment(row["last_batch_at"]),
        last_delivered_at=as_optional_moment(row["last_delivered_at"]),
        last_error=as_optional_text(row["last_error"]),
        # No count is NULL; `or 0` is for the type checker.
        pending=as_optional_integer(row["pending"]) or 0,
        retrying=as_optional_integer(row["retrying"]) or 0,
        suppressed=as_optional_integer(row["suppressed"]) or 0,
        failed=as_optional_integer(row["failed"]) or 0,
    )


def _read_moment(value: Value) -> datetime | None:
    """A time in a column whose name doesn't end in _at, which the client leaves as text."""
    return parse_timestamp(value) if isinstance(value, str) else None
