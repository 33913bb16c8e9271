"""Several processes share the embedded Postgres, and are really killed with kill -9 at various moments."""
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
    copied_embedded,
    embedded,
    fewer_objects,
    find_postmaster,
    find_processes,
    find_runnable_binaries,
    get_command_line,
    home_with_data,
    read_notes,
    require_no_leftovers,
    stopped_data,
)
from tests.support.waiting import wait_until
from vigilbase.config.supabase import make_service_client
from vigilbase.database.client import Row
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.errors import DatabaseUnavailableError, EmbeddedPostgresError
from vigilbase.settings import load_settings

USER_SCRIPT = """
import ctypes, os, signal, sys
from pathlib import Path
import psycopg
from vigilbase.database import binaries, embedded
from vigilbase.errors import VigilbaseError

if len(sys.argv) > 2:
    binaries.find_binaries = lambda: Path(sys.argv[2])
server = embedded.EmbeddedServer(Path(sys.argv[1]))
# If the tests run in the background, the process starts with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def read_notes():
    with psycopg.connect(server.url) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes")]

def fork(verb):
    # A child with a copy of all open files runs the verb, and ends without cleaning up when this process ends.
    child_end, parent_end = os.pipe()
    result, answer = os.pipe()
    if os.fork() == 0:
        os.close(parent_end)
        verb()
        os.write(answer, b"too")
        os.read(child_end, 1)
        os._exit(0)
    return os.read(result, 3).decode()

def adopt():
    # Adopt orphans without reaping them, as many containers' process 1. 36 is PR_SET_CHILD_SUBREAPER.
    return ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)

verbs = {
    "start": server.start,
    "stop": server.stop,
    "notes": read_notes,
    "adopt": adopt,
    "fork and stop": lambda: fork(server.stop),
    "fork and start": lambda: fork(server.start),
}
print("ready", flush=True)
for line in sys.stdin:
    try:
        print("did", verbs[line.strip()](), flush=True)
    except VigilbaseError as error:
        print("failed", error, flush=True)
"""


class UserProcess:
    """A process in its own session that starts and stops the server of a home folder on command."""

    def __init__(self, home: Path, programs: Path | None = None) -> None:
        arguments = [str(home)] + ([str(programs)] if programs else [])
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-c", USER_SCRIPT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> "UserProcess":
        return self

    def __exit__(self, *_: object) -> None:
        alive = self.process.poll() is None
        try:
            errors = self.process.communicate(timeout=60)[1]
        finally:
            self.kill()
        assert not alive or (self.process.returncode, errors) == (0, "")

    def send(self, verb: str) -> None:
        """Send a command without waiting for its answer."""
        assert self.process.stdin
        self.process.stdin.write(f"{verb}\n")
        self.process.stdin.flush()

    def read_answer(self) -> str:
        """The answer to the next command."""
        assert self.process.stdout
        return str(self.process.stdout.readline()).strip()

    def run(self, verb: str) -> str:
        """Run a command and return its answer."""
        self.send(verb)
        return self.read_answer()

    def kill(self) -> None:
        """Kill the process, so that it can't clean up."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def users_stack() -> Iterator[ExitStack]:
    """The stack of a test's user processes, which end with it."""
    with ExitStack() as stack:
        yield stack


def start_user(users_stack: ExitStack, home: Path, programs: Path | None = None) -> UserProcess:
    """Start another user process, with the wheel's programs or other ones."""
    user = users_stack.enter_context(UserProcess(home, programs))
    assert user.read_answer() == "ready"
    return user


def has_opened(process: psutil.Process, lock: Path, times: int = 1) -> bool:
    """Whether a process has opened a lock file (that often), which it does before it waits for the lock."""
    return [file.path for file in process.open_files()].count(str(lock)) >= times


def suspend(process: psutil.Process) -> None:
    """Suspend a process, and wait until it stops: it might still handle a signal sent at once."""
    process.suspend()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED)


