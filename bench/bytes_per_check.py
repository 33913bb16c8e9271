"""The size of a recorded check with its indexes, as the runner stores it and as it was probed.

    .venv/bin/python -m bench.bytes_per_check [--rows N] [--quick]

Both forms are recorded with `vigilbase_record` in batches of 250 for 1,000 services: checks of an HTTPS probe with the
ids (UUIDv7) and details of the runner, and the same checks with random ids (UUIDv4) and all details of the probe. An
index entry grows by eight bytes for every eight characters of a service's name, so we measure two lengths of name.
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
from vigilbase.domain import JSON
from vigilbase.ids import uuid7
from vigilbase.phases import pack_phases
from vigilbase.runner.target_facts import KnownFacts, drop_known_facts

BATCH = 250
SERVICES = 1000
NAMES = ("svc{:04}", "service-{:05}")
PARTS = ("heap", "pkey", "created_at", "(service, created_at)", "(service, checked_at)")

Details = Mapping[str, JSON]


def make_details(dice: Random) -> Details:
    """The details of an HTTPS probe."""
    steps = {"dns": 2, "connect": 12, "tls": 11, "first_byte": 30, "transfer": 2}
    return {
        "remote_address": "203.0.113.80:443",
        "phases": {f"{name}_ms": round(dice.uniform(0.5, 1.5) * ms, 1) for name, ms in steps.items()},
        "status_code": 200,
        "certificate_days": 61,
        "body_bytes": 1256,
    }


class Packer:
    """Packs details as the runner does, with the known facts of each service's target."""

    def __init__(self) -> None:
        self._known: dict[str, KnownFacts] = {}

    def __call__(self, service: str, details: Details) -> Details | None:
        """The details that are stored."""
        remaining, self._known[service] = drop_known_facts(details, "healthy", self._known.get(service))
        return remaining and pack_phases(remaining)


def keep_all(_: str, details: Details) -> Details:
    """All details of the probe."""
    return details


def fill(
    server: PostgresServer,
    rows: int,
    name_format: str,
    make_id: Callable[[], UUID],
    pack: Callable[[str, Details], Details | None],
) -> None:
    """Record `rows` checks, service by service in turn."""
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
                    "probe_details": pack(name, make_details(dice)),
                }
                for number in range(first, min(first + BATCH, rows))
            ]
            connection.execute("SELECT vigilbase_record(%s, '[]')", [json.dumps(checks)])


def measure(server: PostgresServer, rows: int) -> Sequence[float]:
    """Bytes per row of the heap and of each index, in the order of `PARTS`."""
    sizes = server.execute(
        f"SELECT pg_relation_size('{TABLE}') UNION ALL SELECT pg_relation_size(oid) FROM (SELECT unnest(ARRAY["
        "'service_health_checks_pkey', 'idx_service_health_checks_created_at', "
        "'idx_service_health_checks_service_created', 'idx_service_health_checks_service_checked'"
        "]::regclass[]) AS oid) AS indexes"
    )
    return [float(str(size)) / rows for (size,) in sizes]


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description="The size of a recorded check with its indexes.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="checks to record in each form")
    parser.add_argument("--quick", action="store_true", help="take a few seconds and only show that it works")
    options = parser.parse_args()
    rows = 5_000 if options.quick else options.rows
    lines = []
    with running_server() as server:
        for name_format in NAMES:
            fill_with = partial(fill, server, rows, name_format)
            for form, write in {
                "as probed, UUIDv4": partial(fill_with, uuid4, keep_all),
                "as the runner stores it": partial(fill_with, uuid7, Packer()),
            }.items():
                write()
                sizes = measure(server, rows)
                lines.append([form, name_format.format(0), *(f"{size:.1f}" for size in sizes), f"{sum(sizes):.0f}"])
    print_table(
        f"Bytes per check; {rows:,} checks of {SERVICES:,} HTTPS services",
        ["bytes", "service", *PARTS, "total"],
        lines,
        texts=2,
    )


if __name__ == "__main__":
    main()
