"""What is known of a probe while it runs, so that a failure or the end of its time doesn't take it along."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from vigilbase.clock import monotonic
from vigilbase.vocabulary import JSON


@dataclass(slots=True)
class Trail:
    """Details, phases and secrets of one probe as they become known.

    `details` are kept whatever happens to the probe; `secrets` are masked in what it says. `verdict` is what to say if
    the time is over and the reason is known already.
    """

    details: dict[str, JSON] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    verdict: str | None = None
    waiting_for: str | None = None
    _phases: dict[str, float] = field(default_factory=dict)
    _phase: str | None = None
    _since: float = 0.0

    def begin(self, phase: str, waiting_for: str) -> None:
        """End the phase that runs and begin another; `waiting_for` says what is missing if the time ends in it."""
        self.end()
        self._phase, self._since, self.waiting_for = phase, monotonic(), waiting_for

    def end(self) -> None:
        """End the phase that runs, if one does."""
        if self._phase is not None:
            self._phases[f"{self._phase}_ms"] = round((monotonic() - self._since) * 1000, 1)
        self._phase = self.waiting_for = None

    def restart(self) -> None:
        """Forget the phases so far: those of a redirect's target are the ones that count."""
        self.end()
        self._phases = {}

    def known(self) -> dict[str, JSON]:
        """All details, with the phases and the time that each took (ms)."""
        return {**self.details, "phases": self._phases} if self._phases else dict(self.details)

    def keep_secret(self, texts: Iterable[str]) -> None:
        """Have these masked, wherever the probe's messages and details repeat them."""
        self.secrets.update(text for text in texts if text)


_current: ContextVar[Trail | None] = ContextVar("trail", default=None)


def current_trail() -> Trail:
    """The trail of the probe that runs; outside of one a trail that nobody looks at."""
    return _current.get() or Trail()


@contextmanager
def new_trail() -> Iterator[Trail]:
    """The trail of all that runs inside."""
    trail = Trail()
    token = _current.set(trail)
    try:
        yield trail
    finally:
        _current.reset(token)
