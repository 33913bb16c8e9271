"""Repair of a migrated database: objects that are missing, or that anyone can reach through a Data API.

Every migration is repeatable, so a repair runs all applied ones again in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from vigilbase.database.client import ServiceClient
from vigilbase.database.direct import open_direct_connection, transaction
from vigilbase.database.host import Host, read_host, require_no_strays
from vigilbase.database.ledger import Applied, read_entries
from vigilbase.database.migrate import Migration, apply_in_transaction, list_missing, lock_ledger
from vigilbase.database.pool import Connection
from vigilbase.database.schema import READER, list_missing_objects, parse_privileges, read_privileges, read_schema
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
# The host's grants to `anon` and `authenticated` on the two tables of the contract, to be restored.
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
    """The faults of a migrated database: `lost` objects are missing, `exposed` ones are open to the public.

    Each is named by kind and name, such as `table public.alert_events`.
    """

    lost: Sequence[str] = ()
    exposed: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether there is any damage."""
        return bool(self.lost or self.exposed)


async def find_damage(conninfo: str, migrations: Sequence[Migration], *, timeout: float) -> Damage:
    """Check the objects of those migrations that are applied; `timeout`: seconds to connect.

    Raises:
        MigrationError: an earlier build created the database.
        DatabaseError: the database can't be reached.

    """
    async with open_direct_connection("look for missing objects", conninfo, timeout) as connection:
        return await _find_damage(connection, _list_applied(migrations, await read_entries(connection)))


async def find_damage_via(client: ServiceClient, applied: Sequence[Migration]) -> Damage:
    """Like `find_damage`, through a service client; finds nothing unless the last migration is applied.

    Raises:
        DatabaseError: the database can't be reached, or the role may not ask.

    """
    schema = read_schema(applied)
    if f"public.{READER}" not in schema.functions:
        return Damage()
    try:
        privileges = await read_privileges(client)
    except MissingSchemaError:
        return Damage(lost=[f"function public.{READER}, or an object that it needs"])
    return Damage(list_missing_objects(schema, privileges.tables, privileges.functions), privileges.exposed)


async def repair(conninfo: str, migrations: Sequence[Migration], *, timeout: float) -> Damage:
    """If there is damage, run all applied ones of these migrations again; return the damage.

    Raises:
        MigrationError: an earlier build created the database, or a file fails, and all is rolled back.
        AccessRefusedError: the role lacks a privilege.
        DatabaseError: the database can't be reached.

    """
    async with open_direct_connection("repair the schema", conninfo, timeout) as connection:
        applied = _list_applied(migrations, await read_entries(connection))
        if not (damage := await _find_damage(connection, applied)):
            return damage
        host = await read_host(connection)
        require_no_strays(host)
        async with transaction(connection):
            await lock_ledger(connection, host)
            await apply_all(connection, host, applied)
        log.info("migration.repaired", repaired=", ".join([*damage.lost, *damage.exposed]))
        return damage


async def apply_all(connection: Connection, host: Host, migrations: Sequence[Migration]) -> None:
    """Run all these migrations, applied or not, within a transaction that holds the lock on the ledger.

    The last migration revokes all public privileges on the two tables of the contract, because a new project may
    grant them by default. Those that exist now were granted on purpose, so they are granted again.
    """
    grants = await (await connection.execute(_GRANTS.encode())).fetchall()
    for migration in migrations:
        await apply_in_transaction(connection, host, migration)
    for grant in grants:
        await connection.execute(str(grant["statement"]).encode())


def _list_applied(migrations: Sequence[Migration], ledger: Sequence[Applied]) -> list[Migration]:
    pending = list_missing(migrations, ledger)
    return [migration for migration in migrations if migration not in pending]


async def _find_damage(connection: Connection, applied: Sequence[Migration]) -> Damage:
    if not applied:
        return Damage()
    # From the catalog, because the function that lists the privileges may be missing, too.
    rows = await (await connection.execute(_OBJECTS.encode())).fetchall()
    relations = {str(row["name"]) for row in rows if row["has_rows"]}
    functions = {str(row["name"]) for row in rows if not row["has_rows"]}
    schema = read_schema(applied)
    if lost := list_missing_objects(schema, relations, functions):
        return Damage(lost=lost)
    return Damage(exposed=await _list_exposed(connection) if f"public.{READER}" in schema.functions else ())


async def _list_exposed(connection: Connection) -> Sequence[str]:
    try:
        cursor = await connection.execute(f"SELECT public.{READER}() AS answer".encode())
    except psycopg.errors.InsufficientPrivilege:
        return ()  # this role couldn't revoke anything either
    answer = await cursor.fetchone()
    return parse_privileges(answer["answer"] if answer else None).exposed
