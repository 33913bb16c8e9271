"""Many runs, and their counts."""

import multiprocessing
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields

from tests.faults.invariants import check_invariants
from tests.faults.play import play
from tests.faults.sandbox import Sandbox, open_sandbox
from tests.faults.scenario import make_scenario
from tests.support.server import Cluster


@dataclass
class Counts:
    """Counts over all runs."""

    runs: int = 0
    outages: int = 0
    batches: int = 0
    requests: int = 0
    duplicates: int = 0
    kills: int = 0
    restarts: int = 0
    restarts_during_transaction: int = 0
    silences: int = 0
    failed_and_retried: int = 0
    violations: int = 0

    def to_dict(self) -> Mapping[str, int]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self._values(), other._values(), strict=True)))

    def _values(self) -> Sequence[int]:
        return list(self.to_dict().values())


def run_seed(seed: int, sandbox: Sandbox) -> Counts:
    """Run one seed; print a line for each violation."""
    scenario = make_scenario(seed)
    run_log = play(scenario, sandbox)
    report = check_invariants(scenario, sandbox, run_log)
    for violation in report.violations:
        sys.stdout.write(f"seed {seed}: {violation} (replay: python -m tests.faults --seed {seed})\n")
        sys.stdout.flush()
    return Counts(
        runs=1,
        outages=report.outages,
        batches=report.batches,
        requests=sum(len(sandbox.receivers[name].answered) for name in scenario.channels),
        duplicates=report.duplicates,
        kills=len(run_log.deaths),
        restarts=len(sandbox.restarts),
        restarts_during_transaction=run_log.interrupted_transactions,
        silences=len(run_log.silences),
        failed_and_retried=run_log.retried,
        violations=len(report.violations),
    )


def run_seeds(seeds: Iterable[int], cluster: Cluster) -> Counts:
    """Run seeds one after the other."""
    with open_sandbox(cluster) as sandbox:
        return sum((run_seed(seed, sandbox) for seed in seeds), Counts())


def run_parallel(seeds: Sequence[int], jobs: int, cluster: Cluster) -> Counts:
    """Run seeds in `jobs` processes."""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(run_seeds, [seeds[job::jobs] for job in range(jobs)], [cluster] * jobs), Counts())
