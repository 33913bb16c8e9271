"""How many bytes a recorded check takes, all indexes included, as the runner stores it and as it was probed.

    .venv/bin/python -m bench.bytes_a_check [--rows N] [--quick]

Both forms go through `vigilbase_record` in batches of 250 over 1,000 services: checks of an HTTPS probe with the ids
(UUIDv7) and the details that the runner writes, and the same with random ids (UUIDv4) and all that the probe said. An
index entry grows by eight bytes with every eight characters of a service's name, so two lengths of name are measured.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from uuid import UUID, uuid4

import psycopg

from bench.support import TABLE, print_table, running_server
from tests.support.server import PostgresServer
from vigilbase.ids import uuid7
from vigilbase.phases import pack_phases
from vigilbase.runner.lean import Known, thin
from vigilbase.vocabulary import JSON

BATCH = 250
SERVICES = 1000
NAMES = ("svc{:04}", "service-{:05}")
PARTS = ("heap", "pkey", "created_at", "(service, created_at)", "(service, checked_at)")

Details = Mapping[str, JSON]


def probed_details(dice: Random) -> Details:
    """What the probe of an HTTPS service says."""
    steps = {"dns": 2, "connect": 12, "tls": 11, "first_byte": 30, "transfer": 2}
    return {
        "remote_address": "203.0.113.80:443",
        "phases": {f"{name}_ms": round(dice.uniform(0.5, 1.5) * ms, 1) for name, ms in steps.items()},
        "status_code": 200,
        "certificate_days": 61,
        "body_bytes": 1256,
    }


class Lean:
    """The details as the runner stores them: it remembers what is known of each service's target."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def __call__(self, service: str, details: Details) -> Details | None:
        """What of a check's details is stored."""
        kept, self._known[service] = thin(details, "healthy", self._known.get(service))
        return kept and pack_phases(kept)


def as_probed(_: str, details: Details) -> Details:
    """All that the probe said."""
    return details


def fill(
    server: PostgresServer,
    rows: int,
    name_format: str,
    make_id: Callable[[], UUID],
    store: Callable[[str, Details], Details | None],
) -> None:
    """Record so many checks, one sweep over the services after another."""
    dice = Random(18)
    begin = datetime.now(UTC) - timedelta(seconds=30 * rows / SERVICES)
    with psycopg.connect(server.embedded.url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {TABLE}")
        for first in range(0, rows, BATCH):
            checks = [
                {
                    "id": str(make_id()),
                    "service_name": (name := name_format.format(number % SERVICES)),
                    "status": "healthy",
                    "latency_ms": dice.randrange(30, 90),
                    "checked_at": (begin + timedelta(seconds=30 * number / SERVICES)).isoformat(),
                    "error_message": None,
                    "probe_details": store(name, probed_details(dice)),
                }
                for number in range(first, min(first + BATCH, rows))
            ]
            connection.execute("SELECT vigilbase_record(%s, '[]')", [json.dumps(checks)])


def measure(server: PostgresServer, rows: int) -> Sequence[float]:
    """Bytes a row of the heap and of each index, in the order of `PARTS`."""
    sizes = server.execute(
        f"SELECT pg_relation_size('{TABLE}') UNION ALL SELECT pg_relation_size(oid) FROM (SELECT unnest(ARRAY["
        "'service_health_checks_pkey', 'idx_service_health_checks_created_at', "
        "'idx_service_health_checks_service_created', 'idx_service_health_checks_service_checked'"
        "]::regclass[]) AS oid) AS indexes"
    )
    return [float(str(size)) / rows for (size,) in sizes]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Bytes a recorded check takes, indexes included.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="checks to record in each form")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    options = parser.parse_args()
    rows = 5_000 if options.quick else options.rows
    lines = []
    with running_server() as server:
        for name_format in NAMES:
            fill_with = partial(fill, server, rows, name_format)
            for form, write in {
                "as probed, UUIDv4": partial(fill_with, uuid4, as_probed),
                "as the runner stores it": partial(fill_with, uuid7, Lean()),
            }.items():
                write()
                sizes = measure(server, rows)
                lines.append([form, name_format.format(0), *(f"{size:.1f}" for size in sizes), f"{sum(sizes):.0f}"])
    print_table(
        f"Bytes a check; {rows:,} checks of {SERVICES:,} HTTPS services",
        ["", "a name", *PARTS, "total"],
        lines,
        texts=2,
    )


if __name__ == "__main__":
    main()
