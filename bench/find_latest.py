"""The time to find the newest check of every service, compared with `SELECT DISTINCT ON` in the same run.

    .venv/bin/python -m bench.find_latest [--rounds N] [--quick]

It should depend on the number of services, not on the length of their history, so we measure the same services with a
short history and with one ten times as long; then more services, to show that every service is found, and its cost.
"""

import argparse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TypeAlias

import psycopg
from psycopg.rows import dict_row

from bench.support import TABLE, measure_work, print_table, run_with, running_server, transport_settings
from tests.support.server import PostgresServer
from vigilbase import HealthCheckModel

TRANSPORTS = ("embedded", "supabase")
MODEL = "find_latest"
ONE = "find_latest_by_service"
DISTINCT_ON = "DISTINCT ON"
_STATEMENT = f"SELECT DISTINCT ON (service_name) * FROM {TABLE} ORDER BY service_name, checked_at DESC NULLS LAST"

Times: TypeAlias = dict[tuple[str, str], list[float]]
"""The seconds of every round, by transport and query."""


@dataclass(frozen=True, slots=True)
class History:
    """A number of services, each with a number of checks."""

    services: int
    checks: int

    @property
    def rows(self) -> int:
        """The number of rows in the table."""
        return self.services * self.checks


HISTORIES = (History(1_000, 1_000), History(2_000, 50), History(2_000, 500), History(5_000, 50))
QUICK_HISTORIES = (History(200, 5), History(200, 50), History(1_500, 5))


def fill(server: PostgresServer, history: History) -> None:
    """Write a history in the order of a runner, and vacuum."""
    server.execute(f"TRUNCATE {TABLE}")
    server.execute(f"""
        INSERT INTO {TABLE} (service_name, status, latency_ms, checked_at, created_at, probe_details)
        SELECT 'service-' || lpad((i % {history.services})::text, 5, '0'),
            CASE WHEN i % 20 = 19 THEN 'down' ELSE 'healthy' END, 20 + i * 7 % 400, t.at, t.at,
            '{{"kind": "http", "status_code": 200, "tls_days_left": 61}}'
        FROM generate_series(0, {history.rows - 1}) AS i,
            LATERAL (SELECT now() - ({history.rows} - i) * interval '30 s' / {history.services} AS at) AS t
    """)
    server.execute(f"VACUUM (ANALYZE) {TABLE}")
    server.execute("CHECKPOINT")


async def measure_rounds(url: str, transport: str, history: History, rounds: int, times: Times) -> None:
    """Run each query once a round, on the transport of the running loop; `DISTINCT ON` always on a connection."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        queries: list[tuple[str, Callable[[], Awaitable[int]], int]] = [
            (MODEL, find_latest, history.services),
            (DISTINCT_ON, partial(distinct_on, connection), history.services),
            (ONE, partial(find_one, history), 1),
        ]
        for _, query, expected in queries:
            await measure_query(query, expected)  # opens connections, warms up the code
        for _ in range(rounds):
            for name, query, expected in queries:
                times.setdefault((transport, name), []).append(await measure_query(query, expected))


async def measure_query(query: Callable[[], Awaitable[int]], expected: int) -> float:
    """The seconds of one query, whose answer must be complete."""
    count = 0

    async def work() -> None:
        nonlocal count
        count = await query()

    sample = await measure_work(work)
    if count != expected:
        raise AssertionError(f"the query found {count} services, not {expected}")
    return sample.seconds


async def find_latest() -> int:
    """The number of services in the model's answer."""
    return len({check.service_name for check in await HealthCheckModel.find_latest()})


async def find_one(history: History) -> int:
    """The same for one service in the middle."""
    return int(await HealthCheckModel.find_latest_by_service(f"service-{history.services // 2:05}") is not None)


async def distinct_on(connection: psycopg.AsyncConnection[Mapping[str, object]]) -> int:
    """The number of services in the answer to plain SQL."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_STATEMENT)
        return len(await cursor.fetchall())


def measure(
    server: PostgresServer, settings: Mapping[str, Mapping[str, str]], history: History, rounds: int
) -> list[list[str]]:
    """One line of the table for each transport."""
    fill(server, history)
    times: Times = {}
    for transport in TRANSPORTS:
        work = partial(measure_rounds, server.embedded.url, transport, history, rounds, times)
        run_with(settings[transport], work)
    return [report_row(transport, history, times) for transport in TRANSPORTS]


def report_row(transport: str, history: History, times: Times) -> list[str]:
    ours, plain, one = (times[transport, name] for name in (MODEL, DISTINCT_ON, ONE))
    return [
        transport,
        f"{history.services:,} x {history.checks}",
        f"{history.rows:,}",
        f"{median(ours) * 1e3:,.1f}",
        f"{median(ours) / history.services * 1e6:.0f}",
        f"{median(plain) * 1e3:,.1f}",
        f"{median([b / a for a, b in zip(ours, plain, strict=True)]):.1f} times",
        f"{median(one) * 1e3:.1f}",
    ]


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description="The newest check of every service, compared with SELECT DISTINCT ON.")
    parser.add_argument("--rounds", type=int, default=15, help="number of rounds; the medians are printed")
    parser.add_argument("--quick", action="store_true", help="take a few seconds and only show that it works")
    options = parser.parse_args()
    rounds, histories = (3, QUICK_HISTORIES) if options.quick else (options.rounds, HISTORIES)
    with running_server() as server, transport_settings(server, TRANSPORTS) as settings:
        lines = [line for history in histories for line in measure(server, settings, history, rounds)]
    print_table(
        f"Medians of {rounds} rounds; every answer contained every service; DISTINCT ON always uses a connection",
        [
            "transport",
            "services x checks",
            "rows",
            f"{MODEL} ms",
            "µs/service",
            "DISTINCT ON ms",
            f"vs {MODEL}",
            f"{ONE} ms",
        ],
        lines,
        texts=2,
    )


if __name__ == "__main__":
    main()
