"""The folders, the log file and the lock files in the embedded server's home."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path

from vigilbase.database.binaries import Account
from vigilbase.errors import EmbeddedPostgresError

_SOCKET_PATH_LIMIT = 100  # bytes; macOS allows 103, Linux 107
_LOG_LIMIT_BYTES = 10_000_000


def choose_socket_folder(home: Path) -> Path:
    """The folder for the socket: in /tmp if its path in the home is too long, or has a comma (libpq would split it)."""
    folder = home / "run"
    if len(os.fsencode(folder / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT and "," not in str(folder):
        return folder
    name = sha256(os.fsencode(home)).hexdigest()[:16]
    return Path("/tmp") / f"vigilbase-{os.geteuid()}-{name}"  # noqa: S108 (private, and its owner is checked)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, whatever the umask is. Existing folders keep their permissions.

    Folders of root are open, because the system user must be able to reach its private folders inside.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755 if os.geteuid() == 0 else 0o700)


def make_private_folder(folder: Path, account: Account | None) -> None:
    """Create a folder that only the server's user can enter, or make an existing one private.

    Raises:
        EmbeddedPostgresError: the path is a link or a file, or belongs to another user.

    """
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = account.pw_uid if account else os.geteuid()
    try:
        # Through a descriptor, so that no one can replace the folder between the check and the change.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedPostgresError(f"{folder} is not a private folder ({error.strerror}): remove it") from None
    try:
        if os.fstat(handle).st_uid not in {owner, os.geteuid()}:
            raise EmbeddedPostgresError(f"{folder} belongs to another user: remove it")
        os.fchmod(handle, 0o700)
        if account:
            os.fchown(handle, account.pw_uid, account.pw_gid)
    finally:
        os.close(handle)


def open_log(path: Path, account: Account | None) -> int:
    """Prepare the log file for the server's user, after rotating a long one; return the offset of its next line."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.rename(path.with_suffix(".log.1"))
    path.touch(mode=0o600)
    if account:
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return path.stat().st_size


@contextmanager
def hold_exclusive(path: Path) -> Iterator[int]:
    """Lock a file exclusively during the block; yield its descriptor."""
    with path.open("w") as file:
        # flock, not lockf: programs that inherit the descriptor share the lock, and it outlives a killed parent.
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield file.fileno()
        finally:
            unlock(file)


def hold_shared(path: Path) -> TextIOWrapper:
    """Lock a file together with other processes, until `unlock` or the end of the process."""
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def unlock(file: TextIOWrapper) -> None:
    """Release the lock on a file."""
    # Closing is not enough: a forked child would still hold the lock through its copy of the descriptor.
    fcntl.flock(file, fcntl.LOCK_UN)


def is_unheld(path: Path) -> bool:
    """Whether no process has locked a file, neither exclusively nor shared."""
    # A new descriptor conflicts even with this process's own lock, which may belong to another user.
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
