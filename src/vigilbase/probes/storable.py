"""Details of any origin as a JSON object that Postgres takes and that stays small."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import TypeGuard

from vigilbase.probes.masking import MASK, is_secret_key, masked
from vigilbase.vocabulary import JSON

MAX_TEXT = 500
_MAX_MASKED = 5_000  # of a longer text no more is looked at
MAX_BYTES = 8_000
MAX_DEPTH = 8
_CUT = "cut"


def storable(details: Mapping[str, object], secrets: Iterable[str] = ()) -> dict[str, JSON]:
    """Details without secrets and without what JSONB refuses (NUL, lone surrogates, NaN).

    They take 8 kB at the most, a text of them 500 characters. What doesn't fit is left out, and `cut: true` says that
    something was.
    """
    room = _Room(MAX_BYTES - len(f'"{_CUT}": true, '), frozenset(secrets))
    tidied = room.mapping(details, MAX_DEPTH)
    return {**tidied, _CUT: True} if room.exceeded else tidied


def plain_text(text: str, limit: int) -> str:
    """A text without NUL and lone surrogates, cut to `limit` characters."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return cut.replace("\x00", "").encode(errors="replace").decode()


class _Room:
    """The bytes that are left for a document while it is put together."""

    def __init__(self, left: int, secrets: frozenset[str]) -> None:
        self.left = left
        self.exceeded = False
        self._secrets = secrets

    def mapping(self, values: Mapping[str, object], depth: int) -> dict[str, JSON]:
        kept: dict[str, JSON] = {}
        for key, value in values.items():
            name = self._clean(_text(key))
            hidden = isinstance(value, (str, bytes)) and is_secret_key(name)
            if not self._take(len(_dumped(name)) + len(": , ")):
                break
            for fitting in self._fitting(MASK if hidden else value, depth):
                kept[name] = fitting
        return kept

    def _list(self, values: Iterable[object], depth: int) -> list[JSON]:
        kept: list[JSON] = []
        for value in values:
            if not self._take(len(", ")):
                break
            kept.extend(self._fitting(value, depth))
        return kept

    def _fitting(self, value: object, depth: int) -> list[JSON]:
        """The value as JSON knows it, or nothing if there is no room for it."""
        if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
            scalar = value if _is_plain(value) else self._clean(_text(value))
            return [scalar] if self._take(len(_dumped(scalar))) else []
        if not self._take(len("[]") if depth else self.left + 1):
            return []
        return [self.mapping(value, depth - 1) if isinstance(value, Mapping) else self._list(value, depth - 1)]

    def _clean(self, text: str) -> str:
        """A text without secrets, which are masked before it is cut."""
        return plain_text(masked(text[:_MAX_MASKED], self._secrets), MAX_TEXT)

    def _take(self, size: int) -> bool:
        """Whether there is room for so many bytes; then they are taken."""
        if self.left < size:
            self.exceeded = True
            return False
        self.left -= size
        return True


def _is_plain(value: object) -> TypeGuard[int | float | None]:
    """Whether a value is one that both JSON and Postgres know, and no text."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < 2**63)


def _text(value: object) -> str:
    """Any value as a text, even one that can't be written as one."""
    if isinstance(value, (bytes, bytearray)):
        return value[: MAX_TEXT * 4].decode(errors="replace")
    try:
        return value if isinstance(value, str) else str(value)
    except Exception:  # noqa: BLE001 (a probe of the user's may give anything)
        return type(value).__name__


def _dumped(value: JSON) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
