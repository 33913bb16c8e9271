"""Durations: which texts are valid, and how they are formatted."""

from datetime import timedelta

import pytest

from vigilbase.durations import format_duration, make_duration_parser, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h", 3600), ("1d", 86_400), (" 2.5s ", 2.5)]
)
def test_parse_duration_number_and_unit_gives_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "0s", "0.0ms", "-1s", "1", "1 s", "1y", ".5s", "1e3s", "٣s", "9" * 400 + "s", None, 30]
)
def test_parse_duration_invalid_value_is_rejected(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 500ms, 30s, 5m or 1h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("least", "most", "rule"),
    [
        ("0s", "1d", "must be a duration from 0s to 1d, such as 500ms, 30s, 5m or 1h"),
        ("1s", "1m", "must be a duration from 1s to 1m, such as 30s"),
        ("2h", "1d", "must be a duration from 2h to 1d"),
    ],
)
def test_duration_validator_accepts_bounds_and_gives_examples_within_them(least: str, most: str, rule: str) -> None:
    parse = make_duration_parser(least, most)
    assert parse(most) > parse(least) >= 0
    for text in ("-1s", "0.9ms", "366d", "", 3, None):
        if text != "0.9ms" or least != "0s":
            with pytest.raises(ValueError, match=f"^{rule}$"):
                parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (42.9, "42s"),
        (60, "1m"),
        (185, "3m 5s"),
        (3600, "1h"),
        (7801, "2h 10m"),
        (86_400, "1d"),
        (86_400 * 4 + 3600, "4d 1h"),
    ],
)
def test_format_duration_uses_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
    assert format_duration(timedelta(seconds=seconds), "") == text.replace(" ", "")
