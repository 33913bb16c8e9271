"""Play a scenario: record what its services do, keep its senders going, and let what is planned befall them."""

import asyncio
import itertools
import os
import random
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from tests.faults.lane import Lane
from tests.faults.scenario import FAULTY_FOR_S, Checked, Hush, Scenario, SenderPlan
from tests.faults.sender import Order
from vigilbase import AlertEventModel, CreateSilenceData, DeliveryModel, SilenceModel, get_supabase_service_client
from vigilbase.config.supabase import close_supabase_service_client
from vigilbase.errors import DatabaseUnavailableError, InvalidTransitionError
from vigilbase.probes import Finding
from vigilbase.runner.outbox import owe_missing
from vigilbase.runner.recorder import States, judge_batch, record
from vigilbase.spec import ServiceSpec
from vigilbase.vocabulary import Check, Observation, Policy

DRAINED_WITHIN_S = 30.0
_OWED = "SELECT count(*) FROM vigilbase.notifications WHERE status = 'pending' AND kind <> 'reminder'"


@dataclass(frozen=True)
class Hushed:
    """A silence that held for sure, from one moment to another, in seconds since 1970."""

    glob: str
    since: float
    until: float


@dataclass
class Played:
    """What befell a run: when senders died, how many restarts met a transaction that was half done, what was silenced,
    and how many messages were given up and tried again by hand."""

    deaths: list[float] = field(default_factory=list)
    half_done: int = 0
    hushed: list[Hushed] = field(default_factory=list)
    retried: int = 0
    drained: bool = False


def play(scenario: Scenario, lane: Lane) -> Played:
    """One run, up to where nothing is owed any more."""
    lane.begin(scenario.seed, scenario.trouble)
    played = Played()
    with _database(lane.database_url):
        asyncio.run(_play(scenario, lane, played))
    lane.senders.kill_all()
    return played


@contextmanager
def _database(url: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ("DATABASE_URL", "VIGILBASE_TIMEOUT")}
    os.environ.update(DATABASE_URL=url, VIGILBASE_TIMEOUT="2")
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


async def _play(scenario: Scenario, lane: Lane, played: Played) -> None:
    began = time.monotonic()
    try:
        keeping = asyncio.create_task(_keep_senders(scenario, lane, played))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_record(scenario, began))
            for at_s in scenario.kills:
                tasks.create_task(_at(began + at_s, _kill(lane, random.Random(f"{scenario.seed} {at_s}"))))
            for restart in scenario.restarts:
                tasks.create_task(_at(began + restart.at_s, _restart(lane, played, restart.how, restart.table)))
            for at_s, verb in scenario.by_hand:
                tasks.create_task(_at(began + at_s, _by_hand(verb)))
            for hush in scenario.hushes:
                tasks.create_task(_at(began + hush.at_s, _hush(hush, began, played)))
            tasks.create_task(_at(began + FAULTY_FOR_S, asyncio.sleep(0)))
        for ear in lane.ears.values():
            ear.calm()
        played.drained = await _drained(scenario, lane, played)
        keeping.cancel()
        await asyncio.wait({keeping})
        if not keeping.cancelled():
            keeping.result()
    finally:
        await close_supabase_service_client()


async def _at(moment: float, work: Coroutine[object, object, None]) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    await work


async def _keep_senders(scenario: Scenario, lane: Lane, played: Played) -> None:
    """Start them, and for each that dies another, which follows no plan to die."""

    def start(plan: SenderPlan) -> int:
        urls = {name: lane.ears[name].url for name in scenario.channels}
        return lane.senders.start(
            Order(lane.database_url, urls, scenario.group_window_s, scenario.remind_every_s, str(lane.journal), plan)
        )

    plans = {start(plan): plan for plan in scenario.senders}
    while True:
        for number in lane.senders.bury():
            played.deaths.append(time.monotonic())
            plan = replace(plans.pop(number), crash=None)
            plans[start(plan)] = plan
        await asyncio.sleep(0.02)


async def _kill(lane: Lane, dice: random.Random) -> None:
    if lane.senders.alive:
        lane.senders.kill(dice.choice(lane.senders.alive))


async def _restart(lane: Lane, played: Played, how: str, table: str) -> None:
    played.half_done += await asyncio.to_thread(lane.restart, how, table)


async def _by_hand(verb: str) -> None:
    """Other code acknowledges or resolves an alert."""
    try:
        alerts = await AlertEventModel.find_open()
        if not alerts:
            return
        alert = min(alerts, key=lambda one: one.id)
        await (AlertEventModel.acknowledge if verb == "acknowledge" else AlertEventModel.resolve)(alert.id)
    except (DatabaseUnavailableError, InvalidTransitionError):
        pass


async def _hush(hush: Hush, began: float, played: Played) -> None:
    """Silence some services for a while."""
    try:
        silence = await SilenceModel.add(CreateSilenceData("ana", "a deployment", service_glob=hush.glob))
    except DatabaseUnavailableError:  # it may hold all the same
        return
    since = time.time()
    await asyncio.sleep(max(0.0, began + (FAULTY_FOR_S if hush.until_s is None else hush.until_s) - time.monotonic()))
    played.hushed.append(Hushed(hush.glob, since, time.time()))
    if hush.until_s is not None:
        with suppress(DatabaseUnavailableError):
            await SilenceModel.end(silence.id)


async def _record(scenario: Scenario, began: float) -> None:
    """What the runner does: judge, and write until it is written; only then comes the next."""
    states: States = {}
    names = {name for checked in scenario.checks for name, _ in checked.found}
    services = {name: _service(name, scenario) for name in names}
    policies = {name: service.policy for name, service in services.items()}
    for checked in scenario.checks:
        await asyncio.sleep(max(0.0, began + checked.at_s - time.monotonic()))
        batch = _batch(checked)
        states, transitions = judge_batch(states, batch, policies)
        for _ in itertools.count():
            try:
                await record(batch, transitions, services)
                break
            except DatabaseUnavailableError:
                await asyncio.sleep(0.05)


def _batch(checked: Checked) -> list[Check]:
    return [Check(name, Observation(status)) for name, status in checked.found]


def _service(name: str, scenario: Scenario) -> ServiceSpec:
    async def unused() -> Finding:
        return Finding()

    return ServiceSpec(name, "tcp", 1, 1, Policy(1, 1), unused, tags=(), routes=tuple(scenario.routes))


async def _drained(scenario: Scenario, lane: Lane, played: Played) -> bool:
    """Whether all that is owed goes out, once there are no more faults.

    By then the channels are switched on again, silences are ended, and what was given up is tried again.
    """
    give_up = time.monotonic() + DRAINED_WITHIN_S
    client = get_supabase_service_client()
    empty = 0
    while time.monotonic() < give_up and empty < 3:  # a sender may still be about to switch a channel off
        try:
            for name in scenario.channels:
                await client.call("vigilbase_enable_channel", {"p_channel": name})
            await owe_missing()
            for silence in await SilenceModel.find_current():
                await SilenceModel.end(silence.id)
            for delivery in await DeliveryModel.find(statuses=("failed",), limit=10_000):
                again = await DeliveryModel.retry(delivery.id)
                played.retried += again is not None and again[1] == "requeued"
            [(owed,)] = await asyncio.to_thread(lane.server.execute, _OWED)
        except DatabaseUnavailableError:
            continue
        empty = empty + 1 if owed == 0 else 0
        await asyncio.sleep(0.1)
    return empty == 3
