"""The SQL sources, parsed by Postgres' own parser."""

from collections.abc import Iterator
from dataclasses import dataclass

from pglast import ast, parse_plpgsql, parse_sql

from tools.build_migrations import MODELS

SOURCES = sorted((MODELS / "sql").glob("*/*.sql"))

# The parser's modes for text that is not a statement: an expression, as in IF or RETURN, and an assignment.
_EXPRESSION, _ASSIGNMENT = 2, 3
# The PL/pgSQL parser knows only types in pg_catalog and public.
_SCHEMA, _STAND_IN = "vigilbase.", "public.vigilbase__"


@dataclass(frozen=True, slots=True)
class Query:
    """One statement inside a function or view; `owner` is its qualified name."""

    owner: str
    statement: ast.Node


def parse_statements(text: str) -> list[ast.Node]:
    return [raw.stmt for raw in parse_sql(text) if raw.stmt is not None]


def join_name(parts: tuple[ast.Node, ...] | None) -> str:
    """The qualified name that a list of nodes spells, such as `public.vigilbase_record`."""
    return ".".join(str(getattr(part, "sval", part)) for part in parts or ())


def get_relation_name(relation: ast.RangeVar | None) -> str:
    """The name of a table or view, with its schema if that is written."""
    if relation is None:
        return ""
    return f"{relation.schemaname}.{relation.relname}" if relation.schemaname else str(relation.relname)


def parse_bodies(text: str) -> list[tuple[ast.Node, object]]:
    """Each CREATE FUNCTION and DO statement of a text, with its body as parsed by the PL/pgSQL parser."""
    makers = [each for each in parse_statements(text) if isinstance(each, ast.CreateFunctionStmt | ast.DoStmt)]
    bodies = parse_plpgsql(text.replace(_SCHEMA, _STAND_IN))
    return list(zip(makers, bodies, strict=True))


def walk_nodes(tree: object) -> Iterator[tuple[str, object]]:
    """Every named node of a parsed PL/pgSQL body, depth first."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield name, value
            yield from walk_nodes(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from walk_nodes(item)


def list_children(tree: object) -> Iterator[ast.Node]:
    """The direct children of a node."""
    if isinstance(tree, tuple):
        for item in tree:
            yield from (item,) if isinstance(item, ast.Node) else list_children(item)
    elif isinstance(tree, ast.Node):
        for name in tree:
            value = getattr(tree, name)
            yield from (value,) if isinstance(value, ast.Node) else list_children(value)


def walk(tree: object) -> Iterator[ast.Node]:
    """A node and every node below it."""
    if isinstance(tree, ast.Node):
        yield tree
    for child in list_children(tree):
        yield from walk(child)


def parse_queries(text: str) -> Iterator[Query]:
    """Every statement in the functions and views that a text creates, including the expressions of PL/pgSQL."""
    for statement in parse_statements(text):
        if isinstance(statement, ast.ViewStmt) and statement.query is not None:
            yield Query(get_relation_name(statement.view), statement.query)
    for maker, body in parse_bodies(text):
        if isinstance(maker, ast.CreateFunctionStmt):
            for inner in _list_statements(maker, body):
                yield Query(join_name(maker.funcname), inner)


def _list_statements(function: ast.CreateFunctionStmt, body: object) -> Iterator[ast.Node]:
    options = {option.defname: option.arg for option in function.options or ()}
    if options["language"].sval != "sql":
        for name, expression in walk_nodes(body):
            if name == "PLpgSQL_expr" and isinstance(expression, dict):
                yield from parse_statements(_as_statement(expression["query"], expression["parseMode"]))
    elif function.sql_body is not None:
        yield from list_children(function.sql_body)
    else:
        yield from parse_statements(options["as"][0].sval)


def _as_statement(text: str, mode: int) -> str:
    text = text.replace(_STAND_IN, _SCHEMA)
    if mode == _ASSIGNMENT:
        return f"SELECT {text.partition(':=')[2]}"
    return f"SELECT {text}" if mode == _EXPRESSION else text
