"""What a scalar of YAML says: text, a number, a truth value or nothing, and no more than JSON has."""

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

import yaml
from yaml.constructor import SafeConstructor

from vigilbase.spec.substitution import substitute

Scalar: TypeAlias = str | int | float | bool | None

_PREFIX = "tag:yaml.org,2002:"
MERGE = f"{_PREFIX}merge"
TEXT = {f"{_PREFIX}str", f"{_PREFIX}value", MERGE}
_NUMBERS = {f"{_PREFIX}int", f"{_PREFIX}float"}
_TRUTH = f"{_PREFIX}bool"
_PLAIN = {_TRUTH, f"{_PREFIX}null", *_NUMBERS}
LIST, MAPPING = f"{_PREFIX}seq", f"{_PREFIX}map"
_DATE = f"{_PREFIX}timestamp"

_DIGITS = re.compile(r"[-+]?[0-9][0-9_:]*")
_NO_NUMBER = "must be a finite number, and not a huge one"
UNKNOWN_TAG = "an unknown tag; write a text that begins with ! in quotes"


def number_or_truth(text: object) -> Scalar:
    """The number or the truth value that a text spells as JSON does; None if it spells none."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (int, float)) and _is_moderate(value) else None


def scalar(node: yaml.ScalarNode, environ: Mapping[str, str]) -> Scalar:
    """The value of a scalar, with the environment's values in a text.

    Raises:
        ValueError: it has none, or none that the file may have.

    """
    if node.tag in TEXT:
        text = substitute(node.value, environ)
        if not is_text(text):
            raise ValueError("must be text in UTF-8")
        return text
    if node.tag == _DATE:
        raise ValueError("must be text; write it in quotes")
    if node.tag not in _PLAIN:
        raise ValueError(UNKNOWN_TAG)
    try:
        value: str | float | bool | None = SafeConstructor().construct_object(node)
    except (ValueError, KeyError, IndexError, OverflowError):
        # Python reads no whole number of thousands of digits.
        raise ValueError(_NO_NUMBER if _DIGITS.fullmatch(node.value) else "is not what its tag says") from None
    if node.tag in _NUMBERS and not (isinstance(value, (int, float)) and _is_moderate(value)):
        raise ValueError(_NO_NUMBER)
    return value


def is_key(node: yaml.ScalarNode) -> bool:
    """Is it text, as keys are? So are `on`, `off`, `yes` and `no`: since YAML 1.2 they are no truth values."""
    is_word = node.tag == _TRUTH and node.value.lower() not in ("true", "false")
    return (is_word or node.tag in TEXT) and is_text(node.value)


def _is_moderate(number: float) -> bool:
    return abs(number) < 1e300


def is_text(value: str) -> bool:
    """Has a text no halves of a surrogate pair, which neither UTF-8 nor JSON can hold?"""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
