"""What a probe found, and how any probe is run: timing, time limit and errors are dealt with here, once."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from vigilbase.clock import monotonic
from vigilbase.errors import VigilbaseError
from vigilbase.vocabulary import JSON, Observation, Status

MAX_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe has to say, apart from how long it took."""

    status: Status = "healthy"
    error_message: str | None = None
    details: Mapping[str, JSON] | None = None


async def observe(
    probe: Callable[[], Awaitable[Finding]],
    *,
    timeout: float,
    now: Callable[[], datetime],
    degraded_after: float | None = None,
) -> Observation:
    """Run a probe for at most `timeout` seconds. Whatever it does, there is an observation, and it has a duration.

    A healthy one that took longer than `degraded_after` seconds is degraded.
    """
    checked_at, began = now(), monotonic()
    try:
        async with asyncio.timeout(timeout):
            finding = await probe()
    except TimeoutError:
        finding = Finding("down", f"no answer within {timeout:g} s")
    except Exception as error:  # noqa: BLE001 (a probe may raise anything, and that is what it found)
        finding = Finding("down", in_words(error))
    took = monotonic() - began
    if finding.status == "healthy" and degraded_after is not None and took > degraded_after:
        finding = replace(
            finding, status="degraded", error_message=f"took {took:.3g} s, more than {degraded_after:g} s"
        )
    latency_ms = round(took * 1000)
    return Observation(finding.status, checked_at, latency_ms, _tidied(finding.error_message), finding.details)


def in_words(error: BaseException) -> str:
    """The reason of a failure as a person would say it, from the innermost error that has one."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate not accepted: {cause.verify_message}"
        if isinstance(cause, socket.gaierror):
            return "the host's name can't be resolved"
        if isinstance(cause, OSError) and (reason := _REASONS.get(cause.errno or 0)):
            return reason
    if isinstance(error, VigilbaseError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


_REASONS: Mapping[int, str] = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection closed",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connecting timed out",
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, the innermost first."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _chain(part)
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _chain(cause)
    yield error


def _tidied(message: str | None) -> str | None:
    """A message that fits a line and a column of Postgres."""
    if message is None:
        return None
    text = " ".join(message.replace("\x00", "").encode(errors="replace").decode().split())
    return text if len(text) <= MAX_ERROR_LENGTH else f"{text[: MAX_ERROR_LENGTH - 1]}…"
