"""The rules that let one SQL text run on plain Postgres and on Citus, checked on the parsed SQL of every source.

On Citus, the tables that grow are distributed by service_name, and the small coordination tables are not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from pglast import ast
from pglast.enums import A_Expr_Kind, ConstrType, FunctionParameterMode, SubLinkType

from tests.support.psql import FILES, LEDGER
from tests.support.sql_parser import (
    SOURCES,
    get_relation_name,
    join_name,
    parse_bodies,
    parse_queries,
    parse_statements,
    walk,
    walk_nodes,
)
from tests.support.sql_scopes import (
    Level,
    get_column,
    is_known,
    list_tables,
    refers_to,
    split_conjunction,
    split_equation,
    walk_levels,
)

CONTRACT = {"public.service_health_checks", "public.alert_events"}
DISTRIBUTED = {*CONTRACT, "vigilbase.services", "vigilbase.alert_timeline"}
COORDINATION = {
    "vigilbase.notifications",
    "vigilbase.channels",
    "vigilbase.suppressions",
    "vigilbase.runners",
    "vigilbase.migrations",
    "vigilbase.pending_notifications",
}
CATALOG_VIEWS = {"vigilbase.objects"}

# The functions that read or delete rows of all services, and the reason for each.
ACROSS_SERVICES = {
    "vigilbase.find_alert_service": "the only lookup by an alert's id; every later query names the service",
    "vigilbase.discover_services": "finds services that have checks but no row",
    "public.vigilbase_save_services": "marks the services that are missing in an owner's definitions as removed",
    "public.vigilbase_find_latest_health_checks": "returns one row per service, by LATERAL from vigilbase.services",
    "public.vigilbase_list_alerts": "lists the alerts of one service or of all",
    "public.vigilbase_delete_health_checks": "retention depends on age",
    "public.vigilbase_delete_alerts": "retention depends on age",
    "public.vigilbase_delete_notifications": "retention of the timeline depends on age",
}

TEXT = "\n".join(path.read_text() for path in SOURCES)
QUERIES = [query for path in SOURCES for query in parse_queries(path.read_text())]
KNOWN = "a parameter"
Rule = Callable[[ast.Node], Iterable[str]]


def find_distributed_aliases(level: Level) -> set[str]:
    """The aliases of the distributed tables of a query."""
    return {alias for alias, table in level.tables.items() if table in DISTRIBUTED}


def resolve_side(expression: ast.Node, scope: Sequence[Level]) -> str | None:
    """One side of an equation of service names: the alias of a distributed table, a known value, or None."""
    if is_known(expression):
        return KNOWN
    match get_column(expression):
        case ["service_name"] if len(scope[-1].tables) == 1:
            (alias,) = scope[-1].tables
        case [alias, "service_name"]:
            pass
        case _:
            return None
    return alias if any(alias in find_distributed_aliases(level) for level in scope) else None


def group_by_service(scope: Sequence[Level]) -> list[set[str]]:
    """The aliases of a query's distributed tables, in groups that its conditions bind to the same service."""
    groups: list[set[str]] = [{alias} for alias in find_distributed_aliases(scope[-1])]
    for condition in scope[-1].conditions:
        sides = split_equation(condition)
        if not sides:
            continue
        left, right = resolve_side(sides[0], scope), resolve_side(sides[1], scope)
        if left and right:
            joined = {left, right}.union(*(group for group in groups if group & {left, right}))
            groups = [group for group in groups if not group & joined] + [joined]
    return groups


def find_unnamed_services(statement: ast.Node) -> Iterator[str]:
    """A query on a distributed table must name its service, or join a table that does."""
    for scope in walk_levels(statement):
        outer = {alias for level in scope[:-1] for alias in find_distributed_aliases(level)}
        for group in group_by_service(scope):
            if KNOWN not in group and not group & outer:
                yield f"no service_name for {', '.join(sorted(group))}"


def find_joins_across_services(statement: ast.Node) -> Iterator[str]:
    """A join of distributed tables, or a reference to one outside, must equate the service names."""
    for scope in walk_levels(statement):
        level, outer = scope[-1], {alias for level in scope[:-1] for alias in find_distributed_aliases(level)}
        loose = [group for group in group_by_service(scope) if KNOWN not in group and not group & outer]
        if len(loose) > 1 or (loose and (level.is_lateral or refers_to(level.conditions, outer - level.tables.keys()))):
            yield f"no join by service_name: {loose}"


