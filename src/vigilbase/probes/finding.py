"""What a probe found, and how any probe is run: timing, time limit and errors are dealt with here, once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from vigilbase.clock import monotonic
from vigilbase.errors import VigilbaseError
from vigilbase.probes.masking import masked
from vigilbase.probes.storable import plain_text, storable
from vigilbase.probes.trail import Trail, new_trail
from vigilbase.probes.words import in_words, is_our_own_shortage
from vigilbase.vocabulary import JSON, Observation, Status

MAX_ERROR_LENGTH = 500
_MAX_MASKED_LENGTH = 100_000


class ProbeNotPossibleError(VigilbaseError):
    """Nothing could be found out, for a reason that lies with us and not with the service."""


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

    A healthy one that took longer than `degraded_after` seconds is degraded. Secrets are masked in what is said of it.

    Raises:
        asyncio.CancelledError: somebody else wants this to end.
        ProbeNotPossibleError: there is no file descriptor left for it.

    """
    checked_at, began = now(), monotonic()
    with new_trail() as trail:
        finding = await _find(probe, timeout, trail)
        took = monotonic() - began
        trail.end()
    if finding.status == "healthy" and degraded_after is not None and took > degraded_after:
        finding = replace(
            finding, status="degraded", error_message=f"took {took:.3g} s, more than {degraded_after:g} s"
        )
    message = None if finding.error_message is None else _tidied(finding.error_message, trail)
    details = storable({**trail.known(), **(finding.details or {})}, trail.secrets)
    return Observation(finding.status, checked_at, round(took * 1000), message, details or None)


async def _find(probe: Callable[[], Awaitable[Finding]], timeout: float, trail: Trail) -> Finding:
    """What the probe found, or that it failed, or that its time was over."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    error: BaseException | None = None
    finding = Finding("down")
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            finding = await probe()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as raised:  # noqa: BLE001 (a probe may raise anything, and that is what it found)
        error = raised
    if task and task.cancelling() > cancelled:
        # From outside, even if the probe made something else of it.
        raise asyncio.CancelledError from error
    if error:
        finding = Finding("down", in_words(error))
    if finding.status == "down" and is_our_own_shortage(error, finding.error_message or ""):
        raise ProbeNotPossibleError("no file descriptor is left for a probe: raise the limit (ulimit -n)")
    if limit.expired() or (isinstance(error, TimeoutError) and not error.errno):
        return Finding("down", trail.verdict or _no_answer(timeout, trail))
    return finding


def _no_answer(timeout: float, trail: Trail) -> str:
    return f"no answer within {timeout:g} s" + (f" ({trail.waiting_for})" if trail.waiting_for else "")


def _tidied(message: str, trail: Trail) -> str:
    """A message that fits a line and a column of Postgres, secrets masked before it is cut."""
    text = " ".join(masked(message[:_MAX_MASKED_LENGTH], trail.secrets).split())
    return " ".join(plain_text(text, MAX_ERROR_LENGTH).split())
