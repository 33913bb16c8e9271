"""Durations in words."""

from datetime import timedelta

import pytest

from vigilbase.alerts.wording import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (42.9, "42 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (7801, "2 h 10 min"),
        (86_400 * 4 + 3600, "4 d 1 h"),
        (86_400, "1 d"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words
