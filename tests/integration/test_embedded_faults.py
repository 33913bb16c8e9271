"""Several processes share the embedded Postgres, and any of them may be killed at any moment; kill -9 for real."""
# ruff: noqa: F401, F811 (fixtures are imported, and then named again as arguments)

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pytest

from tests.integration.test_embedded import (
    embedded,
    eventually,
    expendable,
    made_once,
    notes,
    nothing_remains,
    postmaster,
    processes_in,
    stocked_home,
    usable_programs,
    words,
)
from vigilbase.config.supabase import make_service_client
from vigilbase.database.client import Row
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.errors import DatabaseUnavailableError, EmbeddedPostgresError
from vigilbase.settings import load_settings

USER = """
import ctypes, os, signal, sys
from pathlib import Path
import psycopg
from vigilbase.database import embedded, programs
from vigilbase.errors import VigilbaseError

if len(sys.argv) > 2:
    programs.programs_folder = lambda: Path(sys.argv[2])
server = embedded.EmbeddedServer(Path(sys.argv[1]))
# Where the tests run in the background, an interrupt is ignored from the start.
signal.signal(signal.SIGINT, signal.default_int_handler)

def notes():
    with psycopg.connect(server.url) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes")]

def fork(verb):
    # A child with a copy of whatever is open does something, and ends, without more ado, when we end.
    mine, theirs = os.pipe()
    done, tell = os.pipe()
    if os.fork() == 0:
        os.close(theirs)
        verb()
        os.write(tell, b"too")
        os.read(mine, 1)
        os._exit(0)
    return os.read(done, 3).decode()

def adopt():
    # Be to orphans what process 1 is, and no more caring than many are in a container. 36 is PR_SET_CHILD_SUBREAPER.
    return ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)

verbs = {
    "start": server.start,
    "stop": server.stop,
    "notes": notes,
    "adopt": adopt,
    "fork and stop": lambda: fork(server.stop),
    "fork and start": lambda: fork(server.start),
}
print("here", flush=True)
for line in sys.stdin:
    try:
        print("did", verbs[line.strip()](), flush=True)
    except VigilbaseError as error:
        print("failed", error, flush=True)
"""


