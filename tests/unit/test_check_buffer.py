"""The queue of checks: bounded, ordered, never blocking."""

import asyncio

from vigilbase.domain import Check, ProbeResult
from vigilbase.runner.check_buffer import CheckBuffer


def _make_check(name: str) -> Check:
    return Check(name, ProbeResult("healthy"))


def _join_names(checks: list[Check]) -> str:
    return "".join(check.service_name for check in checks)


async def test_check_buffer_take_returns_batches_in_order() -> None:
    buffer = CheckBuffer(10)
    for name in "abcde":
        assert buffer.put(_make_check(name))
    assert _join_names(await buffer.take(3)) == "abc"
    assert _join_names(await buffer.take(3)) == "de"


async def test_check_buffer_full_drops_and_counts_oldest() -> None:
    buffer = CheckBuffer(3)
    assert [buffer.put(_make_check(name)) for name in "abcde"] == [True, True, True, False, False]
    assert (len(buffer), buffer.dropped) == (3, 2)
    assert _join_names(await buffer.take(10)) == "cde"


async def test_check_buffer_put_and_close_wake_waiting_take() -> None:
    buffer = CheckBuffer(3)
    taking = asyncio.ensure_future(buffer.take(10))
    await asyncio.sleep(0)
    buffer.put(_make_check("a"))
    assert _join_names(await taking) == "a"
    taking = asyncio.ensure_future(buffer.take(10))
    await asyncio.sleep(0)
    buffer.close()
    assert await taking == []


async def test_check_buffer_closed_returns_remaining_checks() -> None:
    buffer = CheckBuffer(3)
    buffer.put(_make_check("a"))
    buffer.close()
    assert _join_names(await buffer.take(10)) == "a"
    assert await buffer.take(10) == []
