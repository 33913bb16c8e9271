"""Servers of all available versions: 18 is the embedded one, 16 comes with the wheel, 15 may come with the system."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.server import API_ROLES, PostgresServer, home_folder, in_ci
from vigilbase.database.binaries import find_binaries

PACKAGE = find_binaries().parents[1]
OLDER = {"15": Path("/usr/lib/postgresql/15/bin"), "16": PACKAGE / "pginstall" / "bin"}
OLDEST_AND_NEWEST = ("15", "18")


@contextmanager
def run_supabase_like_server(version: str, server: PostgresServer) -> Iterator[str]:
    """The URL of a server of a version, with {} for the database. It has the roles of a Supabase project.

    `server` has the newest version. If a version isn't installed, the test is skipped, except in CI.
    """
    if version not in OLDER:
        yield server.url("{}")
        return
    if not (OLDER[version] / "initdb").exists():
        reason = f"no Postgres {version}: run `make test-tools` as root, or apt install postgresql-{version}"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    with run_temporary_server(OLDER[version]) as url:
        with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
            assert connection.info.server_version // 10_000 == int(version)
            for role in API_ROLES:
                bypass = " BYPASSRLS" if role == "service_role" else ""
                connection.execute(f"CREATE ROLE {role} NOLOGIN{bypass}".encode())
        yield url


@contextmanager
def run_temporary_server(programs: Path) -> Iterator[str]:
    """Run a server during the block; yield its URL, with {} for the database."""
    account = pwd.getpwnam("vigilbase") if os.geteuid() == 0 else None  # Postgres refuses to run as root
    with home_folder() as home:
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

        run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
        run("pg_ctl", "start", "--wait", f"--log={home / 'log'}", f"--options={options}")
        try:
            yield f"postgresql://postgres@/{{}}?host={home}"
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")


def copy_binaries(programs: Path, home: Path) -> Path:
    """Copy the wheel's programs and libraries, because other users may not be able to enter the virtual environment."""
    if PACKAGE not in programs.parents:
        return programs
    for folder in (programs.parent, PACKAGE.with_name(f"{PACKAGE.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, home / folder.relative_to(PACKAGE.parent), symlinks=True)
    return home / programs.relative_to(PACKAGE.parent)