def find_unsupported_syntax(statement: ast.Node) -> Iterator[str]:
    for node in walk(statement):
        if isinstance(node, ast.WithClause) and node.recursive:
            yield "a recursive query"
        if isinstance(node, ast.MergeStmt):
            yield "MERGE"
        if isinstance(node, ast.ColumnRef) and get_column(node)[-1] == "ctid":
            yield "ctid"


def find_function_correlations(statement: ast.Node) -> Iterator[str]:
    """LATERAL between a function and a distributed table, in either direction, including correlated subqueries."""
    for scope in walk_levels(statement):
        level = scope[-1]
        outer_functions = {alias for outer in scope[:-1] for alias in outer.function_aliases}
        if find_distributed_aliases(level):
            if level.is_lateral and any(outer.functions for outer in scope[:-1]):
                yield "LATERAL over a function"
            elif refers_to(level.conditions, outer_functions - level.tables.keys()):
                yield "a subquery correlated with a function"
            if refers_to(level.functions, find_distributed_aliases(level)):
                yield "LATERAL to a function"


def find_distributed_row_locks(statement: ast.Node) -> Iterator[str]:
    for node in walk(statement):
        if isinstance(node, ast.SelectStmt) and node.lockingClause and not list_tables(node) <= COORDINATION:
            yield "locks rows of a distributed table"


def find_mixed_tables(statement: ast.Node) -> Iterator[str]:
    tables = list_tables(statement)
    if tables & DISTRIBUTED and tables & COORDINATION:
        yield "a coordination table beside a distributed one"


def find_unknown_tables(statement: ast.Node) -> Iterator[str]:
    """Every table must be listed above and written with its schema."""
    parts = {str(node.ctename) for node in walk(statement) if isinstance(node, ast.CommonTableExpr)}
    for table in sorted(list_tables(statement) - parts - DISTRIBUTED - COORDINATION - CATALOG_VIEWS):
        if not table.startswith("pg_catalog."):
            yield f"table {table}"


def find_vague_conflict_targets(statement: ast.Node) -> Iterator[str]:
    for node in walk(statement):
        if isinstance(node, ast.InsertStmt) and node.onConflictClause:
            target = node.onConflictClause.infer
            if target is None:
                yield "ON CONFLICT without a target"
            elif get_relation_name(node.relation) in CONTRACT and not target.conname:
                yield "a target in the contract's tables that isn't ON CONSTRAINT"


def find_limits_in_subqueries(statement: ast.Node) -> Iterator[str]:
    for node in walk(statement):
        if isinstance(node, ast.SubLink) and node.subLinkType == SubLinkType.ANY_SUBLINK:
            inside = [inner for inner in walk(node.subselect) if isinstance(inner, ast.SelectStmt)]
            if any(inner.limitCount for inner in inside):
                yield "IN (SELECT … LIMIT …)"


def find_updates_of_resolved_alerts(statement: ast.Node) -> Iterator[str]:
    for node in walk(statement):
        if (
            isinstance(node, ast.UpdateStmt)
            and get_relation_name(node.relation) == "public.alert_events"
            and not any(map(is_unresolved, split_conjunction(node.whereClause)))
        ):
            yield "an UPDATE of alert_events that may change resolved ones"


def is_unresolved(condition: ast.Node) -> bool:
    return (
        isinstance(condition, ast.A_Expr)
        and condition.kind == A_Expr_Kind.AEXPR_OP
        and join_name(condition.name) == "<>"
        and get_column(condition.lexpr)[-1:] == ["status"]
        and isinstance(condition.rexpr, ast.A_Const)
        and getattr(condition.rexpr.val, "sval", "") == "resolved"
    )


