"""Running any probe: timing, timeout, errors and redaction."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from vigilbase.clock import monotonic
from vigilbase.domain import ProbeResult
from vigilbase.errors import VigilbaseError
from vigilbase.net.error_text import describe_error, is_out_of_fds
from vigilbase.net.redaction import redact, redact_field
from vigilbase.net.trace import Trace, new_trace
from vigilbase.sanitize import sanitize_details, sanitize_text

MAX_ERROR_LENGTH = 500
# Redacting a longer text would take too long.
_MAX_REDACTED_LENGTH = 100_000


class ProbeSkippedError(VigilbaseError):
    """The probe couldn't run, for a reason on our side rather than the service's."""


async def run_probe(
    probe: Callable[[], Awaitable[ProbeResult]],
    *,
    timeout: float,
    now: Callable[[], datetime],
    degraded_after: float | None = None,
) -> ProbeResult:
    """Run a probe for at most `timeout` seconds. An exception or a timeout becomes a result with status down.

    A healthy result that took longer than `degraded_after` seconds becomes degraded. Secrets are redacted.

    Raises:
        asyncio.CancelledError: the caller cancelled this task.
        ProbeSkippedError: no file descriptor is left.

    """
    checked_at, started = now(), monotonic()
    with new_trace() as trace:
        result = await _call_probe(probe, timeout, trace)
        took_s = monotonic() - started
        trace.end()
    if result.status == "healthy" and degraded_after is not None and took_s > degraded_after:
        message = f"took {took_s:.3g} s, more than {degraded_after:g} s"
        result = replace(result, status="degraded", error_message=message)
    error_message = None if result.error_message is None else _clean_message(result.error_message, trace)
    details = {**trace.collect(), **(result.probe_details or {})}
    probe_details = sanitize_details(details, partial(redact_field, secrets=trace.secrets))
    return ProbeResult(result.status, error_message, probe_details or None, round(took_s * 1000), checked_at)


async def _call_probe(probe: Callable[[], Awaitable[ProbeResult]], timeout: float, trace: Trace) -> ProbeResult:
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    error: BaseException | None = None
    result = ProbeResult("down")
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline:
            result = await probe()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as raised:  # noqa: BLE001 (a probe may raise anything, which is its result)
        error = raised
    if task and task.cancelling() > cancelled:
        # Cancelled from outside, even if the probe swallowed or replaced the exception.
        raise asyncio.CancelledError from error
    if error:
        result = ProbeResult("down", describe_error(error))
    if result.status == "down" and is_out_of_fds(error, result.error_message or ""):
        raise ProbeSkippedError("no file descriptor is left: raise the limit with `ulimit -n`")
    # A TimeoutError with an errno is the system's ETIMEDOUT, which `describe_error` has described.
    if deadline.expired() or (isinstance(error, TimeoutError) and not error.errno):
        return ProbeResult("down", trace.known_error or _describe_timeout(timeout, trace))
    return result


def _describe_timeout(timeout: float, trace: Trace) -> str:
    return f"no answer within {timeout:g} s" + (f" ({trace.waiting_for})" if trace.waiting_for else "")


def _clean_message(message: str, trace: Trace) -> str:
    """Make the message one line that Postgres can store. Secrets are redacted before it is cut."""
    text = " ".join(redact(message[:_MAX_REDACTED_LENGTH], trace.secrets).split())
    return " ".join(sanitize_text(text, MAX_ERROR_LENGTH).split())
