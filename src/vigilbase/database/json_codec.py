"""Conversion of rows between JSON and plain Python values.

JSON has neither UUIDs nor times, so the column's name decides: `id` and `…_id` hold UUIDs, `…_at` holds a time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from vigilbase.database.client import Row, Value
from vigilbase.database.time_range import find_nearest_moment
from vigilbase.domain import JSON


def parse_timestamp(text: str) -> datetime:
    """Parse ISO 8601, or Postgres' own form with a space, into an aware time in UTC.

    A time outside Python's range becomes the nearest one inside it.

    Raises:
        ValueError: the text is not a timestamp, or has no UTC offset.

    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return find_nearest_moment(text)
    if moment.tzinfo is None:
        raise ValueError(f"timestamp without a UTC offset: {text}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return find_nearest_moment("-infinity" if moment.year == 1 else "infinity")


def revive(row: Mapping[str, JSON]) -> Row:
    """Convert the UUIDs and times of a row from JSON strings.

    Another text in such a column stays as it is, since a host may have columns of its own.
    """
    return {column: _revive_value(column, value) for column, value in row.items()}


def _revive_value(column: str, value: JSON) -> Value:
    if not isinstance(value, str):
        return value
    try:
        if column == "id" or column.endswith("_id"):
            return UUID(value)
        return parse_timestamp(value) if column.endswith("_at") else value
    except ValueError:
        return value


def to_json(value: Value) -> JSON:
    """Convert a value for JSON: a UUID to its string, a time to ISO 8601."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value
