"""The tables that a parsed query and its surrounding queries read from, and their conditions."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType

from tests.support.sql_parser import get_relation_name, join_name, list_children, walk


@dataclass(slots=True)
class Level:
    """The sources of one SELECT, UPDATE or DELETE by alias, and the conditions that all of its rows fulfill."""

    tables: dict[str, str] = field(default_factory=dict)
    functions: list[ast.Node] = field(default_factory=list)
    function_aliases: set[str] = field(default_factory=set)
    conditions: list[ast.Node] = field(default_factory=list)
    is_lateral: bool = False


def read_level(query: ast.Node, *, is_lateral: bool = False) -> Level:
    level = Level(is_lateral=is_lateral)
    match query:
        case ast.SelectStmt():
            sources = query.fromClause or ()
        case ast.UpdateStmt():
            sources = (query.relation, *(query.fromClause or ()))
        case ast.DeleteStmt():
            sources = (query.relation, *(query.usingClause or ()))
        case _:
            return level
    for source in sources:
        add_source(level, source)
    level.conditions += split_conjunction(query.whereClause)
    return level


def add_source(level: Level, source: ast.Node | None) -> None:
    match source:
        case ast.RangeVar():
            level.tables[get_alias(source) or str(source.relname)] = get_relation_name(source)
        case ast.RangeFunction():
            level.functions.append(source)
            level.function_aliases.add(get_alias(source))
        case ast.JoinExpr():
            add_source(level, source.larg)
            add_source(level, source.rarg)
            level.conditions += split_conjunction(source.quals)


def get_alias(source: ast.RangeVar | ast.RangeFunction) -> str:
    return str(source.alias.aliasname) if source.alias else ""


def split_conjunction(condition: ast.Node | None) -> list[ast.Node]:
    if isinstance(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
        return [part for argument in condition.args or () for part in split_conjunction(argument)]
    return [] if condition is None else [condition]


def walk_levels(
    tree: ast.Node, outer: tuple[Level, ...] = (), *, is_lateral: bool = False
) -> Iterator[tuple[Level, ...]]:
    """Every query in a statement, as its own level after the levels around it, the outermost first."""
    if isinstance(tree, ast.SelectStmt | ast.UpdateStmt | ast.DeleteStmt):
        outer = (*outer, read_level(tree, is_lateral=is_lateral))
        yield outer
    for child in list_children(tree):
        yield from walk_levels(child, outer, is_lateral=isinstance(tree, ast.RangeSubselect) and bool(tree.lateral))


def get_column(expression: ast.Node | None) -> list[str]:
    """The parts of a column's name, such as ["a", "service_name"]; empty for any other expression."""
    while isinstance(expression, ast.TypeCast):
        expression = expression.arg
    if not isinstance(expression, ast.ColumnRef):
        return []
    return [str(getattr(part, "sval", "*")) for part in expression.fields or ()]


def is_known(expression: ast.Node | None) -> bool:
    """Whether an expression consists only of parameters, variables and constants."""
    if any(isinstance(node, ast.SubLink) for node in walk(expression)):
        return False
    return all(re.match(r"[pv]_", get_column(node)[0]) for node in walk(expression) if isinstance(node, ast.ColumnRef))


def split_equation(condition: ast.Node) -> tuple[ast.Node, ast.Node] | None:
    """Both sides of an equation, or of `x = ANY (y)` with a known y."""
    if not isinstance(condition, ast.A_Expr) or join_name(condition.name) != "=":
        return None
    if not isinstance(condition.lexpr, ast.Node) or not isinstance(condition.rexpr, ast.Node):
        return None
    if condition.kind == A_Expr_Kind.AEXPR_OP or (
        condition.kind == A_Expr_Kind.AEXPR_OP_ANY and is_known(condition.rexpr)
    ):
        return condition.lexpr, condition.rexpr
    return None


def refers_to(trees: Iterable[ast.Node], aliases: Iterable[str]) -> bool:
    names = set(aliases)
    return any(get_column(node)[0] in names for tree in trees for node in walk(tree) if isinstance(node, ast.ColumnRef))


def list_tables(statement: ast.Node) -> set[str]:
    return {get_relation_name(node) for node in walk(statement) if isinstance(node, ast.RangeVar)}
