"""Whatever renames, forgets, dumps or removes goes through two lists of tables: that no table is missing from them."""

from collections.abc import Sequence

from tests.support.server import PostgresServer
from vigilbase.database.migrate import discover
from vigilbase.database.schema import OUR_TABLES, SERVICE_TABLES, schema_of

MINE = (
    "c.relkind IN ('r', 'p') AND (n.nspname = 'vigilbase' OR n.nspname = 'public' AND c.relname IN "
    "('service_health_checks', 'alert_events'))"
)


def found(server: PostgresServer, database: str, also: str = "true") -> set[object]:
    query = (
        "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        f"WHERE {MINE} AND {also}"
    )
    return {name for (name,) in server.execute(query, database)}


def require_each_once(names: Sequence[str], expected: set[object]) -> None:
    assert set(names) == expected
    assert len(names) == len(expected)


def test_every_table_is_in_the_list(server: PostgresServer, database: str) -> None:
    require_each_once(OUR_TABLES, found(server, database))


def test_every_table_that_names_a_service_is_in_the_list_of_those(server: PostgresServer, database: str) -> None:
    has_service = "EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'service_name')"
    require_each_once(SERVICE_TABLES, found(server, database, has_service))


def test_what_the_migrations_make_is_what_the_catalog_has(server: PostgresServer, database: str) -> None:
    schema = schema_of(discover())
    assert set(schema.tables) == found(server, database)
    kinds = (
        "SELECT 'view', n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = "
        "c.relnamespace WHERE c.relkind = 'v' AND n.nspname IN ('public', 'vigilbase') UNION "
        "SELECT 'function', n.nspname || '.' || p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = "
        "p.pronamespace WHERE n.nspname IN ('public', 'vigilbase')"
    )
    made = {*(("view", name) for name in schema.views), *(("function", name) for name in schema.functions)}
    assert made == set(server.execute(kinds, database))
