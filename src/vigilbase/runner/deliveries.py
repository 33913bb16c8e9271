"""The delivery pass: for each channel a task of its own, so that a slow one holds up no other.

In memory only: which messages are on their way. If the process is killed, their lease ends and somebody claims them
again, under the same id; so a message goes out at least once, and a receiver that knows its id sees it once.
"""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Unpack
from uuid import uuid4

from vigilbase.alerts.channels import CHANNELS, Channel
from vigilbase.alerts.channels.sending import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.alerts.message import Message
from vigilbase.alerts.retrying import FIRST_DELAY_S, GIVE_UP_AFTER, LONGEST_DELAY_S, delay_s, pause_s
from vigilbase.alerts.silencing import Withheld
from vigilbase.clock import since_boot
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Listener
from vigilbase.errors import DatabaseError, DatabaseUnavailableError
from vigilbase.logging import get_logger
from vigilbase.runner.outbox import (
    LEASE_S,
    MOST_CAUGHT_UP,
    ClaimedMessage,
    Delivery,
    How,
    Outcome,
    claim,
    finish,
    owe_missing,
    switch_channel_off,
)
from vigilbase.runner.silencing import Silencing, nothing_withheld

log = get_logger(__name__)

AT_ONCE = 50
LISTEN_AGAIN_S = 10.0
SILENCE_LOOK_AGAIN_S = 300.0  # it may be ended early by other code; by ours, it is looked at at once


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds: how long a lease lasts, how long a try may take, when the next follows, how often we look.

    A try begins only while there is as much left of the lease as it may take.
    """

    lease_s: int = LEASE_S
    send_within_s: float = LEASE_S / 2
    first_delay_s: float = FIRST_DELAY_S
    longest_delay_s: float = LONGEST_DELAY_S
    poll_s: float = 1.0
    sweep_every_s: float = 60.0


class Deliverer:
    """Sends what is owed to some channels. `wake` says that something may be due at once."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        group_window_s: float,
        remind_every_s: float | None,
        silencing: Callable[[datetime | None], Awaitable[Silencing]] = nothing_withheld,
        tags: Mapping[str, Sequence[str]] | None = None,
        is_behind: Callable[[], bool] = lambda: False,
        pace: Pace = Pace(),
    ) -> None:
        self.delivered = 0
        self._stopping = False
        self._channels = channels
        self._group_window_s = group_window_s
        self._remind_every_s = remind_every_s
        self._pace = pace
        self._silencing = silencing
        self._tags = tags or {}  # those of today's file, before those of when the alert opened
        self._is_behind = is_behind  # what an absence of the database left to be recorded belongs into the same message
        self._awake = {name: asyncio.Event() for name in channels}

    def wake(self) -> None:
        """Look for what is due now, and not at the next poll."""
        for event in self._awake.values():
            event.set()

    async def run(self) -> None:
        """Deliver until `stop` is called; what is on its way then is still sent."""
        async with asyncio.TaskGroup() as tasks:
            sweeping = tasks.create_task(self._sweep())
            await asyncio.gather(*(tasks.create_task(self._serve(channel)) for channel in self._channels.values()))
            sweeping.cancel()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self.wake()

    async def run_once(self, channel: Channel) -> tuple[int, float]:
        """Send what is due to a channel now; how many messages that was, and for how many seconds nothing will be."""
        groups = CHANNELS[channel.kind].groups
        window_s = self._group_window_s if groups else 0
        claimed = await claim(
            channel.name,
            window_s=window_s,
            lease_id=uuid4(),
            lease_s=self._pace.lease_s,
            limit=AT_ONCE,
        )
        if claimed.messages:
            try:
                silencing = await self._silencing(_earliest_untold(claimed.messages))
            except Exception:
                await asyncio.gather(*(self._give_back(message, self._pace.poll_s) for message in claimed.messages))
                raise
            async with asyncio.TaskGroup() as tasks:
                for message in claimed.messages:
                    tasks.create_task(self._handle(channel, message, claimed.now, silencing))
        pause = self._pace.poll_s if claimed.next_in_s is None else min(self._pace.poll_s, max(0.0, claimed.next_in_s))
        return len(claimed.messages), pause

    async def _serve(self, channel: Channel) -> None:
        awake = self._awake[channel.name]
        while not self._stopping:
            awake.clear()
            pause = self._pace.poll_s
            if not self._is_behind():
                try:
                    sent, pause = await self.run_once(channel)
                except DatabaseError as error:
                    log.warning("deliveries.waiting", channel=channel.name, reason=str(error))
                except Exception as error:  # noqa: BLE001 (whatever is wrong, the probes go on)
                    log.error("deliveries.waiting", channel=channel.name, reason=_unexpected(error))
                else:
                    if sent:
                        continue
            try:
                async with asyncio.timeout(max(pause, 0.005)):
                    await awake.wait()
            except TimeoutError:
                pass

    async def _sweep(self) -> None:
        while True:
            try:
                while count := await owe_missing():
                    self.wake()
                    if count < MOST_CAUGHT_UP:
                        break
            except DatabaseError as error:
                log.warning("deliveries.waiting", channel=None, reason=str(error))
            except Exception as error:  # noqa: BLE001 (as in _serve)
                log.error("deliveries.waiting", channel=None, reason=_unexpected(error))
            await asyncio.sleep(self._pace.sweep_every_s)

    async def _handle(self, channel: Channel, message: ClaimedMessage, now: datetime, silencing: Silencing) -> None:
        """Send one message, apart from what is withheld, and record how that went."""
        try:
            try:
                if wanted := await self._without_withheld(message, now, silencing):
                    await self._deliver(channel, message, wanted)
            except DatabaseError:
                raise
            except Exception as error:  # noqa: BLE001 (a message that we can't handle costs no other)
                await self._failed(channel, message, message.deliveries, TemporaryDeliveryError(_unexpected(error)))
        except DatabaseError as error:  # it is claimed again when the lease ends
            log.warning("deliveries.waiting", channel=channel.name, reason=str(error))

    async def _deliver(self, channel: Channel, message: ClaimedMessage, wanted: Sequence[Delivery]) -> None:
        outgoing = Message(message.id, message.kind, message.at, [delivery.alert for delivery in wanted])
        # We were held up, or asleep: before we are done, another might have sent it, and even its resolution.
        if message.ours_until - since_boot() < self._pace.send_within_s:
            log.warning("message.left", **_fields(channel, message, wanted))
            await self._give_back(message, 0)
            return
        try:
            answer = await _sent(channel, outgoing, self._pace.send_within_s)
        except PermanentDeliveryError as error:
            await self._refused(channel, message, wanted, error)
        except DeliveryError as error:
            await self._failed(channel, message, wanted, error)
        else:
            self.delivered += 1
            log.info("message.delivered", **_fields(channel, message, wanted), answer=answer)
            await self._record(message, wanted, "delivered", answer=answer, remind_in_s=self._remind_every_s)

    async def _record(
        self,
        message: ClaimedMessage,
        deliveries: Sequence[Delivery],
        outcome: Outcome,
        **how: Unpack[How],
    ) -> None:
        """Record an outcome, also if the database is away for a while: it would go out twice, too soon, or silenced."""
        for tries in itertools.count():
            try:
                await finish(message, outcome, ids=[delivery.id for delivery in deliveries], **how)
            except DatabaseUnavailableError as error:
                if tries == 0:
                    log.warning("deliveries.waiting", reason=str(error))
                await asyncio.sleep(self._pace.poll_s)
            else:
                return

    async def _give_back(self, message: ClaimedMessage, in_s: float) -> None:
        """Leave what was claimed, and not tried, to whoever claims it next."""
        await self._record(message, message.deliveries, "deferred", in_s=in_s)

    async def _without_withheld(
        self, message: ClaimedMessage, now: datetime, silencing: Silencing
    ) -> Sequence[Delivery]:
        """The deliveries that go out now.

        What was tried may have arrived, so it is put off as it is, under its id; or it goes out once more, if it isn't
        silenced as a whole.
        """
        wanted: list[Delivery] = []
        dropped: dict[str, list[Delivery]] = {}
        put_off: dict[Withheld, list[Delivery]] = {}
        for delivery in message.deliveries:
            tags = self._tags.get(delivery.alert.service_name, delivery.tags)
            if message.kind == "resolved" and delivery.told:  # it is ended, whatever is silenced
                wanted.append(delivery)
            elif message.kind == "resolved" and (by := _silenced_to_its_end(delivery, tags, silencing)):
                dropped.setdefault(by, []).append(delivery)
            elif withheld := silencing.withheld(delivery.alert.service_name, tags, now):
                put_off.setdefault(withheld, []).append(delivery)
            else:
                wanted.append(delivery)
        for by, deliveries in dropped.items():
            await self._record(message, deliveries, "cancelled", suppressed_by=by)
        if wanted and message.attempts > 1:
            return [*wanted, *(delivery for deliveries in put_off.values() for delivery in deliveries)]
        earliest = min((until for until, _ in put_off), default=now)
        for (until, by), deliveries in put_off.items():
            # What was tried stays one message, and comes up again as a whole.
            in_s = ((earliest if message.attempts > 1 else until) - now).total_seconds()
            in_s = min(max(0.0, in_s), SILENCE_LOOK_AGAIN_S)
            await self._record(message, deliveries, "deferred", in_s=in_s, suppressed_by=by)
        return wanted

    async def _refused(
        self, channel: Channel, message: ClaimedMessage, wanted: Sequence[Delivery], error: PermanentDeliveryError
    ) -> None:
        """A channel that will not work as it is is switched off, and the message kept; a bad message is given up.

        One about several alerts isn't: it may be too large, or one of them alone is refused. It goes out in halves.
        """
        fields = _fields(channel, message, wanted)
        if not error.of_the_channel and len(wanted) > 1:
            log.warning("message.taken_apart", **fields, reason=str(error))
            for half in (wanted[: len(wanted) // 2], wanted[len(wanted) // 2 :]):
                await self._record(message, half, "split", error=str(error))
            return
        if not error.of_the_channel:
            log.error("message.given_up", **fields, reason=str(error))
            await self._record(message, wanted, "failed", error=str(error), remind_in_s=self._remind_every_s)
            return
        others = [name for name in self._channels if name != channel.name]
        switched = await switch_channel_off(channel.name, str(error), others)
        await self._record(message, wanted, "retry", error=str(error), in_s=0)
        if switched:
            log.error("channel.switched_off", channel=channel.name, reason=str(error))
            self.wake()

    async def _failed(
        self, channel: Channel, message: ClaimedMessage, wanted: Sequence[Delivery], error: DeliveryError
    ) -> None:
        fields = _fields(channel, message, wanted)
        asked = (error.retry_after if isinstance(error, TemporaryDeliveryError) else None) or timedelta(0)
        pause = pause_s(asked) or None
        if message.attempts >= GIVE_UP_AFTER:
            log.error("message.given_up", **fields, reason=str(error), attempts=message.attempts)
            how = How(error=str(error), pause_s=pause, remind_in_s=self._remind_every_s)
            await self._record(message, wanted, "failed", **how)
            return
        chance = random.random()  # noqa: S311 (it only spreads the load)
        in_s = delay_s(message.attempts, asked, chance, self._pace.first_delay_s, self._pace.longest_delay_s)
        log.warning("message.failed", **fields, reason=str(error), attempts=message.attempts, next_in_s=round(in_s, 1))
        await self._record(message, wanted, "retry", error=str(error), in_s=in_s, pause_s=pause)


def _fields(channel: Channel, message: ClaimedMessage, wanted: Sequence[Delivery]) -> Mapping[str, str | int]:
    """What is logged of a message."""
    return {"channel": channel.name, "kind": message.kind, "alerts": len(wanted), "message_id": str(message.id)}


def _unexpected(error: Exception) -> str:
    """What is said of an error that we don't know: its text may hold an address with a secret in it."""
    return f"failed with {type(error).__name__}"


def _earliest_untold(messages: Sequence[ClaimedMessage]) -> datetime | None:
    """When the earliest alert opened that is over and that the channel has never heard of; None without such."""
    opened = [
        delivery.alert.created_at
        for message in messages
        for delivery in message.deliveries
        if message.kind == "resolved" and not delivery.told and delivery.alert.created_at is not None
    ]
    return min(opened, default=None)


def _silenced_to_its_end(delivery: Delivery, tags: Sequence[str], silencing: Silencing) -> str | None:
    """What withheld messages about an alert from its beginning to its end, in words."""
    alert = delivery.alert
    if alert.created_at is None or alert.resolved_at is None:
        return None
    withheld = silencing.throughout(alert.service_name, tags, alert.created_at, alert.resolved_at)
    return withheld.by if withheld else None


async def _sent(channel: Channel, message: Message, within_s: float) -> str:
    """Send it within the time that there is; whatever goes wrong is a DeliveryError."""
    kind = CHANNELS[channel.kind]
    try:
        async with asyncio.timeout(within_s):
            return await kind.send(channel.config, message)
    except DeliveryError:
        raise
    except TimeoutError:
        raise TemporaryDeliveryError(f"no answer within {within_s:g} s") from None
    except Exception as error:
        raise TemporaryDeliveryError(_unexpected(error)) from error


async def wake_on_notification(wake: Callable[[], None]) -> None:
    """Call `wake` whenever the database says that a message is owed, for ever; what isn't heard the poll finds."""
    client = get_supabase_service_client()
    while isinstance(client, Listener):
        try:
            async for _ in client.notifications("vigilbase_notifications"):
                wake()
        except DatabaseError as error:
            log.debug("deliveries.not_heard", reason=str(error))
        await asyncio.sleep(LISTEN_AGAIN_S)
