"""The rules that let one SQL text run on plain Postgres and on Citus, checked on the parsed SQL of every source.

On Citus the tables that grow are distributed by service_name, and the small ones that coordinate are not: see
"Growing" and "The data foundation" in the plan.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from pglast import ast
from pglast.enums import A_Expr_Kind, ConstrType, FunctionParameterMode, SubLinkType

from tests.support.psql import FILES, LEDGER
from tests.support.sql_parser import (
    SOURCES,
    descend,
    name_of,
    nodes,
    plpgsql_bodies,
    queries,
    relation_name,
    statements,
)
from tests.support.sql_scopes import Level, column, conjuncts, equated, is_known, levels, mentioned, refers_to

CONTRACT = {"public.service_health_checks", "public.alert_events"}
DISTRIBUTED = {*CONTRACT, "vigilbase.services", "vigilbase.alert_timeline"}
COORDINATION = {
    "vigilbase.notifications",
    "vigilbase.channels",
    "vigilbase.suppressions",
    "vigilbase.runners",
    "vigilbase.migrations",
    "vigilbase.claimable",
}
CATALOG_VIEWS = {"vigilbase.objects"}

# What reads or deletes across all services, and why it may.
ACROSS_SERVICES = {
    "vigilbase.find_alert_service": "the one look-up by an alert's id, after which everything names the service",
    "vigilbase.discover_services": "finds the services that have checks and no row",
    "public.vigilbase_save_services": "marks as removed whatever an owner's definitions no longer have",
    "public.vigilbase_find_latest_health_checks": "one row for every service, by LATERAL from vigilbase.services",
    "public.vigilbase_list_alerts": "of one service or of all",
    "public.vigilbase_delete_health_checks": "retention goes by age",
    "public.vigilbase_delete_alerts": "retention goes by age",
    "public.vigilbase_delete_notifications": "retention of the timeline goes by age",
}

TEXT = "\n".join(path.read_text() for path in SOURCES)
QUERIES = [query for path in SOURCES for query in queries(path.read_text())]
KNOWN = "a parameter"
Rule = Callable[[ast.Node], Iterable[str]]


def distributed(level: Level) -> set[str]:
    """The aliases of the distributed tables of a query."""
    return {alias for alias, table in level.tables.items() if table in DISTRIBUTED}


def side(expression: ast.Node, scope: Sequence[Level]) -> str | None:
    """What one side of an equation of service names stands for: the alias of a distributed table, or a known value."""
    if is_known(expression):
        return KNOWN
    match column(expression):
        case ["service_name"] if len(scope[-1].tables) == 1:
            (alias,) = scope[-1].tables
        case [alias, "service_name"]:
            pass
        case _:
            return None
    return alias if any(alias in distributed(level) for level in scope) else None


def same_service(scope: Sequence[Level]) -> list[set[str]]:
    """The aliases of distributed tables that a query's conditions bind to one service, in groups."""
    groups: list[set[str]] = [{alias} for alias in distributed(scope[-1])]
    for condition in scope[-1].conditions:
        sides = equated(condition)
        if not sides:
            continue
        left, right = side(sides[0], scope), side(sides[1], scope)
        if left and right:
            joined = {left, right}.union(*(group for group in groups if group & {left, right}))
            groups = [group for group in groups if not group & joined] + [joined]
    return groups


def names_no_service(statement: ast.Node) -> Iterator[str]:
    """A query on a distributed table says which service it is about, or joins one that does."""
    for scope in levels(statement):
        outer = {alias for level in scope[:-1] for alias in distributed(level)}
        for group in same_service(scope):
            if KNOWN not in group and not group & outer:
                yield f"no service_name for {', '.join(sorted(group))}"


def joins_services(statement: ast.Node) -> Iterator[str]:
    """What joins distributed tables, or refers to one outside, equates their service names."""
    for scope in levels(statement):
        level, outer = scope[-1], {alias for level in scope[:-1] for alias in distributed(level)}
        loose = [group for group in same_service(scope) if KNOWN not in group and not group & outer]
        if len(loose) > 1 or (loose and (level.is_lateral or refers_to(level.conditions, outer - level.tables.keys()))):
            yield f"no join by service_name: {loose}"


def uses_what_citus_lacks(statement: ast.Node) -> Iterator[str]:
    for node in descend(statement):
        if isinstance(node, ast.WithClause) and node.recursive:
            yield "a recursive query"
        if isinstance(node, ast.MergeStmt):
            yield "MERGE"
        if isinstance(node, ast.ColumnRef) and column(node)[-1] == "ctid":
            yield "ctid"


