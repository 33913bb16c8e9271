"""What a host's database is like before anything is written into it, and what speaks against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeAlias

import psycopg

from vigilbase.database.direct import connected
from vigilbase.database.pool import Connection
from vigilbase.database.postgres import said
from vigilbase.errors import AccessRefusedError, MigrationError

OUR_SCHEMA = "vigilbase"
Warned: TypeAlias = tuple[str, str]
"""What was found, and what to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """A database as its catalog describes it. `strays` are tables of the contract's names that aren't in `public`.

    `impostors` have a name or a schema of ours and were made by others.
    """

    database: str
    role: str
    encoding: str
    strays: Sequence[str]
    impostors: Sequence[str]
    has_ours: bool
    other_tables: int


async def read_host(connection: Connection) -> Host:
    """What the catalog says, which every role may read."""
    query = files("vigilbase.database").joinpath("host.sql").read_text(encoding="utf-8")
    cursor = await connection.execute(query.encode())
    row = await cursor.fetchone()
    if row is None:
        raise MigrationError("the database's catalog says nothing")
    return Host(**row)


async def read_host_at(conninfo: str, *, timeout: float) -> Host:
    """The same by a connection of its own; `timeout`: seconds to wait for it.

    Raises:
        DatabaseError: the database can't be reached.

    """
    async with connected("look at the database", conninfo, timeout) as connection:
        return await read_host(connection)


def refuse_strays(host: Host) -> None:
    """Refuse a database that has a table of the contract in another schema, or somebody else's table in its place.

    Raises:
        MigrationError: it has.

    """
    if host.strays:
        first = host.strays[0]
        raise MigrationError(
            f"the table {first} isn't in the schema public, where Vigilbase has its own of that name: move it "
            f"(`ALTER TABLE {first} SET SCHEMA public`) if it is Vigilbase's, or rename it"
        )
    if host.impostors:
        raise MigrationError(
            f"the table {host.impostors[0]} isn't Vigilbase's and has its name or schema: rename or move it, or give "
            "Vigilbase a database of its own by VIGILBASE_DATABASE_URL"
        )


def warnings_of(host: Host) -> list[Warned]:
    """What works, but not as well as it should."""
    return [warned for warned in (encoding_warning(host.encoding), role_warning(host.role)) if warned]


def encoding_warning(encoding: str) -> Warned | None:
    """What is lost in a database that can't hold all text."""
    if encoding == "UTF8":
        return None
    found = f"the database's encoding is {encoding}, and text outside it is dropped from checks and alerts"
    return found, "create the database with ENCODING 'UTF8'"


def role_warning(role: str) -> Warned | None:
    """What a role finds whose name is our schema's."""
    if role != OUR_SCHEMA:
        return None
    found = (
        f'the role is called {role} as Vigilbase\'s schema is, so its search_path ("$user", public) looks there first'
    )
    return found, f"connect as another role, or `ALTER ROLE {role} SET search_path = public`"


def refused(attempt: str, error: psycopg.errors.InsufficientPrivilege, host: Host) -> AccessRefusedError:
    """The server's refusal with what to grant, where it says what it refuses."""
    message = said(error)
    match message.removeprefix("permission denied for ").split(" ", maxsplit=1):
        case ["database", _]:
            advice = f"`GRANT CREATE ON DATABASE {host.database} TO {host.role}`, or run it as the database's owner"
        case ["schema", name]:
            advice = f"`GRANT CREATE ON SCHEMA {name} TO {host.role}`, or run it as the schema's owner"
        case _:
            advice = "run it as the role that ran the first `vigilbase migrate`, which owns the tables"
    return AccessRefusedError(f"{attempt}: {message}: {advice}")
