"""Loaders for Postgres values that Python can't represent, so that one odd row doesn't hide the others."""

import json
from datetime import datetime

from psycopg import DataError
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader
from psycopg.types.json import set_json_loads

from vigilbase.database.time_range import EARLIEST, LATEST, find_nearest_moment
from vigilbase.domain import JSON

_MAX_INTEGER_DIGITS = 400  # Python reads up to 4,300; other readers of the same JSON, far fewer


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