RULES: tuple[Rule, ...] = (
    find_unsupported_syntax,
    find_function_correlations,
    find_distributed_row_locks,
    find_mixed_tables,
    find_unknown_tables,
    find_joins_across_services,
    find_vague_conflict_targets,
    find_limits_in_subqueries,
    find_updates_of_resolved_alerts,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_sql_queries_follow_rule(rule: Rule) -> None:
    assert [(query.owner, fault) for query in QUERIES for fault in rule(query.statement)] == []


def test_sql_queries_name_service_unless_exempt() -> None:
    faults = {query.owner: fault for query in QUERIES for fault in find_unnamed_services(query.statement)}
    assert {owner: fault for owner, fault in faults.items() if owner not in ACROSS_SERVICES} == {}
    assert ACROSS_SERVICES.keys() == faults.keys()  # no exemption is superfluous


def test_sql_queries_and_tables_are_found() -> None:
    assert len(QUERIES) > 250
    assert len({query.owner for query in QUERIES}) > 70
    assert set().union(*(list_tables(query.statement) for query in QUERIES)) >= DISTRIBUTED | COORDINATION


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        (find_unsupported_syntax, "WITH RECURSIVE a AS (SELECT 1) SELECT FROM a"),
        (find_unsupported_syntax, "SELECT FROM public.alert_events AS a WHERE a.ctid = p_ctid"),
        (
            find_unsupported_syntax,
            """MERGE INTO vigilbase.services AS s USING public.alert_events AS a ON a.service_name = s.service_name
            WHEN MATCHED THEN DO NOTHING""",
        ),
        (
            find_function_correlations,
            """SELECT FROM unnest(p_names) AS n (name) CROSS JOIN LATERAL
            (SELECT FROM public.alert_events AS a WHERE a.service_name = n.name) AS o""",
        ),
        (
            find_function_correlations,
            """SELECT FROM unnest(p_names) AS n (name) WHERE EXISTS
            (SELECT FROM vigilbase.services AS s WHERE s.service_name = n.name)""",
        ),
        (
            find_function_correlations,
            "SELECT FROM public.alert_events AS a, jsonb_each(a.details) AS d WHERE a.service_name = p_name",
        ),
        (
            find_distributed_row_locks,
            "SELECT FROM vigilbase.services AS s WHERE s.service_name = p_name FOR UPDATE SKIP LOCKED",
        ),
        (find_distributed_row_locks, "SELECT FROM vigilbase.alert_timeline AS t FOR SHARE"),
        (
            find_mixed_tables,
            """DELETE FROM vigilbase.notifications AS n WHERE EXISTS (SELECT FROM public.alert_events AS a
            WHERE a.service_name = p_name AND a.id = n.alert_id)""",
        ),
        (find_mixed_tables, "SELECT FROM vigilbase.pending_notifications AS c, vigilbase.services AS s"),
        (find_unknown_tables, "SELECT FROM alert_events"),
        (find_unknown_tables, "SELECT FROM vigilbase.rollups"),
        (find_unnamed_services, "SELECT FROM public.alert_events AS a WHERE a.id = p_id"),
        (find_unnamed_services, "SELECT FROM public.alert_events AS a WHERE a.service_name = p_name OR a.id = p_id"),
        (find_unnamed_services, "SELECT FROM public.alert_events AS a WHERE a.service_name = a.service_name"),
        (find_unnamed_services, "SELECT FROM public.alert_events AS a WHERE a.service_name <> p_name"),
        (find_unnamed_services, "SELECT FROM public.alert_events AS a WHERE a.service_name = a.message"),
        (find_unnamed_services, "UPDATE public.alert_events AS a SET message = p_name WHERE a.id = p_id"),
        (find_unnamed_services, "DELETE FROM vigilbase.alert_timeline WHERE id = p_id"),
        (
            find_unnamed_services,
            """SELECT FROM public.alert_events AS a WHERE a.service_name =
            (SELECT o.service_name FROM public.alert_events AS o WHERE o.service_name = p_name)""",
        ),
        (
            find_unnamed_services,
            """SELECT (SELECT count(*) FROM public.service_health_checks AS c WHERE c.status = 'down')
            FROM public.alert_events AS a WHERE a.service_name = p_name""",
        ),
        (
            find_joins_across_services,
            "SELECT FROM vigilbase.alert_timeline AS t JOIN public.alert_events AS a ON a.id = t.alert_id",
        ),
        (
            find_joins_across_services,
            """SELECT FROM vigilbase.services AS s CROSS JOIN LATERAL
            (SELECT FROM public.service_health_checks AS c WHERE c.created_at > s.created_at) AS c""",
        ),
        (
            find_joins_across_services,
            """DELETE FROM vigilbase.alert_timeline AS t WHERE NOT EXISTS
            (SELECT FROM public.alert_events AS a WHERE a.id = t.alert_id)""",
        ),
        (find_vague_conflict_targets, "INSERT INTO vigilbase.runners DEFAULT VALUES ON CONFLICT DO NOTHING"),
        (find_vague_conflict_targets, "INSERT INTO public.alert_events DEFAULT VALUES ON CONFLICT (id) DO NOTHING"),
        (
            find_limits_in_subqueries,
            "DELETE FROM public.alert_events WHERE id IN (SELECT a.id FROM public.alert_events AS a LIMIT 1)",
        ),
        (
            find_updates_of_resolved_alerts,
            "UPDATE public.alert_events AS a SET status = p_status WHERE a.service_name = p_name",
        ),
        (
            find_updates_of_resolved_alerts,
            "UPDATE public.alert_events AS a SET status = p_status WHERE a.status <> 'resolved' OR a.id = p_id",
        ),
    ],
)
def test_sql_query_rule_violation_is_reported(rule: Rule, statement: str) -> None:
    (parsed,) = parse_statements(statement)
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
def test_sql_query_rules_valid_statement_is_accepted(statement: str) -> None:
    (parsed,) = parse_statements(statement)
    assert [fault for rule in (*RULES, find_unnamed_services) for fault in rule(parsed)] == []


