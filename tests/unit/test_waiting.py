"""The queue of checks: bounded, in order, and never in the way."""

import asyncio

from vigilbase.runner.waiting import WaitingChecks
from vigilbase.vocabulary import Check, Observation


def _check(name: str) -> Check:
    return Check(name, Observation("healthy"))


def _names(checks: list[Check]) -> str:
    return "".join(check.service_name for check in checks)


async def test_what_was_put_in_comes_out_in_order_and_in_batches() -> None:
    waiting = WaitingChecks(10)
    for name in "abcde":
        assert waiting.put(_check(name))
    assert _names(await waiting.take(3)) == "abc"
    assert _names(await waiting.take(3)) == "de"


async def test_when_it_is_full_the_oldest_goes_and_is_counted() -> None:
    waiting = WaitingChecks(3)
    assert [waiting.put(_check(name)) for name in "abcde"] == [True, True, True, False, False]
    assert (len(waiting), waiting.dropped) == (3, 2)
    assert _names(await waiting.take(10)) == "cde"


async def test_who_waits_is_woken_by_a_check_and_by_the_end() -> None:
    waiting = WaitingChecks(3)
    taking = asyncio.ensure_future(waiting.take(10))
    await asyncio.sleep(0)
    waiting.put(_check("a"))
    assert _names(await taking) == "a"
    taking = asyncio.ensure_future(waiting.take(10))
    await asyncio.sleep(0)
    waiting.close()
    assert await taking == []


async def test_what_is_held_at_the_end_still_comes_out() -> None:
    waiting = WaitingChecks(3)
    waiting.put(_check("a"))
    waiting.close()
    assert _names(await waiting.take(10)) == "a"
    assert await waiting.take(10) == []
