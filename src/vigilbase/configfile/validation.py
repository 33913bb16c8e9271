"""Validates parts of a document against pydantic models, strictly, and locates each error."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vigilbase.configfile.document import Document
from vigilbase.configfile.error_text import describe_validation_error
from vigilbase.configfile.paths import format_path
from vigilbase.configfile.syntax import Fault, Path
from vigilbase.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], document: Document, path: Path) -> Model | None:
    """Return the value at a path as a model; None if it is invalid, which adds its faults to the document.

    A variable is text, so that a password may consist of digits. Only where the model requires a number or a boolean,
    the document converts it.
    """
    instance, errors = _validate_strictly(model, document, path)
    converted = [document.convert_variable((*path, *error["loc"])) for error in errors if error["type"] in _NOT_TEXT]
    if any(converted):
        instance, errors = _validate_strictly(model, document, path)
    # On the same line, an unknown field comes before a missing one, which may just be misspelled.
    for error in sorted(errors, key=lambda error: error["type"] == "missing"):
        known, line = document.locate((*path, *error["loc"]))
        fault_path = (*known, error["loc"][-1]) if error["type"] == "missing" else known
        message = describe_validation_error(error, model, fault_path[len(path) :])
        document.faults.append(Fault(line, fault_path, message))
    return instance


def make_file_error(document: Document, source: str) -> ConfigurationError:
    """The error for the first fault of a document; `source` comes before the number of its line."""
    # Of several on the same line, min() keeps the first, so the order that `validate` gives counts.
    fault = min(document.faults, key=lambda fault: fault.line)
    parts = [f"{source}{fault.line}", format_path(fault.path, document.value), fault.message]
    message = ": ".join(filter(None, parts))
    # A quoted name may have characters that a terminal obeys.
    return ConfigurationError("".join(c if c.isprintable() else " " for c in message))


_NOT_TEXT = ("int_type", "float_type", "bool_type")


def _validate_strictly(model: type[Model], document: Document, path: Path) -> tuple[Model | None, list[ErrorDetails]]:
    # Strict validation of JSON still converts a list to a tuple and a text to a URL, but no boolean to a number.
    text = json.dumps(document.get(path))
    instance, errors = _validate_json(model, text, strict=True)
    # After a "before" validator, pydantic applies the rules of Python instead, which reject a list as a tuple.
    errors = [error for error in errors if not (error["type"] in _TUPLES and isinstance(error["input"], list))]
    return (instance, errors) if instance or errors else _validate_json(model, text, strict=False)


_TUPLES = ("tuple_type", "set_type", "frozen_set_type")


def _validate_json(model: type[Model], text: str, *, strict: bool) -> tuple[Model | None, list[ErrorDetails]]:
    try:
        return model.model_validate_json(text, strict=strict), []
    except ValidationError as error:
        return None, error.errors(include_url=False)
