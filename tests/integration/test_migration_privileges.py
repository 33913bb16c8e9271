"""Who may do what after the migrations, asked of a real Postgres, since a Data API under test may not notice.

In every kind of project (whatever its default privileges are), on the oldest Postgres that is supported and the newest.
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

from tests.support.older_servers import OLDEST_AND_NEWEST, supabase_like_server
from tests.support.server import API_ROLES, PostgresServer
from tests.support.sql_functions import CALLS, ROUTES, VIEWS, require_that_every_function_works
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.database.migrate import apply_pending, discover

DML = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
# What the service role may do with each table; of suppressions it may update ends_at alone.
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

# (kind, object, who, privilege, whether it may be passed on)
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

EVERYBODY = "anon, authenticated, service_role"
GRANT_ALL = f"""
    ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {EVERYBODY};
    ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO {EVERYBODY};
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {EVERYBODY};
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO {EVERYBODY};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO {EVERYBODY};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO {EVERYBODY};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO {EVERYBODY};
"""
PROJECTS = {
    "plain": "",
    "grants_all": GRANT_ALL,  # what older Supabase projects come with, and more
    "grants_all_in_our_schema": f"""{GRANT_ALL}
        CREATE SCHEMA vigilbase;
        ALTER DEFAULT PRIVILEGES IN SCHEMA vigilbase GRANT ALL ON TABLES TO PUBLIC, {EVERYBODY};
        ALTER DEFAULT PRIVILEGES IN SCHEMA vigilbase GRANT ALL ON FUNCTIONS TO PUBLIC, {EVERYBODY};
        ALTER DEFAULT PRIVILEGES IN SCHEMA vigilbase GRANT ALL ON SEQUENCES TO PUBLIC, {EVERYBODY};
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
    """A database that the migrations were applied to."""

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
def new_database(postgres: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    execute(postgres.format("postgres"), f"CREATE DATABASE {name} TEMPLATE {template}")
    yield name
    execute(postgres.format("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", params=OLDEST_AND_NEWEST)
def postgres(request: pytest.FixtureRequest, server: PostgresServer) -> Iterator[str]:
    """The URL of a server of each version, with {} for the database."""
    version: str = request.param
    with supabase_like_server(version, server) as url:
        yield url


@contextmanager
def migrated_database(postgres: str, kind: str) -> Iterator[str]:
    with new_database(postgres, "template0") as name:
        execute(postgres.format(name), PROJECTS[kind])
        asyncio.run(apply_pending(postgres.format(name), discover()))
        yield name


@pytest.fixture(scope="module", params=PROJECTS)
def template(request: pytest.FixtureRequest, postgres: str) -> Iterator[str]:
    """The name of a migrated database without rows, in a project of each kind."""
    kind: str = request.param
    with migrated_database(postgres, kind) as name:
        yield name


@pytest.fixture(scope="module")
def plain_template(postgres: str) -> Iterator[str]:
    """The same without default privileges."""
    with migrated_database(postgres, "plain") as name:
        yield name


@pytest.fixture
def any_project(postgres: str, template: str) -> Iterator[Project]:
    """A project of each kind."""
    with new_database(postgres, template) as name:
        yield Project(postgres.format(name))


@pytest.fixture
def project(postgres: str, plain_template: str) -> Iterator[Project]:
    """A project for what doesn't depend on default privileges."""
    with new_database(postgres, plain_template) as name:
        yield Project(postgres.format(name))


def is_refused(connection: psycopg.Connection, statement: str, what: str) -> bool:
    """Whether it fails for the want of a privilege on the very thing, and not on something below it."""
    try:
        connection.execute(statement.encode())
    except InsufficientPrivilege as error:
        return error.diag.message_primary == f"permission denied for {what}"
    except psycopg.Error:
        return False
    return False


def grants(project: Project, owner: str = "postgres") -> set[Grant]:
    """What anybody but the owner may do."""
    return {grant for grant in project.execute(ALL_GRANTS) if grant[2] != owner}


def intended_grants() -> set[Grant]:
    wanted: set[Grant] = {
        ("schema", "vigilbase", "service_role", "USAGE", False),
        ("column", "vigilbase.suppressions.ends_at", "service_role", "UPDATE", False),
    }
    wanted |= {("table", table, "service_role", verb, False) for table, verbs in TABLES.items() for verb in verbs}
    wanted |= {("table", view, "service_role", "SELECT", False) for view in VIEWS}
    return wanted | {("function", name, "service_role", "EXECUTE", False) for name in CALLS}


def test_the_service_role_gets_what_it_needs_and_nobody_else_anything(any_project: Project) -> None:
    assert grants(any_project) == intended_grants()


def test_default_privileges_that_grant_all_do_so_here(postgres: str) -> None:
    """Or else the projects above would be all the same."""
    with new_database(postgres, "template0") as name:
        url = postgres.format(name)
        execute(url, PROJECTS["grants_all_in_our_schema"])
        execute(url, "CREATE TABLE vigilbase.mine (id bigint GENERATED ALWAYS AS IDENTITY)")
        execute(url, "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        kinds = {kind for kind, _, who, *_ in grants(Project(url)) if who == "anon"}
    assert kinds == {"schema", "table", "sequence", "function"}


async def test_where_the_roles_do_not_exist_nothing_is_granted(home: Path) -> None:
    embedded = EmbeddedServer(home, settings={"fsync": "off"})
    url = embedded.start()
    try:
        assert await apply_pending(url, discover()) == discover()
        everything = execute(url, ALL_GRANTS)
        # The owner is who the embedded transport connects as: it can use all of it.
        is_blind = execute(url, "SELECT public.vigilbase_role_info() ->> 'is_blind'")
    finally:
        embedded.stop()
    assert {grant[2] for grant in everything} == {"postgres"}
    assert is_blind == [("false",)]


async def test_an_owner_who_is_no_superuser_may_migrate(postgres: str) -> None:
    """On Supabase the role `postgres` is none."""
    owner = f"owner_{uuid4().hex[:12]}"
    with new_database(postgres, "template0") as name:
        url = postgres.format(name)
        execute(url, f"CREATE ROLE {owner}; GRANT ALL ON SCHEMA public TO {owner}")
        execute(url, f"GRANT CREATE ON DATABASE {name} TO {owner}")
        await apply_pending(f"{url}{'&' if '?' in url else '?'}options=-crole%3D{owner}", discover())
        assert grants(Project(url), owner) == intended_grants()
    execute(postgres.format("postgres"), f"DROP ROLE {owner}")


@pytest.mark.parametrize("role", API_ROLES)
def test_a_role_may_do_with_the_tables_what_it_should(any_project: Project, role: str) -> None:
    """As Postgres itself answers, with everything that a role has through PUBLIC or as a member of another."""
    privileges = [name for name in TABLE_PRIVILEGES if name != "MAINTAIN" or server_version(any_project) >= 17]
    rows = any_project.execute(
        f"SELECT relnamespace::regnamespace || '.' || relname, privilege FROM pg_class, unnest(ARRAY{privileges}) "
        "AS privilege WHERE relnamespace::regnamespace::text IN ('public', 'vigilbase') AND relkind IN ('r', 'v') "
        f"AND has_table_privilege('{role}', pg_class.oid, privilege)"
    )
    wanted = {(table, verb) for table, verbs in TABLES.items() for verb in verbs} | {(view, "SELECT") for view in VIEWS}
    assert set(rows) == (wanted if role == "service_role" else set())


def server_version(project: Project) -> int:
    ((version,),) = project.execute("SELECT current_setting('server_version_num')::integer / 10000")
    return int(str(version))


@pytest.mark.parametrize("role", API_ROLES)
def test_a_role_may_call_what_it_should(any_project: Project, role: str) -> None:
    rows = any_project.execute(f"SELECT f.name, has_function_privilege('{role}', f.oid, 'EXECUTE') FROM {FUNCTIONS}")
    assert sorted(rows) == [(function, role == "service_role") for function in sorted(CALLS)]


def test_the_service_role_can_use_every_function_and_view(any_project: Project) -> None:
    made = {str(name) for (name,) in any_project.execute(f"SELECT f.name FROM {FUNCTIONS}")}
    assert CALLS.keys() == made  # a new function needs a call in tests/support
    with psycopg.connect(any_project.url, autocommit=True) as connection:
        require_that_every_function_works(connection)


@pytest.mark.parametrize("role", VISITORS)
def test_a_visitor_can_not_use_any_function(any_project: Project, role: str) -> None:
    with any_project.acting_as(role) as connection:
        for function, call in CALLS.items():
            schema, _, name = function.partition(".")
            what = f"function {name}" if schema == "public" else "schema vigilbase"
            assert is_refused(connection, f"SELECT {function}{call}", what), function


@pytest.mark.parametrize("role", VISITORS)
def test_a_visitor_can_not_touch_a_table_or_view(any_project: Project, role: str) -> None:
    with any_project.acting_as(role) as connection:
        for table in (*TABLES, *VIEWS):
            schema, _, name = table.partition(".")
            what = f"table {name}" if schema == "public" else "schema vigilbase"
            for statement in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES"):
                assert is_refused(connection, statement, what), statement
            assert is_refused(connection, f"TRUNCATE {table}", what), table


def test_a_visitor_who_is_let_into_the_schema_finds_all_of_it_closed(any_project: Project) -> None:
    """The schema is the outer door; each thing behind it has a lock of its own."""
    any_project.execute("GRANT USAGE ON SCHEMA vigilbase TO anon")
    with any_project.acting_as("anon") as connection:
        for name in [table.partition(".")[2] for table in TABLES if table.startswith("vigilbase.")]:
            assert is_refused(connection, f"SELECT FROM vigilbase.{name}", f"table {name}")
        for view in [view.partition(".")[2] for view in VIEWS]:
            assert is_refused(connection, f"SELECT FROM vigilbase.{view}", f"view {view}")
        assert is_refused(connection, "SELECT vigilbase.lock_service('api')", "function lock_service")


@pytest.mark.parametrize("role", API_ROLES)
def test_a_role_can_not_move_a_sequence(any_project: Project, role: str) -> None:
    """Whoever may set the outbox's sequence back decides that the next notification clashes with an old one.

    By number, since a function that takes one doesn't ask for the schema.
    """
    for sequence in SEQUENCES:
        ((number,),) = any_project.execute(f"SELECT '{sequence}'::regclass::oid")
        name = sequence.partition(".")[2]
        with any_project.acting_as(role) as connection:
            assert is_refused(connection, f"SELECT setval({number}::regclass, 1)", f"sequence {name}")
            assert is_refused(connection, f"SELECT nextval({number}::regclass)", f"sequence {name}")
            if role != "service_role":
                assert is_refused(connection, f"SELECT setval('{sequence}', 1)", "schema vigilbase")
                assert is_refused(connection, f"SELECT FROM {sequence}", "schema vigilbase")


def test_all_sequences_are_known_here(project: Project) -> None:
    rows = project.execute(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class WHERE relkind = 'S' ORDER BY 1"
    )
    assert rows == [(sequence,) for sequence in SEQUENCES]


def test_a_clash_of_ids_fails_the_batch_and_never_loses_a_notification(project: Project) -> None:
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


def test_the_service_role_reads_the_ledger_and_can_not_change_it(project: Project) -> None:
    with project.acting_as("service_role") as connection:
        assert connection.execute("SELECT count(*) FROM vigilbase.migrations").fetchone() == (len(discover()),)
        for statement in (
            "DELETE FROM vigilbase.migrations",
            "UPDATE vigilbase.migrations SET name = ''",
            "TRUNCATE vigilbase.migrations",
        ):
            assert is_refused(connection, statement, "table migrations")
        assert is_refused(connection, "TRUNCATE public.alert_events", "table alert_events")


def test_the_service_role_can_not_rewrite_what_was(project: Project) -> None:
    columns = project.execute(
        "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE attnum > 0 "
        "AND attrelid IN ('vigilbase.alert_timeline'::regclass, 'vigilbase.suppressions'::regclass)"
    )
    assert len(columns) > 15
    with project.acting_as("service_role") as connection:
        for table, column in columns:
            may_change = (table, column) == ("suppressions", "ends_at")
            update = f"UPDATE vigilbase.{table} SET {column} = DEFAULT"
            assert is_refused(connection, update, f"table {table}") == (not may_change), column
        connection.execute("UPDATE vigilbase.suppressions SET ends_at = now()")
        assert is_refused(connection, "DELETE FROM vigilbase.suppressions", "table suppressions")


def test_doctor_is_told_what_visitors_may_use(project: Project) -> None:
    exposed = "SELECT public.vigilbase_list_privileges() ->> 'exposed'"
    with project.acting_as("service_role") as connection:
        assert connection.execute(exposed).fetchone() == ("[]",)
        for grant, kind in (
            ("UPDATE ON SEQUENCE vigilbase.notifications_id_seq", "sequence vigilbase.notifications_id_seq"),
            ("USAGE ON SCHEMA vigilbase", "schema vigilbase"),
            ("EXECUTE ON FUNCTION vigilbase.lock_service", "function vigilbase.lock_service"),
            ("DELETE ON TABLE vigilbase.channels", "table vigilbase.channels"),
            ("SELECT ON TABLE vigilbase.claimable", "view vigilbase.claimable"),
        ):
            project.execute(f"GRANT {grant} TO anon")
            assert connection.execute(exposed).fetchone() == (f'["{kind}"]',)
            project.execute(f"REVOKE {grant} FROM anon")


def test_no_function_runs_as_its_owner(project: Project) -> None:
    assert project.execute(f"SELECT f.name FROM {FUNCTIONS} WHERE f.prosecdef") == []


def test_what_a_client_calls_fixes_what_it_relies_on(project: Project) -> None:
    wanted = """ARRAY['search_path=""', 'default_transaction_isolation=read committed']"""
    unfit = project.execute(
        f"SELECT f.name FROM {FUNCTIONS} WHERE f.name LIKE 'public.%' AND NOT coalesce(f.proconfig, '{{}}') @> {wanted}"
    )
    assert unfit == []


def test_what_is_to_be_inlined_into_a_query_has_no_settings(project: Project) -> None:
    """A function with a SET is never inlined."""
    rows = project.execute(f"SELECT f.name, f.proconfig FROM {FUNCTIONS} WHERE f.prosqlbody IS NOT NULL")
    assert ("vigilbase.is_needed", None) in rows
    assert [name for name, settings in rows if settings is not None] == []


def test_names_have_a_version_from_the_second_on_and_helpers_none(project: Project) -> None:
    client = r"^public\.vigilbase(_[a-z]+)+(_v([2-9]|[1-9][0-9]+))?$"
    helper = r"^vigilbase\.[a-z]+(_[a-z]+)*$"
    assert project.execute(f"SELECT f.name FROM {FUNCTIONS} WHERE f.name !~ '{client}|{helper}'") == []


def test_every_table_has_row_level_security_and_no_policy(project: Project) -> None:
    tables = project.execute(
        "SELECT relnamespace::regnamespace || '.' || relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('public', 'vigilbase') AND relkind IN ('r', 'p')"
    )
    assert {name for name, *_ in tables} == TABLES.keys()
    assert [table for table in tables if table[1:] != (True, False)] == []
    assert project.execute("SELECT FROM pg_policy") == []


def test_every_view_asks_as_its_caller(project: Project) -> None:
    rows = project.execute(
        "SELECT relnamespace::regnamespace || '.' || relname, reloptions FROM pg_class "
        "WHERE relnamespace::regnamespace::text IN ('public', 'vigilbase') AND relkind IN ('v', 'm') ORDER BY 1"
    )
    assert rows == [(view, ["security_invoker=true"]) for view in VIEWS]
