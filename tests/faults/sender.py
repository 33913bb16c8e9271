"""Senders: notification workers as separate processes, killed with -9. `python -m tests.faults.sender`.

The program imports everything that a sender needs, then forks one for each line that it reads, so that a thousand runs
don't import it ten thousand times. It prints the sender's process id.
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
from vigilbase import channels, clock
from vigilbase.channels import Channel
from vigilbase.channels.webhook import WebhookConfig
from vigilbase.notifications import attempt, outbox, worker
from vigilbase.notifications.active_silences import load_active_silences
from vigilbase.notifications.backoff import Timings
from vigilbase.notifications.worker import NotificationWorker, wake_on_notify

LEASE_S = 2
TIMINGS = Timings(
    lease_s=LEASE_S, send_within_s=LEASE_S / 2, first_delay_s=0.05, max_delay_s=0.3, poll_s=0.2, sweep_every_s=1
)
_IN_FLIGHT_S = 0.02


@dataclass(frozen=True)
class Order:
    """The orders of a sender: its plan, the database, and the URL of each channel.

    In the file `journal`, it lists the batches whose acceptance it didn't learn or couldn't record.
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
        fields = json.loads(line)
        plan = fields.pop("plan")
        crash = plan.pop("crash")
        return cls(**fields, plan=SenderPlan(Crash(**crash) if crash else None, **plan))


class Killer:
    """Kills this process with -9 at the planned step."""

    def __init__(self, crash: Crash | None) -> None:
        self._crash = crash
        self._count = 0

    def reach(self, step: Step) -> bool:
        """Crash if this is the planned step. True in flight, where the caller crashes a moment later."""
        if self._crash is None or self._crash.step != step:
            return False
        self._count += 1
        if self._count != self._crash.nth:
            return False
        if step != "in_flight":
            kill()
        return True


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _journal_failure(journal: int, batch_id: object) -> Iterator[None]:
    try:
        yield
    except BaseException:  # also a cancellation
        _write_journal(journal, batch_id)
        raise


def _write_journal(journal: int, batch_id: object) -> None:
    os.write(journal, f"{batch_id}\n".encode())


def _instrument(killer: Killer, journal: int) -> None:
    """Let the killer intervene between the steps of the worker, and journal the steps that fail."""
    claim, record, webhook = outbox.claim_batches, outbox.record_result, channels.CHANNELS["webhook"]

    async def claim_batches(*args: Any, **kwargs: Any) -> Any:
        answer = await claim(*args, **kwargs)
        if answer.batches:
            killer.reach("claimed")
        return answer

    async def send(config: Any, batch: Any) -> str:
        killer.reach("sending")
        if killer.reach("in_flight"):
            asyncio.get_running_loop().call_later(_IN_FLIGHT_S, kill)
        with _journal_failure(journal, batch.id):
            answer: str = await webhook.send(config, batch)
        killer.reach("accepted")
        return answer

    async def record_result(batch: Any, *args: Any, **kwargs: Any) -> None:
        with _journal_failure(journal, batch.id):
            await record(batch, *args, **kwargs)
        if clock.since_boot() > batch.leased_until:  # another sender may have claimed it by now
            _write_journal(journal, batch.id)
        killer.reach("recorded")

    worker.claim_batches = claim_batches  # type: ignore[attr-defined]
    attempt.record_result = record_result  # type: ignore[attr-defined]
    killable = {"webhook": replace(webhook, send=send)}
    channels.CHANNELS = worker.CHANNELS = attempt.CHANNELS = killable  # type: ignore[attr-defined]


def _shift_clock(plan: SenderPlan) -> None:
    """Replace the wall clock, in every module that reads it, with one that is set at some moment."""
    if not plan.clock_shift_s:
        return
    original, began = clock.utc_now, clock.monotonic()

    def utc_now() -> datetime:
        is_shifted = clock.monotonic() - began > plan.clock_shift_after_s
        return original() + timedelta(seconds=plan.clock_shift_s if is_shifted else 0)

    for name, module in list(sys.modules.items()):
        if name.startswith("vigilbase") and getattr(module, "utc_now", None) is original:
            module.utc_now = utc_now  # type: ignore[attr-defined]


async def _send(order: Order) -> None:
    webhooks = {
        name: Channel(name, "webhook", WebhookConfig.model_validate({"url": url, "timeout": f"{CHANNEL_TIMEOUT_S}s"}))
        for name, url in order.urls.items()
    }
    sender = NotificationWorker(
        webhooks,
        group_window_s=order.group_window_s,
        remind_every_s=order.remind_every_s,
        load_silences=load_active_silences,
        timings=TIMINGS,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sender.run())
        if order.plan.is_listening:
            tasks.create_task(wake_on_notify(sender.wake))


def _run(order: Order) -> None:
    os.environ.update(DATABASE_URL=order.database_url, VIGILBASE_TIMEOUT="1")
    _shift_clock(order.plan)
    _instrument(Killer(order.plan.crash), os.open(order.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    asyncio.run(_send(order))


def main() -> None:
    """Fork a sender for each line of orders; after the last line, kill them all."""
    logging.getLogger("vigilbase").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps dead senders
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            _run(Order.from_json(line))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
