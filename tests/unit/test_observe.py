"""Whatever a probe does, there is an observation; and whoever wants it to end is heard."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import httpcore
import pytest

from vigilbase.probes import Finding, observe
from vigilbase.probes.trail import current_trail
from vigilbase.probes.words import ProbeFailure
from vigilbase.vocabulary import Observation


def _now() -> datetime:
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


async def _seen(probe: Callable[[], Awaitable[Finding]], timeout: float = 1) -> Observation:
    return await observe(probe, timeout=timeout, now=_now)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (RuntimeError("it broke"), "RuntimeError: it broke"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
        (ValueError("a\x00\n\n  b"), "ValueError: a b"),
        (ValueError("\ud800"), "ValueError: ?"),
        (TimeoutError(), "no answer within 1 s"),
        (TimeoutError(110, "Connection timed out"), "connecting timed out"),
        (ConnectionResetError("Connection lost"), "connection reset"),
        (ProbeFailure("in its own words"), "in its own words"),
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError(), "CancelledError"),
        (ExceptionGroup("g", [ValueError("inner")]), "ValueError: inner"),
        (ExceptionGroup("g", [ValueError("a"), ConnectionRefusedError(111, "no")]), "connection refused"),
        (BaseExceptionGroup("g", [SystemExit(1), ValueError("a")]), "BaseExceptionGroup: g (2 sub-exceptions)"),
        (
            httpcore.RemoteProtocolError("illegal header line: bytearray(b'x')"),
            "the answer is not valid HTTP: illegal header line",
        ),
        (ValueError("postgres://me:hunter2@h"), "ValueError: postgres://me:****@h"),
    ],
)
async def test_a_probe_that_raises_is_down_with_the_reason(raised: BaseException, said: str) -> None:
    async def probe() -> Finding:
        raise raised

    seen = await _seen(probe)
    assert (seen.status, seen.error_message, seen.probe_details) == ("down", said, None)


async def test_a_long_reason_is_cut() -> None:
    async def probe() -> Finding:
        return Finding("down", "x" * 10_000)

    assert (await _seen(probe)).error_message == "x" * 499 + "…"


async def test_what_is_known_is_kept_when_the_time_is_over_and_it_is_said_what_is_missing() -> None:
    async def probe() -> Finding:
        trail = current_trail()
        trail.details["step"] = 1
        trail.begin("connect", "connecting")
        trail.begin("query", "waiting for an answer")
        await asyncio.sleep(60)
        return Finding()

    seen = await _seen(probe, timeout=0.05)
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.05 s (waiting for an answer)")
    assert seen.probe_details is not None
    phases = seen.probe_details["phases"]
    assert isinstance(phases, dict)
    assert seen.probe_details["step"] == 1
    assert phases["query_ms"] >= 45


async def test_known_secrets_are_masked_and_details_are_those_of_the_finding_and_of_the_trail() -> None:
    async def probe() -> Finding:
        current_trail().keep_secret(["hunter2"])
        current_trail().details |= {"a": 1, "b": 1}
        return Finding("degraded", "it was hunter2", {"b": 2, "c": "hunter2"})

    seen = await _seen(probe)
    assert seen.error_message == "it was ****"
    assert seen.probe_details == {"a": 1, "b": 2, "c": "****"}


async def test_probes_that_run_at_once_have_trails_of_their_own() -> None:
    async def probe(number: int) -> Finding:
        current_trail().details["number"] = number
        await asyncio.sleep(0)
        return Finding(details={"same": current_trail().details["number"] == number})

    seen = await asyncio.gather(*(_seen(partial(probe, n)) for n in range(5)))
    assert [one.probe_details for one in seen] == [{"number": n, "same": True} for n in range(5)]


async def test_a_probe_that_takes_too_long_is_down_even_if_it_pretends_otherwise() -> None:
    async def swallows() -> Finding:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return Finding()

    async def renames() -> Finding:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("something else") from None
        return Finding()

    for probe in (swallows, renames):
        seen = await _seen(probe, timeout=0.05)
        assert (seen.status, seen.error_message) == ("down", "no answer within 0.05 s")


async def test_the_reason_that_is_known_is_said_when_the_time_is_over() -> None:
    async def probe() -> Finding:
        current_trail().verdict = "certificate expired"
        await asyncio.sleep(60)
        return Finding()

    assert (await _seen(probe, timeout=0.05)).error_message == "certificate expired"


@pytest.mark.parametrize("answer", ["cancelled", "renamed", "swallowed", "grouped"])
async def test_whoever_cancels_from_outside_is_heard_whatever_the_probe_makes_of_it(answer: str) -> None:
    began = asyncio.Event()

    async def probe() -> Finding:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if answer == "cancelled":
                raise
            if answer == "renamed":
                raise RuntimeError("something else") from None
            if answer == "grouped":
                raise BaseExceptionGroup("g", [asyncio.CancelledError()]) from None
        return Finding()

    task = asyncio.create_task(_seen(probe, timeout=60))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_interrupt_of_the_user_goes_through() -> None:
    async def probe() -> Finding:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await _seen(probe)


async def test_a_healthy_answer_that_takes_longer_than_it_should_is_degraded() -> None:
    async def probe() -> Finding:
        await asyncio.sleep(0.02)
        return Finding()

    seen = await observe(probe, timeout=1, now=_now, degraded_after=0.001)
    assert seen.status == "degraded"
    assert (seen.error_message or "").startswith("took 0.0")
