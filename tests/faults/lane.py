"""Where runs take place, one after the other: a Postgres, a receiver for each channel, a program that makes senders."""

import asyncio
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

from tests.faults.scenario import REFUSALS, reply
from tests.faults.sender import Order
from tests.support.receiver import Receiver, Reply, Request, receiving
from tests.support.server import PostgresServer, home_folder, start_server
from vigilbase.database.migrate import apply_pending, discover

CHANNELS = ("ops", "team")
_TABLES = (
    "service_health_checks, alert_events, vigilbase.notifications, vigilbase.channels, vigilbase.alert_timeline, "
    "vigilbase.suppressions"
)
_WAITS_FOR_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_HALF_DONE_WITHIN_S = 0.3


@dataclass(frozen=True)
class Got:
    """A request that came whole, and how it was answered."""

    request: Request
    reply: Reply

    @property
    def taken(self) -> bool:
        """Whether the status of success was on its way."""
        return 200 <= self.reply.status < 300 and self.reply.fault in (None, "half_a_body")


class Ear:
    """What a channel leads to; answers as the dice of the run say until there is `calm`."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.got: list[Got] = []
        self._dice = random.Random(0)
        self._trouble = 0.0
        self._run = 0
        receiver.answer = self._answer

    @property
    def url(self) -> str:
        """Another one for each run: what comes late to that of an earlier run counts for nothing."""
        return f"{self.receiver.url}/{self._run}"

    def begin(self, seed: object, trouble: float) -> None:
        self._run += 1
        self.got = []
        self._dice, self._trouble = random.Random(str(seed)), trouble
        self.receiver.requests.clear()
        self.receiver.taken.clear()

    def calm(self) -> None:
        self._trouble = 0

    def _answer(self, request: Request) -> Reply:
        if request.path != f"/{self._run}":
            return Reply(500)
        chosen = reply(self._dice, self._trouble) if self._trouble else Reply()
        number = request.headers["webhook-id"]
        if chosen.status in REFUSALS and any(
            one.taken for one in self.got if one.request.headers["webhook-id"] == number
        ):
            chosen = Reply()  # nobody refuses what he has
        self.got.append(Got(request, chosen))
        return chosen


class Senders:
    """Makes senders, and kills them."""

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
        number = int(self._program.stdout.readline())
        self.alive.append(number)
        return number

    def kill(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)

    def bury(self) -> list[int]:
        """Those that have died since it was last asked."""
        dead = [number for number in self.alive if not psutil.pid_exists(number)]
        self.alive = [number for number in self.alive if number not in dead]
        return dead

    def kill_all(self) -> None:
        while self.alive:
            for number in self.alive:
                self.kill(number)
            self.bury()

    def close(self) -> None:
        os.killpg(self._program.pid, signal.SIGKILL)
        self._program.communicate()


@dataclass
class Lane:
    """One run at a time."""

    server: PostgresServer
    senders: Senders
    ears: Mapping[str, Ear]
    journal: Path
    restarts: list[tuple[float, float]] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        return self.server.url()

    def begin(self, seed: int, trouble: float) -> None:
        """Forget all that was."""
        self.senders.kill_all()
        self.server.execute(f"TRUNCATE {_TABLES}")
        self.restarts.clear()
        self.journal.write_text("")
        for name, ear in self.ears.items():
            ear.begin((seed, name), trouble)

    def restart(self, how: str, table: str) -> bool:
        """End Postgres while a transaction waits half done, if one comes by, and start it; whether one did."""
        began, is_waiting = time.monotonic(), False
        # This connection ends with the server.
        with suppress(psycopg.OperationalError), psycopg.connect(self.database_url) as connection:
            # It may be read, so that those who come stand in the middle of what they do when they want to write.
            connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(*table.split("."))))
            while not is_waiting and time.monotonic() < began + _HALF_DONE_WITHIN_S:
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
def lane() -> Iterator[Lane]:
    """A place for runs."""
    with ExitStack() as stack:
        home = stack.enter_context(home_folder())
        server = start_server(home)
        stack.callback(server.embedded.stop)
        asyncio.run(apply_pending(server.url(), discover()))
        senders = Senders()
        stack.callback(senders.close)
        ears = {name: Ear(stack.enter_context(receiving())) for name in CHANNELS}
        yield Lane(server, senders, ears, home / "journal")
