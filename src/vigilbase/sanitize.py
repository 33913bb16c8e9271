"""Text and details from outside in a form that any database can hold, without secrets and within a size."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, TypeGuard

from vigilbase.domain import JSON

MAX_TEXT = 500
MAX_BYTES = 8_000
MAX_DEPTH = 8
_MAX_REDACTED = 5_000  # redacting a longer text would take too long; the rest would be cut in any case
_CUT = "cut"

Redact: TypeAlias = Callable[[str, str], str]
"""Removes secrets from a text, given the key that it stands under ('' for a key itself or an item of a list)."""


def sanitize_text(text: str, limit: int | None = None) -> str:
    """The text without NUL and lone surrogates, which Postgres rejects, cut to `limit` characters (None: uncut)."""
    cut = text if limit is None or len(text) <= limit else f"{text[: limit - 1]}…"
    return cut.replace("\x00", "").encode(errors="replace").decode()


def sanitize_details(details: Mapping[str, object], redact: Redact) -> dict[str, JSON]:
    """The details as a JSON object of at most 8 kB, with texts of at most 500 characters, that JSONB accepts.

    Values that don't fit are left out, and `cut: true` says so. NaN and infinity become text.
    """
    budget = _Budget(MAX_BYTES - len(f'"{_CUT}": true, '), redact)
    kept = budget.fit_mapping(details, MAX_DEPTH)
    return {**kept, _CUT: True} if budget.is_exceeded else kept


class _Budget:
    """The bytes that remain for a document while it is built."""

    def __init__(self, remaining: int, redact: Redact) -> None:
        self.is_exceeded = False
        self._remaining = remaining
        self._redact = redact

    def fit_mapping(self, values: Mapping[str, object], depth: int) -> dict[str, JSON]:
        kept: dict[str, JSON] = {}
        for key, value in values.items():
            name = self._clean(_to_text(key), "")
            if not self._spend(len(_encode(name)) + len(": , ")):
                break
            for item in self._fit(value, depth, name):
                kept[name] = item
        return kept

    def _fit_list(self, values: Iterable[object], depth: int) -> list[JSON]:
        kept: list[JSON] = []
        for value in values:
            if not self._spend(len(", ")):
                break
            kept.extend(self._fit(value, depth, ""))
        return kept

    def _fit(self, value: object, depth: int, key: str) -> list[JSON]:
        """The value as JSON in a list, or an empty list if it doesn't fit."""
        if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
            scalar = value if _is_json_scalar(value) else self._clean(_to_text(value), key)
            return [scalar] if self._spend(len(_encode(scalar))) else []
        # At the maximum depth, asking for more than remains marks the details as cut.
        if not self._spend(len("[]") if depth else self._remaining + 1):
            return []
        return [self.fit_mapping(value, depth - 1) if isinstance(value, Mapping) else self._fit_list(value, depth - 1)]

    def _clean(self, text: str, key: str) -> str:
        # Redact before cutting: half a secret would no longer be recognized.
        return sanitize_text(self._redact(text[:_MAX_REDACTED], key), MAX_TEXT)

    def _spend(self, size: int) -> bool:
        """Whether so many bytes remain; if so, they are spent."""
        if self._remaining < size:
            self.is_exceeded = True
            return False
        self._remaining -= size
        return True


def _is_json_scalar(value: object) -> TypeGuard[int | float | None]:
    """Whether both JSON and Postgres hold the value as it is; texts need cleaning first."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**63)


def _to_text(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        # A character takes at most four bytes in UTF-8.
        return value[: MAX_TEXT * 4].decode(errors="replace")
    try:
        return value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 (a user's function may return an object whose __str__ fails)
        return type(value).__name__


def _encode(value: JSON) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
