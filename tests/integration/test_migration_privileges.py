"""Who may do what after the migrations, asked of a real Postgres, since a Data API under test may not notice."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from tests.support.server import API_ROLES, PostgresServer
from tests.support.sql_functions import CALLS, require_that_every_function_works
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.database.migrate import apply_pending, discover

LEDGER = "vigilbase_migrations"
DML = {"SELECT", "INSERT", "UPDATE", "DELETE"}
# What the service role may do with each table.
TABLES = {
    "service_health_checks": DML,
    "alert_events": DML,
    "alert_deliveries": DML,
    "delivery_channels": DML,
    "alert_timeline": DML - {"UPDATE"},
    "silences": {"SELECT", "INSERT"},
    "maintenance_windows": {"SELECT", "INSERT"},
}
TABLE_PRIVILEGES = (*sorted(DML), "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")

# (kind, object, who, privilege, whether it may be passed on)
Grant = tuple[object, ...]

ALL_GRANTS = """
    SELECT kind, name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable
    FROM (
        SELECT 'table' AS kind, relname::text AS name, coalesce(relacl, acldefault('r', relowner)) AS acl
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        UNION ALL
        SELECT 'function', proname, coalesce(proacl, acldefault('f', proowner))
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'column', attname, attacl
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attacl IS NOT NULL
    ) AS objects, aclexplode(acl)
