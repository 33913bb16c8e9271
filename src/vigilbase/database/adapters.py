"""Loaders for Postgres values that Python can't represent, so that one odd row doesn't hide the others."""

import json
from datetime import UTC, datetime

from psycopg import DataError
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader
from psycopg.types.json import set_json_loads

from vigilbase.domain import JSON

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
_MAX_INTEGER_DIGITS = 400  # Python reads up to 4,300; other readers of the same JSON, far fewer


def find_nearest_moment(text: str) -> datetime:
    """The earliest or the latest datetime, for a Postgres timestamp that is outside Python's range.

    Such a timestamp is `infinity`, `-infinity`, or has a year BC or of more than four digits.

    Raises:
        ValueError: the text is not such a timestamp.

    """
    year = text.removesuffix(" BC").split("-", maxsplit=1)[0].lstrip("+")
    if text == "-infinity" or text.endswith(" BC"):
        return EARLIEST
    if text == "infinity" or (year.isdecimal() and len(year) > 4):
        return LATEST
    raise ValueError(f"not a timestamp: {text}")


def parse_json(text: str | bytes) -> JSON:
    """Parse JSON from Postgres, which allows integers of any length; one of more than 400 digits becomes a string."""
    parsed: JSON = json.loads(text, parse_int=_parse_integer)
    return parsed


def _parse_integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else digits


class _TextLoader(TimestamptzLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return find_nearest_moment(bytes(data).decode())


class _BinaryLoader(TimestamptzBinaryLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            # Signed microseconds since 2000: -infinity is the smallest value, and infinity the largest.
            return EARLIEST if int.from_bytes(data, signed=True) < 0 else LATEST


def register_adapters(adapters: AdaptersMap, context: AdaptContext) -> None:
    """Install these loaders on a connection."""
    loaders: list[type[Loader]] = [_TextLoader, _BinaryLoader]
    for loader in loaders:
        adapters.register_loader("timestamptz", loader)
    set_json_loads(parse_json, context)
