"""Converts YAML scalars to the types of JSON: text, number, boolean, null."""

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

import yaml
from yaml.constructor import SafeConstructor

from vigilbase.configfile.substitution import substitute
from vigilbase.configfile.syntax import UNKNOWN_TAG

Scalar: TypeAlias = str | int | float | bool | None

_PREFIX = "tag:yaml.org,2002:"
MERGE = f"{_PREFIX}merge"
# In YAML 1.1, an unquoted = has the tag `value`, and an unquoted << the tag `merge`.
TEXT = {f"{_PREFIX}str", f"{_PREFIX}value", MERGE}
_NUMBERS = {f"{_PREFIX}int", f"{_PREFIX}float"}
_BOOL = f"{_PREFIX}bool"
_PLAIN = {_BOOL, f"{_PREFIX}null", *_NUMBERS}
LIST, MAPPING = f"{_PREFIX}seq", f"{_PREFIX}map"
_DATE = f"{_PREFIX}timestamp"

_DIGITS = re.compile(r"[-+]?[0-9][0-9_:]*")
_NUMBER_OUT_OF_RANGE = "must be a finite number below 1e300"


def parse_number_or_bool(text: object) -> Scalar:
    """Parse a number or a boolean as JSON writes it; None if the text is neither."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (int, float)) and _is_in_range(value) else None


def read_scalar(node: yaml.ScalarNode, environ: Mapping[str, str]) -> Scalar:
    """Return the value of a scalar, with the variables in a text substituted.

    Raises:
        ValueError: the scalar is malformed, or of a type that the file may not contain.

    """
    if node.tag in TEXT:
        text = substitute(node.value, environ)
        if not is_text(text):
            raise ValueError("must be valid UTF-8 text")
        return text
    # YAML 1.1 reads an unquoted 2026-12-01 as a date, which JSON doesn't have.
    if node.tag == _DATE:
        raise ValueError("must be text; write it in quotes")
    if node.tag not in _PLAIN:
        raise ValueError(UNKNOWN_TAG)
    try:
        value: str | float | bool | None = SafeConstructor().construct_object(node)
    except (ValueError, KeyError, IndexError, OverflowError):
        # Python limits the digits of an integer, so a huge one fails here rather than below.
        is_number = _DIGITS.fullmatch(node.value)
        raise ValueError(_NUMBER_OUT_OF_RANGE if is_number else "is not a valid value for its tag") from None
    if node.tag in _NUMBERS and not (isinstance(value, (int, float)) and _is_in_range(value)):
        raise ValueError(_NUMBER_OUT_OF_RANGE)
    return value


def is_key(node: yaml.ScalarNode) -> bool:
    """Return whether a scalar is text; as keys, so are `on`, `off`, `yes` and `no`, as in YAML 1.2."""
    is_word = node.tag == _BOOL and node.value.lower() not in ("true", "false")
    return (is_word or node.tag in TEXT) and is_text(node.value)


def _is_in_range(number: float) -> bool:
    return abs(number) < 1e300


def is_text(value: str) -> bool:
    """Return whether a text has no surrogates, which neither UTF-8 nor JSON can hold."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
