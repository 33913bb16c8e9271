"""Values of a document against a model of them: strict, and with a line for whatever is wrong."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vigilbase.spec.document import Document
from vigilbase.spec.syntax import Fault, Path
from vigilbase.spec.words import in_words

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], document: Document, path: Path) -> Model | None:
    """The model of what is at a path of the document; None, and its faults, if it doesn't fit.

    What comes from the environment is text, as a password of digits must be; where a number or a truth value is due,
    the document is told to read it as one.
    """
    made, errors = _tried(model, document, path)
    reread = [document.reread((*path, *error["loc"])) for error in errors if error["type"] in _OTHER_THAN_TEXT]
    if any(reread):
        made, errors = _tried(model, document, path)
    for error in sorted(errors, key=lambda error: error["type"] == "missing"):  # it may just be misspelt
        known, line = document.locate((*path, *error["loc"]))
        here = (*known, error["loc"][-1]) if error["type"] == "missing" else known
        document.faults.append(Fault(line, here, in_words(error, model, here[len(path) :])))
    return made


_OTHER_THAN_TEXT = ("int_type", "float_type", "bool_type")


def _tried(model: type[Model], document: Document, path: Path) -> tuple[Model | None, list[ErrorDetails]]:
    # As JSON, a list may become a tuple and a text an address, while true is no number and a number no text.
    text = json.dumps(document.at(path))
    made, errors = _tried_once(model, text, strict=True)
    # A list that a validator of the model's has touched counts as Python's and may not.
    errors = [error for error in errors if not (error["type"] in _TUPLES and isinstance(error["input"], list))]
    return (made, errors) if made or errors else _tried_once(model, text, strict=False)


_TUPLES = ("tuple_type", "set_type", "frozen_set_type")


def _tried_once(model: type[Model], text: str, *, strict: bool) -> tuple[Model | None, list[ErrorDetails]]:
    try:
        return model.model_validate_json(text, strict=strict), []
    except ValidationError as error:
        return None, error.errors(include_url=False)