def find_function_faults(text: str) -> list[str]:
    """The faults of the functions in a text: JSON parameters, row sets, and dynamic SQL."""
    faults = []
    for maker, body in parse_bodies(text):
        if not isinstance(maker, ast.CreateFunctionStmt):
            continue
        name = join_name(maker.funcname)
        parameters = [(parameter.name, parameter) for parameter in maker.parameters or ()]
        if name.startswith("public."):
            faults += [
                f"{name}({parameter}) takes {kind}"
                for parameter, kind in ((label, get_type_name(node)) for label, node in parameters)
                if kind in {"json", "jsonb"}
            ]
            output_modes = {FunctionParameterMode.FUNC_PARAM_OUT, FunctionParameterMode.FUNC_PARAM_TABLE}
            if any(node.mode in output_modes for _, node in parameters) or (
                maker.returnType and maker.returnType.setof
            ):
                faults.append(f"{name} returns rows")
        if any(key == "PLpgSQL_stmt_dynexecute" for key, _ in walk_nodes(body)):
            faults.append(f"{name} runs dynamic SQL")
    return faults


def get_type_name(parameter: ast.FunctionParameter) -> str:
    return join_name(parameter.argType.names if parameter.argType else None).removeprefix("pg_catalog.")


def test_sql_functions_take_json_as_text_and_return_one_value() -> None:
    """Data APIs encode a json argument twice, and truncate row sets at 1,000 rows."""
    assert find_function_faults(TEXT) == []


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
def test_sql_function_rule_json_parameter_or_row_set_is_reported(signature: str, fault: str) -> None:
    assert find_function_faults(f"CREATE FUNCTION {signature} LANGUAGE sql AS ''") == [fault]


def test_sql_function_rule_dynamic_sql_is_reported() -> None:
    text = "CREATE FUNCTION vigilbase.f() RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE p_sql; END'"
    assert find_function_faults(text) == ["vigilbase.f runs dynamic SQL"]


def test_sql_files_create_no_trigger() -> None:
    files = "\n".join(path.read_text() for path in (*FILES, LEDGER))
    assert [each for each in parse_statements(files) if isinstance(each, ast.CreateTrigStmt)] == []


def find_tables_without_service_key(text: str) -> list[str]:
    """The tables with a service_name that isn't part of their primary key."""
    unkeyed = []
    for table in parse_statements(text):
        if isinstance(table, ast.CreateStmt):
            columns = [part for part in table.tableElts or () if isinstance(part, ast.ColumnDef)]
            if any(part.colname == "service_name" for part in columns) and "service_name" not in get_primary_key(table):
                unkeyed.append(get_relation_name(table.relation))
    return unkeyed


def get_primary_key(table: ast.CreateStmt) -> set[str]:
    key = set()
    for part in table.tableElts or ():
        if isinstance(part, ast.ColumnDef):
            if any(constraint.contype == ConstrType.CONSTR_PRIMARY for constraint in part.constraints or ()):
                key.add(str(part.colname))
        elif isinstance(part, ast.Constraint) and part.contype == ConstrType.CONSTR_PRIMARY:
            key |= {str(name.sval) for name in part.keys or ()}
    return key


def test_sql_tables_with_service_name_have_it_in_primary_key() -> None:
    """The script that distributes the tables of the contract extends their keys."""
    assert set(find_tables_without_service_key(TEXT)) <= COORDINATION
    tables = {get_relation_name(each.relation) for each in parse_statements(TEXT) if isinstance(each, ast.CreateStmt)}
    assert tables | CONTRACT | {"vigilbase.migrations", "vigilbase.pending_notifications"} == DISTRIBUTED | COORDINATION


def test_sql_primary_key_rule_table_without_service_name_is_reported() -> None:
    tables = """
        CREATE TABLE a (id uuid PRIMARY KEY, service_name text UNIQUE);
        CREATE TABLE b (id uuid, service_name text, PRIMARY KEY (service_name, id));
        CREATE TABLE c (service_name text PRIMARY KEY);
        CREATE TABLE d (id uuid, service_name text);
        CREATE TABLE e (id uuid)
    """
    assert find_tables_without_service_key(tables) == ["a", "d"]
