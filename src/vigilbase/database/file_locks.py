"""The lock files of the embedded server's home, which the kernel releases when a process dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from vigilbase.clock import monotonic
from vigilbase.database.ownership import open_own_file
from vigilbase.errors import EmbeddedPostgresError
from vigilbase.logging import get_logger

log = get_logger(__name__)

Pause = Callable[[float], None]

_POLL_S = 0.01
_WARN_AFTER_S = 5.0


class LockHeldError(EmbeddedPostgresError):
    """Another process holds a lock for too long. The message names the process."""


@contextmanager
def hold_exclusive(path: Path, limit_s: float, pause: Pause = time.sleep) -> Iterator[int]:
    """Lock a file exclusively during the block; yield its descriptor.

    `limit_s`: seconds to wait for the lock. `pause` sleeps between two attempts, and may raise to end the wait.

    Raises:
        LockHeldError: another process still holds the lock after that time.
        EmbeddedPostgresError: the file isn't a lock file of ours.

    """
    descriptor = open_own_file(path)
    try:
        _lock(descriptor, path, fcntl.LOCK_EX, limit_s, pause)
        try:
            yield descriptor
        finally:
            # Closing is not enough: a forked child would still hold the lock through its copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def hold_shared(path: Path, limit_s: float, pause: Pause = time.sleep) -> int:
    """Lock a file together with other processes, until `release` or the end of the process; return its descriptor.

    Raises:
        LockHeldError: another process still holds the lock exclusively after `limit_s` seconds.
        EmbeddedPostgresError: the file isn't a lock file of ours.

    """
    descriptor = open_own_file(path)
    try:
        _lock(descriptor, path, fcntl.LOCK_SH, limit_s, pause)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def release(descriptor: int) -> None:
    """Release a lock, and close its file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@contextmanager
def hold_if_unheld(path: Path) -> Iterator[bool]:
    """Lock a file exclusively during the block, unless a process holds it; yield whether none does.

    Processes of other users don't count: they can have opened the file only while its permissions allowed it.
    """
    # A new descriptor conflicts even with this process's own lock, which may belong to another object.
    descriptor = open_own_file(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holders = find_holders(descriptor)
        yield bool(holders) and not any(map(_may_be_ours, holders))
    else:
        try:
            yield True
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def find_holders(descriptor: int) -> list[int]:
    """The processes that hold a lock on a file; empty where the system doesn't tell.

    https://man7.org/linux/man-pages/man5/proc_locks.5.html
    """
    inode = f":{os.fstat(descriptor).st_ino}"
    with suppress(OSError):
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        # A line with an arrow is of a process that waits.
        return [int(words[4]) for words in lines if words[1] == "FLOCK" and words[5].endswith(inode)]
    return []


def _lock(descriptor: int, path: Path, operation: int, limit_s: float, pause: Pause) -> None:
    # flock, not lockf: programs that inherit the descriptor share the lock, and it outlives a killed parent.
    began, has_warned = monotonic(), False
    while True:
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        waited = monotonic() - began
        if waited >= limit_s:
            raise LockHeldError(
                f"{path} is still locked after {limit_s:g} s, by {_describe_holders(descriptor)}: wait for it to end, "
                "or end it, and try again"
            )
        if waited >= _WARN_AFTER_S and not has_warned:
            log.warning("embedded_postgres.lock_awaited", lock=str(path), holder=_describe_holders(descriptor))
            has_warned = True
        pause(_POLL_S)


def _describe_holders(descriptor: int) -> str:
    return " and ".join(map(_describe_process, find_holders(descriptor))) or "another process"


def _describe_process(pid: int) -> str:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return f"process {pid} ({process.name()}, user {process.username()})"
    return f"process {pid}"


def _may_be_ours(pid: int) -> bool:
    """Whether a holder is a process of ours or of root, or one that is gone and has left the lock to a child."""
    try:
        return bool({0, os.geteuid()} & set(psutil.Process(pid).uids()))
    except psutil.Error:
        return True
