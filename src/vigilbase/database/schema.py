"""The objects that the migrations create, those that a database has, and the current role's privileges on them."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vigilbase.database.client import ServiceClient
from vigilbase.database.ledger import read_ledger_sql
from vigilbase.database.migrate import Migration
from vigilbase.errors import DatabaseError

READER = "vigilbase_list_privileges"

# All tables of Vigilbase in the order of a dump: referenced tables come first. A test verifies that none is missing.
OUR_TABLES = (
    "public.service_health_checks",
    "public.alert_events",
    "vigilbase.services",
    "vigilbase.runners",
    "vigilbase.suppressions",
    "vigilbase.channels",
    "vigilbase.notifications",
    "vigilbase.alert_timeline",
    "vigilbase.migrations",
)
CONTRACT_TABLES = OUR_TABLES[:2]
LEDGER_TABLE = "vigilbase.migrations"
# The tables with a service_name, all of which renaming or deleting a service must update.
SERVICE_TABLES = (
    "public.service_health_checks",
    "public.alert_events",
    "vigilbase.services",
    "vigilbase.notifications",
    "vigilbase.alert_timeline",
)

_REQUIRED = ("SELECT", "INSERT", "UPDATE", "DELETE")
_REQUIRED_BY_TABLE: Mapping[str, Sequence[str]] = {
    "vigilbase.alert_timeline": ("SELECT", "INSERT", "DELETE"),
    "vigilbase.suppressions": ("SELECT", "INSERT"),  # and UPDATE of one column
    LEDGER_TABLE: ("SELECT",),
}

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS ([\w.]+)", re.MULTILINE)
_VIEW = re.compile(r"^CREATE (?:OR REPLACE )?VIEW ([\w.]+)", re.MULTILINE)
_FUNCTION = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION ([\w.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Schema:
    """The names of tables, functions and views, each with its schema, such as `public.alert_events`."""

    tables: Collection[str]
    functions: Collection[str]
    views: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Privileges:
    """The current role's privileges on the tables, views and functions that exist.

    `exposed`: the objects that the roles anon and authenticated of a Data API can reach, such as `sequence
    vigilbase.notifications_id_seq`.
    """

    has_usage: bool
    tables: Mapping[str, Collection[str]]
    functions: Mapping[str, bool]
    exposed: Sequence[str] = ()


def read_schema(migrations: Iterable[Migration]) -> Schema:
    """The objects that these migrations create, including the ledger."""
    text = "\n".join([read_ledger_sql(), *(migration.sql for migration in migrations)])
    return Schema(*(sorted(map(_qualify, set(kind.findall(text)))) for kind in (_TABLE, _FUNCTION, _VIEW)))


def _qualify(name: str) -> str:
    return name if "." in name else f"public.{name}"


async def read_privileges(client: ServiceClient) -> Privileges:
    """The privileges of the client's role.

    Raises:
        MissingSchemaError: the function that answers is missing; the last migration creates it.
        DatabaseError: the database can't be reached, or the role may not ask.

    """
    return parse_privileges(await client.call(READER))


def parse_privileges(answer: object) -> Privileges:
    """Parse the answer of `vigilbase_list_privileges`.

    Raises:
        DatabaseError: the answer has another form.

    """
    match answer:
        case {"has_usage": bool(usage), "tables": dict(tables), "functions": dict(functions), "exposed": list(exposed)}:
            verbs = {str(name): [str(verb) for verb in allowed] for name, allowed in tables.items()}
            may_call = {str(name): allowed is True for name, allowed in functions.items()}
            return Privileges(usage, verbs, may_call, [str(name) for name in exposed])
    raise DatabaseError(f"call {READER}: the database returned an unexpected answer")


def list_missing_objects(schema: Schema, tables: Collection[str], functions: Collection[str]) -> list[str]:
    """The missing objects of the schema, such as `table public.alert_events` or `function vigilbase.is_needed`.

    `tables` and `functions` are the names of the existing ones; `tables` includes views.
    """
    return [
        *(f"table {name}" for name in schema.tables if name not in tables),
        *(f"view {name}" for name in schema.views if name not in tables),
        *(f"function {name}" for name in schema.functions if name not in functions),
    ]


def list_missing_privileges(schema: Schema, privileges: Privileges) -> list[str]:
    """The privileges that the role lacks on existing objects, such as `DELETE on public.alert_events`."""
    required = {name: _REQUIRED_BY_TABLE.get(name, _REQUIRED) for name in schema.tables}
    required |= dict.fromkeys(schema.views, ("SELECT",))
    return [
        *([] if privileges.has_usage else ["USAGE on schema vigilbase"]),
        *(
            f"{verb} on {name}"
            for name, verbs in required.items()
            if name in privileges.tables
            for verb in verbs
            if verb not in privileges.tables[name]
        ),
        *(f"EXECUTE on {name}" for name in schema.functions if privileges.functions.get(name) is False),
    ]
