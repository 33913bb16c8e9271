"""What the migrations create, by name; what of it a database has, and what the role that asks may do with it."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from vigilbase.database.client import ServiceClient
from vigilbase.database.migrate import Migration, with_ledger_entry
from vigilbase.errors import DatabaseError, MissingSchemaError

READER = "vigilbase_privileges_v1"
NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE")
NEEDED_OF = {
    "vigilbase_migrations": ("SELECT",),
    "alert_timeline": ("SELECT", "INSERT", "DELETE"),
    "silences": ("SELECT", "INSERT"),
    "maintenance_windows": ("SELECT", "INSERT"),
}

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (?:public\.)?(\w+)", re.MULTILINE)
_FUNCTION = re.compile(r"^CREATE OR REPLACE FUNCTION public\.(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Schema:
    """The names of tables and functions."""

    tables: Collection[str]
    functions: Collection[str]


@dataclass(frozen=True, slots=True)
class Privileges:
    """Of the tables and functions that exist: what the role may do with each table, and which functions it may call."""

    server_version: str
    tables: Mapping[str, Collection[str]]
    functions: Mapping[str, bool]


def schema_of(migrations: Iterable[Migration]) -> Schema:
    """What these migrations create, the ledger included."""
    text = "\n".join(map(with_ledger_entry, migrations))
    return Schema(sorted(set(_TABLE.findall(text))), sorted(set(_FUNCTION.findall(text))))


async def read_privileges(client: ServiceClient, schema: Schema) -> Privileges:
    """What the client's role finds of a schema, and may do with it.

    Raises:
        MissingSchemaError: the function that tells is missing; it comes with migration 016.
        DatabaseError: the role may not even ask, nobody answers, …

    """
    answer = await client.call(READER, {"p_tables": json.dumps(list(schema.tables))})
    match answer:
        case {"server_version": str(version), "tables": dict(tables), "functions": dict(functions)}:
            verbs = {str(name): [str(verb) for verb in allowed] for name, allowed in tables.items()}
            return Privileges(version, verbs, {str(name): allowed is True for name, allowed in functions.items()})
    raise DatabaseError(f"call {READER}: the database answered something else than this program expects")


def missing_objects(schema: Schema, found: Privileges) -> list[str]:
    """What there should be and isn't: `table alert_events`, `function vigilbase_record_v2`."""
    tables = [f"table {name}" for name in schema.tables if name not in found.tables]
    return tables + [f"function {name}" for name in schema.functions if name not in found.functions]


def missing_privileges(schema: Schema, found: Privileges) -> list[str]:
    """What the role may not do with what is there, as `DELETE on alert_events`."""
    lacking = [
        f"{verb} on {name}"
        for name in schema.tables
        if name in found.tables
        for verb in NEEDED_OF.get(name, NEEDED)
        if verb not in found.tables[name]
    ]
    return lacking + [f"EXECUTE on {name}" for name in schema.functions if found.functions.get(name) is False]


async def find_lost(client: ServiceClient, applied: Iterable[Migration]) -> list[str]:
    """What applied migrations made and is gone. It takes migration 016 to tell; before, nothing is found.

    Raises:
        DatabaseError: the role may not even ask, nobody answers, …

    """
    schema = schema_of(applied)
    if READER not in schema.functions:
        return []
    try:
        return missing_objects(schema, await read_privileges(client, schema))
    except MissingSchemaError:
        return [f"function {READER}"]
