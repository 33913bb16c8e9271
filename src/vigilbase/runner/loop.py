"""The runner: one task a service that probes on schedule, one recorder that judges and writes what they see.

What is in memory at any moment and would be lost with the process: the probes in flight, and the checks that wait to be
recorded. No decision is: the judge's state is rebuilt from what was written.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from vigilbase.clock import monotonic, utc_now
from vigilbase.errors import AccessRefusedError, DatabaseError, DatabaseUnavailableError, MissingSchemaError
from vigilbase.logging import get_logger
from vigilbase.probes import observe
from vigilbase.runner.recorder import States, judge_batch, load_history, record
from vigilbase.runner.schedule import missed, next_due, phase
from vigilbase.spec import ServiceSpec
from vigilbase.vocabulary import Check, Policy, Transition

log = get_logger(__name__)

MAX_PROBES_AT_ONCE = 100
MAX_BATCH = 200  # so that a batch takes at most as many locks
MAX_WAITING = 10_000
FIRST_PROBES_WITHIN_S = 2.0
RETRY_DELAY_S = 1.0
TELL_EVERY = 30  # tries; the first tells at once
STOP_WITHIN_S = 3.5  # a write that is cut short takes another second


async def run(specs: Sequence[ServiceSpec], stop: asyncio.Event) -> None:
    """Watch services until `stop` is set; then write what is held and return, within five seconds.

    Raises:
        DatabaseError: the history can't be loaded at the start. Later failures are waited out.

    """
    runner = Runner(specs)
    await runner.load()
    log.info("runner.started", services=len(specs))
    async with asyncio.TaskGroup() as tasks:
        watchers = [tasks.create_task(runner.watch(spec)) for spec in specs]
        recording = tasks.create_task(runner.record_until_closed())
        await stop.wait()
        for watcher in watchers:
            watcher.cancel()
        await asyncio.wait(watchers)
        runner.close()
        await asyncio.wait({recording}, timeout=STOP_WITHIN_S)
        recording.cancel()
    log.info("runner.stopped", recorded=runner.recorded, lost=runner.lost + runner.unwritten())


class Runner:
    """What the tasks of one run share: the queue of checks, and the judge's states, which only the recorder touches."""

    def __init__(self, specs: Sequence[ServiceSpec]) -> None:
        self.recorded = 0
        self.lost = 0
        self._specs = specs
        self._policies: Mapping[str, Policy] = {spec.name: spec.policy for spec in specs}
        self._states: States = {}
        self._clock_difference = timedelta(0)
        self._probing = asyncio.Semaphore(MAX_PROBES_AT_ONCE)
        self._waiting: asyncio.Queue[Check | None] = asyncio.Queue()
        self._in_hand = 0

    async def load(self) -> None:
        """Learn from the database where every service stands."""
        history = await load_history(self._specs)
        self._states, self._clock_difference = history.states, history.clock_difference

    async def watch(self, spec: ServiceSpec) -> None:
        """Probe one service on its schedule, for ever."""
        # The first look is soon, whatever the interval; the schedule begins after it.
        await asyncio.sleep(phase(spec.name, min(spec.every, FIRST_PROBES_WITHIN_S)))
        await self._probe(spec)
        due = next_due(spec.name, spec.every, monotonic() + spec.every / 2)
        while True:
            await asyncio.sleep(due - monotonic())
            await self._probe(spec)
            previous, due = due, next_due(spec.name, spec.every, monotonic())
            if skipped := missed(previous, due, spec.every):
                log.warning("probe.missed", service_name=spec.name, ticks=skipped)

    async def _probe(self, spec: ServiceSpec) -> None:
        async with self._probing:
            observation = await observe(
                spec.probe, timeout=spec.timeout, degraded_after=spec.degraded_after, now=self._now
            )
        self._hold(Check(spec.name, observation))

    def _now(self) -> datetime:
        """Our clock, corrected by its difference to the database's."""
        return utc_now() + self._clock_difference

    def _hold(self, check: Check) -> None:
        if self._waiting.qsize() >= MAX_WAITING:
            self.lost += 1
            log.error("check.lost", service_name=check.service_name, reason="too many wait for the database")
            return
        self._waiting.put_nowait(check)

    def unwritten(self) -> int:
        """How many checks are held that aren't known to be written."""
        waiting = self._waiting.qsize()
        return self._in_hand + max(0, waiting - 1)

    def close(self) -> None:
        """Say that no more checks will come."""
        self._waiting.put_nowait(None)

    async def record_until_closed(self) -> None:
        """Judge and write batch after batch until the runner is closed."""
        while batch := await self._next_batch():
            self._in_hand = len(batch)
            await self._settle(batch)

    async def _settle(self, batch: Sequence[Check]) -> None:
        """Judge and write a batch; one that is refused is taken apart, so that a bad check costs no other."""
        before = self._states
        self._states, transitions = judge_batch(before, batch, self._policies)
        if await self._write(batch, transitions):
            self.recorded += len(batch)
            self._in_hand -= len(batch)
            return
        self._states = before  # nothing of it was written, so nothing of it counts
        if len(batch) == 1:
            self.lost += 1
            self._in_hand -= 1
            log.error("check.lost", service_name=batch[0].service_name, reason="the database refuses it")
            return
        for check in batch:
            await self._settle([check])

    async def _next_batch(self) -> list[Check]:
        """Wait for a check, and take along what waits behind it; empty when closed."""
        first = await self._waiting.get()
        batch = [] if first is None else [first]
        while batch and len(batch) < MAX_BATCH and not self._waiting.empty():
            check = self._waiting.get_nowait()
            if check is None:
                self._waiting.put_nowait(None)  # the end, for the next turn
                break
            batch.append(check)
        return batch

    async def _write(self, batch: Sequence[Check], transitions: Sequence[Transition]) -> bool:
        """Write a batch, however long the database is away; False when it is refused."""
        tries = 0
        while True:
            try:
                await record(batch, transitions)
            except (DatabaseUnavailableError, MissingSchemaError, AccessRefusedError) as error:
                if tries % TELL_EVERY == 0:
                    log.warning("checks.waiting", reason=str(error), waiting=len(batch) + self._waiting.qsize())
            except DatabaseError as error:
                log.error("checks.refused", reason=str(error), count=len(batch))
                return False
            else:
                return True
            tries += 1
            await asyncio.sleep(RETRY_DELAY_S)
