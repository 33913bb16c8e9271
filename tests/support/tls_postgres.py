"""A real Postgres 15 that accepts TCP connections over TLS only. The embedded server is built without TLS."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.certificates import Authority, new_authority
from tests.support.older_servers import OLDER
from tests.support.server import free_port, home_folder, in_ci

PASSWORD = "hunter2-hunter2"


@dataclass(frozen=True)
class TlsPostgres:
    """A running server. Its certificate is for localhost, from `authority`."""

    authority: Authority
    port: int
    socket_url: str

    def url(self, host: str = "localhost", password: str = PASSWORD, query: str = "") -> str:
        return f"postgresql://postgres:{password}@{host}:{self.port}/postgres{query}"

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run SQL as the superuser, without TLS."""
        with psycopg.connect(self.socket_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def run_tls_postgres() -> Iterator[TlsPostgres]:
    """Run a server inside the block. If it isn't installed, the test is skipped, except in CI."""
    programs = OLDER["15"]
    if not (programs / "initdb").exists():
        assert not in_ci(), "Postgres 15 is missing: `make test-tools` installs it on Debian"
        pytest.skip("no Postgres 15 (on Debian: apt install postgresql-15)")
    account = pwd.getpwnam("vigilbase") if os.geteuid() == 0 else None  # Postgres refuses to run as root
    with home_folder() as home:
        authority, port = new_authority(home), free_port()
        authority.server("localhost")
        [certificate] = set(home.glob("*.pem")) - {Path(authority.ca_file)}
        certificate.chmod(0o600)
        if account:
            os.chown(home, account.pw_uid, account.pw_gid)
            os.chown(certificate, account.pw_uid, account.pw_gid)

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
        (home / "data" / "pg_hba.conf").write_text("local all all trust\nhostssl all all all scram-sha-256\n")
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={home} -c fsync=off "
            f"-c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={certificate}"
        )
        run("pg_ctl", "start", "--wait", f"--log={home / 'log'}", f"--options={options}")
        try:
            server = TlsPostgres(authority, port, f"postgresql://postgres@/postgres?host={home}&port={port}")
            server.execute(f"ALTER ROLE postgres PASSWORD '{PASSWORD}'")
            yield server
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")
