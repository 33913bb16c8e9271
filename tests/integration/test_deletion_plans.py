"""Deletion stays linear when the planner is mistaken about the tables: their statistics are stale, or there are none.

What the plans say is asserted, not how long they take: once 12,001 rows were joined with 12,001, and once an array of
as many ids was searched for each row.
"""

import json
import re
from collections.abc import Iterator

import psycopg
import pytest
from pglast import ast
from pglast.stream import RawStream

from tests.support.server import PostgresServer
from tests.support.sql_parser import SOURCES, descend, queries

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
# The variables of these functions: their types and values.
VARIABLES = {
    "v_before": ("timestamptz", "now() - interval '30 days'"),
    "v_last": ("timestamptz", "now() - interval '30 days'"),
    "v_open": ("uuid[]", "'{}'"),
    "v_pending": ("uuid[]", "'{}'"),
    "v_spared": ("uuid[]", "'{}'"),
    "p_keep_open": ("boolean", "true"),
    "p_limit": ("integer", "5000"),
}


Plan = dict[str, object]


def write_rows(connection: psycopg.Connection, number: int, written: str) -> None:
    """As many checks, and resolved alerts with a delivered notification and an entry in the timeline each."""
    connection.execute(
        f"""
        CREATE TEMPORARY TABLE made AS
        SELECT gen_random_uuid() AS id, 'service ' || i % 10 AS name, {written} + make_interval(secs => i / 1e6) AS at
        FROM generate_series(1, {number}) AS i;
        INSERT INTO public.service_health_checks (service_name, status, checked_at, created_at)
        SELECT name, 'down', at, at FROM made;
        INSERT INTO public.alert_events (id, service_name, alert_type, status, created_at)
        SELECT id, name, 'service_down', 'resolved', at FROM made;
        INSERT INTO vigilbase.notifications (
            alert_id, service_name, alert_type, alert_status, channel, kind, status, due_at, created_at, ended_at
        )
        SELECT id, name, 'service_down', 'resolved', 'ops', 'triggered', 'delivered', at, at, at FROM made;
        INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event, at)
        SELECT name, id, 'opened', at FROM made;
        DROP TABLE made
        """.encode()
    )


def fill_with_old_rows(connection: psycopg.Connection, statistics: str) -> None:
    for table in TABLES:
        connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
    if statistics == "analyzed_before_anything_was_old":
        write_rows(connection, 1_000, "now()")
    if statistics != "never_analyzed":
        connection.execute("VACUUM ANALYZE")
    write_rows(connection, ROWS, "now() - interval '90 days'")


@pytest.fixture(params=["never_analyzed", "analyzed_when_empty", "analyzed_before_anything_was_old"])
def connection(request: pytest.FixtureRequest, server: PostgresServer, database: str) -> Iterator[psycopg.Connection]:
    """A database full of old rows, of which the planner knows nothing or something else."""
    statistics: str = request.param
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        fill_with_old_rows(connection, statistics)
        yield connection


def statements_of(function: str) -> list[str]:
    """The statements of a deletion that read or delete rows."""
    found = [query.statement for query in queries(source_of(function))]
    return [
        RawStream()(statement) for statement in found if any(isinstance(n, ast.RangeVar) for n in descend(statement))
    ]


def source_of(function: str) -> str:
    (text,) = (path.read_text() for path in SOURCES if path.stem == function.partition(".")[2])
    return text


def modes_of(function: str) -> tuple[str, ...]:
    """How its statements may be planned: knowing the values of its variables, and not knowing them."""
    forced = "SET plan_cache_mode = 'force_custom_plan'" in source_of(function)
    return ("force_custom_plan",) if forced else ("force_custom_plan", "force_generic_plan")


def explain(connection: psycopg.Connection, statement: str, mode: str) -> Plan:
    """How Postgres would run a statement of PL/pgSQL."""
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


def plan_nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in children(plan):
        yield from plan_nodes(child)


def children(plan: Plan) -> list[Plan]:
    inner = plan.get("Plans", [])
    assert isinstance(inner, list)
    return inner


def quadratic_nodes(plan: Plan) -> list[str]:
    """What a plan does once for every row, although it costs as much as there are rows."""
    found = []
    for node in plan_nodes(plan):
        if re.search(r"\bid = ANY \(", str(node.get("Filter"))):
            found.append(f"{node['Node Type']} with filter {node['Filter']}")
        if node["Node Type"] == "Nested Loop":
            repeated = [child for child in children(node) if child["Parent Relationship"] == "Inner"]
            found += [f"Nested Loop over {child['Node Type']}" for child in repeated if not is_looked_up(child)]
    return found


def is_looked_up(node: Plan) -> bool:
    """Whether an index leads from a column of another table to the rows."""
    return any(re.search(r"\w+\.\w+", str(inner.get("Index Cond", ""))) for inner in plan_nodes(node))


@pytest.mark.parametrize("function", DELETIONS)
def test_a_deletion_on_stale_statistics_does_nothing_twice(connection: psycopg.Connection, function: str) -> None:
    for statement in statements_of(function):
        for mode in modes_of(function):
            plan = explain(connection, statement, mode)
            assert quadratic_nodes(plan) == [], f"{statement}\n{json.dumps(plan, indent=1)}"


def test_the_deletions_delete_all_of_it(connection: psycopg.Connection) -> None:
    for function in DELETIONS:
        answer = connection.execute(f"SELECT ({function}(30, 20000) ->> 'deleted')::integer".encode()).fetchone()
        assert answer == (ROWS,)


@pytest.mark.parametrize("function", DELETIONS)
def test_a_deletion_finds_its_rows_by_an_array_of_ids(connection: psycopg.Connection, function: str) -> None:
    table = TABLES[DELETIONS.index(function)]
    (statement,) = (text for text in statements_of(function) if text.startswith(f"DELETE FROM {table}"))
    for mode in modes_of(function):
        nodes = plan_nodes(explain(connection, statement, mode))
        assert any(str(node.get("Index Cond")).startswith("(id = ANY ((InitPlan 1)") for node in nodes)


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
def test_the_assertion_about_plans_has_teeth(server: PostgresServer, database: str, statement: str) -> None:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        fill_with_old_rows(connection, "analyzed_before_anything_was_old")
        assert quadratic_nodes(explain(connection, statement, "force_custom_plan"))
