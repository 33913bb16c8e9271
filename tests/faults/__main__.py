"""Random runs of notification workers under faults, with a real Postgres, real receivers and killed processes.

    .venv/bin/python -m tests.faults [--runs N] [--first SEED] [--jobs N]
    .venv/bin/python -m tests.faults --seed N

A run's seed determines its checks, the receivers' answers, and which senders are killed where. The command prints each
violated invariant with its seed, and the counts at the end. With --seed, it prints one run's scenario and runs it.
"""

import argparse
import sys
import time

from tests.faults.runs import Counts, run_parallel, run_seeds
from tests.faults.scenario import make_scenario
from tests.support.server import build_cluster, home_folder


def main() -> int:
    """Run and print the counts; exit with 1 if an invariant was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1, metavar="SEED")
    parser.add_argument("--seed", type=int, help="run only this seed")
    parser.add_argument("--jobs", type=int, default=4, help="how many runs at once")
    options = parser.parse_args()
    began = time.monotonic()
    with home_folder() as folder:
        cluster = build_cluster(folder)
        if options.seed is not None:
            sys.stdout.write(f"{make_scenario(options.seed)}\n")
            counts = run_seeds([options.seed], cluster)
        else:
            counts = run_parallel(range(options.first, options.first + options.runs), options.jobs, cluster)
    sys.stdout.write(_format_table(counts, time.monotonic() - began))
    return 1 if counts.violations else 0


def _format_table(counts: Counts, seconds: float) -> str:
    lines = [f"{name.replace('_', ' '):<{30}} {count:>9,}" for name, count in counts.to_dict().items()]
    return "\n".join([*lines, f"{'seconds':<30} {seconds:>9,.0f}", ""])


if __name__ == "__main__":
    sys.exit(main())
