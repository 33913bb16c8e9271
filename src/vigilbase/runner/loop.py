"""The runner: one task a service that probes on schedule, one recorder that judges and writes what they see.

What is in memory at any moment and would be lost with the process: the probes in flight, and the checks that wait to be
recorded. No decision is: the judge's state is rebuilt from what was written.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from vigilbase.clock import monotonic, utc_now
from vigilbase.errors import AccessRefusedError, DatabaseError, DatabaseUnavailableError, MissingSchemaError
from vigilbase.ids import uuid7
from vigilbase.logging import get_logger
from vigilbase.phases import pack_phases
from vigilbase.probes import ProbeNotPossibleError, observe
from vigilbase.runner.deliveries import Deliverer, wake_on_notification
from vigilbase.runner.lean import Known, changed_facts, thin
from vigilbase.runner.limits import probes_at_once
from vigilbase.runner.recorder import States, judge_batch, load_history, record, steadied, without_words
from vigilbase.runner.registry import SAVE_EVERY_S, end_runner, save_runner, save_services, save_targets
from vigilbase.runner.retention import delete_old_daily
from vigilbase.runner.schedule import first_due, missed, next_due
from vigilbase.runner.silencing import load_silencing
from vigilbase.runner.waiting import WaitingChecks
from vigilbase.spec import ServiceSpec, Spec
from vigilbase.vocabulary import JSON, Check, Policy, Transition

log = get_logger(__name__)

MAX_BATCH = 200  # so that a batch takes at most as many locks
MAX_WAITING = 10_000
RETRY_DELAY_S = 1.0
CATCH_UP_S = 10.0
TELL_EVERY = 30  # tries; the first tells at once
TELL_EVERY_LOST = 1000  # checks; the first tells at once
STOP_WITHIN_S = 3.5  # a write that is cut short takes another second
END_WITHIN_S = 0.3


class Runner:
    """One run. `states` says where each service stands; `on_check` is told of every check as it is made."""

    def __init__(
        self, spec: Spec, on_check: Callable[[Check], None] | None = None, *, save_every_s: float = SAVE_EVERY_S
    ) -> None:
        self.spec = spec
        self._save_every_s = save_every_s
        self.states: States = {}
        self.recorded = 0
        self._on_check = on_check
        self._refused = 0
        self._policies: Mapping[str, Policy] = {service.name: service.policy for service in spec.services}
        self._clock_difference = timedelta(0)
        self._probing = asyncio.Semaphore(probes_at_once())
        self._id = uuid7()
        self._known: dict[str, Known] = {}
        self._targets: dict[str, Mapping[str, JSON]] = {}
        self._waiting = WaitingChecks(MAX_WAITING)
        self._in_hand = 0
        self._catching_up_until = 0.0
        self._services: Mapping[str, ServiceSpec] = {service.name: service for service in spec.services}
        self._deliverer = Deliverer(
            spec.channels,
            group_window_s=spec.group_window_s,
            remind_every_s=spec.remind_every_s,
            silencing=load_silencing,
            tags={service.name: service.tags for service in spec.services},
            is_behind=lambda: monotonic() < self._catching_up_until,
        )

    @property
    def unwritten(self) -> int:
        """How many checks are held that aren't known to be written."""
        return self._in_hand + len(self._waiting)

    @property
    def lost(self) -> int:
        """How many checks were given up: too many waited, or the database refused them."""
        return self._refused + self._waiting.dropped

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set; then write what is held and return, within five seconds.

        Raises:
            DatabaseError: the history can't be loaded at the start. Later failures are waited out.

        """
        history = await load_history(self.spec.services)
        self.states, self._clock_difference = history.states, history.clock.difference
        await save_services(self.spec)
        log.info("runner.started", services=len(self.spec.services))
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(self._watch(service)) for service in self.spec.services]
            watching.append(tasks.create_task(delete_old_daily(self.spec.retention_days)))
            watching.append(tasks.create_task(self._stay_registered()))
            recording = tasks.create_task(self._record_until_closed())
            delivering = tasks.create_task(self._deliverer.run())
            if self.spec.channels:
                watching.append(tasks.create_task(wake_on_notification(self._deliverer.wake)))
            await stop.wait()
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
            self._waiting.close()
            self._deliverer.stop()
            await asyncio.wait({recording, delivering}, timeout=STOP_WITHIN_S)
            recording.cancel()
            delivering.cancel()
        if self.unwritten:
            log.error("checks.lost", reason="the database was away at the stop", count=self.unwritten)
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(END_WITHIN_S):
                await end_runner(self._id)
        log.info("runner.stopped", recorded=self.recorded, lost=self.lost + self.unwritten)

    async def _stay_registered(self) -> None:
        """Say every few seconds that we are at work, and what has changed of the services' targets."""
        while True:
            targets, self._targets = self._targets, {}
            try:
                await save_runner(self._id)
                if targets:
                    await save_targets(targets)
            except DatabaseError as error:
                self._targets = {**targets, **self._targets}
                log.debug("runner.not_registered", reason=str(error))
            await asyncio.sleep(self._save_every_s)

    async def _watch(self, service: ServiceSpec) -> None:
        """Probe one service on its schedule, for ever."""
        # The first look is soon, whatever the interval; the schedule begins after it.
        await asyncio.sleep(first_due(service.name, service.every, services=len(self.spec.services)))
        await self._probe(service)
        due = next_due(service.name, service.every, monotonic() + service.every / 2)
        while True:
            await asyncio.sleep(due - monotonic())
            await self._probe(service)
            previous, due = due, next_due(service.name, service.every, monotonic())
            if skipped := missed(previous, due, service.every):
                log.warning("probe.missed", service_name=service.name, ticks=skipped)

    async def _probe(self, service: ServiceSpec) -> None:
        try:
            async with self._probing:
                observation = await observe(
                    service.probe, timeout=service.timeout, degraded_after=service.degraded_after, now=self._now
                )
        except ProbeNotPossibleError as error:
            log.warning("probe.not_possible", service_name=service.name, reason=str(error))
            return
        check = Check(service.name, observation)
        if self._on_check:
            self._on_check(check)
        if not self._waiting.put(check) and self._waiting.dropped % TELL_EVERY_LOST == 1:
            log.error("checks.lost", reason="too many wait for the database", count=self._waiting.dropped)

    def _now(self) -> datetime:
        """Our clock, corrected by its difference to the database's."""
        return utc_now() + self._clock_difference

    async def _record_until_closed(self) -> None:
        """Judge and write batch after batch until no more will come."""
        while batch := await self._waiting.take(MAX_BATCH):
            self._in_hand = len(batch)
            await self._settle([self._thin(check) for check in batch])
            if self._catching_up_until and not self._waiting:
                self._catching_up_until = 0.0
                self._deliverer.wake()

    def _thin(self, check: Check) -> Check:
        """A check as it is stored: without what is known of its target, and its phases in short.

        What a function of the user's says of itself is left as it is.
        """
        seen, name = check.observation, check.service_name
        if name not in self._services or self._services[name].kind == "python":
            return check
        known = self._known.get(name)
        details, self._known[name] = thin(seen.probe_details, seen.status, known)
        if (facts := changed_facts(known, self._known[name])) is not None:
            self._targets[name] = facts
        return replace(check, observation=replace(seen, probe_details=details and pack_phases(details)))

    async def _settle(self, batch: Sequence[Check]) -> None:
        """Judge and write a batch; one that is refused is taken apart, so that a bad check costs no other."""
        states, transitions = judge_batch(self.states, batch, self._policies)
        if await self._write(batch, transitions) or (len(batch) == 1 and await self._write_bare(batch, transitions)):
            self.states = states  # only what is written counts
            self.recorded += len(batch)
            self._in_hand -= len(batch)
        elif len(batch) == 1:
            self._refused += 1
            self._in_hand -= 1
            log.error("checks.lost", service_name=batch[0].service_name, reason="the database refuses it", count=1)
        else:
            for check in batch:
                await self._settle([check])

    async def _write_bare(self, batch: Sequence[Check], transitions: Sequence[Transition]) -> bool:
        """Write a check that was refused without its words, which the database may be unable to hold."""
        tagless = {name: replace(self._services[name], tags=()) for name in {check.service_name for check in batch}}
        written = await self._write(*without_words(batch, transitions), tagless)
        if written:
            log.warning("checks.words_dropped", service_name=batch[0].service_name, count=len(batch))
        return written

    async def _write(
        self,
        batch: Sequence[Check],
        transitions: Sequence[Transition],
        services: Mapping[str, ServiceSpec] | None = None,
    ) -> bool:
        """Write a batch, however long the database is away; False when it is refused.

        What opened and closed while it was away belongs into the same messages, so none are claimed before it is all
        written; but a recorder that never gets through its queue doesn't hold them up for longer than `CATCH_UP_S`.
        """
        tries = 0
        while True:
            if tries:
                self._catching_up_until = monotonic() + CATCH_UP_S
            try:
                recorded = await record(batch, transitions, services or self._services)
            except (DatabaseUnavailableError, MissingSchemaError, AccessRefusedError) as error:
                self._catching_up_until = 0.0
                if tries % TELL_EVERY == 0:
                    log.warning("checks.waiting", reason=str(error), waiting=self.unwritten)
            except DatabaseError as error:
                log.error("checks.refused", reason=str(error), count=len(batch))
                return False
            else:
                self._keep_time(steadied(self._clock_difference, recorded.clock))
                if recorded.alerts_changed:
                    self._deliverer.wake()
                return True
            tries += 1
            await asyncio.sleep(RETRY_DELAY_S)

    def _keep_time(self, difference: timedelta) -> None:
        if difference != self._clock_difference:
            moved = difference - self._clock_difference
            log.warning("clock.corrected", by_s=round(moved.total_seconds(), 3))
            self._clock_difference = difference
