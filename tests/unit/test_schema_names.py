"""What the migrations create, by name, as `vigilbase doctor` and `vigilbase migrate --check` look for it."""

from pglast import ast, parse_sql

from vigilbase.database.migrate import discover, with_ledger_entry
from vigilbase.database.schema import Privileges, Schema, missing_objects, missing_privileges, schema_of

WANTED = Schema(["alert_events", "vigilbase_migrations"], ["vigilbase_record_v1", "vigilbase_access_v1"])
DML = ["SELECT", "INSERT", "UPDATE", "DELETE"]
ALL = Privileges(
    "18.0",
    {"alert_events": DML, "vigilbase_migrations": ["SELECT"]},
    {"vigilbase_record_v1": True, "vigilbase_access_v1": True, "vigilbase_older_v1": False},
)


def test_the_names_are_those_that_the_parser_of_postgres_finds() -> None:
    found = [raw.stmt for migration in discover() for raw in parse_sql(with_ledger_entry(migration))]
    tables = {made.relation.relname for made in found if isinstance(made, ast.CreateStmt) and made.relation}
    functions = {
        str(getattr((made.funcname or ())[-1], "sval", None))
        for made in found
        if isinstance(made, ast.CreateFunctionStmt)
    }
    schema = schema_of(discover())
    assert (set(schema.tables), set(schema.functions)) == (tables, functions)
    assert "alert_events" in tables
    assert "vigilbase_record_v1" in functions


def test_nothing_is_missing_where_all_is_there() -> None:
    assert (missing_objects(WANTED, ALL), missing_privileges(WANTED, ALL)) == ([], [])


def test_what_is_not_there_is_missing_and_no_privilege_on_it() -> None:
    found = Privileges("18.0", {"vigilbase_migrations": ["SELECT"]}, {"vigilbase_record_v1": True})
    assert missing_objects(WANTED, found) == ["table alert_events", "function vigilbase_access_v1"]
    assert missing_privileges(WANTED, found) == []


def test_what_the_role_may_not_do_is_named() -> None:
    found = Privileges(
        "18.0",
        {"alert_events": ["SELECT", "UPDATE"], "vigilbase_migrations": []},
        {"vigilbase_record_v1": False, "vigilbase_access_v1": True},
    )
    assert missing_privileges(WANTED, found) == [
        "INSERT on alert_events",
        "DELETE on alert_events",
        "SELECT on vigilbase_migrations",
        "EXECUTE on vigilbase_record_v1",
    ]
