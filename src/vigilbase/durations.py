"""Durations as people write them."""

import math
import re
from collections.abc import Callable

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_EXAMPLES = ("500ms", "30s", "5m", "1h")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration_s(value: object) -> float:
    """Seconds from a text such as 500ms, 30s, 5m, 1h or 1d.

    Raises:
        ValueError: the text is no such thing, or no time at all.

    """
    seconds = _seconds(value)
    if not 0 < seconds < math.inf:
        raise ValueError("must be a duration such as 500ms, 30s, 5m or 1h")
    return seconds


def duration_between(least: str, most: str) -> Callable[[object], float]:
    """A validator of durations within bounds, which are written as durations themselves; `0s` may be one."""
    least_s, most_s = _seconds(least), _seconds(most)
    examples = [example for example in _EXAMPLES if least_s <= _seconds(example) <= most_s]
    listed = " or ".join(filter(None, [", ".join(examples[:-1]), *examples[-1:]]))
    rule = f"must be a duration from {least} to {most}" + (f", such as {listed}" if listed else "")

    def duration(value: object) -> float:
        seconds = _seconds(value)
        if not least_s <= seconds <= most_s:
            raise ValueError(rule)
        return seconds

    return duration


def _seconds(value: object) -> float:
    """Not a number, if it is no duration."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) * _SECONDS[match[2]] if match else math.nan
