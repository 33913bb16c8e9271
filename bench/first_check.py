"""The time from the start of `vigilbase up`, in an empty folder, to the first recorded check.

    .venv/bin/python -m bench.first_check [--command PATH] [--rounds N] [--quick]

It is measured with an empty home folder and with an existing one, and compared with `vigilbase version`, which is only
Python and the imports. A check's time is its `created_at`.
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
from tests.support.command import VIGILBASE
from tests.support.server import home_folder

FIRST = "SELECT min(created_at) FROM service_health_checks WHERE created_at > to_timestamp({began})"


def measure_first_check_s(command: str, work: Path, environ: dict[str, str]) -> float:
    """Start `up`, wait for its first check, and stop it; return the seconds from start to check."""
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


def measure_version_s(command: str) -> float:
    """The seconds of `vigilbase version`."""
    began = time.perf_counter()
    subprocess.run([command, "version"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=VIGILBASE, help="the installed command")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="run one round, which only shows that it works")
    options = parser.parse_args()
    times: dict[str, list[float]] = {"empty home folder": [], "existing home folder": [], "imports only": []}
    for _ in range(1 if options.quick else options.rounds):
        with home_folder() as home, TemporaryDirectory() as work:
            environ = {**os.environ, "HOME": work, "VIGILBASE_HOME": str(home)}
            times["empty home folder"].append(measure_first_check_s(options.command, Path(work), environ))
            times["existing home folder"].append(measure_first_check_s(options.command, Path(work), environ))
            times["imports only"].append(measure_version_s(options.command))
    rows = [
        [name, *(f"{summarize(samples):.2f}" for summarize in (min, median, max))] for name, samples in times.items()
    ]
    print_table(
        "Seconds from the start of `vigilbase up` to the first recorded check", ["", "min", "median", "max"], rows
    )


if __name__ == "__main__":
    main()
