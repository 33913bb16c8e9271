"""Timestamps that Postgres has and Python hasn't, read as the nearest that Python has."""

from datetime import UTC, datetime

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


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