def correlates_with_a_function(statement: ast.Node) -> Iterator[str]:
    """LATERAL between a function and a distributed table, either way, also in the form of a correlated subquery."""
    for scope in levels(statement):
        level = scope[-1]
        outer_functions = {alias for outer in scope[:-1] for alias in outer.function_aliases}
        if distributed(level):
            if level.is_lateral and any(outer.functions for outer in scope[:-1]):
                yield "LATERAL over a function"
            elif refers_to(level.conditions, outer_functions - level.tables.keys()):
                yield "a subquery correlated with a function"
            if refers_to(level.functions, distributed(level)):
                yield "LATERAL to a function"


def locks_rows_of_a_distributed_table(statement: ast.Node) -> Iterator[str]:
    for node in descend(statement):
        if isinstance(node, ast.SelectStmt) and node.lockingClause and not mentioned(node) <= COORDINATION:
            yield "locks rows of a table that isn't for coordination"


def mixes_tables(statement: ast.Node) -> Iterator[str]:
    tables = mentioned(statement)
    if tables & DISTRIBUTED and tables & COORDINATION:
        yield "a coordination table beside a distributed one"


def names_unknown_tables(statement: ast.Node) -> Iterator[str]:
    """Every table is written with its schema, and is known here."""
    parts = {str(node.ctename) for node in descend(statement) if isinstance(node, ast.CommonTableExpr)}
    for table in sorted(mentioned(statement) - parts - DISTRIBUTED - COORDINATION - CATALOG_VIEWS):
        if not table.startswith("pg_catalog."):
            yield f"table {table}"


def has_a_vague_conflict_target(statement: ast.Node) -> Iterator[str]:
    for node in descend(statement):
        if isinstance(node, ast.InsertStmt) and node.onConflictClause:
            target = node.onConflictClause.infer
            if target is None:
                yield "ON CONFLICT without a target"
            elif relation_name(node.relation) in CONTRACT and not target.conname:
                yield "a target in the contract's tables that isn't ON CONSTRAINT"


def limits_inside_in(statement: ast.Node) -> Iterator[str]:
    for node in descend(statement):
        if isinstance(node, ast.SubLink) and node.subLinkType == SubLinkType.ANY_SUBLINK:
            inside = [inner for inner in descend(node.subselect) if isinstance(inner, ast.SelectStmt)]
            if any(inner.limitCount for inner in inside):
                yield "IN (SELECT … LIMIT …)"


def changes_what_is_resolved(statement: ast.Node) -> Iterator[str]:
    for node in descend(statement):
        if (
            isinstance(node, ast.UpdateStmt)
            and relation_name(node.relation) == "public.alert_events"
            and not any(map(is_unresolved, conjuncts(node.whereClause)))
        ):
            yield "an UPDATE of alert_events that spares no resolved one"


def is_unresolved(condition: ast.Node) -> bool:
    return (
        isinstance(condition, ast.A_Expr)
        and condition.kind == A_Expr_Kind.AEXPR_OP
        and name_of(condition.name) == "<>"
        and column(condition.lexpr)[-1:] == ["status"]
        and isinstance(condition.rexpr, ast.A_Const)
        and getattr(condition.rexpr.val, "sval", "") == "resolved"
    )