class User:
    """A process of its own, in a session of its own, that starts and stops the server of a home folder when told to."""

    def __init__(self, home: Path, programs: Path | None = None) -> None:
        arguments = [str(home)] + ([str(programs)] if programs else [])
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-c", USER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> "User":
        return self

    def __exit__(self, *_: object) -> None:
        alive = self.process.poll() is None
        try:
            complaints = self.process.communicate(timeout=30)[1]
        finally:
            self.kill()
        assert not alive or (self.process.returncode, complaints) == (0, "")

    def tell(self, verb: str) -> None:
        """Say what to do, and don't wait."""
        assert self.process.stdin
        self.process.stdin.write(f"{verb}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """What the next thing it was told came to."""
        assert self.process.stdout
        return str(self.process.stdout.readline()).strip()

    def do(self, verb: str) -> str:
        """Have something done."""
        self.tell(verb)
        return self.answer()

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def people() -> Iterator[ExitStack]:
    """Where a test's users are entered, so that they end with it."""
    with ExitStack() as stack:
        yield stack


def join(people: ExitStack, home: Path, programs: Path | None = None) -> User:
    """One more user, with the wheel's programs or others."""
    user = people.enter_context(User(home, programs))
    assert user.answer() == "here"
    return user


def waits_for(lock: Path) -> bool:
    """Whether somebody waits for a file lock. https://man7.org/linux/man-pages/man5/proc_locks.5.html"""
    inode = f":{lock.stat().st_ino}"
    return any(
        "->" in line and line.split()[6].endswith(inode) for line in Path("/proc/locks").read_text().splitlines()
    )


def suspend(process: psutil.Process) -> None:
    """Have a process stand still, and wait until it does: a signal sent at once might be handled before."""
    process.suspend()
    eventually(lambda: process.status() == psutil.STATUS_STOPPED)


def has_pending(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether a signal has been sent to a suspended process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    mask = int(status.split("ShdPnd:")[1].split()[0], 16)
    return bool(mask & 1 << (number - 1))


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, or makes itself a subreaper")


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or will be as soon as its parent takes note."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_ten_processes_that_start_at_once_share_one_server_until_the_last_stops(home: Path, people: ExitStack) -> None:
    users = [people.enter_context(User(home)) for _ in range(10)]
    assert [user.answer() for user in users] == ["here"] * 10
    for user in users:
        user.tell("start")
    (url,) = {user.answer() for user in users}
    assert url.startswith("did postgresql://postgres@/vigilbase?")
    server = postmaster(home)
    assert spawned(home) == [server]
    for user in users[:-1]:
        with psycopg.connect(url.removeprefix("did ")):
            assert user.do("stop") == "did None"
        assert postmaster(home) == server
    assert users[-1].do("stop") == "did None"
    assert has_ended(server)


def test_a_killed_user_does_not_count(stocked_home: Path, people: ExitStack) -> None:
    killed, other = join(people, stocked_home), join(people, stocked_home)
    killed.do("start")
    other.do("start")
    killed.kill()
    assert "'committed'" in other.do("notes")
    assert other.do("stop") == "did None"
    assert processes_in(stocked_home) == [psutil.Process(other.process.pid)]


def test_a_server_whose_users_were_all_killed_is_stopped_by_the_next(
    embedded: EmbeddedServer, people: ExitStack
) -> None:
    killed = join(people, embedded.home)
    killed.do("start")
    server = postmaster(embedded.home)
    killed.kill()
    embedded.start()
    assert postmaster(embedded.home) == server
    embedded.stop()
    assert has_ended(server)


def test_a_forked_child_neither_leaves_for_its_parent_nor_stays_for_it(
    embedded: EmbeddedServer, people: ExitStack
) -> None:
    parent = join(people, embedded.home)
    parent.do("start")
    assert parent.do("fork and stop") == "did too"
    embedded.start()
    embedded.stop()
    assert "'committed'" in parent.do("notes")
    server = postmaster(embedded.home)
    assert parent.do("stop") == "did None"
    assert has_ended(server)


def test_a_forked_child_that_starts_is_a_user_of_its_own(embedded: EmbeddedServer, people: ExitStack) -> None:
    parent = join(people, embedded.home)
    parent.do("start")
    assert parent.do("fork and start") == "did too"
    server = postmaster(embedded.home)
    assert parent.do("stop") == "did None"
    assert "committed" in notes(embedded.start())
    embedded.stop()
    assert postmaster(embedded.home) == server
    people.close()
    eventually(lambda: not any(str(embedded.home) in words(each) for each in processes_in(embedded.home)))
    embedded.start()
    embedded.stop()
    assert has_ended(server)


def test_an_interrupt_from_the_keyboard_does_not_reach_the_server(embedded: EmbeddedServer, people: ExitStack) -> None:
    user = join(people, embedded.home)
    user.do("start")
    server = postmaster(embedded.home)
    url = embedded.start()  # the user who is interrupted leaves, and as the last one he would stop it himself
    os.killpg(user.process.pid, signal.SIGINT)
    assert user.process.wait(10) != 0
    assert "committed" in notes(url)
    assert postmaster(embedded.home) == server


@linux_only
def test_who_starts_while_another_stops_gets_a_new_server(stocked_home: Path, people: ExitStack) -> None:
    stopping, starting = join(people, stocked_home), join(people, stocked_home)
    stopping.do("start")
    first = postmaster(stocked_home)
    suspend(first)
    stopping.tell("stop")
    eventually(lambda: has_pending(first, signal.SIGINT))
    starting.tell("start")
    eventually(lambda: waits_for(stocked_home / "start.lock"))
    first.resume()
    assert stopping.answer() == "did None"
    assert starting.answer().startswith("did postgresql://")
    assert "'committed'" in starting.do("notes")
    assert postmaster(stocked_home) != first
    assert starting.do("stop") == "did None"


@linux_only
def test_who_is_killed_while_he_stops_the_server_blocks_nobody(embedded: EmbeddedServer, people: ExitStack) -> None:
    stopping = join(people, embedded.home)
    stopping.do("start")
    first = postmaster(embedded.home)
    suspend(first)
    stopping.tell("stop")
    eventually(lambda: has_pending(first, signal.SIGINT))
    stopping.kill()
    embedded.start()
    first.resume()
    eventually(lambda: has_ended(first))
    assert "committed" in notes(embedded.start())


def test_a_server_that_is_on_its_way_out_is_not_given_to_anybody(embedded: EmbeddedServer) -> None:
    with psycopg.connect(embedded.start()):
        first = postmaster(embedded.home)
        first.terminate()  # a smart shutdown: it waits for the open connection
        eventually(lambda: "stopping" in (embedded.data / "postmaster.pid").read_text())
        assert "committed" in notes(embedded.start())
        assert postmaster(embedded.home) != first


@linux_only
def test_a_start_that_waits_while_its_server_is_stopped_starts_nothing(embedded: EmbeddedServer) -> None:
    said: list[str] = []

    def start() -> None:
        try:
            embedded.start()
        except EmbeddedPostgresError as error:
            said.append(str(error))

    embedded.start()
    with (embedded.home / "start.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=start)
        waiting.start()
        eventually(lambda: waits_for(embedded.home / "start.lock"))
        stopping = threading.Thread(target=embedded.stop)
        stopping.start()
        eventually(lambda: embedded._stops == 1)
    waiting.join()
    stopping.join()
    assert said == [f"the embedded Postgres in {embedded.home} was stopped meanwhile"]
    assert not processes_in(embedded.home)


@linux_only
def test_the_server_is_stopped_at_once_where_nobody_takes_note_of_dead_processes(
    stocked_home: Path, people: ExitStack
) -> None:
    careless, other = join(people, stocked_home), join(people, stocked_home)
    careless.do("adopt")
    careless.do("start")
    other.do("start")
    server = postmaster(stocked_home)
    careless.do("stop")
    began = time.monotonic()
    assert other.do("stop") == "did None"
    assert time.monotonic() - began < 30  # it would be given 60 s
    assert server.status() == psutil.STATUS_ZOMBIE
    assert other.do("start").startswith("did ")
    assert "'committed'" in other.do("notes")
    other.do("stop")


@linux_only
def test_process_1_of_a_container_takes_note_of_its_dead_server(stocked_home: Path, people: ExitStack) -> None:
    first = join(people, stocked_home)
    first.do("adopt")
    first.do("start")
    server = postmaster(stocked_home)
    first.do("stop")
    assert not server.is_running()


def kill_postmaster(home: Path) -> None:
    """Kill the server's first process; the others notice."""
    server = postmaster(home)
    server.kill()
    eventually(lambda: has_ended(server))


def kill_backend(home: Path) -> None:
    """Kill one of the server's processes; the first one restarts all the others."""
    server = postmaster(home)
    child = next(each for each in server.children() if "checkpointer" in each.cmdline()[0])
    child.kill()
    eventually(lambda: has_ended(child))


def kill_everything(home: Path) -> None:
    """Kill all of the server's processes, as a power failure does."""
    server = postmaster(home)
    family = [server, *server.children()]
    for process in family:
        process.kill()
    eventually(lambda: all(map(has_ended, family)))


def connects(url: str) -> bool:
    """Whether the server lets somebody in; while it recovers it doesn't."""
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


@pytest.mark.parametrize("kill", [kill_postmaster, kill_backend, kill_everything])
def test_committed_rows_survive_kill_9_of(kill: Callable[[Path], None], embedded: EmbeddedServer) -> None:
    kept, lost = uuid4().hex, uuid4().hex
    with psycopg.connect(embedded.start()) as connection:
        connection.execute("INSERT INTO notes VALUES (%s)", [kept])
        connection.commit()
        connection.execute("INSERT INTO notes VALUES (%s)", [lost])
        kill(embedded.home)
        url = embedded.start()
        eventually(lambda: connects(url))
        connection.close()
    assert notes(url) & {kept, lost} == {kept}


def test_a_query_that_outlives_its_server_does_not_keep_the_next_one_out(embedded: EmbeddedServer) -> None:
    with psycopg.connect(embedded.start(), autocommit=True) as connection:
        busy = psutil.Process(connection.info.backend_pid)
        query = threading.Thread(target=run_for_ever, args=(connection,))
        query.start()
        eventually(lambda: "DO" in busy.cmdline()[0])
        kill_postmaster(embedded.home)
        assert not has_ended(busy)
        assert "committed" in notes(embedded.start())
        query.join()


def run_for_ever(connection: psycopg.Connection) -> None:
    """Keep a server process busy until it ends."""
    with suppress(psycopg.OperationalError):
        connection.execute("DO 'BEGIN LOOP END LOOP; END'")


@pytest.mark.parametrize("also", ["with its programs", "alone"])
def test_a_user_killed_while_the_data_folder_is_made_leaves_none(home: Path, people: ExitStack, also: str) -> None:
    user = join(people, home)
    user.tell("start")
    eventually((home / "data.unfinished/PG_VERSION").exists)
    children = psutil.Process(user.process.pid).children(recursive=True)
    user.kill()
    for child in children if also == "with its programs" else []:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    assert not (home / "data").exists()
    server = EmbeddedServer(home)
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("vigilbase",)
    server.stop()
    assert not (home / "data.unfinished").exists()


def slow_programs(home: Path, name: str) -> tuple[Path, Path]:
    """Programs of which the server begins only when a file is there; their folder, and that file."""
    folder, gate, real = home / name / "install/bin", home / f"{name}.gate", usable_programs(home)
    folder.mkdir(parents=True)
    (folder / "initdb").symlink_to(real / "initdb")
    (folder / "postgres").write_text(
        f"""#!/bin/sh
        while [ "$1" = -D ] && [ -e "$0" ] && [ ! -e {gate} ]; do sleep 0.01; done
        exec {real}/postgres "$@"
        """
    )
    (folder / "postgres").chmod(0o755)
    return folder, gate


def spawned(home: Path) -> list[psutil.Process]:
    """The servers that were begun for a home folder, or are about to; the shell that begins one is none."""
    return [each for each in processes_in(home) if "-D" in words(each) and "-c" not in words(each)[:2]]


def test_a_server_that_a_killed_user_began_comes_too_late(embedded: EmbeddedServer, people: ExitStack) -> None:
    slow, gate = slow_programs(embedded.home, "slow")
    user = join(people, embedded.home, slow)
    user.tell("start")
    eventually(lambda: spawned(embedded.home))
    (late,) = spawned(embedded.home)
    user.kill()
    url = embedded.start()
    gate.touch()
    eventually(lambda: has_ended(late))
    assert "committed" in notes(url)
    assert embedded.start() == url


def test_a_server_that_a_killed_user_began_comes_first(stocked_home: Path, people: ExitStack) -> None:
    slow, gate = slow_programs(stocked_home, "slow")
    killed = join(people, stocked_home, slow)
    killed.tell("start")
    eventually(lambda: spawned(stocked_home))
    (first,) = spawned(stocked_home)
    killed.kill()
    slower, second_gate = slow_programs(stocked_home, "slower")
    user = join(people, stocked_home, slower)
    user.tell("start")
    eventually(lambda: len(spawned(stocked_home)) == 2)
    gate.touch()
    eventually(lambda: connects(EmbeddedServer(stocked_home).url))
    second_gate.touch()
    assert user.answer().startswith("did postgresql://")
    assert "'committed'" in user.do("notes")
    assert postmaster(stocked_home) == first
    assert user.do("stop") == "did None"


def test_a_server_that_is_still_starting_is_waited_for(expendable: EmbeddedServer, people: ExitStack) -> None:
    # Recovery from an archive, which gives no answer until the gate opens.
    gate = expendable.home / "gate"
    command = f"while [ ! -e {gate} ]; do sleep 0.01; done; false"
    with (expendable.data / "postgresql.auto.conf").open("a") as file:
        file.write(f"restore_command = '{command}'\nhot_standby = off\n")
    (expendable.data / "recovery.signal").touch()
    user = join(people, expendable.home)
    user.tell("start")
    eventually((expendable.data / "postmaster.pid").exists)
    eventually(lambda: (expendable.data / "postmaster.pid").read_text().count("\n") > 5)
    first = postmaster(expendable.home)
    user.kill()
    other = join(people, expendable.home)
    other.tell("start")
    gate.touch()
    assert other.answer().startswith("did postgresql://")
    assert "'committed'" in other.do("notes")
    assert postmaster(expendable.home) == first
    assert other.do("stop") == "did None"


@pytest.fixture
def stranger(stocked_home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us, of the user that the server runs as."""
    user = (stocked_home / "data").stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "600"], user=user) as process:
        yield process
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("now", ["a stranger", "ourselves", "a zombie", "nobody", "nothing", "garbage"])
def test_the_lock_files_of_a_killed_server_lock_nobody_out(
    embedded: EmbeddedServer, stranger: subprocess.Popen[bytes], now: str
) -> None:
    embedded.start()
    kill_everything(embedded.home)
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        if now == "nobody":
            ended.wait()
        numbers = {"a stranger": stranger.pid, "ourselves": os.getpid(), "nothing": "", "garbage": "\0x"}
        for use in (embedded.stop, embedded.start):
            leave_behind(embedded.home, str(numbers.get(now, ended.pid)))
            use()
    assert "committed" in notes(embedded.url)


def leave_behind(home: Path, first_line: str) -> None:
    """Lock files as after a reboot, when the number in them may be anybody's; empty ones as after a power failure."""
    for path in (home / "data/postmaster.pid", home / "run/.s.PGSQL.5432.lock"):
        rest = f"\n{home}/data\n1700000000\n5432\n{home}/run\n\n  1  1\nready   \n"
        path.write_text(first_line and first_line + rest)
        os.chown(path, (home / "data").stat().st_uid, -1)


def test_a_server_whose_socket_was_removed_is_replaced(embedded: EmbeddedServer) -> None:
    embedded.start()
    first = postmaster(embedded.home)
    (embedded.home / "run/.s.PGSQL.5432").unlink()
    assert "committed" in notes(embedded.start())
    assert has_ended(first)


@pytest.mark.parametrize("kill", [kill_postmaster, kill_backend, kill_everything])
async def test_a_service_client_works_again_by_itself_after_kill_9_of(
    kill: Callable[[Path], None], stocked_home: Path
) -> None:
    before, after = uuid4().hex, uuid4().hex
    client = make_service_client(load_settings({"VIGILBASE_HOME": str(stocked_home)}))
    try:
        await client.insert("notes", [{"text": before}])
        kill(stocked_home)
        await patiently(lambda: client.insert("notes", [{"text": after}]))
        rows = await patiently(lambda: client.select("notes"))
        assert {before, after} <= {row["text"] for row in rows}
    finally:
        await client.aclose()
    assert not processes_in(stocked_home)


async def patiently(call: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
    """What a call answers as soon as the database is there again, which is to be within a few seconds."""
    give_up = time.monotonic() + 10
    while True:
        try:
            return await call()
        except DatabaseUnavailableError:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
