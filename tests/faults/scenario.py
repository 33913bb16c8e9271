"""What happens in a run, all of it drawn from a seed. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.support.receiver import Fault, Reply, redirect_to, retry_after
from vigilbase.alerts.routing import Occasion, Route
from vigilbase.vocabulary import Status

Step = Literal["claimed", "sending", "underway", "taken", "finished"]
"""Where a sender is killed: after the claim; before the first byte; while the receiver has it; with its answer and
before that is written down; after that."""

STEPS: tuple[Step, ...] = ("claimed", "sending", "underway", "taken", "finished")
FAULTY_FOR_S = 1.0
CHANNEL_TIMEOUT_S = 0.3
REFUSALS = (400, 422)
ALL: frozenset[Occasion] = frozenset({"down", "degraded", "recovery"})
_BROKEN: tuple[Fault, ...] = ("close", "hang", "half_a_head", "half_a_body", "gibberish")
_STATUSES: tuple[Status, ...] = ("healthy", "degraded", "down")


@dataclass(frozen=True, slots=True)
class Crash:
    """A sender kills itself with -9 when it comes to a step for the so-manieth time."""

    step: Step
    time: int


@dataclass(frozen=True, slots=True)
class SenderPlan:
    """One sender: where it crashes (its successor doesn't), whether it hears of what is owed, how wrong its clock is.

    The clock is set by `clock_set_by_s` when it has run for `clock_set_after_s`.
    """

    crash: Crash | None = None
    listens: bool = True
    clock_set_by_s: float = 0
    clock_set_after_s: float = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """At a moment of the run, services are found so."""

    at_s: float
    found: Sequence[tuple[str, Status]]


@dataclass(frozen=True, slots=True)
class Restart:
    """Postgres is ended at once, while somebody waits with a transaction half done for `table`, and started again."""

    at_s: float
    how: Literal["immediately", "with -9"]
    table: str


@dataclass(frozen=True, slots=True)
class Hush:
    """A silence over some services, from one moment to another; without that, until all faults are over."""

    glob: str
    at_s: float
    until_s: float | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run. `kills` are moments at which some sender is killed, `by_hand` those at which somebody acknowledges or
    resolves an alert past us."""

    seed: int
    routes: Sequence[Route]
    group_window_s: float
    remind_every_s: float | None
    senders: Sequence[SenderPlan]
    checks: Sequence[Checked]
    kills: Sequence[float]
    restarts: Sequence[Restart]
    by_hand: Sequence[tuple[float, Literal["acknowledge", "resolve"]]]
    trouble: float  # the share of requests that are not just taken
    hushes: Sequence[Hush]

    @property
    def channels(self) -> Sequence[str]:
        return sorted({channel for route in self.routes for channel in route.channels})


def scenario(seed: int) -> Scenario:
    """The scenario of a seed, always the same."""
    dice = random.Random(seed)
    return Scenario(
        seed=seed,
        routes=_routes(dice),
        group_window_s=dice.choice([0, 0, 0.2, 0.5]),
        remind_every_s=dice.choice([None, None, 0.4]),
        senders=[_sender(dice) for _ in range(dice.choice([1, 2, 2, 3, 10]))],
        checks=_checks(dice),
        kills=sorted(dice.uniform(0, FAULTY_FOR_S) for _ in range(dice.choice([0, 0, 1, 2, 4]))),
        restarts=[_restart(dice) for _ in range(dice.choice([0, 0, 1]))],
        by_hand=sorted(
            (dice.uniform(0.1, FAULTY_FOR_S), dice.choice(["acknowledge", "acknowledge", "resolve"]))
            for _ in range(dice.randrange(4))
        ),
        trouble=dice.choice([0, 0.3, 0.6, 1]),
        hushes=[_hush(dice) for _ in range(dice.choice([0, 0, 0, 1, 2]))],
    )


def reply(dice: random.Random, trouble: float) -> Reply:
    """How the receiver answers a request while there are faults."""
    if dice.random() >= trouble:
        return Reply(delay_s=dice.choice([0, 0, 0.05, 0.15]))
    if dice.random() < 0.05:
        return redirect_to("http://127.0.0.1:9/elsewhere")
    if dice.random() < 0.2:
        return Reply(dice.choice(REFUSALS))
    return dice.choice(
        [
            Reply(500),
            Reply(503, delay_s=0.05),
            retry_after("1"),
            *(Reply(fault=fault) for fault in _BROKEN),
            Reply(delay_s=CHANNEL_TIMEOUT_S * 1.5),
        ]
    )


def _routes(dice: random.Random) -> Sequence[Route]:
    routes = [Route(("ops",), ALL)]
    if dice.random() < 0.6:
        occasions: Sequence[frozenset[Occasion]] = (ALL, frozenset({"down"}), frozenset({"down", "recovery"}))
        after_s = dice.choice([0, 0, 0.3])
        routes.append(Route(("team",), dice.choice(occasions), after_s, unless_acknowledged=dice.random() < 0.5))
    return routes


def _sender(dice: random.Random) -> SenderPlan:
    crash = Crash(dice.choice(STEPS), dice.choice([1, 1, 2, 4])) if dice.random() < 0.5 else None
    set_by_s = dice.choice([0, 0, -3600, 3600])
    return SenderPlan(crash, dice.random() < 0.7, set_by_s, dice.uniform(0, FAULTY_FOR_S))


def _checks(dice: random.Random) -> Sequence[Checked]:
    services = [f"s{number}" for number in range(dice.choice([1, 2, 4, 30]))]
    moments = sorted(dice.uniform(0, FAULTY_FOR_S) for _ in range(dice.randint(2, 8)))
    found = [
        Checked(at_s, [(name, dice.choice(_STATUSES)) for name in services if dice.random() < 0.7]) for at_s in moments
    ]
    # Half of the runs end well.
    ending: Status = dice.choice(["healthy", "down"])
    return [*found, Checked(FAULTY_FOR_S, [(name, ending) for name in services])]


def _restart(dice: random.Random) -> Restart:
    how: Literal["immediately", "with -9"] = dice.choice(["immediately", "with -9"])
    return Restart(
        dice.uniform(0.1, FAULTY_FOR_S), how, dice.choice(["vigilbase.alert_timeline", "vigilbase.notifications"])
    )


def _hush(dice: random.Random) -> Hush:
    at_s = dice.uniform(0, FAULTY_FOR_S)
    ends = dice.random() < 0.6
    return Hush(dice.choice(["*", "s0", "s[0-2]"]), at_s, at_s + dice.uniform(0.1, 0.6) if ends else None)
