"""The folders, the log file and the locks of an embedded server's home."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path

from vigilbase.database.programs import Account
from vigilbase.errors import EmbeddedPostgresError

_SOCKET_PATH_LIMIT = 100  # bytes; macOS allows 103, Linux 107
_LOG_LIMIT_BYTES = 10_000_000


def socket_folder(home: Path) -> Path:
    """Below the home folder, unless its path is longer than the system allows, or taken for a list by its comma."""
    folder = home / "run"
    if len(os.fsencode(folder / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT and "," not in str(folder):
        return folder
    name = sha256(os.fsencode(home)).hexdigest()[:16]
    return Path("/tmp") / f"vigilbase-{os.geteuid()}-{name}"  # noqa: S108 (closed, and its owner is checked)


def make_folder(folder: Path) -> None:
    """Make the home folder and what is missing above it; existing ones stay as they are, and so does the umask.

    The system user has to pass through root's; its own folders inside are closed.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755 if os.geteuid() == 0 else 0o700)


def make_private_folder(folder: Path, account: Account | None) -> None:
    """Make a folder that only the server's user can look into, or see to it that an existing one is."""
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


def open_log(path: Path, account: Account | None) -> int:
    """Make the log file ready for the server's user, a long one put aside; return where its next line begins."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.rename(path.with_suffix(".log.1"))
    path.touch(mode=0o600)
    if account:
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return path.stat().st_size


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold a lock file exclusively while the block runs; yields its descriptor."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield file.fileno()
        finally:
            unlock(file)


def hold_shared(path: Path) -> TextIOWrapper:
    """Take a lock file together with others, until it is unlocked or the process ends."""
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def unlock(file: TextIOWrapper) -> None:
    """Let go of a lock file."""
    # Closing is not enough: a child that was forked meanwhile holds the lock through its copy of the descriptor.
    fcntl.flock(file, fcntl.LOCK_UN)


def nobody_holds(path: Path) -> bool:
    """Whether nobody holds a lock file, alone or with others."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
