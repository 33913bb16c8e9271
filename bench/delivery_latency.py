"""From the end of the probe that tips a service to the receiver's socket, and how fast a storm goes out.

    .venv/bin/python -m bench.delivery_latency [--transitions N] [--services N] [--storm N] [--quick]

A runner with a webhook to a local receiver. The probe notes when it returns what tips the service, the receiver when a
message is there; between the two lie the judge, the commit, the claim, and the connection. Measured alone and beside
many probed services; with the sender in a process of its own, which `NOTIFY` wakes, or the poll alone. Then a storm:
all services fail at once, as messages of their own and grouped.
"""

import argparse
import asyncio
import logging
import multiprocessing
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from statistics import median, quantiles

from bench.support import print_table, run_with, running_server, transport_settings
from tests.support.receiver import Receiver, Request, receiving
from vigilbase.alerts.channels import Channel
from vigilbase.alerts.channels.webhook import WebhookConfig
from vigilbase.alerts.routing import Route
from vigilbase.probes import Finding
from vigilbase.runner.deliveries import Deliverer, wake_on_notification
from vigilbase.runner.loop import Runner
from vigilbase.spec import ServiceSpec, Spec
from vigilbase.vocabulary import Policy

ROUTES = (Route(("ops",), frozenset({"down", "degraded", "recovery"})),)
WARM_UP = 4
TABLES = "service_health_checks, alert_events, vigilbase.notifications, vigilbase.channels, vigilbase.alert_timeline"


class Tipping:
    """A service that is found otherwise at every look; notes when a look ended."""

    def __init__(self, name: str, every: float) -> None:
        self.looks: list[float] = []
        self.spec = ServiceSpec(name, "tcp", every, 5, Policy(1, 1), self._look, tags=(), routes=ROUTES)

    async def _look(self) -> Finding:
        finding = Finding() if len(self.looks) % 2 == 0 else Finding("down", f"look {len(self.looks)}")
        self.looks.append(time.monotonic())
        return finding


class Steady:
    """Services that are fine until they all fail."""

    def __init__(self, count: int, every: float) -> None:
        self.failing = False
        self.looks = 0
        self.specs = [
            ServiceSpec(f"steady-{n:05}", "tcp", every, 5, Policy(1, 1), self._look, tags=(), routes=ROUTES)
            for n in range(count)
        ]

    async def _look(self) -> Finding:
        self.looks += 1
        return Finding("down", "it broke") if self.failing else Finding()


def _channels(url: str) -> dict[str, Channel]:
    return {"ops": Channel("ops", "webhook", WebhookConfig.model_validate({"url": url}))}


