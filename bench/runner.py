"""What a runner costs apart from its probes: many services, each looked at by a probe that does nothing.

    .venv/bin/python -m bench.runner [--services N …] [--every S] [--seconds S] [--quick]

For each number of services: how long the start takes on a history of ten checks each, how many checks a second are
recorded beside how many are due, how far behind its time a probe begins, and this process's share of one core.
"""

import argparse
import asyncio
import logging
import time
from datetime import timedelta
from functools import partial
from statistics import quantiles

from bench.find_latest import History, fill
from bench.support import Sample, measured, print_table, run_with, running_server, transport_settings
from vigilbase.probes import Finding
from vigilbase.runner.loop import Runner
from vigilbase.runner.recorder import load_history
from vigilbase.runner.schedule import phase
from vigilbase.spec import ServiceSpec, Spec
from vigilbase.vocabulary import Policy


class Watched:
    """Services whose probe only takes note of how late it was begun."""

    def __init__(self, count: int, every: float) -> None:
        self.late: list[float] = []
        self._begun: set[str] = set()
        policy = Policy(3, 2, timedelta(seconds=2 * every + 5))
        names = [f"service-{number:05}" for number in range(count)]
        self.spec = Spec(
            [ServiceSpec(name, "tcp", every, 5, policy, partial(self._look, name, every)) for name in names]
        )

    async def _look(self, name: str, every: float) -> Finding:
        if name in self._begun:
            self.late.append((time.monotonic() - phase(name, every)) % every)
        self._begun.add(name)  # the first look is not on the schedule yet
        return Finding(details={"status_code": 200, "remote_address": "192.0.2.17:443"})


async def _start(spec: Spec) -> None:
    await load_history(spec.services)


async def _watch(runner: Runner, seconds: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await runner.run(stop)


def _row(watched: Watched, runner: Runner, start: Sample, run: Sample) -> list[str]:
    count, every = len(watched.spec.services), watched.spec.services[0].every
    percentiles = quantiles(watched.late, n=100)
    return [
        f"{count:,}",
        f"{start.seconds * 1000:,.0f}",
        f"{count / every:,.0f}",
        f"{runner.recorded / run.seconds:,.0f}",
        f"{percentiles[49] * 1000:.1f}",
        f"{percentiles[98] * 1000:.1f}",
        f"{run.cpu / run.seconds:.0%}",
        f"{run.cpu / max(1, runner.recorded) * 1e6:,.0f}",
        f"{runner.lost}",
    ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, nargs="+", default=[1_000, 5_000, 10_000])
    parser.add_argument("--every", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.services, options.every, options.seconds = [200], 1, 4
    logging.getLogger("vigilbase").setLevel(logging.ERROR)
    rows: list[list[str]] = []
    with running_server() as server, transport_settings(server, ["embedded"]) as settings:
        for count in options.services:
            fill(server, History(count, 10))
            watched = Watched(count, options.every)
            runner = Runner(watched.spec)

            async def work(watched: Watched = watched, runner: Runner = runner) -> None:
                start = await measured(partial(_start, watched.spec))
                run = await measured(partial(_watch, runner, options.seconds))
                rows.append(_row(watched, runner, start, run))

            run_with(settings["embedded"], work)
    header = ["services", "start ms", "due/s", "recorded/s", "late ms", "99 %", "of a core", "CPU µs/check", "lost"]
    print_table(f"Every {options.every:g} s, for {options.seconds:g} s", header, rows)


if __name__ == "__main__":
    main()
