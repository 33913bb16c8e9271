"""Many runs, and what they come to."""

import multiprocessing
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields

from tests.faults.invariants import examine
from tests.faults.lane import Lane, lane
from tests.faults.play import play
from tests.faults.scenario import scenario


@dataclass
class Counts:
    """What was counted, over all runs."""

    runs: int = 0
    outages: int = 0
    messages: int = 0
    requests: int = 0
    duplicates_within_the_window: int = 0
    kills: int = 0
    restarts: int = 0
    restarts_in_a_transaction: int = 0
    silences: int = 0
    given_up_and_tried_again: int = 0
    violations: int = 0

    def numbers(self) -> Mapping[str, int]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> Sequence[int]:
        return list(self.numbers().values())


def run(seed: int, where: Lane) -> Counts:
    """One run; what it violates is told in a line."""
    plan = scenario(seed)
    played = play(plan, where)
    report = examine(plan, where, played)
    for violation in report.violations:
        sys.stdout.write(f"seed {seed}: {violation} (again: python -m tests.faults --seed {seed})\n")
        sys.stdout.flush()
    return Counts(
        runs=1,
        outages=report.outages,
        messages=report.messages,
        requests=sum(len(where.ears[name].got) for name in plan.channels),
        duplicates_within_the_window=report.duplicates,
        kills=len(played.deaths),
        restarts=len(where.restarts),
        restarts_in_a_transaction=played.half_done,
        silences=len(played.hushed),
        given_up_and_tried_again=played.retried,
        violations=len(report.violations),
    )


def run_lane(seeds: Iterable[int]) -> Counts:
    """Runs one after the other."""
    with lane() as where:
        return sum((run(seed, where) for seed in seeds), Counts())


def in_lanes(seeds: Sequence[int], jobs: int) -> Counts:
    """Runs in processes of their own, so many at once."""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(run_lane, [seeds[job::jobs] for job in range(jobs)]), Counts())