"""

# What older Supabase projects come with.
DEFAULTS = """
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO anon, authenticated, service_role;
"""


@contextmanager
def acting_as(role: str, server: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        yield connection


def is_refused(connection: psycopg.Connection, statement: str, what: str) -> bool:
    """Whether it fails for the want of a privilege on the very thing, and not on something below it."""
    try:
        connection.execute(statement.encode())
    except InsufficientPrivilege as error:
        return error.diag.message_primary == f"permission denied for {what}"
    except psycopg.Error:
        return False
    return False


def functions(server: PostgresServer, database: str) -> list[str]:
    rows = server.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace", database)
    return sorted(str(name) for (name,) in rows)


def grants(server: PostgresServer, database: str, owner: str = "postgres") -> set[Grant]:
    """What anybody but the owner may do."""
    return {grant for grant in server.execute(ALL_GRANTS, database) if grant[2] != owner}


def intended_grants(server: PostgresServer, database: str) -> set[Grant]:
    wanted: set[Grant] = {("table", LEDGER, "service_role", "SELECT", False)}
    wanted.add(("column", "ends_at", "service_role", "UPDATE", False))  # of silences and maintenance windows
    wanted |= {("table", table, "service_role", verb, False) for table, verbs in TABLES.items() for verb in verbs}
    return wanted | {("function", name, "service_role", "EXECUTE", False) for name in functions(server, database)}


async def test_the_service_role_gets_what_it_needs_and_nobody_else_anything(
    server: PostgresServer, empty_database: str
) -> None:
    await apply_pending(server.url(empty_database), discover())
    assert grants(server, empty_database) == intended_grants(server, empty_database)


async def test_a_project_with_generous_defaults_ends_up_the_same(server: PostgresServer, empty_database: str) -> None:
    server.execute(DEFAULTS, empty_database)
    server.execute("CREATE TABLE probe (id integer)", empty_database)
    assert any(grant[2] == "anon" for grant in grants(server, empty_database))  # the defaults do work
    server.execute("DROP TABLE probe", empty_database)
    await apply_pending(server.url(empty_database), discover())
    assert grants(server, empty_database) == intended_grants(server, empty_database)


async def test_with_and_without_defaults_the_lists_are_equal_owner_included(
    server: PostgresServer, database: str, empty_database: str
) -> None:
    server.execute(DEFAULTS, empty_database)
    await apply_pending(server.url(empty_database), discover())
    assert set(server.execute(ALL_GRANTS, empty_database)) == set(server.execute(ALL_GRANTS, database))


async def test_where_the_roles_do_not_exist_nothing_is_granted(home: Path) -> None:
    embedded = EmbeddedServer(home, settings={"fsync": "off"})
    url = embedded.start()
    try:
        assert await apply_pending(url, discover()) == discover()
        with psycopg.connect(url) as connection:
            everything = connection.execute(ALL_GRANTS.encode()).fetchall()
            # The owner is who the embedded transport connects as: it can use all of it.
            access = connection.execute("SELECT vigilbase_access_v1() ->> 'blind'").fetchone()
    finally:
        embedded.stop()
    assert {grant[2] for grant in everything} == {"postgres"}
    assert access == ("false",)


async def test_an_owner_who_is_no_superuser_may_migrate(server: PostgresServer, empty_database: str) -> None:
    """On Supabase the role `postgres` is none."""
    owner = f"owner_{uuid4().hex[:12]}"
    server.execute(f"CREATE ROLE {owner}; GRANT ALL ON SCHEMA public TO {owner}", empty_database)
    try:
        await apply_pending(f"{server.url(empty_database)}?options=-crole%3D{owner}", discover())
        assert grants(server, empty_database, owner) == intended_grants(server, empty_database)
    finally:
        server.execute(f"DROP OWNED BY {owner}; DROP ROLE {owner}", empty_database)


@pytest.mark.parametrize("role", API_ROLES)
def test_a_role_may_do_with_the_tables_what_it_should(server: PostgresServer, database: str, role: str) -> None:
    """As Postgres itself answers, with everything that a role has through PUBLIC or as a member of another."""
    rows = server.execute(
        f"SELECT relname, privilege FROM pg_class, unnest(ARRAY{list(TABLE_PRIVILEGES)}) AS privilege "
        "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
        f"AND has_table_privilege('{role}', pg_class.oid, privilege)",
        database,
    )
    wanted = {(table, verb) for table, verbs in TABLES.items() for verb in verbs} | {(LEDGER, "SELECT")}
    assert set(rows) == (wanted if role == "service_role" else set())


@pytest.mark.parametrize("role", API_ROLES)
def test_a_role_may_call_what_it_should(server: PostgresServer, database: str, role: str) -> None:
    rows = server.execute(
        f"SELECT proname, has_function_privilege('{role}', oid, 'EXECUTE') FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace",
        database,
    )
    assert sorted(rows) == [(function, role == "service_role") for function in sorted(CALLS)]


def test_the_service_role_can_use_every_function(server: PostgresServer, database: str) -> None:
    assert sorted(CALLS) == functions(server, database)  # a new function needs a call in tests/support
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        require_that_every_function_works(connection)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_else_can_use_any_function(server: PostgresServer, database: str, role: str) -> None:
    with acting_as(role, server, database) as connection:
        refused = {
            function
            for function, call in CALLS.items()
            if is_refused(connection, f"SELECT {function}{call}", f"function {function}")
        }
    assert refused == CALLS.keys()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_else_can_touch_a_table(server: PostgresServer, database: str, role: str) -> None:
    with acting_as(role, server, database) as connection:
        for table in (*TABLES, LEDGER):
            for statement in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                assert is_refused(connection, statement, f"table {table}"), statement
            assert is_refused(connection, f"INSERT INTO {table} DEFAULT VALUES", f"table {table}")


def test_the_service_role_reads_the_ledger_and_can_not_change_it(server: PostgresServer, database: str) -> None:
    with acting_as("service_role", server, database) as connection:
        row = connection.execute(f"SELECT count(*) FROM {LEDGER}".encode()).fetchone()
        assert row == (len(discover()),)
        for statement in (f"DELETE FROM {LEDGER}", f"UPDATE {LEDGER} SET name = ''", f"TRUNCATE {LEDGER}"):
            assert is_refused(connection, statement, f"table {LEDGER}")
        assert is_refused(connection, "TRUNCATE alert_events", "table alert_events")


def test_the_service_role_can_not_rewrite_what_was(server: PostgresServer, database: str) -> None:
    with acting_as("service_role", server, database) as connection:
        for table, column in (
            ("alert_timeline", "comment"),
            ("silences", "starts_at"),
            ("maintenance_windows", "cron"),
        ):
            assert is_refused(connection, f"UPDATE {table} SET {column} = NULL", f"table {table}")
        for table in ("silences", "maintenance_windows"):
            assert is_refused(connection, f"DELETE FROM {table}", f"table {table}")


def test_functions_run_as_their_caller_with_a_search_path_of_their_own(server: PostgresServer, database: str) -> None:
    unfit = server.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND (prosecdef "
        "OR proname !~ '^vigilbase_[a-z_]+_v[0-9]+$' OR NOT coalesce(proconfig, '{}') @> ARRAY['search_path=\"\"'])",
        database,
    )
    assert unfit == []


def test_every_table_has_row_level_security_and_no_policy(server: PostgresServer, database: str) -> None:
    tables = server.execute(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
        database,
    )
    assert {name for name, _, _ in tables} >= {*TABLES, LEDGER}
    assert [table for table in tables if table[1:] != (True, False)] == []
    assert server.execute("SELECT FROM pg_policy", database) == []
