"""Who owns the embedded server's home, and who else could change it.

Root must not trust a folder by its name: in a folder of another user, any file may be a link to one of root's.
"""

import errno
import os
import pwd
import shlex
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from vigilbase.errors import EmbeddedPostgresError

_MAX_LINKS = 40
_OTHERS = "set VIGILBASE_HOME to a folder of your own"
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def require_safe_parents(path: Path) -> None:
    """Reject a path if another user could replace one of the folders or links that lead to it.

    Folders that don't exist yet are safe, because we create them. A group may write to the parents, since an
    administrator decides who is in it.

    Raises:
        EmbeddedPostgresError: a folder or link belongs to another user, or every user may rename what is in it.

    """
    current, parts, links = Path("/"), [*reversed(path.absolute().parts)], 0
    while parts:
        part = parts.pop()
        current = current.parent if part == ".." else current / part
        try:
            status = current.lstat()
        except FileNotFoundError:
            return
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            parts += reversed(current.readlink().parts)
            _require_owner(current, status, ())
            current = current.parent
        elif parts:
            _require_owner(current, status, ())
            if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
                raise EmbeddedPostgresError(_describe_writable(current, status))


def require_own_folder(folder: Path) -> None:
    """Reject a folder that another user owns or may write to.

    Raises:
        EmbeddedPostgresError: what is wrong, and what to do.
        OSError: it isn't a folder, or can't be opened.

    """
    # By a descriptor, which means the same folder whatever happens to the name.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        require_unshared(folder, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def require_own_tree(folder: Path) -> None:
    """Reject a folder if another user owns or may write to anything in it; links in it are not followed.

    Raises:
        EmbeddedPostgresError: what is wrong, and what to do.

    """
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) and path != folder:
            _require_owner(path, status, ())
        elif stat.S_ISLNK(status.st_mode):
            raise EmbeddedPostgresError(f"{path} is a link: remove it")
        else:
            require_unshared(path, status)


def require_unshared(path: Path, status: os.stat_result, owners: Collection[int] = ()) -> None:
    """Reject a file or folder that belongs to someone else than us, root and `owners`, or that others may write to.

    Raises:
        EmbeddedPostgresError: what is wrong, and what to do.

    """
    _require_owner(path, status, owners)
    if status.st_mode & _WRITABLE:
        raise EmbeddedPostgresError(_describe_writable(path, status))


def open_own_file(path: Path, owners: Collection[int] = ()) -> int:
    """Open or create a file that only we can read and write, without truncating it; return its descriptor.

    An existing file of ours with other permissions is made private.

    Raises:
        EmbeddedPostgresError: it is a link, isn't a regular file, has a second name, or belongs to someone else.
        OSError: it can't be opened.

    """
    # Not blocking, because the open of a pipe would wait for its other end.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        with suppress(FileNotFoundError):
            _require_regular(path, path.lstat(), owners)
        raise error from None
    try:
        status = os.fstat(descriptor)
        _require_regular(path, status, owners)
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def name_user(uid: int) -> str:
    """The name of a user, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _require_regular(path: Path, status: os.stat_result, owners: Collection[int]) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise EmbeddedPostgresError(f"{path} is not a regular file: remove it")
    if status.st_nlink > 1:
        raise EmbeddedPostgresError(f"{path} is a hard link to another file: remove it")
    if status.st_uid not in {os.geteuid(), *owners}:
        raise EmbeddedPostgresError(f"{path} belongs to the user {name_user(status.st_uid)}: remove it")


def _require_owner(path: Path, status: os.stat_result, owners: Collection[int]) -> None:
    # The owner of the root folder is root under another number in some containers, and can replace everything.
    if status.st_uid not in {0, os.geteuid(), Path("/").stat().st_uid, *owners}:
        raise EmbeddedPostgresError(f"{path} belongs to the user {name_user(status.st_uid)}: {_OTHERS}")


def _describe_writable(path: Path, status: os.stat_result) -> str:
    mode = stat.S_IMODE(status.st_mode)
    return f"other users may write to {path} (mode {mode:o}): run `chmod go-w {shlex.quote(str(path))}`, or {_OTHERS}"
