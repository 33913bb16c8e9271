"""The Postgres for the tests: the embedded server, which here also listens on a loopback TCP port."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from vigilbase.database.embedded import EmbeddedServer

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
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
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


def start_server(home: Path) -> PostgresServer:
    """Start a server in an empty folder, with the three roles of a Supabase project."""
    port = free_port()
    embedded = EmbeddedServer(
        home,
        settings={
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "fsync": "off",
            "max_connections": "200",
        },
    )
    url = embedded.start()
    password = secrets.token_hex(16)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(password))
        connection.execute("CREATE ROLE anon NOLOGIN")
        connection.execute("CREATE ROLE authenticated NOLOGIN")
        connection.execute("CREATE ROLE service_role NOLOGIN BYPASSRLS")
    return PostgresServer(embedded, port, password)


def in_ci() -> bool:
    """Whether tests run in CI, where none may be skipped."""
    return bool(os.environ.get("CI"))