RULES: tuple[Rule, ...] = (
    uses_what_citus_lacks,
    correlates_with_a_function,
    locks_rows_of_a_distributed_table,
    mixes_tables,
    names_unknown_tables,
    joins_services,
    has_a_vague_conflict_target,
    limits_inside_in,
    changes_what_is_resolved,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_query_keeps_the_rule(rule: Rule) -> None:
    assert [(query.owner, fault) for query in QUERIES for fault in rule(query.statement)] == []


def test_every_query_names_its_service() -> None:
    found = {query.owner: fault for query in QUERIES for fault in names_no_service(query.statement)}
    assert {owner: fault for owner, fault in found.items() if owner not in ACROSS_SERVICES} == {}
    assert ACROSS_SERVICES.keys() == found.keys()  # nothing is excused that needs no excuse


def test_the_queries_are_found() -> None:
    assert len(QUERIES) > 250
    assert len({query.owner for query in QUERIES}) > 70
    assert set().union(*(mentioned(query.statement) for query in QUERIES)) >= DISTRIBUTED | COORDINATION


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        (uses_what_citus_lacks, "WITH RECURSIVE a AS (SELECT 1) SELECT FROM a"),
        (uses_what_citus_lacks, "SELECT FROM public.alert_events AS a WHERE a.ctid = p_ctid"),
        (
            uses_what_citus_lacks,
            """MERGE INTO vigilbase.services AS s USING public.alert_events AS a ON a.service_name = s.service_name
            WHEN MATCHED THEN DO NOTHING""",
        ),
        (
            correlates_with_a_function,
            """SELECT FROM unnest(p_names) AS n (name) CROSS JOIN LATERAL
            (SELECT FROM public.alert_events AS a WHERE a.service_name = n.name) AS o""",
        ),
        (
            correlates_with_a_function,
            """SELECT FROM unnest(p_names) AS n (name) WHERE EXISTS
            (SELECT FROM vigilbase.services AS s WHERE s.service_name = n.name)""",
        ),
        (
            correlates_with_a_function,
            "SELECT FROM public.alert_events AS a, jsonb_each(a.details) AS d WHERE a.service_name = p_name",
        ),
        (
            locks_rows_of_a_distributed_table,
            "SELECT FROM vigilbase.services AS s WHERE s.service_name = p_name FOR UPDATE SKIP LOCKED",
        ),
        (locks_rows_of_a_distributed_table, "SELECT FROM vigilbase.alert_timeline AS t FOR SHARE"),
        (
            mixes_tables,
            """DELETE FROM vigilbase.notifications AS n WHERE EXISTS (SELECT FROM public.alert_events AS a
            WHERE a.service_name = p_name AND a.id = n.alert_id)""",
        ),
        (mixes_tables, "SELECT FROM vigilbase.claimable AS c, vigilbase.services AS s"),
        (names_unknown_tables, "SELECT FROM alert_events"),
        (names_unknown_tables, "SELECT FROM vigilbase.rollups"),
        (names_no_service, "SELECT FROM public.alert_events AS a WHERE a.id = p_id"),
        (names_no_service, "SELECT FROM public.alert_events AS a WHERE a.service_name = p_name OR a.id = p_id"),
        (names_no_service, "SELECT FROM public.alert_events AS a WHERE a.service_name = a.service_name"),
        (names_no_service, "SELECT FROM public.alert_events AS a WHERE a.service_name <> p_name"),
        (names_no_service, "SELECT FROM public.alert_events AS a WHERE a.service_name = a.message"),
        (names_no_service, "UPDATE public.alert_events AS a SET message = p_name WHERE a.id = p_id"),
        (names_no_service, "DELETE FROM vigilbase.alert_timeline WHERE id = p_id"),
        (
            names_no_service,
            """SELECT FROM public.alert_events AS a WHERE a.service_name =
            (SELECT o.service_name FROM public.alert_events AS o WHERE o.service_name = p_name)""",
        ),
        (
            names_no_service,
            """SELECT (SELECT count(*) FROM public.service_health_checks AS c WHERE c.status = 'down')
            FROM public.alert_events AS a WHERE a.service_name = p_name""",
        ),
        (
            joins_services,
            "SELECT FROM vigilbase.alert_timeline AS t JOIN public.alert_events AS a ON a.id = t.alert_id",
        ),
        (
            joins_services,
            """SELECT FROM vigilbase.services AS s CROSS JOIN LATERAL
            (SELECT FROM public.service_health_checks AS c WHERE c.created_at > s.created_at) AS c""",
        ),
        (
            joins_services,
            """DELETE FROM vigilbase.alert_timeline AS t WHERE NOT EXISTS
            (SELECT FROM public.alert_events AS a WHERE a.id = t.alert_id)""",
        ),
        (has_a_vague_conflict_target, "INSERT INTO vigilbase.runners DEFAULT VALUES ON CONFLICT DO NOTHING"),
        (has_a_vague_conflict_target, "INSERT INTO public.alert_events DEFAULT VALUES ON CONFLICT (id) DO NOTHING"),
        (
            limits_inside_in,
            "DELETE FROM public.alert_events WHERE id IN (SELECT a.id FROM public.alert_events AS a LIMIT 1)",
        ),
        (
            changes_what_is_resolved,
            "UPDATE public.alert_events AS a SET status = p_status WHERE a.service_name = p_name",
        ),
        (
            changes_what_is_resolved,
            "UPDATE public.alert_events AS a SET status = p_status WHERE a.status <> 'resolved' OR a.id = p_id",
        ),
    ],
)
def test_a_rule_about_queries_has_teeth(rule: Rule, statement: str) -> None:
    (parsed,) = statements(statement)
    assert len(list(rule(parsed))) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM public.alert_events AS a WHERE a.service_name = p_name AND a.id = p_id",
        "SELECT FROM public.alert_events AS a WHERE a.service_name = v_row.service_name",
        "SELECT FROM public.alert_events AS a WHERE a.service_name = ANY (p_names)",
        "DELETE FROM vigilbase.alert_timeline WHERE service_name = p_name",
        """SELECT FROM vigilbase.alert_timeline AS t LEFT JOIN public.alert_events AS a
        ON a.service_name = t.service_name AND a.id = t.alert_id WHERE t.service_name = p_name""",
        """SELECT FROM public.alert_events AS a WHERE a.service_name = p_name AND EXISTS
        (SELECT FROM vigilbase.services AS s WHERE s.service_name = a.service_name)""",
        """INSERT INTO public.service_health_checks DEFAULT VALUES
        ON CONFLICT ON CONSTRAINT service_health_checks_pkey DO NOTHING""",
        "UPDATE public.alert_events AS a SET message = '' WHERE a.service_name = p_name AND a.status <> 'resolved'",
    ],
)
def test_the_rules_about_queries_let_pass_what_is_good(statement: str) -> None:
    (parsed,) = statements(statement)
    assert [fault for rule in (*RULES, names_no_service) for fault in rule(parsed)] == []