def has_pending(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether a suspended process has a pending signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    mask = int(status.split("ShdPnd:")[1].split()[0], 16)
    return bool(mask & 1 << (number - 1))


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc or creates a subreaper")


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or is a zombie."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_start_ten_concurrent_processes_share_server_until_last_stop(home: Path, users_stack: ExitStack) -> None:
    users = [users_stack.enter_context(UserProcess(home)) for _ in range(10)]
    assert [user.read_answer() for user in users] == ["ready"] * 10
    for user in users:
        user.send("start")
    (url,) = {user.read_answer() for user in users}
    assert url.startswith("did postgresql://postgres@/vigilbase?")
    server = find_postmaster(home)
    # A new child of the server shows its parent's command line until it sets its own title.
    assert set(find_servers(home)) - set(server.children()) == {server}
    for user in users[:-1]:
        with psycopg.connect(url.removeprefix("did ")):
            assert user.run("stop") == "did None"
        assert find_postmaster(home) == server
    assert users[-1].run("stop") == "did None"
    assert has_ended(server)


def test_stop_killed_user_does_not_count(home_with_data: Path, users_stack: ExitStack) -> None:
    killed, other = start_user(users_stack, home_with_data), start_user(users_stack, home_with_data)
    killed.run("start")
    other.run("start")
    killed.kill()
    assert "'committed'" in other.run("notes")
    assert other.run("stop") == "did None"
    assert find_processes(home_with_data) == [psutil.Process(other.process.pid)]


def test_stop_all_other_users_killed_stops_server(embedded: EmbeddedServer, users_stack: ExitStack) -> None:
    killed = start_user(users_stack, embedded.home)
    killed.run("start")
    server = find_postmaster(embedded.home)
    killed.kill()
    embedded.start()
    assert find_postmaster(embedded.home) == server
    embedded.stop()
    assert has_ended(server)


def test_stop_in_forked_child_does_not_affect_parent(embedded: EmbeddedServer, users_stack: ExitStack) -> None:
    parent = start_user(users_stack, embedded.home)
    parent.run("start")
    assert parent.run("fork and stop") == "did too"
    embedded.start()
    embedded.stop()
    assert "'committed'" in parent.run("notes")
    server = find_postmaster(embedded.home)
    assert parent.run("stop") == "did None"
    assert has_ended(server)


def test_start_in_forked_child_adds_user(embedded: EmbeddedServer, users_stack: ExitStack) -> None:
    parent = start_user(users_stack, embedded.home)
    parent.run("start")
    assert parent.run("fork and start") == "did too"
    server = find_postmaster(embedded.home)
    assert parent.run("stop") == "did None"
    assert "committed" in read_notes(embedded.start())
    embedded.stop()
    assert find_postmaster(embedded.home) == server
    users_stack.close()
    wait_until(lambda: not any(str(embedded.home) in get_command_line(each) for each in find_processes(embedded.home)))
    embedded.start()
    embedded.stop()
    assert has_ended(server)


def test_keyboard_interrupt_does_not_reach_server(embedded: EmbeddedServer, users_stack: ExitStack) -> None:
    user = start_user(users_stack, embedded.home)
    user.run("start")
    server = find_postmaster(embedded.home)
    url = embedded.start()  # otherwise the interrupted user would be the last one and stop the server
    os.killpg(user.process.pid, signal.SIGINT)
    assert user.process.wait(60) != 0
    assert "committed" in read_notes(url)
    assert find_postmaster(embedded.home) == server


@linux_only
def test_start_during_stop_launches_new_server(home_with_data: Path, users_stack: ExitStack) -> None:
    stopping, starting = start_user(users_stack, home_with_data), start_user(users_stack, home_with_data)
    stopping.run("start")
    first = find_postmaster(home_with_data)
    suspend(first)
    stopping.send("stop")
    wait_until(lambda: has_pending(first, signal.SIGINT))
    starting.send("start")
    # The other one holds it until the server has stopped.
    wait_until(lambda: has_opened(psutil.Process(starting.process.pid), home_with_data / "users.lock"))
    first.resume()
    assert stopping.read_answer() == "did None"
    assert starting.read_answer().startswith("did postgresql://")
    assert "'committed'" in starting.run("notes")
    assert find_postmaster(home_with_data) != first
    assert starting.run("stop") == "did None"


@linux_only
def test_start_after_kill_during_stop_succeeds(embedded: EmbeddedServer, users_stack: ExitStack) -> None:
    stopping = start_user(users_stack, embedded.home)
    stopping.run("start")
    first = find_postmaster(embedded.home)
    suspend(first)
    stopping.send("stop")
    wait_until(lambda: has_pending(first, signal.SIGINT))
    stopping.kill()
    embedded.start()
    first.resume()
    wait_until(lambda: has_ended(first))
    assert "committed" in read_notes(embedded.start())


def test_start_server_shutting_down_is_replaced(embedded: EmbeddedServer) -> None:
    with psycopg.connect(embedded.start()):
        first = find_postmaster(embedded.home)
        first.terminate()  # a smart shutdown: it waits for the open connection
        wait_until(lambda: "stopping" in (embedded.data / "postmaster.pid").read_text())
        assert "committed" in read_notes(embedded.start())
        assert find_postmaster(embedded.home) != first


@linux_only
def test_start_stopped_while_waiting_for_lock_starts_nothing(embedded: EmbeddedServer) -> None:
    errors_of_start: list[str] = []

    def start() -> None:
        try:
            embedded.start()
        except EmbeddedPostgresError as error:
            errors_of_start.append(str(error))

    embedded.start()
    with (embedded.home / "start.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kill_everything(embedded.home)  # a running server would need no lock
        waiting = threading.Thread(target=start)
        waiting.start()
        wait_until(lambda: has_opened(psutil.Process(), embedded.home / "start.lock", times=2))
        stopping = threading.Thread(target=embedded.stop)
        stopping.start()
        waiting.join()
    stopping.join()
    assert len(errors_of_start) == 1
    assert "was stopped before it had started" in errors_of_start[0]
    assert not find_processes(embedded.home)


@linux_only
def test_stop_parent_that_never_reaps_does_not_delay_it(home_with_data: Path, users_stack: ExitStack) -> None:
    careless, other = start_user(users_stack, home_with_data), start_user(users_stack, home_with_data)
    careless.run("adopt")
    careless.run("start")
    other.run("start")
    server = find_postmaster(home_with_data)
    careless.run("stop")
    assert other.run("stop") == "did None"  # and `UserProcess` finds no warning that the server was left running
    assert server.status() == psutil.STATUS_ZOMBIE
    assert other.run("start").startswith("did ")
    assert "'committed'" in other.run("notes")
    other.run("stop")


@linux_only
def test_stop_process_1_reaps_server(home_with_data: Path, users_stack: ExitStack) -> None:
    first = start_user(users_stack, home_with_data)
    first.run("adopt")
    first.run("start")
    server = find_postmaster(home_with_data)
    first.run("stop")
    assert not server.is_running()


def kill_postmaster(home: Path) -> None:
    """Kill the server's first process; the others notice and exit."""
    server = find_postmaster(home)
    server.kill()
    wait_until(lambda: has_ended(server))


def kill_backend(home: Path) -> None:
    """Kill one of the server's processes; the first one restarts all the others."""
    server = find_postmaster(home)
    child = next(each for each in server.children() if "checkpointer" in each.cmdline()[0])
    child.kill()
    wait_until(lambda: has_ended(child))


def kill_everything(home: Path) -> None:
    """Kill all processes of the server, like a power failure."""
    server = find_postmaster(home)
    family = [server, *server.children()]
    for process in family:
        process.kill()
    wait_until(lambda: all(map(has_ended, family)))


def can_connect(url: str) -> bool:
    """Whether the server accepts connections, which it doesn't during recovery."""
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


@pytest.mark.parametrize("kill", [kill_postmaster, kill_backend, kill_everything])
def test_kill_9_committed_rows_survive(kill: Callable[[Path], None], embedded: EmbeddedServer) -> None:
    kept, lost = uuid4().hex, uuid4().hex
    with psycopg.connect(embedded.start()) as connection:
        connection.execute("INSERT INTO notes VALUES (%s)", [kept])
        connection.commit()
        connection.execute("INSERT INTO notes VALUES (%s)", [lost])
        kill(embedded.home)
        url = embedded.start()
        wait_until(lambda: can_connect(url))
        connection.close()
    assert read_notes(url) & {kept, lost} == {kept}


def test_start_query_of_killed_server_does_not_block_it(embedded: EmbeddedServer) -> None:
    with psycopg.connect(embedded.start(), autocommit=True) as connection:
        busy = psutil.Process(connection.info.backend_pid)
        query = threading.Thread(target=run_endless_query, args=(connection,))
        query.start()
        wait_until(lambda: "DO" in busy.cmdline()[0])
        kill_postmaster(embedded.home)
        assert not has_ended(busy)
        assert "committed" in read_notes(embedded.start())
        query.join()


def run_endless_query(connection: psycopg.Connection) -> None:
    """Keep a server process busy until it ends."""
    with suppress(psycopg.OperationalError):
        connection.execute("DO 'BEGIN LOOP END LOOP; END'")


@pytest.mark.parametrize("also", ["with its programs", "alone"])
def test_start_killed_during_data_creation_leaves_no_data_folder(home: Path, users_stack: ExitStack, also: str) -> None:
    user = start_user(users_stack, home)
    user.send("start")
    wait_until((home / "data.unfinished/PG_VERSION").exists)
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


def make_slow_programs(home: Path, name: str) -> tuple[Path, Path]:
    """Make programs whose server starts only when a file exists; return their folder and that file."""
    folder, gate, real = home / name / "install/bin", home / f"{name}.gate", find_runnable_binaries(home)
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


def find_servers(home: Path) -> list[psutil.Process]:
    """The servers of a home folder, including those about to start, without the shells that start them."""
    return [
        each
        for each in find_processes(home)
        if "-D" in get_command_line(each) and "-c" not in get_command_line(each)[:2]
    ]


def test_start_slower_server_of_killed_user_ends(embedded: EmbeddedServer, users_stack: ExitStack) -> None:
    slow, gate = make_slow_programs(embedded.home, "slow")
    user = start_user(users_stack, embedded.home, slow)
    user.send("start")
    wait_until(lambda: find_servers(embedded.home))
    (late,) = find_servers(embedded.home)
    user.kill()
    url = embedded.start()
    gate.touch()
    wait_until(lambda: has_ended(late))
    assert "committed" in read_notes(url)
    assert embedded.start() == url


def test_start_faster_server_of_killed_user_is_used(home_with_data: Path, users_stack: ExitStack) -> None:
    slow, gate = make_slow_programs(home_with_data, "slow")
    killed = start_user(users_stack, home_with_data, slow)
    killed.send("start")
    wait_until(lambda: find_servers(home_with_data))
    (first,) = find_servers(home_with_data)
    killed.kill()
    slower, second_gate = make_slow_programs(home_with_data, "slower")
    user = start_user(users_stack, home_with_data, slower)
    user.send("start")
    wait_until(lambda: len(find_servers(home_with_data)) == 2)
    gate.touch()
    wait_until(lambda: can_connect(EmbeddedServer(home_with_data).url))
    second_gate.touch()
    assert user.read_answer().startswith("did postgresql://")
    assert "'committed'" in user.run("notes")
    assert find_postmaster(home_with_data) == first
    assert user.run("stop") == "did None"


def test_start_server_still_starting_is_awaited(copied_embedded: EmbeddedServer, users_stack: ExitStack) -> None:
    # Recovery from an archive, which waits until the gate exists.
    gate = copied_embedded.home / "gate"
    command = f"while [ ! -e {gate} ]; do sleep 0.01; done; false"
    with (copied_embedded.data / "postgresql.auto.conf").open("a") as file:
        file.write(f"restore_command = '{command}'\nhot_standby = off\n")
    (copied_embedded.data / "recovery.signal").touch()
    user = start_user(users_stack, copied_embedded.home)
    user.send("start")
    wait_until((copied_embedded.data / "postmaster.pid").exists)
    wait_until(lambda: (copied_embedded.data / "postmaster.pid").read_text().count("\n") > 5)
    first = find_postmaster(copied_embedded.home)
    user.kill()
    other = start_user(users_stack, copied_embedded.home)
    other.send("start")
    gate.touch()
    assert other.read_answer().startswith("did postgresql://")
    assert "'committed'" in other.run("notes")
    assert find_postmaster(copied_embedded.home) == first
    assert other.run("stop") == "did None"


@pytest.fixture
def other_process(home_with_data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An unrelated process of the user that runs the server."""
    user = (home_with_data / "data").stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "600"], user=user) as process:
        yield process
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("now", ["another process", "ourselves", "a zombie", "no process", "nothing", "garbage"])
def test_start_and_stop_stale_lock_files_are_ignored(
    embedded: EmbeddedServer, other_process: subprocess.Popen[bytes], now: str
) -> None:
    embedded.start()
    kill_everything(embedded.home)
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        if now == "no process":
            ended.wait()
        numbers = {"another process": other_process.pid, "ourselves": os.getpid(), "nothing": "", "garbage": "\0x"}
        for use in (embedded.stop, embedded.start):
            write_stale_locks(embedded.home, str(numbers.get(now, ended.pid)))
            use()
    assert "committed" in read_notes(embedded.url)


def write_stale_locks(home: Path, first_line: str) -> None:
    """Write lock files as after a reboot, with the number of any process, or empty ones as after a power failure."""
    for path in (home / "data/postmaster.pid", home / "run/.s.PGSQL.5432.lock"):
        rest = f"\n{home}/data\n1700000000\n5432\n{home}/run\n\n  1  1\nready   \n"
        path.write_text(first_line and first_line + rest)
        os.chown(path, (home / "data").stat().st_uid, -1)


def test_start_removed_socket_replaces_server(embedded: EmbeddedServer) -> None:
    embedded.start()
    first = find_postmaster(embedded.home)
    (embedded.home / "run/.s.PGSQL.5432").unlink()
    assert "committed" in read_notes(embedded.start())
    assert has_ended(first)


@pytest.mark.parametrize("kill", [kill_postmaster, kill_backend, kill_everything])
async def test_service_client_recovers_after_kill_9(kill: Callable[[Path], None], home_with_data: Path) -> None:
    before, after = uuid4().hex, uuid4().hex
    client = make_service_client(load_settings({"VIGILBASE_HOME": str(home_with_data)}))
    try:
        await client.insert("notes", [{"text": before}])
        kill(home_with_data)
        await retry_until_available(lambda: client.insert("notes", [{"text": after}]))
        rows = await retry_until_available(lambda: client.select("notes"))
        assert {before, after} <= {row["text"] for row in rows}
    finally:
        await client.aclose()
    assert not find_processes(home_with_data)


async def retry_until_available(call: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
    """Retry a call until the database is available again, for at most 60 s."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return await call()
        except DatabaseUnavailableError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
