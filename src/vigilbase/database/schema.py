"""What the migrations create, by name; what of it a database has, and what the role that asks may do with it."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vigilbase.database.client import ServiceClient
from vigilbase.database.ledger import ledger_sql
from vigilbase.database.migrate import Migration
from vigilbase.errors import DatabaseError

READER = "vigilbase_list_privileges"

# Every table of Vigilbase in the order of a dump: what others point at comes first. A test finds one that is missing.
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
# Those of them with a service_name: whatever renames or forgets a service goes through all.
SERVICE_TABLES = (
    "public.service_health_checks",
    "public.alert_events",
    "vigilbase.services",
    "vigilbase.notifications",
    "vigilbase.alert_timeline",
)

NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE")
NEEDED_OF: Mapping[str, Sequence[str]] = {
    "vigilbase.alert_timeline": ("SELECT", "INSERT", "DELETE"),
    "vigilbase.suppressions": ("SELECT", "INSERT"),  # and UPDATE of one column
    LEDGER_TABLE: ("SELECT",),
}

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS ([\w.]+)", re.MULTILINE)
_VIEW = re.compile(r"^CREATE (?:OR REPLACE )?VIEW ([\w.]+)", re.MULTILINE)
_FUNCTION = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION ([\w.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables, functions and views by their names, each with its schema: `public.alert_events`."""

    tables: Collection[str]
    functions: Collection[str]
    views: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Privileges:
    """What the role may do with the tables, views and functions that exist, and what of it visitors may use.

    `exposed` is what the roles anon and authenticated of a Data API can reach, as `sequence vigilbase.some_id_seq`.
    """

    has_usage: bool
    tables: Mapping[str, Collection[str]]
    functions: Mapping[str, bool]
    exposed: Sequence[str] = ()


def schema_of(migrations: Iterable[Migration]) -> Schema:
    """What these migrations create, the ledger included."""
    text = "\n".join([ledger_sql(), *(migration.sql for migration in migrations)])
    return Schema(*(sorted(map(_with_schema, set(kind.findall(text)))) for kind in (_TABLE, _FUNCTION, _VIEW)))


def _with_schema(name: str) -> str:
    return name if "." in name else f"public.{name}"


async def read_privileges(client: ServiceClient) -> Privileges:
    """What the client's role finds of Vigilbase, and may do with it.

    Raises:
        MissingSchemaError: the function that tells is missing; it comes with the last migration.
        DatabaseError: the role may not even ask, nobody answers, …

    """
    return parse_privileges(await client.call(READER))


def parse_privileges(answer: object) -> Privileges:
    """The answer of `vigilbase_list_privileges`.

    Raises:
        DatabaseError: it is another.

    """
    match answer:
        case {"has_usage": bool(usage), "tables": dict(tables), "functions": dict(functions), "exposed": list(exposed)}:
            verbs = {str(name): [str(verb) for verb in allowed] for name, allowed in tables.items()}
            may_call = {str(name): allowed is True for name, allowed in functions.items()}
            return Privileges(usage, verbs, may_call, [str(what) for what in exposed])
    raise DatabaseError(f"call {READER}: the database answered something else than this program expects")


def missing_objects(schema: Schema, tables: Collection[str], functions: Collection[str]) -> list[str]:
    """What there should be and isn't: `table public.alert_events`, `function vigilbase.is_needed`.

    `tables` and `functions` are the names of those that there are, views among the tables.
    """
    return [
        *(f"table {name}" for name in schema.tables if name not in tables),
        *(f"view {name}" for name in schema.views if name not in tables),
        *(f"function {name}" for name in schema.functions if name not in functions),
    ]


def missing_privileges(schema: Schema, found: Privileges) -> list[str]:
    """What the role may not do with what is there, as `DELETE on public.alert_events`."""
    needed = {name: NEEDED_OF.get(name, NEEDED) for name in schema.tables} | dict.fromkeys(schema.views, ("SELECT",))
    return [
        *([] if found.has_usage else ["USAGE on schema vigilbase"]),
        *(
            f"{verb} on {name}"
            for name, verbs in needed.items()
            if name in found.tables
            for verb in verbs
            if verb not in found.tables[name]
        ),
        *(f"EXECUTE on {name}" for name in schema.functions if found.functions.get(name) is False),
    ]
