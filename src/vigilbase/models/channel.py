"""Rows of `vigilbase.channels`: what the database knows of a channel, whether or not the file still names it."""

from dataclasses import dataclass
from datetime import datetime

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row
from vigilbase.logging import get_logger
from vigilbase.models.columns import get_integer, get_optional_moment, get_optional_text, get_text
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.rows import read_flag, read_items, read_rows
from vigilbase.models.validation import MAX_CHANNEL_LENGTH, validate_phrase

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

    Every method raises `DatabaseError` when the database fails, and `InvalidInputError` for a value that breaks a rule.
    """

    @staticmethod
    async def find_all() -> list[ChannelState]:
        """Every channel that the database knows, by name."""
        with log_failures(log, "channel.find_all"):
            function = "vigilbase_list_channels"
            answer = await get_supabase_service_client().call(function)
            rows = read_rows(answer, f"call {function}")
            states = read_items(rows, _read_channel, f"call {function}", log, "channel")
        log.info("channel.found_all", count=len(states))
        return states

    @staticmethod
    async def enable(channel: str) -> bool:
        """Enable a channel, or end its pause; False if it was neither disabled nor paused."""
        with log_failures(log, "channel.enable", channel=str(channel)):
            function = "vigilbase_enable_channel"
            name = validate_phrase("channel", channel, MAX_CHANNEL_LENGTH)
            answer = await get_supabase_service_client().call(function, {"p_channel": name})
            has_changed = read_flag(answer, f"call {function}")
        log.info("channel.enabled", channel=name, has_changed=has_changed)
        return has_changed


def _read_channel(row: Row) -> ChannelState:
    return ChannelState(
        channel=get_text(row, "channel"),
        disabled_at=get_optional_moment(row, "disabled_at"),
        disabled_reason=get_optional_text(row, "disabled_reason"),
        paused_until=get_optional_moment(row, "paused_until"),
        last_batch_at=get_optional_moment(row, "last_batch_at"),
        last_delivered_at=get_optional_moment(row, "last_delivered_at"),
        last_error=get_optional_text(row, "last_error"),
        pending=get_integer(row, "pending"),
        retrying=get_integer(row, "retrying"),
        suppressed=get_integer(row, "suppressed"),
        failed=get_integer(row, "failed"),
    )
