"""The SQL sources, read by the parser of Postgres itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from pglast import ast, parse_plpgsql, parse_sql

from tools.build_migrations import MODELS

SOURCES = sorted((MODELS / "sql").glob("*/*.sql"))

# How the parser says that an expression is no statement: as in IF or RETURN; as in an assignment.
_EXPRESSION, _ASSIGNMENT = 2, 3
# The PL/pgSQL parser knows types of pg_catalog and public alone.
_SCHEMA, _STAND_IN = "vigilbase.", "public.vigilbase__"


@dataclass(frozen=True, slots=True)
class Query:
    """One statement inside a function or view, which is known by its name with its schema."""

    owner: str
    statement: ast.Node


def statements(text: str) -> list[ast.Node]:
    return [raw.stmt for raw in parse_sql(text) if raw.stmt is not None]


def name_of(parts: tuple[ast.Node, ...] | None) -> str:
    """The name that a list of nodes spells, as `public.vigilbase_record`."""
    return ".".join(str(getattr(part, "sval", part)) for part in parts or ())


def relation_name(relation: ast.RangeVar | None) -> str:
    """The name of a table or view, with its schema where it is written with one."""
    if relation is None:
        return ""
    return f"{relation.schemaname}.{relation.relname}" if relation.schemaname else str(relation.relname)


def plpgsql_bodies(text: str) -> list[tuple[ast.Node, object]]:
    """Each CREATE FUNCTION and DO of a text, with its body as the PL/pgSQL parser reads it."""
    makers = [found for found in statements(text) if isinstance(found, ast.CreateFunctionStmt | ast.DoStmt)]
    bodies = parse_plpgsql(text.replace(_SCHEMA, _STAND_IN))
    return list(zip(makers, bodies, strict=True))


def nodes(tree: object) -> Iterator[tuple[str, object]]:
    """Every named node of a parsed PL/pgSQL body, depth first."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield name, value
            yield from nodes(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from nodes(item)


def children(tree: object) -> Iterator[ast.Node]:
    """The nodes right below a node."""
    if isinstance(tree, tuple):
        for item in tree:
            yield from (item,) if isinstance(item, ast.Node) else children(item)
    elif isinstance(tree, ast.Node):
        for name in tree:
            value = getattr(tree, name)
            yield from (value,) if isinstance(value, ast.Node) else children(value)


def descend(tree: object) -> Iterator[ast.Node]:
    """A node and every node below it."""
    if isinstance(tree, ast.Node):
        yield tree
    for child in children(tree):
        yield from descend(child)


def queries(text: str) -> Iterator[Query]:
    """Every statement in the functions and views that a text creates, the expressions of PL/pgSQL among them."""
    for made in statements(text):
        if isinstance(made, ast.ViewStmt) and made.query is not None:
            yield Query(relation_name(made.view), made.query)
    for maker, body in plpgsql_bodies(text):
        if isinstance(maker, ast.CreateFunctionStmt):
            for statement in _statements_of(maker, body):
                yield Query(name_of(maker.funcname), statement)


def _statements_of(function: ast.CreateFunctionStmt, body: object) -> Iterator[ast.Node]:
    options = {option.defname: option.arg for option in function.options or ()}
    if options["language"].sval != "sql":
        for name, expression in nodes(body):
            if name == "PLpgSQL_expr" and isinstance(expression, dict):
                yield from statements(_as_statement(expression["query"], expression["parseMode"]))
    elif function.sql_body is not None:
        yield from children(function.sql_body)
    else:
        yield from statements(options["as"][0].sval)


def _as_statement(text: str, mode: int) -> str:
    text = text.replace(_STAND_IN, _SCHEMA)
    if mode == _ASSIGNMENT:
        return f"SELECT {text.partition(':=')[2]}"
    return f"SELECT {text}" if mode == _EXPRESSION else text
