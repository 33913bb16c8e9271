"""What Postgres can hold and Python can't: read as the nearest that it can, so that one odd row hides no others."""

import json
from datetime import UTC, datetime

from psycopg import DataError
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader
from psycopg.types.json import set_json_loads

from vigilbase.vocabulary import JSON

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
_LONGEST_INTEGER = 400  # digits; Python refuses 4,300, and what reads JSON elsewhere far fewer


def nearest_moment(text: str) -> datetime:
    """The earliest or the latest moment that Python has, for a time of Postgres that it hasn't.

    That is `infinity`, `-infinity`, a year of more than four digits, or one before Christ.

    Raises:
        ValueError: the text is no such time.

    """
    year = text.removesuffix(" BC").split("-", maxsplit=1)[0].lstrip("+")
    if text == "-infinity" or text.endswith(" BC"):
        return EARLIEST
    if text == "infinity" or (year.isdecimal() and len(year) > 4):
        return LATEST
    raise ValueError(f"no time: {text}")


def parse_json(text: str | bytes) -> JSON:
    """JSON as Postgres has it: a whole number that is too long for anybody is read as its text."""
    parsed: JSON = json.loads(text, parse_int=_parse_integer)
    return parsed


def _parse_integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else digits


class _TextLoader(TimestamptzLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return nearest_moment(bytes(data).decode())


class _BinaryLoader(TimestamptzBinaryLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return EARLIEST if int.from_bytes(data, signed=True) < 0 else LATEST


def be_tolerant(adapters: AdaptersMap, context: AdaptContext) -> None:
    """Have a connection read times and JSON so."""
    loaders: list[type[Loader]] = [_TextLoader, _BinaryLoader]
    for loader in loaders:
        adapters.register_loader("timestamptz", loader)
    set_json_loads(parse_json, context)
