"""The privileges after the migrations, checked in Postgres itself, because the Data API for tests ignores some.

The tests run in projects with various default privileges, on the oldest and the newest supported Postgres.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from tests.support.older_servers import OLDEST_AND_NEWEST, Servers
from tests.support.server import API_ROLES
from tests.support.sql_functions import CALLS, ROUTES, VIEWS, require_every_function_works
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.database.migrate import apply_pending, discover_migrations

DML = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
# The privileges of the service role on each table. In suppressions, it may also update ends_at.
TABLES = {
    "public.service_health_checks": DML,
    "public.alert_events": DML,
    "vigilbase.services": DML,
    "vigilbase.runners": DML,
    "vigilbase.notifications": DML,
    "vigilbase.channels": DML,
    "vigilbase.alert_timeline": DML - {"UPDATE"},
    "vigilbase.suppressions": frozenset({"SELECT", "INSERT"}),
    "vigilbase.migrations": frozenset({"SELECT"}),
}
SEQUENCES = ("vigilbase.alert_timeline_id_seq", "vigilbase.notifications_id_seq")
TABLE_PRIVILEGES = (*sorted(DML), "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
VISITORS = ("anon", "authenticated")

# (kind, object, role, privilege, whether it is grantable)
Grant = tuple[object, ...]

ALL_GRANTS = """
    WITH ours AS (SELECT oid, nspname, nspacl, nspowner FROM pg_namespace WHERE nspname IN ('public', 'vigilbase'))
    SELECT kind, name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable
    FROM (
        SELECT 'schema' AS kind, nspname AS name, coalesce(nspacl, acldefault('n', nspowner)) AS acl
        FROM ours WHERE nspname = 'vigilbase'
        UNION ALL
        SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, nspname || '.' || relname,
            coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
        FROM pg_class JOIN ours ON ours.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT 'function', nspname || '.' || proname, coalesce(proacl, acldefault('f', proowner))
        FROM pg_proc JOIN ours ON ours.oid = pronamespace
        UNION ALL
        SELECT 'column', nspname || '.' || relname || '.' || attname, attacl
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN ours ON ours.oid = relnamespace
        WHERE attacl IS NOT NULL
    ) AS objects, aclexplode(acl)
