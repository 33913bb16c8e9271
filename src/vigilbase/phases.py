"""The short form of a probe's phases in the database: "1.2 12.4 11 28 1.6" instead of an object of five numbers.

In JSONB, a number takes about 12 bytes, but a digit in a text only one.
"""

import re
from collections.abc import Mapping

from vigilbase.domain import JSON

PHASES = ("dns", "connect", "tls", "first_byte", "transfer", "query", "ping")
"""The phase at each position of the short form. Stored rows depend on this order: only append."""

_KEYS = tuple(f"{phase}_ms" for phase in PHASES)
_KNOWN = frozenset(_KEYS)
_MISSING = "-"
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,7})(\.[1-9])?")
_MAX_MS = 99_999_999.9  # the longest that `_NUMBER` matches: 27 hours


def pack_phases(details: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Details with `phases` in the short form, rounded to 0.1 ms; unchanged if it can't express them."""
    phases = details.get("phases")
    packed = _pack(phases) if isinstance(phases, Mapping) else None
    return details if packed is None else {**details, "phases": packed}


def unpack_phases(details: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Details with `phases` as an object again; unchanged if they aren't in the short form."""
    phases = details.get("phases")
    unpacked = _unpack(phases) if isinstance(phases, str) else None
    return details if unpacked is None else {**details, "phases": unpacked}


def _pack(phases: Mapping[str, JSON]) -> str | None:
    if not phases or not phases.keys() <= _KNOWN:
        return None
    parts = [_pack_number(phases[key]) if key in phases else _MISSING for key in _KEYS]
    while parts[-1] == _MISSING:
        parts.pop()
    texts = [part for part in parts if part is not None]
    return " ".join(texts) if len(texts) == len(parts) else None


def _pack_number(value: JSON) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_MS:
        return None
    return f"{abs(value):.1f}".removesuffix(".0")  # abs, because -0.0 passes the check above


def _unpack(text: str) -> Mapping[str, JSON] | None:
    parts = text.split(" ")
    is_short = (
        len(parts) <= len(_KEYS)
        and parts[-1] != _MISSING
        and all(part == _MISSING or _NUMBER.fullmatch(part) for part in parts)
    )
    if not is_short:
        return None
    return {key: float(part) for key, part in zip(_KEYS, parts, strict=False) if part != _MISSING}
