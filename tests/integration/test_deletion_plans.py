"""Deletion stays linear even if the statistics of the tables are stale or missing.

The tests assert on plans, not on times. Past faults were a nested loop over 12,001 rows on both sides, and a linear
search of an array of 12,001 ids for each row.
"""

import json
import re
from collections.abc import Iterator

import psycopg
import pytest
from pglast import ast
from pglast.stream import RawStream

from tests.support.server import TEMPLATE, PostgresServer
from tests.support.sql_parser import SOURCES, parse_queries, walk

ROWS = 12_001
TABLES = (
    "public.service_health_checks",
    "public.alert_events",
    "vigilbase.notifications",
    "vigilbase.alert_timeline",
)
DELETIONS = (
    "public.vigilbase_delete_health_checks",
    "public.vigilbase_delete_alerts",
    "public.vigilbase_delete_notifications",
)
# The types and values of the variables in these functions.
VARIABLES = {
    "v_before": ("timestamptz", "now() - interval '30 days'"),
    "v_last": ("timestamptz", "now() - interval '30 days'"),
    "v_open": ("uuid[]", "'{}'"),
    "v_pending": ("uuid[]", "'{}'"),
    "v_kept": ("uuid[]", "'{}'"),
    "p_keep_open": ("boolean", "true"),
    "p_limit": ("integer", "5000"),
}


Plan = dict[str, object]


def insert_rows(connection: psycopg.Connection, number: int, written: str) -> None:
    """Insert `number` checks, and as many resolved alerts, each with a delivered notification and a timeline entry."""
    connection.execute(
        f"""
        CREATE TEMPORARY TABLE new_rows AS
        SELECT gen_random_uuid() AS id, 'service ' || i % 10 AS name, {written} + make_interval(secs => i / 1e6) AS at
        FROM generate_series(1, {number}) AS i;
        INSERT INTO public.service_health_checks (service_name, status, checked_at, created_at)
        SELECT name, 'down', at, at FROM new_rows;
        INSERT INTO public.alert_events (id, service_name, alert_type, status, created_at)
        SELECT id, name, 'service_down', 'resolved', at FROM new_rows;
        INSERT INTO vigilbase.notifications (
            alert_id, service_name, alert_type, alert_status, channel, kind, status, due_at, created_at, ended_at
        )
        SELECT id, name, 'service_down', 'resolved', 'ops', 'triggered', 'delivered', at, at, at FROM new_rows;
        INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event, at)
        SELECT name, id, 'opened', at FROM new_rows;
        DROP TABLE new_rows
        """.encode()
    )


def insert_old_rows(connection: psycopg.Connection, statistics: str) -> None:
    for table in TABLES:
        connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
    if statistics == "analyzed_with_recent_rows":
        insert_rows(connection, 1_000, "now()")
    if statistics != "never_analyzed":
        connection.execute("VACUUM ANALYZE")
    insert_rows(connection, ROWS, "now() - interval '90 days'")


@pytest.fixture(scope="module", params=["never_analyzed", "analyzed_when_empty", "analyzed_with_recent_rows"])
def full_database(request: pytest.FixtureRequest, server: PostgresServer) -> Iterator[str]:
    """The URL of a database full of old rows, without or with misleading statistics."""
    name = server.create_database(TEMPLATE)
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        insert_old_rows(connection, request.param)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def connection(full_database: str) -> Iterator[psycopg.Connection]:
    """A connection to such a database, whose changes are rolled back."""
    with psycopg.connect(full_database) as connection:
        yield connection
        connection.rollback()


def list_statements(function: str) -> list[str]:
    """The statements of a deletion that read or delete rows."""
    parsed = [query.statement for query in parse_queries(read_source(function))]
    return [RawStream()(statement) for statement in parsed if any(isinstance(n, ast.RangeVar) for n in walk(statement))]


def read_source(function: str) -> str:
    (text,) = (path.read_text() for path in SOURCES if path.stem == function.partition(".")[2])
    return text


def list_plan_modes(function: str) -> tuple[str, ...]:
    """The modes in which its statements may be planned: with and without the values of its variables."""
    forced = "SET plan_cache_mode = 'force_custom_plan'" in read_source(function)
    return ("force_custom_plan",) if forced else ("force_custom_plan", "force_generic_plan")


