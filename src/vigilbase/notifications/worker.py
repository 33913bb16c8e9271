"""The notification worker: one task for each channel, so that a slow receiver delays no other.

In memory only: which batches are being sent. When the process is killed, their leases end and another worker claims
them under the same id. So delivery is at least once, and a receiver that knows the id sees each batch once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from vigilbase.channels import CHANNELS, Channel
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Listener
from vigilbase.errors import DatabaseError
from vigilbase.logging import get_logger
from vigilbase.notifications.active_silences import ActiveSilences, load_no_silences
from vigilbase.notifications.attempt import Attempt, describe_unexpected, release
from vigilbase.notifications.backoff import DEFAULT_TIMINGS, Timings
from vigilbase.notifications.outbox import (
    MAX_ENQUEUED,
    Claim,
    ClaimedBatch,
    claim_batches,
    enqueue_missing_resolutions,
)

log = get_logger(__name__)

MAX_CLAIMED = 50
RELISTEN_AFTER_S = 10.0


class NotificationWorker:
    """Sends the notifications of some channels. Call `wake` when something may be due at once."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        group_window_s: float,
        remind_every_s: float | None,
        load_silences: Callable[[datetime | None], Awaitable[ActiveSilences]] = load_no_silences,
        tags: Mapping[str, Sequence[str]] | None = None,
        is_behind: Callable[[], bool] = lambda: False,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self.delivered = 0
        self._is_stopping = False
        self._channels = channels
        self._group_window_s = group_window_s
        self._remind_every_s = remind_every_s
        self._timings = timings
        self._load_silences = load_silences
        self._tags = tags or {}
        # After an outage of the database, checks that are still unrecorded may add to a batch
        self._is_behind = is_behind
        self._awake = {name: asyncio.Event() for name in channels}

    def wake(self) -> None:
        """Claim now instead of at the next poll."""
        for event in self._awake.values():
            event.set()

    async def run(self) -> None:
        """Send until `stop` is called; batches that are being sent then are still finished."""
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(self._sweep())
            await asyncio.gather(*(tasks.create_task(self._serve(channel)) for channel in self._channels.values()))
            sweeping.cancel()

    def stop(self) -> None:
        """Claim nothing more."""
        self._is_stopping = True
        self.wake()

    async def run_once(self, channel: Channel) -> tuple[int, float]:
        """Send what is due to a channel; return the number of batches, and for how many seconds nothing else is due."""
        claim = await claim_batches(
            channel.name,
            window_s=self._group_window_s if CHANNELS[channel.kind].can_batch else 0,
            # New for each claim, so a late failure of an earlier claim can't count against this one.
            lease_id=uuid4(),
            lease_s=self._timings.lease_s,
            limit=MAX_CLAIMED,
        )
        if claim.batches:
            attempt = await self._prepare_attempt(channel, claim)
            accepted = await asyncio.gather(*(attempt.run(batch) for batch in claim.batches))
            self.delivered += sum(accepted)
        poll_s = self._timings.poll_s
        return len(claim.batches), poll_s if claim.next_in_s is None else min(poll_s, max(0.0, claim.next_in_s))

    async def _prepare_attempt(self, channel: Channel, claim: Claim) -> Attempt:
        try:
            silences = await self._load_silences(_find_earliest_unattempted(claim.batches))
        except Exception:
            # Otherwise the batches would stay claimed until their lease ends, a minute later.
            poll_s = self._timings.poll_s
            await asyncio.gather(*(release(batch, poll_s, self._timings) for batch in claim.batches))
            raise
        return Attempt(
            channel=channel,
            others=[name for name in self._channels if name != channel.name],
            wake=self.wake,
            silences=silences,
            tags=self._tags,
            now=claim.now,
            remind_every_s=self._remind_every_s,
            timings=self._timings,
        )

    async def _serve(self, channel: Channel) -> None:
        awake = self._awake[channel.name]
        while not self._is_stopping:
            # Before the claim, so that a wake during the claim isn't lost.
            awake.clear()
            pause_s = self._timings.poll_s
            if not self._is_behind():
                try:
                    sent, pause_s = await self.run_once(channel)
                except DatabaseError as error:
                    log.warning("notifications.claim_failed", channel=channel.name, reason=str(error))
                except Exception as error:  # noqa: BLE001 (probing continues whatever happens here)
                    log.error("notifications.claim_failed", channel=channel.name, reason=describe_unexpected(error))
                else:
                    # More may be due than one claim returns.
                    if sent:
                        continue
            try:
                async with asyncio.timeout(max(pause_s, 0.005)):
                    await awake.wait()
            except TimeoutError:
                pass

    async def _sweep(self) -> None:
        while True:
            try:
                while count := await enqueue_missing_resolutions():
                    self.wake()
                    if count < MAX_ENQUEUED:
                        break
            except DatabaseError as error:
                log.warning("notifications.sweep_failed", reason=str(error))
            except Exception as error:  # noqa: BLE001 (as in _serve)
                log.error("notifications.sweep_failed", reason=describe_unexpected(error))
            await asyncio.sleep(self._timings.sweep_every_s)


def _find_earliest_unattempted(batches: Sequence[ClaimedBatch]) -> datetime | None:
    """When the earliest resolved alert opened whose trigger was never attempted; None without such an alert."""
    opened = [
        notification.alert.created_at
        for batch in batches
        for notification in batch.notifications
        if batch.kind == "resolved" and not notification.may_know_alert and notification.alert.created_at is not None
    ]
    return min(opened, default=None)


async def wake_on_notify(wake: Callable[[], None]) -> None:
    """Call `wake` whenever the database announces a notification. The poll covers missed announcements."""
    client = get_supabase_service_client()
    # The Data API can't LISTEN; there, only the poll and this process's recorder wake the worker.
    while isinstance(client, Listener):
        try:
            async for _ in client.listen("vigilbase_notifications"):
                wake()
        except DatabaseError as error:
            log.debug("notifications.not_listening", reason=str(error))
        await asyncio.sleep(RELISTEN_AFTER_S)
