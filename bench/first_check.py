"""From the start of `vigilbase up`, with an empty folder and an empty home, to the first recorded check.

    .venv/bin/python -m bench.first_check [--command PATH] [--rounds N] [--quick]

Beside it, in the same run: starting on a home that is there already, and `vigilbase version`, which is Python and the
imports alone. The moment of the check is the `created_at` of its row.
"""

import argparse
import os
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.support import print_table
from tests.support.server import home_folder
from tests.support.watched import VIGILBASE

FIRST = "SELECT min(created_at) FROM service_health_checks WHERE created_at > to_timestamp({began})"


def first_check_s(command: str, work: Path, environ: dict[str, str]) -> float:
    """Start `up`, wait for its first check, stop it; seconds from start to check."""
    began = time.time()
    process = subprocess.Popen([command, "up"], cwd=work, env=environ, stderr=subprocess.DEVNULL)
    query = ["db", "psql", "-qAt", "-c", FIRST.format(began=began)]
    moment = ""
    while not moment:
        time.sleep(0.2)
        done = subprocess.run([command, *query], cwd=work, env=environ, capture_output=True, text=True, check=False)
        moment = done.stdout.strip()
    process.send_signal(signal.SIGTERM)
    process.wait()
    return datetime.fromisoformat(moment).timestamp() - began


def version_s(command: str) -> float:
    """How long `vigilbase version` takes."""
    began = time.perf_counter()
    subprocess.run([command, "version"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=VIGILBASE, help="the installed command")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, to see that it runs")
    options = parser.parse_args()
    times: dict[str, list[float]] = {"on an empty home": [], "on a home that is there": [], "imports alone": []}
    for _ in range(1 if options.quick else options.rounds):
        with home_folder() as home, TemporaryDirectory() as work:
            environ = {**os.environ, "HOME": work, "VIGILBASE_HOME": str(home)}
            times["on an empty home"].append(first_check_s(options.command, Path(work), environ))
            times["on a home that is there"].append(first_check_s(options.command, Path(work), environ))
            times["imports alone"].append(version_s(options.command))
    rows = [[name, *(f"{seconds(found):.2f}" for seconds in (min, median, max))] for name, found in times.items()]
    print_table("Seconds from the start to the first recorded check", ["", "least", "median", "most"], rows)


if __name__ == "__main__":
    main()
