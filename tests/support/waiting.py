"""Waiting for what another process, thread or task is about to do."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

_POLL_S = 0.01


def wait_until(
    read: Callable[[], Value], is_expected: Callable[[Value], object] = bool, *, within_s: float = 60
) -> Value:
    """Poll until the value is as expected, and return it; fail with the last value."""
    deadline = time.monotonic() + within_s
    while not is_expected(value := read()):
        _require_time_left(deadline, within_s, value)
        time.sleep(_POLL_S)
    return value


async def wait_until_async(
    read: Callable[[], Value], is_expected: Callable[[Value], object] = bool, *, within_s: float = 60
) -> Value:
    """As `wait_until`, while the tasks of this event loop run."""
    deadline = time.monotonic() + within_s
    while not is_expected(value := read()):
        _require_time_left(deadline, within_s, value)
        await asyncio.sleep(_POLL_S)
    return value


def _require_time_left(deadline: float, within_s: float, value: object) -> None:
    assert time.monotonic() < deadline, f"after {within_s:g} s it is still:\n{value}"
