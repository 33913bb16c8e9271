"""How moments are written relative to now."""

from datetime import UTC, datetime, timedelta

import pytest

from vigilbase.times import format_ago

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (None, ""),
        (NOON, "0s ago"),
        (NOON - timedelta(minutes=2, seconds=17), "2m17s ago"),
        (NOON + timedelta(seconds=1), "0s ago"),
        (NOON + timedelta(seconds=60), "0s ago"),
        (NOON + timedelta(seconds=61), "in 1m1s"),
        (NOON + timedelta(days=3650), "in 3650d"),
    ],
)
def test_format_ago_moment_beyond_clock_difference_is_in_the_future(moment: datetime | None, expected: str) -> None:
    assert format_ago(moment, NOON) == expected
