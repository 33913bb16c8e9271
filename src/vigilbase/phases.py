"""The short form in which the phases of a probe are stored: "1.2 12.4 11 28 1.6" instead of an object of five numbers.

A number takes some 12 bytes in JSONB, a digit in a text takes one.
"""

import re
from collections.abc import Mapping

from vigilbase.vocabulary import JSON

PHASES = ("dns", "connect", "tls", "first_byte", "transfer", "query", "ping")
"""What a value's position in the short form means. Rows are stored with it: only ever append."""

_KEYS = tuple(f"{phase}_ms" for phase in PHASES)
_KNOWN = frozenset(_KEYS)
_NONE = "-"
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,7})(\.[1-9])?")
_MAX_MS = 99_999_999.9  # what `_NUMBER` allows: 27 hours, and no probe takes as long


def pack_phases(details: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Details with their `phases` in the short form, rounded to 0.1 ms; as they are where it can't say them."""
    phases = details.get("phases")
    packed = _pack(phases) if isinstance(phases, Mapping) else None
    return details if packed is None else {**details, "phases": packed}


def unpack_phases(details: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Details with their `phases` as an object again; as they are where those aren't in the short form."""
    phases = details.get("phases")
    unpacked = _unpack(phases) if isinstance(phases, str) else None
    return details if unpacked is None else {**details, "phases": unpacked}


def _pack(phases: Mapping[str, JSON]) -> str | None:
    if not phases or not phases.keys() <= _KNOWN:
        return None
    parts = [_number(phases[key]) if key in phases else _NONE for key in _KEYS]
    while parts[-1] == _NONE:
        parts.pop()
    texts = [part for part in parts if part is not None]
    return " ".join(texts) if len(texts) == len(parts) else None


def _number(value: JSON) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_MS:
        return None
    return f"{abs(value):.1f}".removesuffix(".0")  # abs: -0.0 is not below 0


def _unpack(text: str) -> Mapping[str, JSON] | None:
    parts = text.split(" ")
    is_short = (
        len(parts) <= len(_KEYS)
        and parts[-1] != _NONE
        and all(part == _NONE or _NUMBER.fullmatch(part) for part in parts)
    )
    if not is_short:
        return None
    return {key: float(part) for key, part in zip(_KEYS, parts, strict=False) if part != _NONE}
