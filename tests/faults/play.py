"""Play a scenario: record the checks of its services, keep its senders running, and inject its faults."""

import asyncio
import itertools
import os
import random
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from tests.faults.sandbox import Sandbox
from tests.faults.scenario import FAULTY_FOR_S, PlannedChecks, PlannedSilence, Scenario, SenderPlan
from tests.faults.sender import Order
from vigilbase import (
    AlertEventModel,
    CreateSuppressionData,
    NotificationModel,
    SuppressionModel,
    get_supabase_service_client,
)
from vigilbase.config.supabase import close_supabase_service_client
from vigilbase.configfile import ServiceConfig
from vigilbase.domain import Check, Policy, ProbeResult
from vigilbase.errors import DatabaseUnavailableError, InvalidTransitionError
from vigilbase.notifications.outbox import enqueue_missing_resolutions
from vigilbase.runner.history import States
from vigilbase.runner.recorder import judge_batch, record

DRAIN_TIMEOUT_S = 30.0
_COUNT_PENDING = "SELECT count(*) FROM vigilbase.notifications WHERE status = 'pending' AND kind <> 'reminder'"


@dataclass(frozen=True)
class ActiveSilence:
    """A silence that was certainly active from one moment to another, in seconds since 1970."""

    glob: str
    since: float
    until: float


@dataclass
class RunLog:
    """What happened in a run: when senders died, how many restarts interrupted a transaction, the silences, how many
    failed notifications were retried by hand, and whether the outbox was empty in the end."""

    deaths: list[float] = field(default_factory=list)
    interrupted_transactions: int = 0
    silences: list[ActiveSilence] = field(default_factory=list)
    retried: int = 0
    is_drained: bool = False


def play(scenario: Scenario, sandbox: Sandbox) -> RunLog:
    """Play one run, until nothing is pending any more."""
    sandbox.begin(scenario.seed, scenario.fault_rate)
    run_log = RunLog()
    with _set_database(sandbox.database_url):
        asyncio.run(_play(scenario, sandbox, run_log))
    sandbox.senders.kill_all()
    return run_log


@contextmanager
def _set_database(url: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ("DATABASE_URL", "VIGILBASE_TIMEOUT")}
    os.environ.update(DATABASE_URL=url, VIGILBASE_TIMEOUT="2")
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


async def _play(scenario: Scenario, sandbox: Sandbox, run_log: RunLog) -> None:
    began = time.monotonic()
    try:
        keeping = asyncio.create_task(_keep_senders(scenario, sandbox, run_log))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_record(scenario, began))
            for at_s in scenario.kills:
                tasks.create_task(_at(began + at_s, _kill(sandbox, random.Random(f"{scenario.seed} {at_s}"))))
            for restart in scenario.restarts:
                tasks.create_task(_at(began + restart.at_s, _restart(sandbox, run_log, restart.how, restart.table)))
            for at_s, action in scenario.manual_actions:
                tasks.create_task(_at(began + at_s, _change_alert(action)))
            for silence in scenario.silences:
                tasks.create_task(_at(began + silence.at_s, _silence(silence, began, run_log)))
            tasks.create_task(_at(began + FAULTY_FOR_S, asyncio.sleep(0)))
        for receiver in sandbox.receivers.values():
            receiver.end_faults()
        run_log.is_drained = await _drain(scenario, sandbox, run_log)
        keeping.cancel()
        await asyncio.wait({keeping})
        if not keeping.cancelled():
            keeping.result()
    finally:
        await close_supabase_service_client()


async def _at(moment: float, work: Coroutine[object, object, None]) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    await work


async def _keep_senders(scenario: Scenario, sandbox: Sandbox, run_log: RunLog) -> None:
    """Start the senders, and replace each that dies with one that doesn't crash."""

    def start(plan: SenderPlan) -> int:
        urls = {name: sandbox.receivers[name].url for name in scenario.channels}
        return sandbox.senders.start(
            Order(
                sandbox.database_url, urls, scenario.group_window_s, scenario.remind_every_s, str(sandbox.journal), plan
            )
        )

    plans = {start(plan): plan for plan in scenario.senders}
    while True:
        for pid in sandbox.senders.remove_dead():
            run_log.deaths.append(time.monotonic())
            plan = replace(plans.pop(pid), crash=None)
            plans[start(plan)] = plan
        await asyncio.sleep(0.02)


