"""Parses and formats durations such as `30s` and `2h 10m`."""

import math
import re
from collections.abc import Callable
from datetime import timedelta

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
DURATION_PATTERN = rf"^\s*{_DURATION.pattern}\s*$"
_EXAMPLES = ("500ms", "30s", "5m", "1h")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(value: object) -> float:
    """Return the seconds of a text such as 500ms, 30s, 5m, 1h or 1d.

    Raises:
        ValueError: the text isn't a duration, or is zero.

    """
    seconds = _parse_seconds(value)
    if not 0 < seconds < math.inf:
        raise ValueError("must be a duration such as 500ms, 30s, 5m or 1h")
    return seconds


def make_duration_parser(least: str, most: str) -> Callable[[object], float]:
    """Return a function that parses durations from `least` to `most`, both included, to seconds.

    `least` may be `0s`. The function raises ValueError with the rule and examples within the bounds.
    """
    least_s, most_s = _parse_seconds(least), _parse_seconds(most)
    examples = [example for example in _EXAMPLES if least_s <= _parse_seconds(example) <= most_s]
    example_text = " or ".join(filter(None, [", ".join(examples[:-1]), *examples[-1:]]))
    rule = f"must be a duration from {least} to {most}" + (f", such as {example_text}" if examples else "")

    def parse_bounded_duration(value: object) -> float:
        seconds = _parse_seconds(value)
        if not least_s <= seconds <= most_s:
            raise ValueError(rule)
        return seconds

    return parse_bounded_duration


def _parse_seconds(value: object) -> float:
    """Return the seconds; NaN if the value is not a duration."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) * _SECONDS[match[2]] if match else math.nan


def format_duration(duration: timedelta, separator: str = " ") -> str:
    """Format a duration in its two largest units: `42s`, `3m 5s`, `4d 1h`. Fractions and negative values count as 0."""
    seconds = max(0, int(duration.total_seconds()))
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return separator.join(f"{count}{unit}" for count, unit in parts[:2] if count or len(parts) == 1)