def function_faults(text: str) -> list[str]:
    """What is wrong with the form of the functions in a text: what they take and return, and SQL put together."""
    faults = []
    for maker, body in plpgsql_bodies(text):
        if not isinstance(maker, ast.CreateFunctionStmt):
            continue
        name = name_of(maker.funcname)
        parameters = [(parameter.name, parameter) for parameter in maker.parameters or ()]
        if name.startswith("public."):
            faults += [
                f"{name}({parameter}) takes {kind}"
                for parameter, kind in ((found, type_name(node)) for found, node in parameters)
                if kind in {"json", "jsonb"}
            ]
            ways_out = {FunctionParameterMode.FUNC_PARAM_OUT, FunctionParameterMode.FUNC_PARAM_TABLE}
            if any(node.mode in ways_out for _, node in parameters) or (maker.returnType and maker.returnType.setof):
                faults.append(f"{name} returns rows")
        if any(key == "PLpgSQL_stmt_dynexecute" for key, _ in nodes(body)):
            faults.append(f"{name} puts SQL together")
    return faults


def type_name(parameter: ast.FunctionParameter) -> str:
    return name_of(parameter.argType.names if parameter.argType else None).removeprefix("pg_catalog.")


def test_functions_take_json_as_text_and_return_one_value() -> None:
    """Data APIs encode a json argument twice, and cut sets at 1,000 rows."""
    assert function_faults(TEXT) == []


@pytest.mark.parametrize(
    ("signature", "fault"),
    [
        ("public.f(p_rows json) RETURNS text", "public.f(p_rows) takes json"),
        ("public.f(p_rows pg_catalog.jsonb) RETURNS text", "public.f(p_rows) takes jsonb"),
        ("public.f() RETURNS SETOF text", "public.f returns rows"),
        ("public.f() RETURNS TABLE (a text)", "public.f returns rows"),
        ("public.f(OUT a text)", "public.f returns rows"),
    ],
)
def test_the_rule_about_functions_has_teeth(signature: str, fault: str) -> None:
    assert function_faults(f"CREATE FUNCTION {signature} LANGUAGE sql AS ''") == [fault]


def test_the_rule_about_dynamic_sql_has_teeth() -> None:
    text = "CREATE FUNCTION vigilbase.f() RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE p_sql; END'"
    assert function_faults(text) == ["vigilbase.f puts SQL together"]


def test_there_is_no_trigger() -> None:
    files = "\n".join(path.read_text() for path in (*FILES, LEDGER))
    assert [made for made in statements(files) if isinstance(made, ast.CreateTrigStmt)] == []


def unkeyed_tables(text: str) -> list[str]:
    """The tables by service that don't have it in their primary key."""
    found = []
    for made in statements(text):
        if isinstance(made, ast.CreateStmt):
            columns = [part for part in made.tableElts or () if isinstance(part, ast.ColumnDef)]
            if any(part.colname == "service_name" for part in columns) and "service_name" not in primary_key(made):
                found.append(relation_name(made.relation))
    return found


def primary_key(table: ast.CreateStmt) -> set[str]:
    key = set()
    for part in table.tableElts or ():
        if isinstance(part, ast.ColumnDef):
            if any(constraint.contype == ConstrType.CONSTR_PRIMARY for constraint in part.constraints or ()):
                key.add(str(part.colname))
        elif isinstance(part, ast.Constraint) and part.contype == ConstrType.CONSTR_PRIMARY:
            key |= {str(name.sval) for name in part.keys or ()}
    return key


def test_tables_by_service_have_it_in_their_primary_key() -> None:
    """Those of the contract have it widened by the file that distributes them."""
    assert set(unkeyed_tables(TEXT)) <= COORDINATION
    tables = {relation_name(made.relation) for made in statements(TEXT) if isinstance(made, ast.CreateStmt)}
    assert tables | CONTRACT | {"vigilbase.migrations", "vigilbase.claimable"} == DISTRIBUTED | COORDINATION


def test_the_rule_about_primary_keys_has_teeth() -> None:
    tables = """
        CREATE TABLE a (id uuid PRIMARY KEY, service_name text UNIQUE);
        CREATE TABLE b (id uuid, service_name text, PRIMARY KEY (service_name, id));
        CREATE TABLE c (service_name text PRIMARY KEY);
        CREATE TABLE d (id uuid, service_name text);
        CREATE TABLE e (id uuid)
    """
    assert unkeyed_tables(tables) == ["a", "d"]
