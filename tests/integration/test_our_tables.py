"""The two lists of tables that renaming, deleting, dumping and removing rely on are complete."""

from collections.abc import Sequence

from tests.support.server import PostgresServer
from vigilbase.database.migrate import discover_migrations
from vigilbase.database.schema import OUR_TABLES, SERVICE_TABLES, read_schema

IS_OURS = (
    "c.relkind IN ('r', 'p') AND (n.nspname = 'vigilbase' OR n.nspname = 'public' AND c.relname IN "
    "('service_health_checks', 'alert_events'))"
)


def find_tables(server: PostgresServer, database: str, also: str = "true") -> set[object]:
    query = (
        "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        f"WHERE {IS_OURS} AND {also}"
    )
    return {name for (name,) in server.execute(query, database)}


def require_same_names(names: Sequence[str], expected: set[object]) -> None:
    assert set(names) == expected
    assert len(names) == len(expected)


def test_our_tables_list_is_complete(server: PostgresServer, database: str) -> None:
    require_same_names(OUR_TABLES, find_tables(server, database))


def test_service_tables_list_is_complete(server: PostgresServer, database: str) -> None:
    has_service = "EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'service_name')"
    require_same_names(SERVICE_TABLES, find_tables(server, database, has_service))


def test_read_schema_equals_catalog(server: PostgresServer, database: str) -> None:
    schema = read_schema(discover_migrations())
    assert set(schema.tables) == find_tables(server, database)
    kinds = (
        "SELECT 'view', n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = "
        "c.relnamespace WHERE c.relkind = 'v' AND n.nspname IN ('public', 'vigilbase') UNION "
        "SELECT 'function', n.nspname || '.' || p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = "
        "p.pronamespace WHERE n.nspname IN ('public', 'vigilbase')"
    )
    objects = {*(("view", name) for name in schema.views), *(("function", name) for name in schema.functions)}
    assert objects == set(server.execute(kinds, database))
