"""Servers of all available versions: 18 is the embedded one, 16 comes with the wheel, 15 may come with the system."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.server import API_ROLES, PostgresServer, copy_data, home_folder, in_ci
from vigilbase.database.binaries import find_binaries
from vigilbase.database.file_locks import hold_exclusive

PACKAGE = find_binaries().parents[1]
OLDER = {"15": Path("/usr/lib/postgresql/15/bin"), "16": PACKAGE / "pginstall" / "bin"}
OLDEST_AND_NEWEST = ("15", "18")


class Servers:
    """Servers of all versions, each started when it is first asked for. `newest` has the newest version.

    The data of the others are created once in `folder`, which all workers of a test run share, and copied.
    """

    def __init__(self, newest: PostgresServer, folder: Path, stack: ExitStack) -> None:
        self._newest = newest
        self._folder = folder
        self._stack = stack
        self._urls: dict[str, str] = {}

    def find_url(self, version: str) -> str:
        """The URL of a server of a version, with {} for the database. It has the roles of a Supabase project.

        If a version isn't installed, the test is skipped, except in CI.
        """
        if version not in OLDER:
            return self._newest.url("{}")
        if version not in self._urls:
            require_installed(version)
            self._urls[version] = self._stack.enter_context(_run_server(version, self._folder / f"data-{version}"))
        return self._urls[version]


def require_installed(version: str) -> None:
    if not (OLDER[version] / "initdb").exists():
        reason = f"no Postgres {version}: run `make test-tools` as root, or apt install postgresql-{version}"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def _run_server(version: str, data: Path) -> Iterator[str]:
    account = pwd.getpwnam("vigilbase") if os.geteuid() == 0 else None  # Postgres refuses to run as root
    with home_folder() as home:
        programs = OLDER[version]
        if account:
            os.chown(home, account.pw_uid, account.pw_gid)
            programs = copy_binaries(programs, home)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [str(programs / program), f"--pgdata={home / 'data'}", *arguments],
                check=True,
                cwd=home,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdout=subprocess.DEVNULL,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

        with hold_exclusive(data.with_suffix(".lock"), limit_s=300):
            if not data.exists():
                run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
                copy_data(home / "data", data)
        if not (home / "data").exists():
            copy_data(data, home / "data")
        options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
        run("pg_ctl", "start", "--wait", f"--log={home / 'log'}", f"--options={options}")
        try:
            url = f"postgresql://postgres@/{{}}?host={home}"
            _create_roles(url.format("postgres"), version)
            yield url
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")


def _create_roles(url: str, version: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.info.server_version // 10_000 == int(version)
        for role in API_ROLES:
            bypass = " BYPASSRLS" if role == "service_role" else ""
            connection.execute(f"CREATE ROLE {role} NOLOGIN{bypass}".encode())


def copy_binaries(programs: Path, home: Path) -> Path:
    """Copy the wheel's programs and libraries, because other users may not be able to enter the virtual environment."""
    if PACKAGE not in programs.parents:
        return programs
    for folder in (programs.parent, PACKAGE.with_name(f"{PACKAGE.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, home / folder.relative_to(PACKAGE.parent), symlinks=True)
    return home / programs.relative_to(PACKAGE.parent)
