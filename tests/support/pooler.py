"""A real PgBouncer in transaction mode, from Debian, between the program and the test server."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.server import PostgresServer, free_port, in_ci


def find_pgbouncer() -> str:
    """The path of the program. If it is missing, the test is skipped, except in CI."""
    path = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        assert not in_ci(), "pgbouncer is missing: `make test` installs it on Debian"
        pytest.skip("pgbouncer is not installed (on Debian: apt install pgbouncer)")
    return path


@contextmanager
def run_pooler(server: PostgresServer, folder: Path) -> Iterator[str]:
    """Run a pooler with two connections to the server; yield its URL without a database name."""
    program, port = find_pgbouncer(), free_port()
    users = folder / "users.txt"
    users.write_text(f'"postgres" "{server.password}"\n')
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\n"
        "default_pool_size = 2\nserver_round_robin = 1\n"
    )
    command = [program]
    if os.geteuid() == 0:  # it refuses to run as root
        account = pwd.getpwnam("vigilbase")
        for file in (folder, users, config):
            os.chown(file, account.pw_uid, account.pw_gid)
        command += ["-u", "vigilbase"]
    log = folder / "pgbouncer.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, str(config)], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    url = f"postgresql://postgres:{server.password}@127.0.0.1:{port}"
    try:
        _wait_until_ready(f"{url}/postgres", process, log)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, f"pgbouncer ended: {log.read_text()}"
        try:
            psycopg.connect(url, prepare_threshold=None).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"pgbouncer does not answer: {log.read_text()}")