@asynccontextmanager
async def _running(
    specs: Sequence[ServiceSpec], channels: dict[str, Channel], window_s: float = 0
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(Runner(Spec(specs, channels=channels, group_window_s=window_s)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _transitions(receiver: Receiver, tipping: Tipping, count: int) -> list[float]:
    """Seconds from the look to the receiver, one for each transition in turn."""
    while len(receiver.requests) < WARM_UP + count:
        await asyncio.sleep(0.05)
    return [request.at - tipping.looks[_look_of(request)] for request in receiver.requests[WARM_UP:]]


def _look_of(request: Request) -> int:
    """The look that a message tells of."""
    body = request.json()
    failing = int(body["data"]["alerts"][0]["details"]["last_error"].removeprefix("look "))
    return failing + int(body["type"] == "alert.resolved")


async def _latencies(receiver: Receiver, options: argparse.Namespace, steady: int, *, sends: bool) -> list[float]:
    tipping, beside = Tipping("tipping", options.every), Steady(steady, 10)
    channels = _channels(receiver.url) if sends else {}
    async with _running([tipping.spec, *beside.specs], channels):
        return await _transitions(receiver, tipping, options.transitions)


async def _storm(receiver: Receiver, count: int, window_s: float) -> tuple[float, float, int]:
    """Seconds from the first failing look to the first message and from that to the last; the messages."""
    steady = Steady(count, 1)
    async with _running(steady.specs, _channels(receiver.url), window_s):
        while steady.looks < 2 * count:
            await asyncio.sleep(0.05)
        steady.failing, began = True, time.monotonic()
        while sum(len(request.json()["data"]["alerts"]) for request in receiver.requests) < count:
            await asyncio.sleep(0.2)
        moments = [request.at for request in receiver.requests]
        return moments[0] - began, moments[-1] - moments[0], len(moments)


async def _send(url: str, listens: bool) -> None:
    deliverer = Deliverer(_channels(url), group_window_s=0, remind_every_s=None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(deliverer.run())
        if listens:
            tasks.create_task(wake_on_notification(deliverer.wake))


def _sender(settings: dict[str, str], url: str, listens: bool) -> None:
    logging.getLogger("vigilbase").setLevel(logging.ERROR)
    run_with(settings, partial(_send, url, listens))


@contextmanager
def _sending_elsewhere(settings: dict[str, str], url: str, *, listens: bool) -> Iterator[None]:
    """A sender in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=_sender, args=(settings, url, listens))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _row(name: str, latencies: Sequence[float]) -> list[str]:
    in_ms = [1000 * one for one in latencies]
    return [
        name,
        f"{len(in_ms)}",
        f"{median(in_ms):.1f}",
        f"{quantiles(in_ms, n=20, method='inclusive')[-1]:.1f}",
        f"{max(in_ms):.1f}",
    ]


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=int, default=120)
    parser.add_argument("--every", type=float, default=0.5, help="seconds from transition to transition")
    parser.add_argument("--services", type=int, default=1000, help="probed beside, every 10 s")
    parser.add_argument("--storm", type=int, default=1000)
    parser.add_argument("--window", type=float, default=30)
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.transitions, options.every, options.services, options.storm, options.window = 6, 0.3, 50, 50, 1
    logging.getLogger("vigilbase").setLevel(logging.CRITICAL)
    with running_server() as server, transport_settings(server, ["postgres"]) as settings:

        def measure(work: Callable[[Receiver], Awaitable[None]]) -> None:
            server.execute(f"TRUNCATE {TABLES}")
            with receiving() as receiver:
                run_with(settings["postgres"], lambda: work(receiver))

        rows: list[list[str]] = []

        async def here(receiver: Receiver, *, name: str, steady: int) -> None:
            rows.append(_row(name, await _latencies(receiver, options, steady, sends=True)))

        async def elsewhere(receiver: Receiver, *, name: str, listens: bool) -> None:
            with _sending_elsewhere(settings["postgres"], receiver.url, listens=listens):
                await asyncio.sleep(2)
                rows.append(_row(name, await _latencies(receiver, options, 0, sends=False)))

        measure(partial(here, name="alone", steady=0))
        measure(partial(here, name=f"{options.services:,} services probed beside it", steady=options.services))
        measure(partial(elsewhere, name="sent by another process, woken by NOTIFY", listens=True))
        if not options.quick:
            options.every, options.transitions = 1.3, min(options.transitions, 60)
        measure(partial(elsewhere, name="sent by another process, the poll alone", listens=False))
        header = ["ms from the probe's end to the receiver", "transitions", "median", "95 %", "max"]
        print_table("One alert, its trigger and its resolution", header, rows)

        storms: list[list[str]] = []

        async def storm(receiver: Receiver, *, window_s: float) -> None:
            first_s, last_s, messages = await _storm(receiver, options.storm, window_s)
            storms.append([f"{window_s:g} s", f"{messages:,}", f"{first_s:.2f}", f"{last_s:.2f}"])

        measure(partial(storm, window_s=0))
        measure(partial(storm, window_s=options.window))
        header = ["group_window", "messages", "s to the first", "s from first to last"]
        print_table(f"{options.storm:,} services, each probed every second, fail at once", header, storms)


if __name__ == "__main__":
    main()
