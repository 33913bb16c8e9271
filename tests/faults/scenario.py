"""What happens in a run, drawn from a seed. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.support.receiver import Fault, Reply, redirect_to, retry_after
from vigilbase.alerts.routing import Route, RouteEvent
from vigilbase.domain import Status

Step = Literal["claimed", "sending", "in_flight", "accepted", "recorded"]
"""Where a sender crashes: after the claim; before the first byte; while the receiver has the batch; after its answer;
after the result is recorded."""

STEPS: tuple[Step, ...] = ("claimed", "sending", "in_flight", "accepted", "recorded")
FAULTY_FOR_S = 1.0
CHANNEL_TIMEOUT_S = 0.3
REJECTIONS = (400, 422)
ALL_EVENTS: frozenset[RouteEvent] = frozenset({"down", "degraded", "recovery"})
_FAULTS: tuple[Fault, ...] = ("close", "hang", "half_a_head", "half_a_body", "gibberish")
_STATUSES: tuple[Status, ...] = ("healthy", "degraded", "down")


@dataclass(frozen=True, slots=True)
class Crash:
    """A sender kills itself with -9 when it reaches a step for the nth time."""

    step: Step
    nth: int


@dataclass(frozen=True, slots=True)
class SenderPlan:
    """One sender: where it crashes (its successor doesn't), whether NOTIFY wakes it, and how wrong its clock is.

    `clock_shift_after_s` seconds after its start, its clock is set by `clock_shift_s`.
    """

    crash: Crash | None = None
    is_listening: bool = True
    clock_shift_s: float = 0
    clock_shift_after_s: float = 0


@dataclass(frozen=True, slots=True)
class PlannedChecks:
    """The statuses of services, recorded at a moment of the run."""

    at_s: float
    statuses: Sequence[tuple[str, Status]]


@dataclass(frozen=True, slots=True)
class Restart:
    """Postgres is killed while a transaction waits for `table`, and started again."""

    at_s: float
    how: Literal["immediately", "with -9"]
    table: str


@dataclass(frozen=True, slots=True)
class PlannedSilence:
    """A silence over some services, up to a moment, or to the end of all faults where that is None."""

    glob: str
    at_s: float
    until_s: float | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run. A sender is killed at each moment of `kills`; at those of `manual_actions`, other code changes an alert.

    `fault_rate` is the share of requests that the receivers don't simply accept.
    """

    seed: int
    routes: Sequence[Route]
    group_window_s: float
    remind_every_s: float | None
    senders: Sequence[SenderPlan]
    checks: Sequence[PlannedChecks]
    kills: Sequence[float]
    restarts: Sequence[Restart]
    manual_actions: Sequence[tuple[float, Literal["acknowledge", "resolve"]]]
    fault_rate: float
    silences: Sequence[PlannedSilence]

    @property
    def channels(self) -> Sequence[str]:
        return sorted({channel for route in self.routes for channel in route.channels})


def make_scenario(seed: int) -> Scenario:
    """The scenario of a seed, always the same."""
    dice = random.Random(seed)
    return Scenario(
        seed=seed,
        routes=_make_routes(dice),
        group_window_s=dice.choice([0, 0, 0.2, 0.5]),
        remind_every_s=dice.choice([None, None, 0.4]),
        senders=[_make_sender(dice) for _ in range(dice.choice([1, 2, 2, 3, 10]))],
        checks=_make_checks(dice),
        kills=sorted(dice.uniform(0, FAULTY_FOR_S) for _ in range(dice.choice([0, 0, 1, 2, 4]))),
        restarts=[_make_restart(dice) for _ in range(dice.choice([0, 0, 1]))],
        manual_actions=sorted(
            (dice.uniform(0.1, FAULTY_FOR_S), dice.choice(["acknowledge", "acknowledge", "resolve"]))
            for _ in range(dice.randrange(4))
        ),
        fault_rate=dice.choice([0, 0.3, 0.6, 1]),
        silences=[_make_silence(dice) for _ in range(dice.choice([0, 0, 0, 1, 2]))],
    )


def choose_reply(dice: random.Random, fault_rate: float) -> Reply:
    """A receiver's answer to a request while there are faults."""
    if dice.random() >= fault_rate:
        return Reply(delay_s=dice.choice([0, 0, 0.05, 0.15]))
    if dice.random() < 0.05:
        return redirect_to("http://127.0.0.1:9/elsewhere")
    if dice.random() < 0.2:
        return Reply(dice.choice(REJECTIONS))
    return dice.choice(
        [
            Reply(500),
            Reply(503, delay_s=0.05),
            retry_after("1"),
            *(Reply(fault=fault) for fault in _FAULTS),
            Reply(delay_s=CHANNEL_TIMEOUT_S * 1.5),
        ]
    )


def _make_routes(dice: random.Random) -> Sequence[Route]:
    routes = [Route(("ops",), ALL_EVENTS)]
    if dice.random() < 0.6:
        events: Sequence[frozenset[RouteEvent]] = (ALL_EVENTS, frozenset({"down"}), frozenset({"down", "recovery"}))
        after_s = dice.choice([0, 0, 0.3])
        routes.append(Route(("team",), dice.choice(events), after_s, unless_acknowledged=dice.random() < 0.5))
    return routes


def _make_sender(dice: random.Random) -> SenderPlan:
    crash = Crash(dice.choice(STEPS), dice.choice([1, 1, 2, 4])) if dice.random() < 0.5 else None
    shift_s = dice.choice([0, 0, -3600, 3600])
    return SenderPlan(crash, dice.random() < 0.7, shift_s, dice.uniform(0, FAULTY_FOR_S))


def _make_checks(dice: random.Random) -> Sequence[PlannedChecks]:
    services = [f"s{number}" for number in range(dice.choice([1, 2, 4, 30]))]
    moments = sorted(dice.uniform(0, FAULTY_FOR_S) for _ in range(dice.randint(2, 8)))
    checks = [
        PlannedChecks(at_s, [(name, dice.choice(_STATUSES)) for name in services if dice.random() < 0.7])
        for at_s in moments
    ]
    # Half of the runs end with all services healthy.
    last: Status = dice.choice(["healthy", "down"])
    return [*checks, PlannedChecks(FAULTY_FOR_S, [(name, last) for name in services])]


def _make_restart(dice: random.Random) -> Restart:
    how: Literal["immediately", "with -9"] = dice.choice(["immediately", "with -9"])
    return Restart(
        dice.uniform(0.1, FAULTY_FOR_S), how, dice.choice(["vigilbase.alert_timeline", "vigilbase.notifications"])
    )


def _make_silence(dice: random.Random) -> PlannedSilence:
    at_s = dice.uniform(0, FAULTY_FOR_S)
    has_end = dice.random() < 0.6
    return PlannedSilence(dice.choice(["*", "s0", "s[0-2]"]), at_s, at_s + dice.uniform(0.1, 0.6) if has_end else None)
