"""Describes validation errors. No message quotes a value, which may be a secret."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from vigilbase.configfile.models import list_fields
from vigilbase.configfile.syntax import Path

_RULES: Mapping[str, str] = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
}
_RENAMED_FIELDS: Mapping[str, str] = {
    "every": "interval",
    "failures": "failure_threshold",
    "successes": "success_threshold",
    "alerts": "routes",
}
"""The new names of renamed fields; the old ones are too different to be close matches."""
_NUMBER_ERRORS = ("int_", "float_", "finite_number", "greater_than", "less_than")


def describe_validation_error(error: ErrorDetails, model: type[BaseModel], path: Path) -> str:
    """Return the rule that the value at a path of the model breaks, such as "must be true or false"."""
    kind, context = error["type"], error.get("ctx", {})
    message = error["msg"].removeprefix("Value error, ")
    message = message.replace("Input should", "must").replace("String should", "must")
    if kind == "extra_forbidden":
        parent = _find_model(_find_field(model, path[:-1])) or model
        message = describe_unknown_field(str(path[-1]), list_fields(parent))
    elif kind == "string_type":
        message = "must be text; write it in quotes" if isinstance(error["input"], (int, float)) else "must be text"
    elif kind.startswith(_NUMBER_ERRORS):
        message = _describe_number(_find_field(model, path), kind)
    elif kind in ("literal_error", "enum"):
        message = f"must be {context['expected']}".replace("'", "")
    elif kind.endswith(("too_short", "too_long")):
        message = _describe_length(kind, context)
    return _RULES.get(kind, message)


def describe_unknown_field(name: str, known: Sequence[str]) -> str:
    """Suggest the known field that an unknown name most likely means, which may be the new name of a renamed field."""
    # Only where the new name is a field, too: `every` in a route, for example, can't mean `interval`.
    new_name = _RENAMED_FIELDS.get(name, name)
    return describe_unknown("field", new_name if new_name in known else name, known)


def describe_unknown(noun: str, name: str, known: Sequence[str]) -> str:
    """Suggest the known name that is closest to an unknown one; list all known names if none is close."""
    if close := get_close_matches(name, known, 1):
        return f"unknown {noun}; did you mean {close[0]}?"
    if not known:
        return f"unknown {noun}; no {noun}s are defined"
    if len(known) == 1:
        return f"unknown {noun}; the only {noun} is {known[0]}"
    return f"unknown {noun}; the {noun}s are {', '.join(known)}"


def _describe_number(field: FieldInfo | None, kind: str) -> str:
    parts = list(_list_parts(field)) if field else []
    noun = "a whole number" if int in parts or kind.startswith("int_") else "a number"
    least, most, above, below = (_find_bound(parts, name) for name in ("ge", "le", "gt", "lt"))
    if least is not None and most is not None:
        return f"must be {noun} from {least:,} to {most:,}"
    bounds = {"of at least": least, "above": above, "of at most": most, "below": below}
    limits = " and ".join(f"{relation} {bound:,}" for relation, bound in bounds.items() if bound is not None)
    return f"must be {noun} {limits}".rstrip()


def _find_bound(parts: list[object], name: str) -> float | None:
    return next((bound for part in parts if isinstance(bound := getattr(part, name, None), (int, float))), None)


def _describe_length(kind: str, context: Mapping[str, object]) -> str:
    is_short = kind.endswith("short")
    limit = context["min_length" if is_short else "max_length"]
    if is_short and limit == 1:
        return "must not be empty"
    unit = "characters" if kind.startswith("string") else "entries"
    return f"must have at {'least' if is_short else 'most'} {limit} {unit}"


def _find_field(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """Return the field at a path, ignoring list positions; None if the path leads out of the models."""
    current: type[BaseModel] | None = model
    field = None
    for part in path:
        if isinstance(part, str):
            fields = current.model_fields.items() if current else ()
            field = next((field for name, field in fields if part == (field.alias or name)), None)
            current = _find_model(field)
    return field


def _find_model(field: FieldInfo | None) -> type[BaseModel] | None:
    parts = _list_parts(field) if field else iter(())
    return next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _list_parts(field: FieldInfo) -> Iterator[object]:
    """Yield the classes and constraints in the type of a field."""
    yield from field.metadata
    yield from _walk_arguments(field.annotation)


def _walk_arguments(annotation: object) -> Iterator[object]:
    yield annotation
    if isinstance(annotation, FieldInfo):
        yield from annotation.metadata
    for argument in get_args(annotation):
        yield from _walk_arguments(argument)