def explain(connection: psycopg.Connection, statement: str, mode: str) -> Plan:
    """The plan of Postgres for a statement of PL/pgSQL."""
    used = [name for name in VARIABLES if re.search(rf"\b{name}\b", statement)]
    for number, name in enumerate(used, 1):
        statement = re.sub(rf"\b{name}\b", f"${number}", statement)
    types, values = (", ".join(VARIABLES[name][part] for name in used) for part in (0, 1))
    types, values = (f"({types})", f"({values})") if used else ("", "")
    connection.execute(f"SET plan_cache_mode = {mode}".encode())
    connection.execute(f"PREPARE deletion {types} AS {statement}".encode())
    row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE deletion {values}".encode()).fetchone()
    connection.execute("DEALLOCATE deletion")
    assert row
    plan: Plan = row[0][0]["Plan"]
    return plan


def walk_plan(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in list_children(plan):
        yield from walk_plan(child)


def list_children(plan: Plan) -> list[Plan]:
    inner = plan.get("Plans", [])
    assert isinstance(inner, list)
    return inner


def find_quadratic_nodes(plan: Plan) -> list[str]:
    """The nodes of a plan that run once per row at a cost proportional to the number of rows."""
    quadratic = []
    for node in walk_plan(plan):
        if re.search(r"\bid = ANY \(", str(node.get("Filter"))):
            quadratic.append(f"{node['Node Type']} with filter {node['Filter']}")
        if node["Node Type"] == "Nested Loop":
            repeated = [child for child in list_children(node) if child["Parent Relationship"] == "Inner"]
            quadratic += [f"Nested Loop over {child['Node Type']}" for child in repeated if not is_index_lookup(child)]
    return quadratic


def is_index_lookup(node: Plan) -> bool:
    """Whether a node finds its rows by an index, from a column of another table."""
    return any(re.search(r"\w+\.\w+", str(inner.get("Index Cond", ""))) for inner in walk_plan(node))


def test_deletion_stale_statistics_plan_is_linear(connection: psycopg.Connection) -> None:
    for function in DELETIONS:
        for statement in list_statements(function):
            for mode in list_plan_modes(function):
                plan = explain(connection, statement, mode)
                assert find_quadratic_nodes(plan) == [], f"{function}: {statement}\n{json.dumps(plan, indent=1)}"


def test_deletions_delete_all_old_rows(connection: psycopg.Connection) -> None:
    for function in DELETIONS:
        answer = connection.execute(f"SELECT ({function}(30, 20000) ->> 'deleted')::integer".encode()).fetchone()
        assert answer == (ROWS,)


def test_deletion_finds_rows_by_array_of_ids(connection: psycopg.Connection) -> None:
    for function, table in zip(DELETIONS, TABLES, strict=False):
        (statement,) = (text for text in list_statements(function) if text.startswith(f"DELETE FROM {table}"))
        for mode in list_plan_modes(function):
            nodes = walk_plan(explain(connection, statement, mode))
            found = any(str(node.get("Index Cond")).startswith("(id = ANY ((InitPlan 1)") for node in nodes)
            assert found, f"{function}, {mode}"


@pytest.mark.parametrize(
    "statement",
    [
        """DELETE FROM public.service_health_checks WHERE created_at < v_before AND id = ANY (ARRAY(
            SELECT id FROM public.service_health_checks WHERE created_at < v_before LIMIT p_limit
        ))""",
        """DELETE FROM vigilbase.alert_timeline AS t WHERE t.at <= v_last AND NOT EXISTS (
            SELECT FROM public.alert_events AS a
            WHERE a.service_name = t.service_name AND a.id = t.alert_id AND a.status <> 'resolved'
        )""",
    ],
    ids=["a_filter", "a_join"],
)
def test_quadratic_plan_is_reported(server: PostgresServer, database: str, statement: str) -> None:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        insert_old_rows(connection, "analyzed_with_recent_rows")
        assert find_quadratic_nodes(explain(connection, statement, "force_custom_plan"))