async def _kill(sandbox: Sandbox, dice: random.Random) -> None:
    if sandbox.senders.alive:
        sandbox.senders.kill(dice.choice(sandbox.senders.alive))


async def _restart(sandbox: Sandbox, run_log: RunLog, how: str, table: str) -> None:
    run_log.interrupted_transactions += await asyncio.to_thread(sandbox.restart, how, table)


async def _change_alert(action: str) -> None:
    """Acknowledge or resolve an alert, as other code may."""
    try:
        alerts = await AlertEventModel.find_open()
        if not alerts:
            return
        alert = min(alerts, key=lambda each: each.id)
        await (AlertEventModel.acknowledge if action == "acknowledge" else AlertEventModel.resolve)(alert.id)
    except (DatabaseUnavailableError, InvalidTransitionError):
        pass


async def _silence(plan: PlannedSilence, began: float, run_log: RunLog) -> None:
    """Silence some services for a while."""
    try:
        silence = await SuppressionModel.create(
            CreateSuppressionData("silence", "ana", "a deployment", service_glob=plan.glob)
        )
    except DatabaseUnavailableError:  # the silence may exist nevertheless
        return
    since = time.time()
    await asyncio.sleep(max(0.0, began + (FAULTY_FOR_S if plan.until_s is None else plan.until_s) - time.monotonic()))
    run_log.silences.append(ActiveSilence(plan.glob, since, time.time()))
    if plan.until_s is not None:
        with suppress(DatabaseUnavailableError):
            await SuppressionModel.end("silence", silence.id)


async def _record(scenario: Scenario, began: float) -> None:
    """Judge and record the checks as the runner does: each batch until it is written, and only then the next."""
    states: States = {}
    names = {name for planned in scenario.checks for name, _ in planned.statuses}
    services = {name: _make_service(name, scenario) for name in names}
    policies = {name: service.policy for name, service in services.items()}
    for planned in scenario.checks:
        await asyncio.sleep(max(0.0, began + planned.at_s - time.monotonic()))
        batch = _make_checks(planned)
        states, transitions = judge_batch(states, batch, policies)
        for _ in itertools.count():
            try:
                await record(batch, transitions, services)
                break
            except DatabaseUnavailableError:
                await asyncio.sleep(0.05)


def _make_checks(planned: PlannedChecks) -> list[Check]:
    return [Check(name, ProbeResult(status)) for name, status in planned.statuses]


def _make_service(name: str, scenario: Scenario) -> ServiceConfig:
    async def unused() -> ProbeResult:
        return ProbeResult()

    return ServiceConfig(name, "tcp", 1, 1, Policy(1, 1), unused, tags=(), routes=tuple(scenario.routes))


async def _drain(scenario: Scenario, sandbox: Sandbox, run_log: RunLog) -> bool:
    """Wait until nothing is pending, once there are no more faults; return whether that happened in time.

    Meanwhile, enable channels, end silences and retry failed notifications.
    """
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    client = get_supabase_service_client()
    times_empty = 0
    while time.monotonic() < deadline and times_empty < 3:  # a sender may still be about to disable a channel
        try:
            for name in scenario.channels:
                await client.call("vigilbase_enable_channel", {"p_channel": name})
            await enqueue_missing_resolutions()
            for silence in await SuppressionModel.find_current("silence"):
                await SuppressionModel.end("silence", silence.id)
            for notification in await NotificationModel.find(statuses=("failed",), limit=10_000):
                answer = await NotificationModel.retry(notification.id)
                run_log.retried += answer is not None and answer[1] == "requeued"
            [(pending,)] = await asyncio.to_thread(sandbox.server.execute, _COUNT_PENDING)
        except DatabaseUnavailableError:
            continue
        times_empty = times_empty + 1 if pending == 0 else 0
        await asyncio.sleep(0.1)
    return times_empty == 3
