"""The time from the end of a probe that changes a status to the receiver's socket, and the rate of a storm.

    .venv/bin/python -m bench.notification_latency [--transitions N] [--interval S] [--services N] [--storm N] [--quick]

A runner sends to the webhook of a local receiver. The probe records when it returns a changed status, and the receiver
when the notification arrives; in between are the judge, the commit, the claim and the connection. We measure it alone
and with many other services, and with a worker in another process, which listens to `NOTIFY` or only polls. Then a
storm: all services fail at once, with one notification each and in batches.
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
from vigilbase.alerts.routing import Route
from vigilbase.channels import Channel
from vigilbase.channels.webhook import WebhookConfig
from vigilbase.configfile import Config, ServiceConfig
from vigilbase.domain import Policy, ProbeResult
from vigilbase.notifications.worker import NotificationWorker, wake_on_notify
from vigilbase.runner.runner import Runner

ROUTES = (Route(("ops",), frozenset({"down", "degraded", "recovery"})),)
WARM_UP = 4
TABLES = "service_health_checks, alert_events, vigilbase.notifications, vigilbase.channels, vigilbase.alert_timeline"


class FlappingService:
    """A service that changes its status at every probe; records when each probe ended."""

    def __init__(self, name: str, interval_s: float) -> None:
        self.probed_at: list[float] = []
        self.config = ServiceConfig(name, "tcp", interval_s, 5, Policy(1, 1), self._probe, routes=ROUTES)

    async def _probe(self) -> ProbeResult:
        number = len(self.probed_at)
        result = ProbeResult() if number % 2 == 0 else ProbeResult("down", f"probe {number}")
        self.probed_at.append(time.monotonic())
        return result


class SteadyServices:
    """Services that are healthy until they all fail."""

    def __init__(self, count: int, interval_s: float) -> None:
        self.is_failing = False
        self.probe_count = 0
        self.configs = [
            ServiceConfig(f"steady-{n:05}", "tcp", interval_s, 5, Policy(1, 1), self._probe, routes=ROUTES)
            for n in range(count)
        ]

    async def _probe(self) -> ProbeResult:
        self.probe_count += 1
        return ProbeResult("down", "it broke") if self.is_failing else ProbeResult()


def _make_channels(url: str) -> dict[str, Channel]:
    return {"ops": Channel("ops", "webhook", WebhookConfig.model_validate({"url": url}))}


@asynccontextmanager
async def _run_services(
    services: Sequence[ServiceConfig], channels: dict[str, Channel], window_s: float = 0
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(Runner(Config(services, channels=channels, group_window_s=window_s)).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _wait_for_transitions(receiver: Receiver, flapping: FlappingService, count: int) -> list[float]:
    """The seconds from probe to receiver for each transition, in order."""
    while len(receiver.requests) < WARM_UP + count:
        await asyncio.sleep(0.05)
    return [request.at - flapping.probed_at[_get_probe_number(request)] for request in receiver.requests[WARM_UP:]]


def _get_probe_number(request: Request) -> int:
    """The number of the probe that caused a notification."""
    body = request.json()
    failed = int(body["data"]["alerts"][0]["details"]["last_error"].removeprefix("probe "))
    return failed + int(body["type"] == "alert.resolved")


async def _measure_latencies(
    receiver: Receiver, options: argparse.Namespace, others: int, *, is_sending: bool
) -> list[float]:
    flapping, steady = FlappingService("flapping", options.interval_s), SteadyServices(others, 10)
    channels = _make_channels(receiver.url) if is_sending else {}
    async with _run_services([flapping.config, *steady.configs], channels):
        return await _wait_for_transitions(receiver, flapping, options.transitions)


async def _measure_storm(receiver: Receiver, count: int, window_s: float) -> tuple[float, float, int]:
    """The seconds from the outage to the first batch and from that to the last, and the number of batches."""
    steady = SteadyServices(count, 1)
    async with _run_services(steady.configs, _make_channels(receiver.url), window_s):
        while steady.probe_count < 2 * count:
            await asyncio.sleep(0.05)
        steady.is_failing, began = True, time.monotonic()
        while sum(len(request.json()["data"]["alerts"]) for request in receiver.requests) < count:
            await asyncio.sleep(0.2)
        moments = [request.at for request in receiver.requests]
        return moments[0] - began, moments[-1] - moments[0], len(moments)


async def _send(url: str, is_listening: bool) -> None:
    worker = NotificationWorker(_make_channels(url), group_window_s=0, remind_every_s=None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        if is_listening:
            tasks.create_task(wake_on_notify(worker.wake))


def _run_worker(settings: dict[str, str], url: str, is_listening: bool) -> None:
    logging.getLogger("vigilbase").setLevel(logging.ERROR)
    run_with(settings, partial(_send, url, is_listening))


@contextmanager
def _start_worker(settings: dict[str, str], url: str, *, is_listening: bool) -> Iterator[None]:
    """Run a worker in another process until the block ends."""
    process = multiprocessing.get_context("spawn").Process(target=_run_worker, args=(settings, url, is_listening))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _make_row(name: str, latencies: Sequence[float]) -> list[str]:
    in_ms = [1000 * latency_s for latency_s in latencies]
    return [
        name,
        f"{len(in_ms)}",
        f"{median(in_ms):.1f}",
        f"{quantiles(in_ms, n=20, method='inclusive')[-1]:.1f}",
        f"{max(in_ms):.1f}",
    ]


def main() -> None:
    """Read the command line, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=int, default=120)
    parser.add_argument("--interval", type=float, default=0.5, dest="interval_s", help="seconds between transitions")
    parser.add_argument("--services", type=int, default=1000, help="other services, with an interval of 10 s")
    parser.add_argument("--storm", type=int, default=1000, help="services that fail at once")
    parser.add_argument("--window", type=float, default=30, help="group_window of the second storm, in seconds")
    parser.add_argument("--quick", action="store_true", help="take a few seconds and only show that it works")
    options = parser.parse_args()
    if options.quick:
        options.transitions, options.interval_s, options.services, options.storm, options.window = 6, 0.3, 50, 50, 1
    logging.getLogger("vigilbase").setLevel(logging.CRITICAL)
    with running_server() as server, transport_settings(server, ["postgres"]) as settings:

        def measure(work: Callable[[Receiver], Awaitable[None]]) -> None:
            server.execute(f"TRUNCATE {TABLES}")
            with receiving() as receiver:
                run_with(settings["postgres"], lambda: work(receiver))

        rows: list[list[str]] = []

        async def measure_same_process(receiver: Receiver, *, name: str, others: int) -> None:
            rows.append(_make_row(name, await _measure_latencies(receiver, options, others, is_sending=True)))

        async def measure_other_process(receiver: Receiver, *, name: str, is_listening: bool) -> None:
            with _start_worker(settings["postgres"], receiver.url, is_listening=is_listening):
                await asyncio.sleep(2)
                rows.append(_make_row(name, await _measure_latencies(receiver, options, 0, is_sending=False)))

        measure(partial(measure_same_process, name="no other services", others=0))
        measure(partial(measure_same_process, name=f"{options.services:,} other services", others=options.services))
        measure(partial(measure_other_process, name="sent by another process, with NOTIFY", is_listening=True))
        if not options.quick:
            options.interval_s, options.transitions = 1.3, min(options.transitions, 60)
        measure(partial(measure_other_process, name="sent by another process, polling only", is_listening=False))
        header = ["ms from the probe's end to the receiver", "transitions", "median", "95 %", "max"]
        print_table("Triggers and resolutions of one service", header, rows)

        storms: list[list[str]] = []

        async def measure_storm(receiver: Receiver, *, window_s: float) -> None:
            first_s, last_s, batches = await _measure_storm(receiver, options.storm, window_s)
            storms.append([f"{window_s:g} s", f"{batches:,}", f"{first_s:.2f}", f"{last_s:.2f}"])

        measure(partial(measure_storm, window_s=0))
        measure(partial(measure_storm, window_s=options.window))
        header = ["group_window", "notifications", "s to the first", "s from first to last"]
        print_table(f"{options.storm:,} services with an interval of 1 s fail at once", header, storms)


if __name__ == "__main__":
    main()
