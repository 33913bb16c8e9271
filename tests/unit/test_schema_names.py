"""What the migrations create, by name, as `vigilbase doctor` and `vigilbase migrate --check` look for it."""

from collections.abc import Sequence

from pglast import ast, parse_sql

from vigilbase.database.ledger import ledger_sql
from vigilbase.database.migrate import discover
from vigilbase.database.schema import Privileges, Schema, missing_objects, missing_privileges, schema_of

DML = ["SELECT", "INSERT", "UPDATE", "DELETE"]
WANTED = Schema(
    ["public.alert_events", "vigilbase.migrations"],
    ["public.vigilbase_record", "vigilbase.is_needed"],
    ["vigilbase.claimable"],
)
ALL = Privileges(
    has_usage=True,
    tables={"public.alert_events": DML, "vigilbase.migrations": ["SELECT"], "vigilbase.claimable": ["SELECT"]},
    functions={"public.vigilbase_record": True, "vigilbase.is_needed": True, "public.vigilbase_older": False},
)


def _name(parts: Sequence[object]) -> str:
    words = [str(getattr(part, "sval", part)) for part in parts if part]
    return ".".join(words if len(words) > 1 else ["public", *words])


def test_schema_of_the_migrations_has_the_names_that_the_parser_of_postgres_finds() -> None:
    texts = [ledger_sql(), *(migration.sql for migration in discover())]
    found = [raw.stmt for text in texts for raw in parse_sql(text)]
    tables = [made.relation for made in found if isinstance(made, ast.CreateStmt)]
    views = [made.view for made in found if isinstance(made, ast.ViewStmt)]
    functions = {_name(made.funcname or ()) for made in found if isinstance(made, ast.CreateFunctionStmt)}
    schema = schema_of(discover())
    assert set(schema.tables) == {_name([made.schemaname, made.relname]) for made in tables if made}
    assert set(schema.views) == {_name([made.schemaname, made.relname]) for made in views if made}
    assert set(schema.functions) == functions
    assert {"public.alert_events", "vigilbase.migrations"} <= set(schema.tables)
    assert {"public.vigilbase_record", "vigilbase.is_needed"} <= functions


def test_missing_objects_and_privileges_are_none_where_all_is_there() -> None:
    assert missing_objects(WANTED, ALL.tables, ALL.functions) == []
    assert missing_privileges(WANTED, ALL) == []


def test_missing_objects_are_named_with_their_kind_and_lack_no_privilege() -> None:
    found = Privileges(True, {"vigilbase.migrations": ["SELECT"]}, {"public.vigilbase_record": True})
    assert missing_objects(WANTED, found.tables, found.functions) == [
        "table public.alert_events",
        "view vigilbase.claimable",
        "function vigilbase.is_needed",
    ]
    assert missing_privileges(WANTED, found) == []


def test_missing_privileges_name_what_the_role_may_not_do() -> None:
    found = Privileges(
        has_usage=False,
        tables={"public.alert_events": ["SELECT", "UPDATE"], "vigilbase.migrations": [], "vigilbase.claimable": []},
        functions={"public.vigilbase_record": False, "vigilbase.is_needed": True},
    )
    assert missing_privileges(WANTED, found) == [
        "USAGE on schema vigilbase",
        "INSERT on public.alert_events",
        "DELETE on public.alert_events",
        "SELECT on vigilbase.migrations",
        "SELECT on vigilbase.claimable",
        "EXECUTE on public.vigilbase_record",
    ]
