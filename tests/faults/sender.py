"""Senders as processes of their own, killed with -9: `python -m tests.faults.sender`.

The program imports all that a sender needs and then forks one for each line that it reads, so that a thousand runs
don't import it ten thousand times. It prints the sender's process number.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tests.faults.scenario import CHANNEL_TIMEOUT_S, Crash, SenderPlan, Step
from vigilbase import clock
from vigilbase.alerts import channels
from vigilbase.alerts.channels import Channel
from vigilbase.alerts.channels.webhook import WebhookConfig
from vigilbase.runner import deliveries, outbox
from vigilbase.runner.deliveries import Deliverer, Pace, wake_on_notification
from vigilbase.runner.silencing import load_silencing

LEASE_S = 2
PACE = Pace(
    lease_s=LEASE_S, send_within_s=LEASE_S / 2, first_delay_s=0.05, longest_delay_s=0.3, poll_s=0.2, sweep_every_s=1
)
_UNDERWAY_S = 0.02


@dataclass(frozen=True)
class Order:
    """What a sender is to do: where the database is and where each channel leads to.

    Into the `journal` it writes which messages it didn't learn to be taken, or couldn't write that down.
    """

    database_url: str
    urls: dict[str, str]
    group_window_s: float
    remind_every_s: float | None
    journal: str
    plan: SenderPlan

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Order":
        said = json.loads(line)
        plan = said.pop("plan")
        crash = plan.pop("crash")
        return cls(**said, plan=SenderPlan(Crash(**crash) if crash else None, **plan))


class Killer:
    """Kills this process with -9 at the step that is planned."""

    def __init__(self, crash: Crash | None) -> None:
        self._crash = crash
        self._times = 0

    def passes(self, step: Step) -> bool:
        """Come by a step; whether this is where it ends, if it may still take a moment."""
        if self._crash is None or self._crash.step != step:
            return False
        self._times += 1
        if self._times != self._crash.time:
            return False
        if step != "underway":
            kill()
        return True


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _noting(journal: int, message_id: object) -> Iterator[None]:
    try:
        yield
    except BaseException:  # a cancellation, too
        _note(journal, message_id)
        raise


def _note(journal: int, message_id: object) -> None:
    os.write(journal, f"{message_id}\n".encode())


def _crash_at(killer: Killer, journal: int) -> None:
    """Put the killer between the steps of the delivery pass, and note which of them fail."""
    claim, finish, webhook = outbox.claim, outbox.finish, channels.CHANNELS["webhook"]

    async def claim_then(*args: Any, **kwargs: Any) -> Any:
        claimed = await claim(*args, **kwargs)
        if claimed.messages:
            killer.passes("claimed")
        return claimed

    async def send(config: Any, message: Any) -> str:
        killer.passes("sending")
        if killer.passes("underway"):
            asyncio.get_running_loop().call_later(_UNDERWAY_S, kill)
        with _noting(journal, message.id):
            answer: str = await webhook.send(config, message)
        killer.passes("taken")
        return answer

    async def finish_then(message: Any, *args: Any, **kwargs: Any) -> None:
        with _noting(journal, message.id):
            await finish(message, *args, **kwargs)
        if clock.since_boot() > message.ours_until:  # another may have it by now
            _note(journal, message.id)
        killer.passes("finished")

    deliveries.claim, deliveries.finish = claim_then, finish_then  # type: ignore[attr-defined]
    deliveries.CHANNELS = channels.CHANNELS = {"webhook": replace(webhook, send=send)}  # type: ignore[attr-defined]


def _set_clock(plan: SenderPlan) -> None:
    """Have a wall clock that is set at some moment, wherever one is read."""
    if not plan.clock_set_by_s:
        return
    true, began = clock.utc_now, clock.monotonic()

    def utc_now() -> datetime:
        is_set = clock.monotonic() - began > plan.clock_set_after_s
        return true() + timedelta(seconds=plan.clock_set_by_s if is_set else 0)

    for name, module in list(sys.modules.items()):
        if name.startswith("vigilbase") and getattr(module, "utc_now", None) is true:
            module.utc_now = utc_now  # type: ignore[attr-defined]


async def _deliver(order: Order) -> None:
    leading_to = {
        name: Channel(name, "webhook", WebhookConfig.model_validate({"url": url, "timeout": f"{CHANNEL_TIMEOUT_S}s"}))
        for name, url in order.urls.items()
    }
    deliverer = Deliverer(
        leading_to,
        group_window_s=order.group_window_s,
        remind_every_s=order.remind_every_s,
        silencing=load_silencing,
        pace=PACE,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(deliverer.run())
        if order.plan.listens:
            tasks.create_task(wake_on_notification(deliverer.wake))


def _run(order: Order) -> None:
    os.environ.update(DATABASE_URL=order.database_url, VIGILBASE_TIMEOUT="1")
    _set_clock(order.plan)
    _crash_at(Killer(order.plan.crash), os.open(order.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    asyncio.run(_deliver(order))


def main() -> None:
    """Fork a sender for each order that comes in a line; when no more come, kill them all."""
    logging.getLogger("vigilbase").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    for line in sys.stdin:
        number = os.fork()
        if number == 0:
            os.close(0)
            _run(Order.from_json(line))
            os._exit(0)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
