"""The Postgres for the tests: the embedded server, which here also listens on a loopback TCP port."""

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from vigilbase.database.embedded import EmbeddedServer
from vigilbase.database.file_locks import hold_exclusive
from vigilbase.database.migrate import apply_pending, discover_migrations

TEMPLATE = "template_vigilbase"
API_ROLES = ("anon", "authenticated", "service_role")


def free_port() -> int:
    """A TCP port on loopback that was just free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class PostgresServer:
    """A running server whose superuser can log in over TCP."""

    embedded: EmbeddedServer
    port: int
    password: str

    def url(self, database: str = "vigilbase", *, user: str = "postgres", password: str | None = None) -> str:
        """The URL of a database over TCP."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "vigilbase") -> list[tuple[object, ...]]:
        """Run SQL as the superuser; return the rows of the last statement, if it has any."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def create_database(self, template: str = "template0") -> str:
        """Create a database with a unique name from a template."""
        name = f"test_{uuid4().hex[:12]}"
        # Twice as fast as the default strategy, which logs each page.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, closing its connections."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def home_folder() -> Iterator[Path]:
    """An empty home folder. As root, Postgres runs as another user, who can't read pytest's folders."""
    folder = Path(tempfile.mkdtemp(prefix="vigilbase-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Cluster:
    """The data folder of a stopped server, to be copied: a copy is ready ten times as fast as a new one.

    It has the three roles of a Supabase project, and two migrated databases, `vigilbase` and the template.
    """

    data: Path
    password: str

    def copy_to(self, home: Path) -> None:
        """Copy the data into an empty home folder."""
        copy_data(self.data, home / "data")


def copy_data(source: Path, target: Path) -> None:
    """Copy the data folder of a stopped server; the target appears when it is complete."""
    unfinished = target.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    subprocess.run(["cp", "-a", source, unfinished], check=True)
    unfinished.rename(target)


def build_cluster(folder: Path) -> Cluster:
    """Build a cluster in a folder, unless another process of this test run has built it already."""
    folder.mkdir(exist_ok=True)
    password = folder / "password"
    with hold_exclusive(folder / "lock", limit_s=300):
        if not password.exists():
            with home_folder() as home:
                secret = _initialize(home)
                copy_data(home / "data", folder / "data")
            password.write_text(secret)
    return Cluster(folder / "data", password.read_text())


def start_server(home: Path, cluster: Cluster) -> PostgresServer:
    """Start a server on a copy of a cluster, in an empty folder."""
    cluster.copy_to(home)
    server = _make_server(home, cluster.password)
    server.embedded.start()
    return server


def in_ci() -> bool:
    """Whether tests run in CI, where none may be skipped."""
    return bool(os.environ.get("CI"))


def _make_server(home: Path, password: str) -> PostgresServer:
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "fsync": "off",
        "max_connections": "200",
        "min_wal_size": "32MB",  # less to copy
    }
    return PostgresServer(EmbeddedServer(home, settings=settings), port, password)


def _initialize(home: Path) -> str:
    """Create the data of a cluster; return the superuser's password."""
    server = _make_server(home, secrets.token_hex(16))
    with psycopg.connect(server.embedded.start(), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(server.password))
        connection.execute("CREATE ROLE anon NOLOGIN")
        connection.execute("CREATE ROLE authenticated NOLOGIN")
        connection.execute("CREATE ROLE service_role NOLOGIN BYPASSRLS")
    asyncio.run(apply_pending(server.url(), discover_migrations()))
    server.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE vigilbase", "postgres")
    server.embedded.stop()
    return server.password
