"""Servers of older versions: 16 comes with the wheel, and 15 may be the system's."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import home_folder
from vigilbase.database.programs import programs_folder

PACKAGE = programs_folder().parents[1]
# 16 comes with the wheel; 15 is tested where the system has it.
OLDER = {"15": Path("/usr/lib/postgresql/15/bin"), "16": PACKAGE / "pginstall" / "bin"}


@contextmanager
def throwaway_server(programs: Path) -> Iterator[str]:
    """A server for as long as the block lasts; its URL, with {} for the database."""
    account = pwd.getpwnam("vigilbase") if os.geteuid() == 0 else None  # Postgres refuses to run as root
    with home_folder() as home:
        if account:
            os.chown(home, account.pw_uid, account.pw_gid)
            programs = within_reach(programs, home)

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


def within_reach(programs: Path, home: Path) -> Path:
    """A copy of the wheel's programs with their libraries, as the virtual environment may be closed to other users."""
    if PACKAGE not in programs.parents:
        return programs
    for folder in (programs.parent, PACKAGE.with_name(f"{PACKAGE.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, home / folder.relative_to(PACKAGE.parent), symlinks=True)
    return home / programs.relative_to(PACKAGE.parent)
