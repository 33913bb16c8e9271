"""pydantic's findings in the words of the house. None quotes a value, which may be a secret."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from vigilbase.spec.fields import names
from vigilbase.spec.syntax import Path

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
_OF_NUMBERS = ("int_", "float_", "finite_number", "greater_than", "less_than")


def in_words(error: ErrorDetails, model: type[BaseModel], path: Path) -> str:
    """What the value at a path of the model must be."""
    kind, context = error["type"], error.get("ctx", {})
    said = error["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("String should", "must")
    if kind == "extra_forbidden":
        said = unknown("field", path[-1], names(_model_of(_field_at(model, path[:-1])) or model))
    elif kind == "string_type":
        said = "must be text; write it in quotes" if isinstance(error["input"], (int, float)) else "must be text"
    elif kind.startswith(_OF_NUMBERS):
        said = _number(_field_at(model, path), kind)
    elif kind in ("literal_error", "enum"):
        said = f"must be {context['expected']}".replace("'", "")
    elif kind.endswith(("too_short", "too_long")):
        said = _length(kind, context)
    return _RULES.get(kind, said)


def unknown(noun: str, name: object, known: list[str]) -> str:
    """That there is no such field or the like, which there are, and which of them may be meant."""
    if not known:
        return f"unknown {noun}; there is none"
    if len(known) == 1:
        return f"unknown {noun}; there is only {known[0]}"
    close = get_close_matches(str(name), known, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"unknown {noun}; there are {', '.join(known)}{meant}"


def _number(field: FieldInfo | None, kind: str) -> str:
    parts = list(_parts(field)) if field else []
    noun = "a whole number" if int in parts or kind.startswith("int_") else "a number"
    least, most, above, below = (_bound(parts, sign) for sign in ("ge", "le", "gt", "lt"))
    if least is not None and most is not None:
        return f"must be {noun} from {least:,} to {most:,}"
    bounds = {"of at least": least, "above": above, "of at most": most, "below": below}
    said = " and ".join(f"{words} {bound:,}" for words, bound in bounds.items() if bound is not None)
    return f"must be {noun} {said}".rstrip()


def _bound(parts: list[object], sign: str) -> float | None:
    return next((bound for part in parts if isinstance(bound := getattr(part, sign, None), (int, float))), None)


def _length(kind: str, context: Mapping[str, object]) -> str:
    few = kind.endswith("short")
    number = context["min_length" if few else "max_length"]
    if few and number == 1:
        return "must not be empty"
    unit = "characters" if kind.startswith("string") else "entries"
    return f"must have at {'least' if few else 'most'} {number} {unit}"


def _field_at(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field of a path, as far as models reach; positions in lists don't matter."""
    found: type[BaseModel] | None = model
    field = None
    for part in path:
        if isinstance(part, str):
            fields = found.model_fields.items() if found else ()
            field = next((field for name, field in fields if part == (field.alias or name)), None)
            found = _model_of(field)
    return field


def _model_of(field: FieldInfo | None) -> type[BaseModel] | None:
    parts = _parts(field) if field else iter(())
    return next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _parts(field: FieldInfo) -> Iterator[object]:
    """What a field's type is made of: its classes and its bounds."""
    yield from field.metadata
    yield from _arguments(field.annotation)


def _arguments(annotation: object) -> Iterator[object]:
    yield annotation
    if isinstance(annotation, FieldInfo):
        yield from annotation.metadata
    for argument in get_args(annotation):
        yield from _arguments(argument)
