"""Services without a network, and a runner that monitors them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from vigilbase.alerts.routing import Route
from vigilbase.channels import Channel
from vigilbase.configfile import Config, ServiceConfig
from vigilbase.domain import Policy, ProbeResult
from vigilbase.notifications.backoff import Timings
from vigilbase.runner.registry import SAVE_EVERY_S
from vigilbase.runner.runner import Runner

FIRST_CHECK_DECIDES = Policy(1, 1)
POLL_OFTEN = Timings(poll_s=0.05)


class FakeService:
    """A service whose probe returns `result` and is counted."""

    def __init__(
        self,
        name: str,
        *,
        policy: Policy = FIRST_CHECK_DECIDES,
        routes: Sequence[Route] = (),
        interval_s: float = 0.1,
    ) -> None:
        self.result = ProbeResult()
        self.probe_count = 0
        self.config = ServiceConfig(name, "tcp", interval_s, 30, policy, self._probe, routes=tuple(routes))

    def fail(self) -> None:
        self.result = ProbeResult("down", "it broke")

    def recover(self) -> None:
        self.result = ProbeResult()

    async def _probe(self) -> ProbeResult:
        self.probe_count += 1
        return self.result


@dataclass(frozen=True)
class Run:
    """A runner at work, until `stop` is set."""

    runner: Runner
    stop: asyncio.Event


@asynccontextmanager
async def run_config(
    config: Config, *, save_every_s: float = SAVE_EVERY_S, timings: Timings = POLL_OFTEN
) -> AsyncIterator[Run]:
    """Run a configuration until the block ends."""
    run = Run(Runner(config, save_every_s=save_every_s, timings=timings), asyncio.Event())
    task = asyncio.create_task(run.runner.run(run.stop))
    try:
        yield run
    finally:
        run.stop.set()
        await task


def make_config(
    services: Sequence[FakeService],
    *channels: Channel,
    group_window_s: float = 0,
    remind_every_s: float | None = None,
) -> Config:
    return Config(
        [service.config for service in services],
        channels={channel.name: channel for channel in channels},
        group_window_s=group_window_s,
        remind_every_s=remind_every_s,
    )
