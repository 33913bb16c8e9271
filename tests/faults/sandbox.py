"""The environment of one run after another: a Postgres, a receiver for each channel, a program that forks senders."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from tests.faults.scenario import REJECTIONS, choose_reply
from tests.faults.sender import Order
from tests.support.receiver import Receiver, Reply, Request, receiving
from tests.support.server import Cluster, PostgresServer, home_folder, start_server

CHANNELS = ("ops", "team")
_TABLES = (
    "service_health_checks, alert_events, vigilbase.notifications, vigilbase.channels, vigilbase.alert_timeline, "
    "vigilbase.suppressions"
)
_WAITS_FOR_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_LOCK_TIMEOUT_S = 0.3


@dataclass(frozen=True)
class AnsweredRequest:
    """A complete request, and its answer."""

    request: Request
    reply: Reply

    @property
    def is_accepted(self) -> bool:
        """Whether the answer had a status of success."""
        return 200 <= self.reply.status < 300 and self.reply.fault in (None, "half_a_body")


class FaultyReceiver:
    """The receiver of a channel; its answers are random until `end_faults` is called."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.answered: list[AnsweredRequest] = []
        self._dice = random.Random(0)
        self._fault_rate = 0.0
        self._run = 0
        receiver.answer = self._answer

    @property
    def url(self) -> str:
        """A new URL for each run, so that a late request of an earlier run doesn't count."""
        return f"{self.receiver.url}/{self._run}"

    def begin(self, seed: object, fault_rate: float) -> None:
        self._run += 1
        self.answered = []
        self._dice, self._fault_rate = random.Random(str(seed)), fault_rate
        self.receiver.requests.clear()
        self.receiver.accepted.clear()

    def end_faults(self) -> None:
        self._fault_rate = 0

    def _answer(self, request: Request) -> Reply:
        if request.path != f"/{self._run}":
            return Reply(500)
        reply = choose_reply(self._dice, self._fault_rate) if self._fault_rate else Reply()
        batch_id = request.headers["webhook-id"]
        if reply.status in REJECTIONS and any(
            each.is_accepted for each in self.answered if each.request.headers["webhook-id"] == batch_id
        ):
            reply = Reply()  # a receiver doesn't reject a batch that it has accepted
        self.answered.append(AnsweredRequest(request, reply))
        return reply


class Senders:
    """Starts and kills senders, by process id."""

    def __init__(self) -> None:
        self.alive: list[int] = []
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, order: Order) -> int:
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.write(order.to_json() + "\n")
        self._program.stdin.flush()
        pid = int(self._program.stdout.readline())
        self.alive.append(pid)
        return pid

    def kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def remove_dead(self) -> list[int]:
        """Return the senders that have died since the last call."""
        dead = [pid for pid in self.alive if not psutil.pid_exists(pid)]
        self.alive = [pid for pid in self.alive if pid not in dead]
        return dead

    def kill_all(self) -> None:
        while self.alive:
            for pid in self.alive:
                self.kill(pid)
            self.remove_dead()

    def close(self) -> None:
        os.killpg(self._program.pid, signal.SIGKILL)
        self._program.communicate()


@dataclass
class Sandbox:
    """The environment of one run at a time. `journal` lists the batches whose results their senders don't know."""

    server: PostgresServer
    senders: Senders
    receivers: Mapping[str, FaultyReceiver]
    journal: Path
    restarts: list[tuple[float, float]] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        return self.server.url()

    def begin(self, seed: int, fault_rate: float) -> None:
        """Remove everything of the last run."""
        self.senders.kill_all()
        self.server.execute(f"TRUNCATE {_TABLES}")
        self.restarts.clear()
        self.journal.write_text("")
        for name, receiver in self.receivers.items():
            receiver.begin((seed, name), fault_rate)

    def restart(self, how: str, table: str) -> bool:
        """Kill Postgres, if possible while a transaction waits, and start it again; return whether one waited."""
        began, is_waiting = time.monotonic(), False
        # This connection ends with the server.
        with suppress(psycopg.OperationalError), psycopg.connect(self.database_url) as connection:
            # A share lock lets others read, so they wait in the middle of their transaction, when they write.
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(*table.split("."))))
            while not is_waiting and time.monotonic() < began + _LOCK_TIMEOUT_S:
                row = connection.execute(_WAITS_FOR_LOCK).fetchone()
                is_waiting = bool(row and row[0])
                time.sleep(0.01)
            postmaster = self._postmaster()
            postmaster.send_signal(signal.SIGQUIT if how == "immediately" else signal.SIGKILL)
            with suppress(psutil.NoSuchProcess):
                postmaster.wait(30)
        self.server.embedded.start()
        self.restarts.append((began, time.monotonic()))
        return is_waiting

    def _postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.server.embedded.data / "postmaster.pid").read_text().split("\n")[0]))


@contextmanager
def open_sandbox(cluster: Cluster) -> Iterator[Sandbox]:
    with ExitStack() as stack:
        home = stack.enter_context(home_folder())
        server = start_server(home, cluster)
        stack.callback(server.embedded.stop)
        senders = Senders()
        stack.callback(senders.close)
        receivers = {name: FaultyReceiver(stack.enter_context(receiving())) for name in CHANNELS}
        yield Sandbox(server, senders, receivers, home / "journal")
