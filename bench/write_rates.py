"""How many rows per second the models write, compared with a COPY of the same rows in the same run.

    .venv/bin/python -m bench.write_rates [--rows N] [--rounds N] [--quick]

Every measurement begins with an empty table, after a checkpoint. Each round measures everything once, so that other
work of the machine affects all measurements alike. The table has the medians of the rounds; the share of COPY is the
median of the shares within each round. For the Data API, COPY goes to its database.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import TypeAlias

import psycopg

from bench.support import (
    DATABASE,
    SERVICES,
    TABLE,
    TRANSPORTS,
    Sample,
    make_checks,
    measure_work,
    print_table,
    run_with,
    running_server,
    transport_settings,
)
from tests.support.server import PostgresServer
from vigilbase import CreateHealthCheckData, HealthCheckModel

Checks: TypeAlias = Sequence[CreateHealthCheckData]
Write: TypeAlias = Callable[[Checks], Awaitable[None]]

BATCH = 500
CONCURRENCY = 4
SINGLE_SHARE = 20  # single inserts write one row for so many rows of a batch
COPY = f"COPY (batches of {BATCH})"
_STATEMENT = f"COPY {TABLE} (service_name, status, latency_ms, checked_at, error_message, probe_details) FROM STDIN"


async def create_sequentially(checks: Checks) -> None:
    """Insert one check after another."""
    for check in checks:
        await HealthCheckModel.create(check)


async def create_concurrently(checks: Checks) -> None:
    """Insert several checks at a time."""
    async with asyncio.TaskGroup() as tasks:
        for first in range(CONCURRENCY):
            tasks.create_task(create_sequentially(checks[first::CONCURRENCY]))


async def create_many(checks: Checks) -> None:
    """Insert one batch after another."""
    for begin in range(0, len(checks), BATCH):
        await HealthCheckModel.create_many(checks[begin : begin + BATCH])


async def copy(connection: psycopg.AsyncConnection, checks: Checks) -> None:
    """Copy one batch after another, each in its own transaction."""
    for begin in range(0, len(checks), BATCH):
        async with connection.cursor() as cursor, cursor.copy(_STATEMENT) as stream:
            for check in checks[begin : begin + BATCH]:
                await stream.write_row(_copy_row(check))


def _copy_row(check: CreateHealthCheckData) -> tuple[object, ...]:
    details = json.dumps(check.probe_details, ensure_ascii=False)
    return (check.service_name, check.status, check.latency_ms, check.checked_at, check.error_message, details)


async def measure_all(
    server: PostgresServer, copy_url: str, checks: Checks, into: dict[str, list[tuple[int, Sample]]]
) -> None:
    """Measure every method once, on the transport of the running loop."""
    async with await psycopg.AsyncConnection.connect(copy_url, autocommit=True) as connection:
        singles = checks[::SINGLE_SHARE]
        methods: list[tuple[str, Write, Checks]] = [
            ("create, sequential", create_sequentially, singles),
            (f"create, {CONCURRENCY} concurrent", create_concurrently, singles),
            (f"create_many (batches of {BATCH})", create_many, checks),
            (COPY, partial(copy, connection), checks),
        ]
        for name, write, rows in methods:
            await write(rows[:CONCURRENCY])  # opens connections, warms up the code
            server.execute(f"TRUNCATE {TABLE}")
            server.execute("CHECKPOINT")
            sample = await measure_work(partial(write, rows))
            _require_rows(server, len(rows))
            into.setdefault(name, []).append((len(rows), sample))


def _require_rows(server: PostgresServer, expected: int) -> None:
    stored = server.execute(f"SELECT count(*) FROM {TABLE}")[0][0]
    if stored != expected:
        raise AssertionError(f"{stored} rows were stored, not {expected}")


def report_rows(transport: str, samples: Mapping[str, Sequence[tuple[int, Sample]]]) -> list[list[str]]:
    """One line of the table for each method."""
    rates = {name: [count / sample.seconds for count, sample in rounds] for name, rounds in samples.items()}
    lines = []
    for name, rounds in samples.items():
        shares = [rate / copied for rate, copied in zip(rates[name], rates[COPY], strict=True)]
        cpu = median([sample.cpu / count * 1e6 for count, sample in rounds])
        spread = f"{min(rates[name]):,.0f} to {max(rates[name]):,.0f}"
        lines.append([transport, name, f"{median(rates[name]):,.0f}", f"{median(shares):.0%}", spread, f"{cpu:.1f}"])
    return lines


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description="Rows per second of the models' writes, compared with COPY.")
    parser.add_argument(
        "--rows", type=int, default=50_000, help="rows of a measurement; single inserts write a twentieth"
    )
    parser.add_argument("--rounds", type=int, default=7, help="number of rounds; the medians are printed")
    parser.add_argument("--quick", action="store_true", help="take a few seconds and only show that it works")
    options = parser.parse_args()
    rows, rounds = (2_000, 1) if options.quick else (options.rows, options.rounds)
    checks = make_checks(rows)
    samples: dict[str, dict[str, list[tuple[int, Sample]]]] = {name: {} for name in TRANSPORTS}
    with running_server() as server, transport_settings(server, TRANSPORTS) as settings:
        for _ in range(rounds):
            for name in TRANSPORTS:
                copy_url = server.embedded.url if name == "embedded" else server.url(DATABASE)
                run_with(settings[name], partial(measure_all, server, copy_url, checks, samples[name]))
    lines = [line for name in TRANSPORTS for line in report_rows(name, samples[name])]
    print_table(
        f"{rows:,} rows for {SERVICES:,} services ({rows // SINGLE_SHARE:,} for create), medians of {rounds} rounds",
        ["transport", "what", "rows/s", "of COPY", "min to max", "client CPU µs/row"],
        lines,
        texts=2,
    )


if __name__ == "__main__":
    main()
