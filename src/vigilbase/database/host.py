"""The host's database before Vigilbase writes into it, and the problems that it would cause."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeAlias

import psycopg

from vigilbase.database.direct import open_direct_connection
from vigilbase.database.pool import Connection
from vigilbase.database.postgres import get_server_message
from vigilbase.errors import AccessRefusedError, MigrationError

OUR_SCHEMA = "vigilbase"
HostWarning: TypeAlias = tuple[str, str]
"""The problem and the advice."""


@dataclass(frozen=True, slots=True)
class Host:
    """A database as its catalog describes it.

    `strays` are tables with the names of the contract's in other schemas than `public`. `impostors` are tables of other
    programs that have a name or the schema of ours.
    """

    database: str
    role: str
    encoding: str
    strays: Sequence[str]
    impostors: Sequence[str]
    has_ours: bool
    other_tables: int


async def read_host(connection: Connection) -> Host:
    """Describe a database from its catalog, which every role may read."""
    query = files("vigilbase.database").joinpath("host.sql").read_text(encoding="utf-8")
    cursor = await connection.execute(query.encode())
    row = await cursor.fetchone()
    if row is None:
        raise MigrationError("the database's catalog returned no row")
    return Host(**row)


async def read_host_at(conninfo: str, *, timeout: float) -> Host:
    """Describe a database over a new connection; `timeout`: seconds to connect.

    Raises:
        DatabaseError: the database can't be reached.

    """
    async with open_direct_connection("inspect the database", conninfo, timeout) as connection:
        return await read_host(connection)


def require_no_strays(host: Host) -> None:
    """Reject a database with a table of the contract in another schema, or with another program's table in its place.

    Raises:
        MigrationError: there is such a table; the message names it.

    """
    if host.strays:
        first = host.strays[0]
        raise MigrationError(
            f"the table {first} isn't in the schema public, where Vigilbase keeps its table of that name: if it "
            f"is Vigilbase's, run `ALTER TABLE {first} SET SCHEMA public`; otherwise rename it"
        )
    if host.impostors:
        raise MigrationError(
            f"the table {host.impostors[0]} isn't Vigilbase's but has its name or schema: rename or move it, or set "
            "VIGILBASE_DATABASE_URL to another database"
        )


def list_warnings(host: Host) -> list[HostWarning]:
    """The shortcomings with which Vigilbase still works."""
    return [warning for warning in (warn_of_encoding(host.encoding), warn_of_role(host.role)) if warning]


def warn_of_encoding(encoding: str) -> HostWarning | None:
    """A warning about an encoding that can't represent all text."""
    if encoding == "UTF8":
        return None
    problem = f"the database's encoding is {encoding}, and text outside it is dropped from checks and alerts"
    return problem, "create the database with ENCODING 'UTF8'"


def warn_of_role(role: str) -> HostWarning | None:
    """A warning about a role with the name of our schema."""
    if role != OUR_SCHEMA:
        return None
    problem = (
        f'the role is called {role}, like Vigilbase\'s schema, so its search_path ("$user", public) begins with it'
    )
    return problem, f"connect as another role, or `ALTER ROLE {role} SET search_path = public`"


def explain_denial(attempt: str, error: psycopg.errors.InsufficientPrivilege, host: Host) -> AccessRefusedError:
    """The server's error with the privilege to grant, if the error names the object."""
    message = get_server_message(error)
    match message.removeprefix("permission denied for ").split(" ", maxsplit=1):
        case ["database", _]:
            advice = f"`GRANT CREATE ON DATABASE {host.database} TO {host.role}`, or run it as the database's owner"
        case ["schema", name]:
            advice = f"`GRANT CREATE ON SCHEMA {name} TO {host.role}`, or run it as the schema's owner"
        case _:
            advice = "run it as the role that ran the first `vigilbase migrate`, which owns the tables"
    return AccessRefusedError(f"{attempt}: {message}: {advice}")
