"""Running probes: any exception becomes a result, and cancellation is always raised."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import httpcore
import pytest

from vigilbase.domain import ProbeResult
from vigilbase.net.error_text import ProbeFailure
from vigilbase.net.trace import current_trace
from vigilbase.probes.run import run_probe


def _now() -> datetime:
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


async def _run(probe: Callable[[], Awaitable[ProbeResult]], timeout: float = 1) -> ProbeResult:
    return await run_probe(probe, timeout=timeout, now=_now)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (RuntimeError("it broke"), "RuntimeError: it broke"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
        (ValueError("a\x00\n\n  b"), "ValueError: a b"),
        (ValueError("\ud800"), "ValueError: ?"),
        (TimeoutError(), "no answer within 1 s"),
        (TimeoutError(110, "Connection timed out"), "connection timed out"),
        (ConnectionResetError("Connection lost"), "connection reset"),
        (ProbeFailure("the service is closed"), "the service is closed"),
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
async def test_run_probe_exception_gives_down_with_reason(raised: BaseException, message: str) -> None:
    async def probe() -> ProbeResult:
        raise raised

    result = await _run(probe)
    assert (result.status, result.error_message, result.probe_details) == ("down", message, None)


async def test_run_probe_long_reason_is_truncated() -> None:
    async def probe() -> ProbeResult:
        return ProbeResult("down", "x" * 10_000)

    assert (await _run(probe)).error_message == "x" * 499 + "…"


async def test_run_probe_timeout_keeps_details_and_names_current_phase() -> None:
    async def probe() -> ProbeResult:
        trace = current_trace()
        trace.details["step"] = 1
        trace.begin("connect", "connecting")
        trace.begin("query", "waiting for an answer")
        await asyncio.sleep(60)
        return ProbeResult()

    result = await _run(probe, timeout=0.05)
    assert (result.status, result.error_message) == ("down", "no answer within 0.05 s (waiting for an answer)")
    assert result.probe_details is not None
    phases = result.probe_details["phases"]
    assert isinstance(phases, dict)
    assert result.probe_details["step"] == 1
    assert phases["query_ms"] >= 45


async def test_run_probe_redacts_secrets_and_merges_trace_details() -> None:
    async def probe() -> ProbeResult:
        current_trace().add_secrets(["hunter2"])
        current_trace().details |= {"a": 1, "b": 1}
        return ProbeResult("degraded", "it was hunter2", {"b": 2, "c": "hunter2"})

    result = await _run(probe)
    assert result.error_message == "it was ****"
    assert result.probe_details == {"a": 1, "b": 2, "c": "****"}


async def test_run_probe_concurrent_probes_have_separate_traces() -> None:
    async def probe(number: int) -> ProbeResult:
        current_trace().details["number"] = number
        await asyncio.sleep(0)
        return ProbeResult(probe_details={"same": current_trace().details["number"] == number})

    results = await asyncio.gather(*(_run(partial(probe, n)) for n in range(5)))
    assert [result.probe_details for result in results] == [{"number": n, "same": True} for n in range(5)]


async def test_run_probe_timeout_hidden_by_probe_gives_down() -> None:
    async def swallow_cancellation() -> ProbeResult:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return ProbeResult()

    async def replace_cancellation() -> ProbeResult:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("something else") from None
        return ProbeResult()

    for probe in (swallow_cancellation, replace_cancellation):
        result = await _run(probe, timeout=0.05)
        assert (result.status, result.error_message) == ("down", "no answer within 0.05 s")


async def test_run_probe_timeout_reports_known_error() -> None:
    async def probe() -> ProbeResult:
        current_trace().known_error = "certificate expired"
        await asyncio.sleep(60)
        return ProbeResult()

    assert (await _run(probe, timeout=0.05)).error_message == "certificate expired"


@pytest.mark.parametrize("reaction", ["reraise", "replace", "swallow", "group"])
async def test_run_probe_external_cancellation_is_always_raised(reaction: str) -> None:
    started = asyncio.Event()

    async def probe() -> ProbeResult:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if reaction == "reraise":
                raise
            if reaction == "replace":
                raise RuntimeError("something else") from None
            if reaction == "group":
                raise BaseExceptionGroup("g", [asyncio.CancelledError()]) from None
        return ProbeResult()

    task = asyncio.create_task(_run(probe, timeout=60))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_run_probe_keyboard_interrupt_is_raised() -> None:
    async def probe() -> ProbeResult:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await _run(probe)


async def test_run_probe_slower_than_degraded_after_is_degraded() -> None:
    async def probe() -> ProbeResult:
        await asyncio.sleep(0.02)
        return ProbeResult()

    result = await run_probe(probe, timeout=1, now=_now, degraded_after=0.001)
    assert result.status == "degraded"
    assert re.match(r"took \d+\.\d", result.error_message or "")
