"""The runner: one task for each service that probes on schedule, and one recorder that judges and writes the results.

In memory only, and lost with the process: probes in flight, and checks that wait to be recorded. No decision is: the
state of every service is rebuilt from what was written.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from vigilbase.clock import correct_clock, monotonic, utc_now
from vigilbase.configfile import Config, ServiceConfig
from vigilbase.domain import JSON, Check, Policy, Transition
from vigilbase.errors import AccessRefusedError, DatabaseError, DatabaseUnavailableError, MissingSchemaError
from vigilbase.ids import uuid7
from vigilbase.logging import get_logger
from vigilbase.notifications.active_silences import load_active_silences
from vigilbase.notifications.backoff import DEFAULT_TIMINGS, Timings
from vigilbase.notifications.worker import NotificationWorker, wake_on_notify
from vigilbase.phases import pack_phases
from vigilbase.probes.run import ProbeSkippedError, run_probe
from vigilbase.runner.check_buffer import CheckBuffer
from vigilbase.runner.fd_limits import raise_fd_limit
from vigilbase.runner.history import States, load_history
from vigilbase.runner.recorder import drop_text, judge_batch, record
from vigilbase.runner.registry import SAVE_EVERY_S, end_runner, save_runner, save_services, save_targets
from vigilbase.runner.retention import delete_expired_daily
from vigilbase.runner.schedule import compute_first_due, compute_next_due, count_missed_ticks
from vigilbase.runner.target_facts import KnownFacts, drop_known_facts, find_changed_facts

log = get_logger(__name__)

MAX_BATCH = 200  # also bounds the locks that a batch takes
MAX_BUFFERED = 10_000
RETRY_DELAY_S = 1.0
CATCH_UP_S = 10.0
LOG_EVERY_ATTEMPTS = 30
LOG_EVERY_DROPPED = 1000
# With END_TIMEOUT_S, a stop takes less than five seconds, whatever the database does.
STOP_TIMEOUT_S = 3.5  # a write that is cut off takes another second
END_TIMEOUT_S = 0.3


class Runner:
    """One run over a configuration. `states` has every service's state; `on_check` is called with every check."""

    def __init__(
        self,
        config: Config,
        on_check: Callable[[Check], None] | None = None,
        *,
        save_every_s: float = SAVE_EVERY_S,
        timings: Timings = DEFAULT_TIMINGS,
    ) -> None:
        self.config = config
        self.states: States = {}
        self.recorded = 0
        self._save_every_s = save_every_s
        self._on_check = on_check
        self._rejected = 0
        self._policies: Mapping[str, Policy] = {service.name: service.policy for service in config.services}
        self._services: Mapping[str, ServiceConfig] = {service.name: service for service in config.services}
        self._clock_difference = timedelta(0)
        self._probe_slots = asyncio.Semaphore(raise_fd_limit())
        self._id = uuid7()
        self._known_facts: dict[str, KnownFacts] = {}
        self._unsaved_targets: dict[str, Mapping[str, JSON]] = {}
        self._buffer = CheckBuffer(MAX_BUFFERED)
        self._in_flight = 0
        self._catching_up_until = 0.0
        self._worker = NotificationWorker(
            config.channels,
            group_window_s=config.group_window_s,
            remind_every_s=config.remind_every_s,
            load_silences=load_active_silences,
            tags={service.name: service.tags for service in config.services},
            is_behind=lambda: monotonic() < self._catching_up_until,
            timings=timings,
        )

    @property
    def unwritten(self) -> int:
        """How many checks are held that may not be written yet."""
        return self._in_flight + len(self._buffer)

    @property
    def dropped(self) -> int:
        """How many checks were lost because the buffer was full or the database rejected them."""
        return self._rejected + self._buffer.dropped

    async def run(self, stop: asyncio.Event) -> None:
        """Monitor until `stop` is set; then record the buffered checks and return, within five seconds.

        Raises:
            DatabaseError: the history can't be loaded at the start. Later failures are waited out.

        """
        history = await load_history(self.config.services)
        self.states, self._clock_difference = history.states, history.clock.difference
        await save_services(self.config)
        log.info("runner.started", services=len(self.config.services))
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(self._watch(service)) for service in self.config.services]
            watching.append(tasks.create_task(delete_expired_daily(self.config.retention_days)))
            watching.append(tasks.create_task(self._stay_registered()))
            recording = tasks.create_task(self._record_until_closed())
            sending = tasks.create_task(self._worker.run())
            if self.config.channels:
                watching.append(tasks.create_task(wake_on_notify(self._worker.wake)))
            await stop.wait()
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
            # Only now can no probe add a check, so the recorder ends when the buffer is empty.
            self._buffer.close()
            self._worker.stop()
            await asyncio.wait({recording, sending}, timeout=STOP_TIMEOUT_S)
            recording.cancel()
            # The lease of a batch that is cut off here ends, and another worker sends it under the same id.
            sending.cancel()
        if self.unwritten:
            log.error("checks.dropped", reason="the database was unreachable at shutdown", count=self.unwritten)
        # Not worth waiting for: without it, the runner counts as active for half a minute longer.
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(END_TIMEOUT_S):
                await end_runner(self._id)
        log.info("runner.stopped", recorded=self.recorded, dropped=self.dropped + self.unwritten)

    async def _stay_registered(self) -> None:
        """Record every few seconds that this runner is running, and what has changed about its targets."""
        while True:
            targets, self._unsaved_targets = self._unsaved_targets, {}
            try:
                await save_runner(self._id)
                if targets:
                    await save_targets(targets)
            except DatabaseError as error:
                # Facts that changed during the call are newer, so they win.
                self._unsaved_targets = {**targets, **self._unsaved_targets}
                log.debug("runner.not_registered", reason=str(error))
            await asyncio.sleep(self._save_every_s)

    async def _watch(self, service: ServiceConfig) -> None:
        """Probe one service on its schedule, for ever."""
        # The first probe is soon, whatever the interval; the schedule begins after it.
        await asyncio.sleep(compute_first_due(service.name, service.interval_s, services=len(self.config.services)))
        await self._probe(service)
        due = compute_next_due(service.name, service.interval_s, monotonic() + service.interval_s / 2)
        while True:
            await asyncio.sleep(due - monotonic())
            await self._probe(service)
            previous, due = due, compute_next_due(service.name, service.interval_s, monotonic())
            if missed := count_missed_ticks(previous, due, service.interval_s):
                log.warning("probe.ticks_missed", service_name=service.name, ticks=missed)

    async def _probe(self, service: ServiceConfig) -> None:
        try:
            async with self._probe_slots:
                result = await run_probe(
                    service.probe, timeout=service.timeout_s, degraded_after=service.degraded_after_s, now=self._now
                )
        # A shortage of file descriptors says nothing about the service, so no check is recorded.
        except ProbeSkippedError as error:
            log.warning("probe.skipped", service_name=service.name, reason=str(error))
            return
        check = Check(service.name, result)
        if self._on_check:
            self._on_check(check)
        if not self._buffer.put(check) and self._buffer.dropped % LOG_EVERY_DROPPED == 1:
            log.error("checks.dropped", reason="the buffer is full", count=self._buffer.dropped)

    def _now(self) -> datetime:
        """This machine's clock, corrected by its difference to the database's."""
        return utc_now() + self._clock_difference

    async def _record_until_closed(self) -> None:
        while batch := await self._buffer.take(MAX_BATCH):
            self._in_flight = len(batch)
            await self._record_batch([self._shrink(check) for check in batch])
            if self._catching_up_until and not self._buffer:
                self._catching_up_until = 0.0
                self._worker.wake()

    def _shrink(self, check: Check) -> Check:
        """The check to store, without known facts and with short phases; details from a user's function stay."""
        result, name = check.result, check.service_name
        if name not in self._services or self._services[name].kind == "python":
            return check
        known = self._known_facts.get(name)
        details, self._known_facts[name] = drop_known_facts(result.probe_details, result.status, known)
        if (facts := find_changed_facts(known, self._known_facts[name])) is not None:
            self._unsaved_targets[name] = facts
        return replace(check, result=replace(result, probe_details=details and pack_phases(details)))

    async def _record_batch(self, batch: Sequence[Check]) -> None:
        """Judge and write a batch. If it is rejected, write its checks one by one, so that only the bad ones fail."""
        states, transitions = judge_batch(self.states, batch, self._policies)
        if await self._write(batch, transitions) or (
            len(batch) == 1 and await self._write_without_text(batch, transitions)
        ):
            self.states = states  # only what is written counts
            self.recorded += len(batch)
            self._in_flight -= len(batch)
        elif len(batch) == 1:
            self._rejected += 1
            self._in_flight -= 1
            log.error("checks.dropped", service_name=batch[0].service_name, reason="the database rejected it", count=1)
        else:
            for check in batch:
                await self._record_batch([check])

    async def _write_without_text(self, batch: Sequence[Check], transitions: Sequence[Transition]) -> bool:
        """Write a rejected check without its text, which the database may be unable to hold."""
        # Tags are text as well, and are stored with the notifications.
        services = {name: replace(self._services[name], tags=()) for name in {check.service_name for check in batch}}
        is_written = await self._write(*drop_text(batch, transitions), services)
        if is_written:
            log.warning("checks.text_dropped", service_name=batch[0].service_name, count=len(batch))
        return is_written

    async def _write(
        self,
        batch: Sequence[Check],
        transitions: Sequence[Transition],
        services: Mapping[str, ServiceConfig] | None = None,
    ) -> bool:
        """Write a batch, however long the database is unreachable; False if it is rejected.

        Alerts that opened and resolved in the meantime belong to the same batches of notifications, so none is
        claimed before everything is written. A recorder that never catches up delays them by at most `CATCH_UP_S`.
        """
        attempts = 0
        while True:
            if attempts:
                self._catching_up_until = monotonic() + CATCH_UP_S
            try:
                recorded = await record(batch, transitions, services or self._services)
            # None of these is the fault of the batch, so its checks wait instead of being dropped.
            except (DatabaseUnavailableError, MissingSchemaError, AccessRefusedError) as error:
                self._catching_up_until = 0.0
                if attempts % LOG_EVERY_ATTEMPTS == 0:
                    log.warning("checks.buffered", reason=str(error), count=self.unwritten)
            except DatabaseError as error:
                log.error("checks.rejected", reason=str(error), count=len(batch))
                return False
            else:
                self._correct_clock(correct_clock(self._clock_difference, recorded.clock))
                if recorded.has_changed_alerts:
                    self._worker.wake()
                return True
            attempts += 1
            await asyncio.sleep(RETRY_DELAY_S)

    def _correct_clock(self, difference: timedelta) -> None:
        if difference != self._clock_difference:
            change = difference - self._clock_difference
            log.warning("clock.corrected", by_s=round(change.total_seconds(), 3))
            self._clock_difference = difference
