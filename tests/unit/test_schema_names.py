"""The objects that migrations create, as `vigilbase doctor` and `vigilbase migrate --check` look for them."""

from collections.abc import Sequence

from pglast import ast, parse_sql

from vigilbase.database.ledger import read_ledger_sql
from vigilbase.database.migrate import discover_migrations
from vigilbase.database.schema import Privileges, Schema, list_missing_objects, list_missing_privileges, read_schema

DML = ["SELECT", "INSERT", "UPDATE", "DELETE"]
EXPECTED = Schema(
    ["public.alert_events", "vigilbase.migrations"],
    ["public.vigilbase_record", "vigilbase.is_needed"],
    ["vigilbase.pending_notifications"],
)
ALL = Privileges(
    has_usage=True,
    tables={
        "public.alert_events": DML,
        "vigilbase.migrations": ["SELECT"],
        "vigilbase.pending_notifications": ["SELECT"],
    },
    functions={"public.vigilbase_record": True, "vigilbase.is_needed": True, "public.vigilbase_older": False},
)


def _join_name(parts: Sequence[object]) -> str:
    words = [str(getattr(part, "sval", part)) for part in parts if part]
    return ".".join(words if len(words) > 1 else ["public", *words])


def test_read_schema_finds_same_names_as_postgres_parser() -> None:
    texts = [read_ledger_sql(), *(migration.sql for migration in discover_migrations())]
    parsed = [raw.stmt for text in texts for raw in parse_sql(text)]
    tables = [each.relation for each in parsed if isinstance(each, ast.CreateStmt)]
    views = [each.view for each in parsed if isinstance(each, ast.ViewStmt)]
    functions = {_join_name(each.funcname or ()) for each in parsed if isinstance(each, ast.CreateFunctionStmt)}
    schema = read_schema(discover_migrations())
    assert set(schema.tables) == {_join_name([each.schemaname, each.relname]) for each in tables if each}
    assert set(schema.views) == {_join_name([each.schemaname, each.relname]) for each in views if each}
    assert set(schema.functions) == functions
    assert {"public.alert_events", "vigilbase.migrations"} <= set(schema.tables)
    assert {"public.vigilbase_record", "vigilbase.is_needed"} <= functions


def test_list_missing_complete_schema_returns_empty_lists() -> None:
    assert list_missing_objects(EXPECTED, ALL.tables, ALL.functions) == []
    assert list_missing_privileges(EXPECTED, ALL) == []


def test_list_missing_objects_are_named_with_kind_and_need_no_privilege() -> None:
    privileges = Privileges(True, {"vigilbase.migrations": ["SELECT"]}, {"public.vigilbase_record": True})
    assert list_missing_objects(EXPECTED, privileges.tables, privileges.functions) == [
        "table public.alert_events",
        "view vigilbase.pending_notifications",
        "function vigilbase.is_needed",
    ]
    assert list_missing_privileges(EXPECTED, privileges) == []


def test_list_missing_privileges_names_each_absent_privilege() -> None:
    privileges = Privileges(
        has_usage=False,
        tables={
            "public.alert_events": ["SELECT", "UPDATE"],
            "vigilbase.migrations": [],
            "vigilbase.pending_notifications": [],
        },
        functions={"public.vigilbase_record": False, "vigilbase.is_needed": True},
    )
    assert list_missing_privileges(EXPECTED, privileges) == [
        "USAGE on schema vigilbase",
        "INSERT on public.alert_events",
        "DELETE on public.alert_events",
        "SELECT on vigilbase.migrations",
        "SELECT on vigilbase.pending_notifications",
        "EXECUTE on public.vigilbase_record",
    ]
