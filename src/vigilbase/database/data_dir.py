"""The folders and the log file of the embedded server."""

import os
import tempfile
from hashlib import sha256
from pathlib import Path

from vigilbase.database.binaries import Account
from vigilbase.database.ownership import open_own_file, require_safe_parents, require_unshared
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


def make_home(home: Path, account: Account | None) -> None:
    """Create the home folder, and its missing parents, unless it exists. The server's user can enter it, and no other.

    Existing folders keep their permissions.
    """
    if home.is_dir():
        return
    _make_folder(home.parent)
    # It gets its name when its permissions are complete, because other processes use it at once.
    unfinished = Path(tempfile.mkdtemp(prefix=".vigilbase-", dir=home.parent))
    try:
        if account:
            os.chown(unfinished, -1, account.pw_gid)
            unfinished.chmod(0o710)
        unfinished.rename(home)
    except OSError:
        unfinished.rmdir()
        if not home.is_dir():  # or another process was faster
            raise


def _make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, whatever the umask is. Folders of root are open to the server's user."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755 if os.geteuid() == 0 else 0o700)


def require_own_data(data: Path, account: Account | None) -> None:
    """Reject a data folder that belongs to another user than the server's, or to which others may write.

    It may be a link of ours, for example to another disk.

    Raises:
        EmbeddedPostgresError: what is wrong, and what to do.

    """
    require_safe_parents(data)
    if data.exists():
        require_unshared(data, data.stat(), [account.pw_uid] if account else [])


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
    owners = [account.pw_uid] if account else []
    descriptor = open_own_file(path, owners)
    try:
        if os.fstat(descriptor).st_size > _LOG_LIMIT_BYTES:
            path.rename(path.with_suffix(".log.1"))
            os.close(descriptor)
            descriptor = open_own_file(path, owners)
        if account:
            os.fchown(descriptor, account.pw_uid, account.pw_gid)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
