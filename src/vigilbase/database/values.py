"""From JSON to plain Python values and back, the same for every table.

JSON has neither UUIDs nor times, so both are told by the column's name: `id` holds a UUID, and so does what ends in
`_id`; what ends in `_at` holds a time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from vigilbase.database.client import Row, Value
from vigilbase.database.tolerance import nearest_moment
from vigilbase.vocabulary import JSON


def parse_timestamp(text: str) -> datetime:
    """An aware time in UTC from ISO 8601, or from Postgres' own form with a space; the nearest that Python has.

    Raises:
        ValueError: the text is no such time, or one without an offset.

    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return nearest_moment(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without an offset: {text}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return nearest_moment("-infinity" if moment.year == 1 else "infinity")


def revive(row: Mapping[str, JSON]) -> Row:
    """A row that came as JSON, with its UUIDs and times as such."""
    return {column: _revived(column, value) for column, value in row.items()}


def _revived(column: str, value: JSON) -> Value:
    if not isinstance(value, str):
        return value
    if column == "id" or column.endswith("_id"):
        return UUID(value)
    return parse_timestamp(value) if column.endswith("_at") else value


def to_json(value: Value) -> JSON:
    """A value as JSON holds it: a UUID as its string, a time in ISO 8601."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value