"""
FUNCTIONS = """(
    SELECT pronamespace::regnamespace || '.' || proname AS name, pg_proc.* FROM pg_proc
    WHERE pronamespace::regnamespace::text IN ('public', 'vigilbase')
) AS f"""

ALL_ROLES = "anon, authenticated, service_role"
GRANT_ALL = f"""
    ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {ALL_ROLES};
    ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO {ALL_ROLES};
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {ALL_ROLES};
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO {ALL_ROLES};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO {ALL_ROLES};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO {ALL_ROLES};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO {ALL_ROLES};
"""
PROJECTS = {
    "plain": "",
    "grants_all": GRANT_ALL,  # the defaults of older Supabase projects, and more
    "grants_all_in_our_schema": f"""{GRANT_ALL}
        CREATE SCHEMA vigilbase;
        ALTER DEFAULT PRIVILEGES IN SCHEMA vigilbase GRANT ALL ON TABLES TO PUBLIC, {ALL_ROLES};
        ALTER DEFAULT PRIVILEGES IN SCHEMA vigilbase GRANT ALL ON FUNCTIONS TO PUBLIC, {ALL_ROLES};
        ALTER DEFAULT PRIVILEGES IN SCHEMA vigilbase GRANT ALL ON SEQUENCES TO PUBLIC, {ALL_ROLES};
    """,
    "grants_nothing": """
        ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;
        ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC;
        REVOKE ALL ON SCHEMA public FROM PUBLIC;
        GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
    """,
}


@dataclass(frozen=True)
class Project:
    """A migrated database."""

    url: str

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run SQL as the superuser; return the rows of the last statement, if it has any."""
        return execute(self.url, statement)

    @contextmanager
    def acting_as(self, role: str) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            yield connection


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def create_database(postgres: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    execute(postgres.format("postgres"), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield name
    execute(postgres.format("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", params=OLDEST_AND_NEWEST)
def postgres(request: pytest.FixtureRequest, servers: Servers) -> str:
    """The URL of a server of each version, with {} for the database."""
    return servers.find_url(request.param)


@contextmanager
def create_migrated_database(postgres: str, kind: str) -> Iterator[str]:
    with create_database(postgres, "template0") as name:
        execute(postgres.format(name), PROJECTS[kind])
        asyncio.run(apply_pending(postgres.format(name), discover_migrations()))
        yield name


@pytest.fixture(scope="module", params=PROJECTS)
def template(request: pytest.FixtureRequest, postgres: str) -> Iterator[str]:
    """The name of a migrated database without rows, in a project of each kind."""
    kind: str = request.param
    with create_migrated_database(postgres, kind) as name:
        yield name


@pytest.fixture(scope="module")
def plain_template(postgres: str) -> Iterator[str]:
    """The name of a migrated database without rows, in a project without default privileges."""
    with create_migrated_database(postgres, "plain") as name:
        yield name


@pytest.fixture
def any_project(postgres: str, template: str) -> Iterator[Project]:
    """A project of each kind."""
    with create_database(postgres, template) as name:
        yield Project(postgres.format(name))


@pytest.fixture
def project(postgres: str, plain_template: str) -> Iterator[Project]:
    """A project for tests that don't depend on default privileges."""
    with create_database(postgres, plain_template) as name:
        yield Project(postgres.format(name))


def is_denied(connection: psycopg.Connection, statement: str, subject: str) -> bool:
    """Whether a statement fails because of a missing privilege on `subject`, and not on another object."""
    try:
        connection.execute(statement.encode())
    except InsufficientPrivilege as error:
        return error.diag.message_primary == f"permission denied for {subject}"
    except psycopg.Error:
        return False
    return False


def list_grants(project: Project, owner: str = "postgres") -> set[Grant]:
    """The privileges of all roles except the owner."""
    return {grant for grant in project.execute(ALL_GRANTS) if grant[2] != owner}


def list_intended_grants() -> set[Grant]:
    expected: set[Grant] = {
        ("schema", "vigilbase", "service_role", "USAGE", False),
        ("column", "vigilbase.suppressions.ends_at", "service_role", "UPDATE", False),
    }
    expected |= {("table", table, "service_role", verb, False) for table, verbs in TABLES.items() for verb in verbs}
    expected |= {("table", view, "service_role", "SELECT", False) for view in VIEWS}
    return expected | {("function", name, "service_role", "EXECUTE", False) for name in CALLS}


def test_grants_are_exactly_those_intended(any_project: Project) -> None:
    assert list_grants(any_project) == list_intended_grants()


def test_default_privileges_of_project_grant_all_to_anon(postgres: str) -> None:
    """Otherwise, the projects above would not differ."""
    with create_database(postgres, "template0") as name:
        url = postgres.format(name)
        execute(url, PROJECTS["grants_all_in_our_schema"])
        execute(url, "CREATE TABLE vigilbase.example (id bigint GENERATED ALWAYS AS IDENTITY)")
        execute(url, "CREATE FUNCTION public.example() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        kinds = {kind for kind, _, role, *_ in list_grants(Project(url)) if role == "anon"}
    assert kinds == {"schema", "table", "sequence", "function"}


async def test_grants_without_api_roles_exist_only_for_owner(home: Path) -> None:
    embedded = EmbeddedServer(home, settings={"fsync": "off"})
    url = embedded.start()
    try:
        assert await apply_pending(url, discover_migrations()) == discover_migrations()
        everything = execute(url, ALL_GRANTS)
        # The embedded transport connects as the owner, who can use everything.
        is_blind = execute(url, "SELECT public.vigilbase_role_info() ->> 'is_blind'")
    finally:
        embedded.stop()
    assert {grant[2] for grant in everything} == {"postgres"}
    assert is_blind == [("false",)]


async def test_apply_pending_owner_without_superuser_succeeds(postgres: str) -> None:
    """On Supabase, the role `postgres` is not a superuser."""
    owner = f"owner_{uuid4().hex[:12]}"
    with create_database(postgres, "template0") as name:
        url = postgres.format(name)
        execute(url, f"CREATE ROLE {owner}; GRANT ALL ON SCHEMA public TO {owner}")
        execute(url, f"GRANT CREATE ON DATABASE {name} TO {owner}")
        await apply_pending(f"{url}{'&' if '?' in url else '?'}options=-crole%3D{owner}", discover_migrations())
        assert list_grants(Project(url), owner) == list_intended_grants()
    execute(postgres.format("postgres"), f"DROP ROLE {owner}")


def test_table_privileges_of_role_are_exactly_those_intended(any_project: Project) -> None:
    """has_table_privilege() includes the privileges through PUBLIC and memberships."""
    for role in API_ROLES:
        privileges = [name for name in TABLE_PRIVILEGES if name != "MAINTAIN" or read_server_version(any_project) >= 17]
        rows = any_project.execute(
            f"SELECT relnamespace::regnamespace || '.' || relname, privilege FROM pg_class, unnest(ARRAY{privileges}) "
            "AS privilege WHERE relnamespace::regnamespace::text IN ('public', 'vigilbase') AND relkind IN ('r', 'v') "
            f"AND has_table_privilege('{role}', pg_class.oid, privilege)"
        )
        expected = {(table, verb) for table, verbs in TABLES.items() for verb in verbs} | {
            (view, "SELECT") for view in VIEWS
        }
        assert set(rows) == (expected if role == "service_role" else set()), role


def read_server_version(project: Project) -> int:
    ((version,),) = project.execute("SELECT current_setting('server_version_num')::integer / 10000")
    return int(str(version))


def test_function_privileges_of_role_are_exactly_those_intended(any_project: Project) -> None:
    for role in API_ROLES:
        rows = any_project.execute(
            f"SELECT f.name, has_function_privilege('{role}', f.oid, 'EXECUTE') FROM {FUNCTIONS}"
        )
        assert sorted(rows) == [(function, role == "service_role") for function in sorted(CALLS)], role


def test_service_role_can_use_every_function_and_view(any_project: Project) -> None:
    functions = {str(name) for (name,) in any_project.execute(f"SELECT f.name FROM {FUNCTIONS}")}
    assert CALLS.keys() == functions  # a new function needs a call in tests/support
    with psycopg.connect(any_project.url, autocommit=True) as connection:
        require_every_function_works(connection)


def test_visitor_cannot_call_any_function(any_project: Project) -> None:
    for role in VISITORS:
        with any_project.acting_as(role) as connection:
            for function, call in CALLS.items():
                schema, _, name = function.partition(".")
                subject = f"function {name}" if schema == "public" else "schema vigilbase"
                assert is_denied(connection, f"SELECT {function}{call}", subject), function


def test_visitor_cannot_use_any_table_or_view(any_project: Project) -> None:
    for role in VISITORS:
        with any_project.acting_as(role) as connection:
            for table in (*TABLES, *VIEWS):
                schema, _, name = table.partition(".")
                subject = f"table {name}" if schema == "public" else "schema vigilbase"
                for statement in (
                    f"SELECT FROM {table}",
                    f"DELETE FROM {table}",
                    f"INSERT INTO {table} DEFAULT VALUES",
                ):
                    assert is_denied(connection, statement, subject), statement
                assert is_denied(connection, f"TRUNCATE {table}", subject), table


def test_visitor_with_schema_usage_cannot_use_any_object(any_project: Project) -> None:
    """Every object in the schema has privileges of its own."""
    any_project.execute("GRANT USAGE ON SCHEMA vigilbase TO anon")
    with any_project.acting_as("anon") as connection:
        for name in [table.partition(".")[2] for table in TABLES if table.startswith("vigilbase.")]:
            assert is_denied(connection, f"SELECT FROM vigilbase.{name}", f"table {name}")
        for view in [view.partition(".")[2] for view in VIEWS]:
            assert is_denied(connection, f"SELECT FROM vigilbase.{view}", f"view {view}")
        assert is_denied(connection, "SELECT vigilbase.lock_service('api')", "function lock_service")


def test_api_role_cannot_change_any_sequence(any_project: Project) -> None:
    """A role that can reset the outbox's sequence can make the next notification clash with an old one.

    The sequence is passed by its oid, because that needs no privilege on the schema.
    """
    for role in API_ROLES:
        for sequence in SEQUENCES:
            ((number,),) = any_project.execute(f"SELECT '{sequence}'::regclass::oid")
            name = sequence.partition(".")[2]
            with any_project.acting_as(role) as connection:
                assert is_denied(connection, f"SELECT setval({number}::regclass, 1)", f"sequence {name}")
                assert is_denied(connection, f"SELECT nextval({number}::regclass)", f"sequence {name}")
                if role != "service_role":
                    assert is_denied(connection, f"SELECT setval('{sequence}', 1)", "schema vigilbase")
                    assert is_denied(connection, f"SELECT FROM {sequence}", "schema vigilbase")


def test_sequences_list_is_complete(project: Project) -> None:
    rows = project.execute(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class WHERE relkind = 'S' ORDER BY 1"
    )
    assert rows == [(sequence,) for sequence in SEQUENCES]


def test_record_notification_id_clash_rolls_back_batch(project: Project) -> None:
    record = "SELECT public.vigilbase_record(%s, %s) #>> '{transitions,0,outcome}'"

    def batch(service: str) -> tuple[str, str]:
        check = f'[{{"id": "{uuid4()}", "service_name": "{service}", "status": "down"}}]'
        opening = '{"message": "gone", "details": {}}'
        return check, f'[{{"service_name": "{service}", "to": "down", "opening": {opening}, "routes": {ROUTES}}}]'

    def counts(service: str) -> list[tuple[object, ...]]:
        return project.execute(
            f"""SELECT (SELECT count(*) FROM public.service_health_checks WHERE service_name = '{service}'),
                (SELECT count(*) FROM public.alert_events WHERE service_name = '{service}'),
                (SELECT count(*) FROM vigilbase.notifications WHERE service_name = '{service}')"""
        )

    second = batch("web")
    with project.acting_as("service_role") as connection:
        assert connection.execute(record, batch("api")).fetchone() == ("opened",)
        project.execute("SELECT setval('vigilbase.notifications_id_seq', 1, false)")
        with pytest.raises(UniqueViolation, match="notifications_pkey"):
            connection.execute(record, second)
        assert counts("web") == [(0, 0, 0)]
        project.execute("SELECT setval('vigilbase.notifications_id_seq', max(id)) FROM vigilbase.notifications")
        assert connection.execute(record, second).fetchone() == ("opened",)
    assert counts("web") == [(1, 1, 1)]
    assert counts("api") == [(1, 1, 1)]


def test_service_role_can_read_but_not_change_ledger(project: Project) -> None:
    with project.acting_as("service_role") as connection:
        assert connection.execute("SELECT count(*) FROM vigilbase.migrations").fetchone() == (
            len(discover_migrations()),
        )
        for statement in (
            "DELETE FROM vigilbase.migrations",
            "UPDATE vigilbase.migrations SET name = ''",
            "TRUNCATE vigilbase.migrations",
        ):
            assert is_denied(connection, statement, "table migrations")
        assert is_denied(connection, "TRUNCATE public.alert_events", "table alert_events")


def test_service_role_cannot_rewrite_timeline_or_suppressions(project: Project) -> None:
    columns = project.execute(
        "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE attnum > 0 "
        "AND attrelid IN ('vigilbase.alert_timeline'::regclass, 'vigilbase.suppressions'::regclass)"
    )
    assert len(columns) > 15
    with project.acting_as("service_role") as connection:
        for table, column in columns:
            may_change = (table, column) == ("suppressions", "ends_at")
            update = f"UPDATE vigilbase.{table} SET {column} = DEFAULT"
            assert is_denied(connection, update, f"table {table}") == (not may_change), column
        connection.execute("UPDATE vigilbase.suppressions SET ends_at = now()")
        assert is_denied(connection, "DELETE FROM vigilbase.suppressions", "table suppressions")


def test_list_privileges_reports_objects_exposed_to_public(project: Project) -> None:
    exposed = "SELECT public.vigilbase_list_privileges() ->> 'exposed'"
    with project.acting_as("service_role") as connection:
        assert connection.execute(exposed).fetchone() == ("[]",)
        for grant, kind in (
            ("UPDATE ON SEQUENCE vigilbase.notifications_id_seq", "sequence vigilbase.notifications_id_seq"),
            ("USAGE ON SCHEMA vigilbase", "schema vigilbase"),
            ("EXECUTE ON FUNCTION vigilbase.lock_service", "function vigilbase.lock_service"),
            ("DELETE ON TABLE vigilbase.channels", "table vigilbase.channels"),
            ("SELECT ON TABLE vigilbase.pending_notifications", "view vigilbase.pending_notifications"),
        ):
            project.execute(f"GRANT {grant} TO anon")
            assert connection.execute(exposed).fetchone() == (f'["{kind}"]',)
            project.execute(f"REVOKE {grant} FROM anon")


def test_functions_are_not_security_definer(project: Project) -> None:
    assert project.execute(f"SELECT f.name FROM {FUNCTIONS} WHERE f.prosecdef") == []


def test_client_functions_set_search_path_and_isolation(project: Project) -> None:
    expected = """ARRAY['search_path=""', 'default_transaction_isolation=read committed']"""
    faulty = project.execute(
        f"SELECT f.name FROM {FUNCTIONS} "
        f"WHERE f.name LIKE 'public.%' AND NOT coalesce(f.proconfig, '{{}}') @> {expected}"
    )
    assert faulty == []


def test_inlinable_functions_have_no_settings(project: Project) -> None:
    """Postgres never inlines a function with settings."""
    rows = project.execute(f"SELECT f.name, f.proconfig FROM {FUNCTIONS} WHERE f.prosqlbody IS NOT NULL")
    assert ("vigilbase.is_needed", None) in rows
    assert [name for name, settings in rows if settings is not None] == []


def test_function_names_follow_naming_rule(project: Project) -> None:
    client = r"^public\.vigilbase(_[a-z]+)+(_v([2-9]|[1-9][0-9]+))?$"
    helper = r"^vigilbase\.[a-z]+(_[a-z]+)*$"
    assert project.execute(f"SELECT f.name FROM {FUNCTIONS} WHERE f.name !~ '{client}|{helper}'") == []


def test_tables_have_row_level_security_and_no_policy(project: Project) -> None:
    tables = project.execute(
        "SELECT relnamespace::regnamespace || '.' || relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('public', 'vigilbase') AND relkind IN ('r', 'p')"
    )
    assert {name for name, *_ in tables} == TABLES.keys()
    assert [table for table in tables if table[1:] != (True, False)] == []
    assert project.execute("SELECT FROM pg_policy") == []


def test_views_are_security_invoker(project: Project) -> None:
    rows = project.execute(
        "SELECT relnamespace::regnamespace || '.' || relname, reloptions FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('public', 'vigilbase') AND relkind IN ('v', 'm') ORDER BY 1"
    )
    assert rows == [(view, ["security_invoker=true"]) for view in VIEWS]
