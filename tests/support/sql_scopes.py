"""Which tables a parsed query reads from, around it and inside, and what its conditions say."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType

from tests.support.sql_parser import children, descend, name_of, relation_name


@dataclass(slots=True)
class Level:
    """What one SELECT, UPDATE or DELETE reads from, by alias, and the conditions that all of its rows fulfil."""

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
    level.conditions += conjuncts(query.whereClause)
    return level


def add_source(level: Level, source: ast.Node | None) -> None:
    match source:
        case ast.RangeVar():
            level.tables[alias_of(source) or str(source.relname)] = relation_name(source)
        case ast.RangeFunction():
            level.functions.append(source)
            level.function_aliases.add(alias_of(source))
        case ast.JoinExpr():
            add_source(level, source.larg)
            add_source(level, source.rarg)
            level.conditions += conjuncts(source.quals)


def alias_of(source: ast.RangeVar | ast.RangeFunction) -> str:
    return str(source.alias.aliasname) if source.alias else ""


def conjuncts(condition: ast.Node | None) -> list[ast.Node]:
    if isinstance(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
        return [found for argument in condition.args or () for found in conjuncts(argument)]
    return [] if condition is None else [condition]


def levels(tree: ast.Node, outer: tuple[Level, ...] = (), *, is_lateral: bool = False) -> Iterator[tuple[Level, ...]]:
    """Every query in a statement, as the levels around it and its own, the outermost first."""
    if isinstance(tree, ast.SelectStmt | ast.UpdateStmt | ast.DeleteStmt):
        outer = (*outer, read_level(tree, is_lateral=is_lateral))
        yield outer
    for child in children(tree):
        yield from levels(child, outer, is_lateral=isinstance(tree, ast.RangeSubselect) and bool(tree.lateral))


def column(expression: ast.Node | None) -> list[str]:
    """The parts of a column's name, as ["a", "service_name"]; none for any other expression."""
    while isinstance(expression, ast.TypeCast):
        expression = expression.arg
    if not isinstance(expression, ast.ColumnRef):
        return []
    return [str(getattr(part, "sval", "*")) for part in expression.fields or ()]


def is_known(expression: ast.Node | None) -> bool:
    """Whether an expression is made of parameters, variables and constants alone."""
    if any(isinstance(node, ast.SubLink) for node in descend(expression)):
        return False
    return all(re.match(r"[pv]_", column(node)[0]) for node in descend(expression) if isinstance(node, ast.ColumnRef))


def equated(condition: ast.Node) -> tuple[ast.Node, ast.Node] | None:
    """Both sides of an equation; of `x = ANY (y)` too, where y is known."""
    if not isinstance(condition, ast.A_Expr) or name_of(condition.name) != "=":
        return None
    if not isinstance(condition.lexpr, ast.Node) or not isinstance(condition.rexpr, ast.Node):
        return None
    if condition.kind == A_Expr_Kind.AEXPR_OP or (
        condition.kind == A_Expr_Kind.AEXPR_OP_ANY and is_known(condition.rexpr)
    ):
        return condition.lexpr, condition.rexpr
    return None


def refers_to(trees: Iterable[ast.Node], aliases: Iterable[str]) -> bool:
    wanted = set(aliases)
    return any(column(node)[0] in wanted for tree in trees for node in descend(tree) if isinstance(node, ast.ColumnRef))


def mentioned(statement: ast.Node) -> set[str]:
    return {relation_name(node) for node in descend(statement) if isinstance(node, ast.RangeVar)}
