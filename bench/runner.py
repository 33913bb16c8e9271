"""The cost of a runner without its probes: many services with a probe that does nothing.

    .venv/bin/python -m bench.runner [--services N …] [--interval S] [--seconds S] [--quick]

For each number of services: the time to start with a history of ten checks each, the checks per second that are due and
recorded, how late probes start, and this process's share of a core.
"""

import argparse
import asyncio
import logging
import time
from datetime import timedelta
from functools import partial
from statistics import quantiles

from bench.find_latest import History, fill
from bench.support import Sample, measure_work, print_table, run_with, running_server, transport_settings
from vigilbase.configfile import Config, ServiceConfig
from vigilbase.domain import Policy, ProbeResult
from vigilbase.runner.history import load_history
from vigilbase.runner.runner import Runner
from vigilbase.runner.schedule import compute_phase


class IdleServices:
    """Services whose probe only records how late it starts."""

    def __init__(self, count: int, interval_s: float) -> None:
        self.delays_s: list[float] = []
        self._probed: set[str] = set()
        policy = Policy(3, 2, timedelta(seconds=2 * interval_s + 5))
        names = [f"service-{number:05}" for number in range(count)]
        self.config = Config(
            [
                ServiceConfig(name, "tcp", interval_s, 5, policy, partial(self._probe, name, interval_s))
                for name in names
            ]
        )

    async def _probe(self, name: str, interval_s: float) -> ProbeResult:
        if name in self._probed:
            self.delays_s.append((time.monotonic() - compute_phase(name, interval_s)) % interval_s)
        self._probed.add(name)  # the first probe isn't on the schedule yet
        return ProbeResult(probe_details={"status_code": 200, "remote_address": "192.0.2.17:443"})


async def _start(config: Config) -> None:
    await load_history(config.services)


async def _run(runner: Runner, seconds: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await runner.run(stop)


def _make_row(services: IdleServices, runner: Runner, start: Sample, run: Sample) -> list[str]:
    count, interval_s = len(services.config.services), services.config.services[0].interval_s
    percentiles = quantiles(services.delays_s, n=100)
    return [
        f"{count:,}",
        f"{start.seconds * 1000:,.0f}",
        f"{count / interval_s:,.0f}",
        f"{runner.recorded / run.seconds:,.0f}",
        f"{percentiles[49] * 1000:.1f}",
        f"{percentiles[98] * 1000:.1f}",
        f"{run.cpu / run.seconds:.0%}",
        f"{run.cpu / max(1, runner.recorded) * 1e6:,.0f}",
        f"{runner.dropped}",
    ]


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, nargs="+", default=[1_000, 5_000, 10_000])
    parser.add_argument("--interval", type=float, default=30, dest="interval_s")
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--quick", action="store_true", help="take a few seconds and only show that it works")
    options = parser.parse_args()
    if options.quick:
        options.services, options.interval_s, options.seconds = [200], 1, 4
    logging.getLogger("vigilbase").setLevel(logging.ERROR)
    rows: list[list[str]] = []
    with running_server() as server, transport_settings(server, ["embedded"]) as settings:
        for count in options.services:
            fill(server, History(count, 10))
            services = IdleServices(count, options.interval_s)
            runner = Runner(services.config)

            async def work(services: IdleServices = services, runner: Runner = runner) -> None:
                start = await measure_work(partial(_start, services.config))
                run = await measure_work(partial(_run, runner, options.seconds))
                rows.append(_make_row(services, runner, start, run))

            run_with(settings["embedded"], work)
    header = ["services", "start ms", "due/s", "recorded/s", "late ms", "99 %", "of a core", "CPU µs/check", "dropped"]
    print_table(f"Interval {options.interval_s:g} s, for {options.seconds:g} s", header, rows)


if __name__ == "__main__":
    main()
