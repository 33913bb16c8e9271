"""Durations as people write them."""

import math
import re
from collections.abc import Callable

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration_s(value: object) -> float:
    """Seconds from a text such as 500ms, 30s, 5m, 1h or 1d.

    Raises:
        ValueError: the text is no such thing, or no time at all.

    """
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds < math.inf:
        raise ValueError("must be a duration such as 500ms, 30s, 5m or 1h")
    return seconds


def duration_between(least: str, most: str) -> Callable[[object], float]:
    """A validator of durations within bounds, which are written as durations themselves."""
    least_s, most_s = duration_s(least), duration_s(most)
    rule = f"must be a duration from {least} to {most}, such as 500ms, 30s, 5m or 1h"

    def duration(value: object) -> float:
        try:
            seconds = duration_s(value)
        except ValueError:
            raise ValueError(rule) from None
        if not least_s <= seconds <= most_s:
            raise ValueError(rule)
        return seconds

    return duration
