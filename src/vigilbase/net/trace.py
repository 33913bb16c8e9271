"""What a probe has found out while it runs, kept even if it fails or times out."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from vigilbase.clock import monotonic
from vigilbase.domain import JSON


@dataclass(slots=True)
class Trace:
    """Details, phases and secrets of one probe, collected as it runs.

    `secrets` are redacted in the probe's message and details. `known_error` is the error message for a timeout whose
    reason is already known; otherwise the message contains `waiting_for`.
    """

    details: dict[str, JSON] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    known_error: str | None = None
    waiting_for: str | None = None
    _phases: dict[str, float] = field(default_factory=dict)
    _phase: str | None = None
    _since: float = 0.0

    def begin(self, phase: str, waiting_for: str) -> None:
        """End the current phase and begin another; a timeout during it reports `waiting_for`."""
        self.end()
        self._phase, self._since, self.waiting_for = phase, monotonic(), waiting_for

    def end(self) -> None:
        """End the current phase, if there is one."""
        if self._phase is not None:
            self._phases[f"{self._phase}_ms"] = round((monotonic() - self._since) * 1000, 1)
        self._phase = self.waiting_for = None

    def restart(self) -> None:
        """Discard the phases so far: after a redirect, only those of the last request count."""
        self.end()
        self._phases = {}

    def collect(self) -> dict[str, JSON]:
        """All details, with the duration of each phase in ms."""
        return {**self.details, "phases": self._phases} if self._phases else dict(self.details)

    def add_secrets(self, texts: Iterable[str]) -> None:
        """Redact these texts wherever the probe's message and details contain them."""
        self.secrets.update(text for text in texts if text)


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current_trace() -> Trace:
    """The trace of the running probe; outside a probe, a new one that is discarded."""
    return _current.get() or Trace()


@contextmanager
def new_trace() -> Iterator[Trace]:
    """Make a trace the current one inside the block."""
    trace = Trace()
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
