"""Random runs of the delivery pass under faults, over a real Postgres, a real receiver and senders that are killed.

    .venv/bin/python -m tests.faults [--runs N] [--first SEED] [--jobs N]
    .venv/bin/python -m tests.faults --seed N

Every run is drawn from its seed: what its services do, how the receiver answers, who is killed where. Prints what was
violated, with the seed, and at the end the counts. With --seed, one run and its scenario.
"""

import argparse
import sys
import time

from tests.faults.runs import Counts, in_lanes, run_lane
from tests.faults.scenario import scenario


def main() -> int:
    """Run, and print the counts; 1 if anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1, metavar="SEED")
    parser.add_argument("--seed", type=int, help="this run alone")
    parser.add_argument("--jobs", type=int, default=4, help="so many runs at once")
    options = parser.parse_args()
    began = time.monotonic()
    if options.seed is not None:
        sys.stdout.write(f"{scenario(options.seed)}\n")
        counts = run_lane([options.seed])
    else:
        counts = in_lanes(range(options.first, options.first + options.runs), options.jobs)
    sys.stdout.write(_table(counts, time.monotonic() - began))
    return 1 if counts.violations else 0


def _table(counts: Counts, seconds: float) -> str:
    lines = [f"{name.replace('_', ' '):<{30}} {count:>9,}" for name, count in counts.numbers().items()]
    return "\n".join([*lines, f"{'seconds':<30} {seconds:>9,.0f}", ""])


if __name__ == "__main__":
    sys.exit(main())
