"""How many rows a second the models write, beside a raw COPY of the same rows in the same run.

    .venv/bin/python -m bench.write_rates [--rows N] [--rounds N] [--quick]

Every measurement begins with an empty table and after a checkpoint. Each round measures everything once, so that
whatever else the machine does touches all alike; the medians of the rounds are printed, and the share of COPY is the
median of the shares within a round. For the Data API, COPY goes to the database behind it.
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
    measured,
    print_table,
    run_with,
    running_server,
    sample_checks,
    transport_settings,
)
from tests.support.server import PostgresServer
from vigilbase import CreateHealthCheckData, HealthCheckModel

Checks: TypeAlias = Sequence[CreateHealthCheckData]
Write: TypeAlias = Callable[[Checks], Awaitable[None]]

BATCH = 500
AT_ONCE = 4
SINGLE_SHARE = 20  # single inserts write one row where a batch writes so many
COPY = f"COPY (batches of {BATCH})"
_STATEMENT = f"COPY {TABLE} (service_name, status, latency_ms, checked_at, error_message, probe_details) FROM STDIN"


async def create_in_turn(checks: Checks) -> None:
    """One insert after another."""
    for check in checks:
        await HealthCheckModel.create(check)


async def create_at_once(checks: Checks) -> None:
    """Several inserts at any time."""
    async with asyncio.TaskGroup() as tasks:
        for first in range(AT_ONCE):
            tasks.create_task(create_in_turn(checks[first::AT_ONCE]))


async def create_many(checks: Checks) -> None:
    """One batch after another."""
    for begin in range(0, len(checks), BATCH):
        await HealthCheckModel.create_many(checks[begin : begin + BATCH])


async def copy(connection: psycopg.AsyncConnection, checks: Checks) -> None:
    """COPY of one batch after another, each a transaction of its own."""
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
    """Measure every way of writing once, on the transport of the running loop."""
    async with await psycopg.AsyncConnection.connect(copy_url, autocommit=True) as connection:
        singles = checks[::SINGLE_SHARE]
        ways: list[tuple[str, Write, Checks]] = [
            ("create, one after another", create_in_turn, singles),
            (f"create, {AT_ONCE} at once", create_at_once, singles),
            (f"create_many (batches of {BATCH})", create_many, checks),
            (COPY, partial(copy, connection), checks),
        ]
        for name, write, rows in ways:
            await write(rows[:AT_ONCE])  # connections opened, code paths warm
            server.execute(f"TRUNCATE {TABLE}")
            server.execute("CHECKPOINT")
            sample = await measured(partial(write, rows))
            _require_rows(server, len(rows))
            into.setdefault(name, []).append((len(rows), sample))


def _require_rows(server: PostgresServer, expected: int) -> None:
    stored = server.execute(f"SELECT count(*) FROM {TABLE}")[0][0]
    if stored != expected:
        raise AssertionError(f"{stored} rows were stored, not {expected}")


def report_rows(transport: str, samples: Mapping[str, Sequence[tuple[int, Sample]]]) -> list[list[str]]:
    """One line of the table for each way of writing."""
    rates = {name: [count / sample.seconds for count, sample in taken] for name, taken in samples.items()}
    lines = []
    for name, taken in samples.items():
        shares = [rate / copied for rate, copied in zip(rates[name], rates[COPY], strict=True)]
        cpu = median([sample.cpu / count * 1e6 for count, sample in taken])
        spread = f"{min(rates[name]):,.0f} to {max(rates[name]):,.0f}"
        lines.append([transport, name, f"{median(rates[name]):,.0f}", f"{median(shares):.0%}", spread, f"{cpu:.1f}"])
    return lines


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Rows a second of the models' writes, beside COPY.")
    parser.add_argument("--rows", type=int, default=50_000, help="rows that a measurement of batches writes")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the median is printed")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    options = parser.parse_args()
    rows, rounds = (2_000, 1) if options.quick else (options.rows, options.rounds)
    checks = sample_checks(rows)
    samples: dict[str, dict[str, list[tuple[int, Sample]]]] = {name: {} for name in TRANSPORTS}
    with running_server() as server, transport_settings(server, TRANSPORTS) as settings:
        for _ in range(rounds):
            for name in TRANSPORTS:
                copy_url = server.embedded.url if name == "embedded" else server.url(DATABASE)
                run_with(settings[name], partial(measure_all, server, copy_url, checks, samples[name]))
    lines = [line for name in TRANSPORTS for line in report_rows(name, samples[name])]
    print_table(
        f"{rows:,} rows over {SERVICES:,} services ({rows // SINGLE_SHARE:,} for create), median of {rounds} rounds",
        ["transport", "what", "rows/s", "of COPY", "slowest to fastest", "client CPU µs/row"],
        lines,
        texts=2,
    )


if __name__ == "__main__":
    main()
