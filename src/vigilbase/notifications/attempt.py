"""One attempt to send a claimed batch: defer its suppressed part, send the rest, and record the result."""

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Unpack

from vigilbase.alerts.batch import Batch
from vigilbase.alerts.suppression import ActiveSuppression
from vigilbase.channels import CHANNELS, Channel
from vigilbase.channels.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.clock import since_boot
from vigilbase.errors import DatabaseError, DatabaseUnavailableError
from vigilbase.logging import get_logger
from vigilbase.notifications.active_silences import ActiveSilences
from vigilbase.notifications.backoff import MAX_ATTEMPTS, Timings, compute_retry_delay_s, limit_pause_s
from vigilbase.notifications.outbox import (
    AttemptResult,
    ClaimedBatch,
    ClaimedNotification,
    ResultDetails,
    UnreadableNotification,
    disable_channel,
    record_result,
)

log = get_logger(__name__)

MAX_DEFERRAL_S = 300.0  # other code may end a silence early; ours makes its notifications due at once


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that the attempts of one claim share; `tags` are the file's, by service.

    `others` are the channels to notify if this one has to be disabled; `wake` then makes them claim at once. `now` is
    the database's clock.
    """

    channel: Channel
    others: Sequence[str]
    wake: Callable[[], None]
    silences: ActiveSilences
    tags: Mapping[str, Sequence[str]]
    now: datetime
    remind_every_s: float | None
    timings: Timings

    async def run(self, batch: ClaimedBatch) -> bool:
        """Send the part of a batch that isn't suppressed and record the result; whether the receiver accepted it."""
        is_accepted = await self._run_readable(batch) if batch.notifications else False
        await self._fail_unreadable(batch)
        return is_accepted

    async def _run_readable(self, batch: ClaimedBatch) -> bool:
        try:
            try:
                due = await self._handle_suppressed(batch)
                return await self._send(batch, due) if due else False
            except DatabaseError:
                raise
            except Exception as error:  # noqa: BLE001 (a batch that can't be handled must not stop the others)
                await self._retry_later(batch, batch.notifications, TemporaryDeliveryError(describe_unexpected(error)))
        except DatabaseError as error:  # the batch is claimed again when the lease ends
            log.warning("notifications.record_failed", channel=self.channel.name, reason=str(error))
        return False

    async def _fail_unreadable(self, batch: ClaimedBatch) -> None:
        """Fail the notifications whose alert can't be read."""
        for each in batch.unreadable:
            log.error("notification.failed", **self._log_fields(batch, (each,)), id=each.id, reason=each.reason)
            try:
                await self._record(batch, (each,), "failed", error=each.reason)
            except DatabaseError as error:  # it is claimed again when the lease ends
                log.warning("notifications.record_failed", channel=self.channel.name, reason=str(error))

    async def _send(self, batch: ClaimedBatch, due: Sequence[ClaimedNotification]) -> bool:
        # This process was held up or asleep, so another worker might send the batch, and even its resolution, first.
        if batch.leased_until - since_boot() < self.timings.send_within_s:
            log.warning("notification.released", **self._log_fields(batch, due))
            await release(batch, 0, self.timings)
            return False
        outgoing = Batch(batch.id, batch.kind, batch.at, [notification.alert for notification in due])
        try:
            answer = await _send_within(self.channel, outgoing, self.timings.send_within_s)
        except PermanentDeliveryError as error:
            await self._reject(batch, due, error)
        except DeliveryError as error:
            await self._retry_later(batch, due, error)
        else:
            log.info("notification.delivered", **self._log_fields(batch, due), answer=answer)
            await self._record(batch, due, "delivered", answer=answer, remind_after_s=self.remind_every_s)
            return True
        return False

    async def _handle_suppressed(self, batch: ClaimedBatch) -> Sequence[ClaimedNotification]:
        """The notifications to send now; the others are deferred or cancelled.

        A batch that was attempted may have arrived, so it stays whole under its id: all of it is deferred if all of it
        is suppressed, or else all of it is sent.
        """
        due: list[ClaimedNotification] = []
        cancelled: dict[str, list[ClaimedNotification]] = {}
        deferred: dict[ActiveSuppression, list[ClaimedNotification]] = {}
        for notification in batch.notifications:
            # The file's tags take precedence over those from when the alert opened.
            tags = self.tags.get(notification.alert.service_name, notification.tags)
            if batch.kind == "resolved" and notification.may_know_alert:  # an end is always sent, silence or not
                due.append(notification)
            elif batch.kind == "resolved" and (by := self._find_suppression_to_its_end(notification, tags)):
                cancelled.setdefault(by, []).append(notification)
            elif suppression := self.silences.find(notification.alert.service_name, tags, self.now):
                deferred.setdefault(suppression, []).append(notification)
            else:
                due.append(notification)
        for by, notifications in cancelled.items():
            await self._record(batch, notifications, "cancelled", suppressed_by=by)
        was_attempted = batch.attempts > 1
        if due and was_attempted:
            return [*due, *itertools.chain.from_iterable(deferred.values())]
        earliest = min((until for until, _ in deferred), default=self.now)
        for (until, by), notifications in deferred.items():
            wait_s = ((earliest if was_attempted else until) - self.now).total_seconds()
            delay_s = min(max(0.0, wait_s), MAX_DEFERRAL_S)
            await self._record(batch, notifications, "deferred", delay_s=delay_s, suppressed_by=by)
        return due

    def _find_suppression_to_its_end(self, notification: ClaimedNotification, tags: Sequence[str]) -> str | None:
        """A description of what suppressed an alert from its beginning to its end."""
        alert = notification.alert
        if alert.created_at is None or alert.resolved_at is None:
            return None
        suppression = self.silences.find_throughout(alert.service_name, tags, alert.created_at, alert.resolved_at)
        return suppression.by if suppression else None

    async def _reject(
        self, batch: ClaimedBatch, due: Sequence[ClaimedNotification], error: PermanentDeliveryError
    ) -> None:
        """Disable a channel that can't work as it is and keep its notifications; or fail a single bad notification.

        A batch of several is split in halves instead: it may be too large, or one of them may be the bad one.
        """
        fields = self._log_fields(batch, due)
        if not error.is_channel_fault and len(due) > 1:
            log.warning("notification.split", **fields, reason=str(error))
            for half in (due[: len(due) // 2], due[len(due) // 2 :]):
                await self._record(batch, half, "split", error=str(error))
            return
        if not error.is_channel_fault:
            log.error("notification.failed", **fields, reason=str(error))
            await self._record(batch, due, "failed", error=str(error), remind_after_s=self.remind_every_s)
            return
        # The channel first: the batch is due again at once, and would be claimed before the channel is disabled.
        was_enabled = await disable_channel(self.channel.name, str(error), self.others)
        await self._record(batch, due, "retry", error=str(error), delay_s=0)
        if was_enabled:
            log.error("channel.disabled", channel=self.channel.name, reason=str(error))
            self.wake()

    async def _retry_later(self, batch: ClaimedBatch, due: Sequence[ClaimedNotification], error: DeliveryError) -> None:
        """Schedule the next attempt, or fail the notifications after the last one."""
        fields = self._log_fields(batch, due)
        requested = (error.retry_after if isinstance(error, TemporaryDeliveryError) else None) or timedelta(0)
        pause_s = limit_pause_s(requested) or None
        if batch.attempts >= MAX_ATTEMPTS:
            log.error("notification.failed", **fields, reason=str(error), attempts=batch.attempts)
            # The pause belongs to the channel, so it applies even if these notifications have failed.
            details = ResultDetails(error=str(error), pause_s=pause_s, remind_after_s=self.remind_every_s)
            await self._record(batch, due, "failed", **details)
            return
        chance = random.random()  # noqa: S311 (it only spreads the load)
        first_s, max_s = self.timings.first_delay_s, self.timings.max_delay_s
        delay_s = compute_retry_delay_s(batch.attempts, requested, chance, first_s, max_s)
        log.warning(
            "notification.attempt_failed",
            **fields,
            reason=str(error),
            attempts=batch.attempts,
            next_in_s=round(delay_s, 1),
        )
        await self._record(batch, due, "retry", error=str(error), delay_s=delay_s, pause_s=pause_s)

    async def _record(
        self,
        batch: ClaimedBatch,
        notifications: Sequence[ClaimedNotification | UnreadableNotification],
        result: AttemptResult,
        **details: Unpack[ResultDetails],
    ) -> None:
        await record_result_with_retries(batch, notifications, result, self.timings, **details)

    def _log_fields(
        self, batch: ClaimedBatch, due: Sequence[ClaimedNotification | UnreadableNotification]
    ) -> Mapping[str, str | int]:
        return {"channel": self.channel.name, "kind": batch.kind, "alerts": len(due), "batch_id": str(batch.id)}


async def release(batch: ClaimedBatch, delay_s: float, timings: Timings) -> None:
    """Leave a claimed batch that wasn't attempted to the next claim."""
    everything: Sequence[ClaimedNotification | UnreadableNotification] = (*batch.notifications, *batch.unreadable)
    await record_result_with_retries(batch, everything, "deferred", timings, delay_s=delay_s)


async def record_result_with_retries(
    batch: ClaimedBatch,
    notifications: Sequence[ClaimedNotification | UnreadableNotification],
    result: AttemptResult,
    timings: Timings,
    **details: Unpack[ResultDetails],
) -> None:
    """Record a result however long the database is unreachable: otherwise the batch would go out twice or too soon."""
    ids = [notification.id for notification in notifications]
    for attempt in itertools.count():
        try:
            await record_result(batch, result, ids=ids, **details)
        except DatabaseUnavailableError as error:
            if attempt == 0:
                log.warning("notifications.record_failed", reason=str(error))
            await asyncio.sleep(timings.poll_s)
        else:
            return


def describe_unexpected(error: Exception) -> str:
    """The type alone: the text of an unknown error may hold an address with a secret in it."""
    return f"failed with {type(error).__name__}"


async def _send_within(channel: Channel, batch: Batch, within_s: float) -> str:
    """Send a batch within a time limit; every failure is a DeliveryError."""
    kind = CHANNELS[channel.kind]
    try:
        async with asyncio.timeout(within_s):
            return await kind.send(channel.config, batch)
    except DeliveryError:
        raise
    except TimeoutError:
        raise TemporaryDeliveryError(f"no answer within {within_s:g} s") from None
    except Exception as error:
        raise TemporaryDeliveryError(describe_unexpected(error)) from error
