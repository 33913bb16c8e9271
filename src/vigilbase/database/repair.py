"""What applied migrations made and is gone, or is open to visitors: found, and made again.

Every migration may be run again, so all of them are, in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from vigilbase.database.client import ServiceClient
from vigilbase.database.direct import connected, transaction
from vigilbase.database.host import Host, read_host, refuse_strays
from vigilbase.database.ledger import Applied, read_entries
from vigilbase.database.migrate import Migration, apply_now, lock_ledger, missing
from vigilbase.database.pool import Connection
from vigilbase.database.schema import READER, missing_objects, parse_privileges, read_privileges, schema_of
from vigilbase.errors import MissingSchemaError
from vigilbase.logging import get_logger

log = get_logger(__name__)

_OBJECTS = """
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, true AS has_rows
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'vigilbase') AND c.relkind IN ('r', 'p', 'v')
    UNION
    SELECT pg_catalog.format('%I.%I', n.nspname, p.proname), false
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('public', 'vigilbase')
"""
# What somebody has granted to visitors on the two tables of the contract, to be granted again.
_GRANTS = """
    SELECT pg_catalog.format(
        'GRANT %s%s ON TABLE %s TO %s%s', g.privilege_type, g.columns, g.relation,
        CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
        CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    ) AS statement
    FROM (
        SELECT c.oid::regclass AS relation, '' AS columns, a.privilege_type, a.grantee, a.is_grantable
        FROM pg_catalog.pg_class AS c CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a
        UNION ALL
        SELECT c.attrelid::regclass, pg_catalog.format(' (%I)', c.attname), a.privilege_type, a.grantee, a.is_grantable
        FROM pg_catalog.pg_attribute AS c CROSS JOIN pg_catalog.aclexplode(c.attacl) AS a
    ) AS g
    WHERE g.relation IN (to_regclass('public.service_health_checks'), to_regclass('public.alert_events'))
        AND (g.grantee = 0 OR g.grantee IN (
            SELECT oid FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated')
        ))
"""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a migrated database: `table public.alert_events` is gone, `sequence …` open to visitors."""

    lost: Sequence[str] = ()
    exposed: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.lost or self.exposed)


async def find_damage(conninfo: str, migrations: Sequence[Migration], *, timeout: float) -> Damage:
    """What is wrong with what the applied ones of these migrations made; `timeout`: seconds to wait for a connection.

    Raises:
        MigrationError: the database is of an earlier build.
        DatabaseError: the database can't be reached.

    """
    async with connected("look for what is missing", conninfo, timeout) as connection:
        return await _find_damage(connection, _applied(migrations, await read_entries(connection)))


async def find_damage_through(client: ServiceClient, applied: Sequence[Migration]) -> Damage:
    """The same through a service client; it takes the last migration to tell, and before that nothing is found.

    Raises:
        DatabaseError: the role may not even ask, nobody answers, …

    """
    schema = schema_of(applied)
    if f"public.{READER}" not in schema.functions:
        return Damage()
    try:
        found = await read_privileges(client)
    except MissingSchemaError:
        return Damage(lost=[f"function public.{READER}, or what it needs"])
    return Damage(missing_objects(schema, found.tables, found.functions), found.exposed)


async def repair(conninfo: str, migrations: Sequence[Migration], *, timeout: float) -> Damage:
    """Run the applied ones of these migrations again if something of theirs is missing; return what was wrong.

    Raises:
        MigrationError: the database is of an earlier build, or a file fails, and then nothing of it stays.
        AccessRefusedError: the role may not create what is needed.
        DatabaseError: the database can't be reached.

    """
    async with connected("make again what is missing", conninfo, timeout) as connection:
        applied = _applied(migrations, await read_entries(connection))
        if not (damage := await _find_damage(connection, applied)):
            return damage
        host = await read_host(connection)
        refuse_strays(host)
        async with transaction(connection):
            await lock_ledger(connection, host)
            await apply_all(connection, host, applied)
        log.info("migration.made_again", wrong=", ".join([*damage.lost, *damage.exposed]))
        return damage


async def apply_all(connection: Connection, host: Host, migrations: Sequence[Migration]) -> None:
    """Run these, applied or not, within a transaction that has the ledger locked.

    The last of them takes back what visitors may do with the two tables of the contract, as a new project would give
    them everything. What they may do by now was granted on purpose, and stays.
    """
    grants = await (await connection.execute(_GRANTS.encode())).fetchall()
    for migration in migrations:
        await apply_now(connection, host, migration)
    for grant in grants:
        await connection.execute(str(grant["statement"]).encode())


def _applied(migrations: Sequence[Migration], ledger: Sequence[Applied]) -> list[Migration]:
    waiting = missing(migrations, ledger)
    return [migration for migration in migrations if migration not in waiting]


async def _find_damage(connection: Connection, applied: Sequence[Migration]) -> Damage:
    if not applied:
        return Damage()
    rows = await (await connection.execute(_OBJECTS.encode())).fetchall()
    relations = {str(row["name"]) for row in rows if row["has_rows"]}
    functions = {str(row["name"]) for row in rows if not row["has_rows"]}
    schema = schema_of(applied)
    if lost := missing_objects(schema, relations, functions):
        return Damage(lost=lost)
    return Damage(exposed=await _find_exposed(connection) if f"public.{READER}" in schema.functions else ())


async def _find_exposed(connection: Connection) -> Sequence[str]:
    try:
        cursor = await connection.execute(f"SELECT public.{READER}() AS answer".encode())
    except psycopg.errors.InsufficientPrivilege:
        return ()  # whoever may not look can't take anything back either
    answer = await cursor.fetchone()
    return parse_privileges(answer["answer"] if answer else None).exposed
