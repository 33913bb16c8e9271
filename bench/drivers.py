"""psycopg 3 compared with asyncpg, as Vigilbase uses a driver; see docs/decisions/0002-psycopg.md.

    .venv/bin/python -m bench.drivers [--rounds N] [--quick]

asyncpg isn't a dependency: install it into a separate environment (`pip install asyncpg`); without it, only psycopg is
measured. Neither driver keeps prepared statements, since a pooler in transaction mode may send the next statement to
another server connection. asyncpg is measured bare and in an explicit transaction. Rows are returned as plain Python,
with parsed JSON. A relay between driver and server counts the round trips of a call.
"""

import argparse
import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeAlias

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from bench.asyncpg_driver import AsyncpgConnection, asyncpg_connection, has_asyncpg
from bench.relay import counting_relay
from bench.support import DATABASE, TABLE, Sample, Work, make_checks, measure_work, print_table, running_server
from tests.support.server import PostgresServer
from vigilbase.database.json_codec import to_json

PsycopgConnection: TypeAlias = psycopg.AsyncConnection[DictRow]
Works: TypeAlias = Mapping[str, Mapping["Case", Work]]
"""The work of each driver and case."""
Samples: TypeAlias = dict[tuple[str, "Case"], list[Sample]]

BATCH = 500
COLUMNS = ("service_name", "status", "latency_ms", "checked_at", "error_message", "probe_details")
LISTED = ", ".join(COLUMNS)


@dataclass(frozen=True, slots=True)
class Case:
    """A statement with its arguments, and the number of rows that one call transfers."""

    name: str
    rows: int
    statement: str
    arguments: Callable[[Callable[[object], object]], Sequence[object]] = lambda _as_json: ()

    @property
    def psycopg_statement(self) -> bytes:
        """The statement with psycopg's placeholders."""
        return re.sub(r"\$\d", "%s", self.statement).encode()


def one_text(_as_json: Callable[[object], object]) -> Sequence[object]:
    """The batch as one JSON text."""
    return [json.dumps(JSON_ROWS, ensure_ascii=False)]


def one_row(as_json: Callable[[object], object]) -> Sequence[object]:
    """The values of one row."""
    row = ROWS[0]
    return [as_json(row[name]) if name == "probe_details" else row[name] for name in COLUMNS]


def columns(_as_json: Callable[[object], object]) -> Sequence[object]:
    """The batch as one array per column."""
    arrays: list[object] = [[row[name] for row in ROWS] for name in COLUMNS[:-1]]
    return [*arrays, [json.dumps(row["probe_details"], ensure_ascii=False) for row in ROWS]]


ROWS = [{name: getattr(check, name) for name in COLUMNS} for check in make_checks(BATCH)]
JSON_ROWS = [{name: to_json(value) for name, value in row.items()} for row in ROWS]
COPY = Case(f"COPY of {BATCH}", BATCH, f"COPY {TABLE} ({LISTED}) FROM STDIN")
CASES = (
    Case(f"a batch of {BATCH} as one JSON text", BATCH, "SELECT vigilbase_create_health_checks($1)", one_text),
    Case(
        "a single insert, RETURNING *",
        1,
        f"INSERT INTO {TABLE} ({LISTED}) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *",
        one_row,
    ),
    Case(
        "1,000 rows as one JSON value",
        1_000,
        f"SELECT json_agg(c) FROM (SELECT * FROM {TABLE} ORDER BY created_at DESC LIMIT 1000) AS c",
    ),
    Case("SELECT of 1,000 rows", 1_000, f"SELECT * FROM {TABLE} LIMIT 1000"),
    Case(
        f"a batch of {BATCH} with unnest",
        BATCH,
        f"INSERT INTO {TABLE} ({LISTED}) SELECT c.a, c.b, c.c, c.d, c.e, c.f::jsonb "
        "FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::text[], $6::text[])"
        " AS c (a, b, c, d, e, f)",
        columns,
    ),
    COPY,
)


async def psycopg_run(connection: PsycopgConnection, case: Case) -> list[DictRow]:
    """Run a statement as `PostgresClient` does: in one round trip."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(case.psycopg_statement, case.arguments(Jsonb))
        return await cursor.fetchall() if cursor.description else []


async def psycopg_copy(connection: PsycopgConnection) -> None:
    """COPY of the batch."""
    async with connection.cursor() as cursor, cursor.copy(COPY.psycopg_statement) as stream:
        for row in zip(*columns(Jsonb), strict=True):
            await stream.write_row(row)


async def asyncpg_run(connection: AsyncpgConnection, case: Case) -> list[dict[str, object]]:
    """Run a statement; rows as plain Python, as the service client returns them."""
    return [dict(row) for row in await connection.fetch(case.statement, *case.arguments(lambda value: value))]


async def asyncpg_copy(connection: AsyncpgConnection) -> None:
    """COPY of the batch, in asyncpg's binary format."""
    records = [tuple(row[name] for name in COLUMNS) for row in ROWS]
    await connection.copy_records_to_table(TABLE, records=records, columns=COLUMNS)


async def in_transaction(connection: AsyncpgConnection, work: Work) -> None:
    """The same, in an explicit transaction."""
    async with connection.transaction():
        await work()


def psycopg_works(connection: PsycopgConnection) -> dict[Case, Work]:
    """Every case on a connection of psycopg."""
    works: dict[Case, Work] = {case: partial(psycopg_run, connection, case) for case in CASES}
    return works | {COPY: partial(psycopg_copy, connection)}


def asyncpg_works(connection: AsyncpgConnection) -> dict[Case, Work]:
    """Every case on a connection of asyncpg."""
    works: dict[Case, Work] = {case: partial(asyncpg_run, connection, case) for case in CASES}
    return works | {COPY: partial(asyncpg_copy, connection)}


@asynccontextmanager
async def connected(url: str, *, with_asyncpg: bool) -> AsyncIterator[Works]:
    """Every case on every driver, each driver with one connection to a URL."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None, row_factory=dict_row)
        )
        works = {"psycopg": psycopg_works(plain)}
        if with_asyncpg:
            other = await stack.enter_async_context(asyncpg_connection(url))
            works["asyncpg, bare"] = asyncpg_works(other)
            wrapped = works["asyncpg, bare"].items()
            works["asyncpg, in a transaction"] = {case: partial(in_transaction, other, work) for case, work in wrapped}
        yield works


def list_works(works: Works) -> list[tuple[str, Case, Work]]:
    """Every case with every driver, case by case."""
    return [(driver, case, works[driver][case]) for case in CASES for driver in works]


async def count_round_trips(server: PostgresServer, *, with_asyncpg: bool) -> dict[tuple[str, Case], int]:
    """How often each driver waits for an answer in one call."""
    counted = {}
    async with counting_relay(server.port) as relay:
        url = replace(server, port=relay.port).url(DATABASE)
        async with connected(url, with_asyncpg=with_asyncpg) as works:
            for driver, case, work in list_works(works):
                await work()
                before = relay.round_trips
                await work()
                counted[driver, case] = relay.round_trips - before
    return counted


async def measure_rounds(server: PostgresServer, rows: int, rounds: int, *, with_asyncpg: bool) -> Samples:
    """Measure everything once a round. Each measurement begins with 1,000 rows in the table."""
    samples: Samples = {}
    async with connected(server.url(DATABASE), with_asyncpg=with_asyncpg) as works:
        for _ in range(rounds):
            for driver, case, work in list_works(works):
                await work()  # warms up the code
                refill(server)
                sample = await measure_work(partial(repeat, work, count_calls(case, rows)))
                samples.setdefault((driver, case), []).append(sample)
    return samples


def count_calls(case: Case, rows: int) -> int:
    """The number of calls in a measurement; single inserts transfer a tenth of the rows."""
    return rows // max(case.rows, 10)


async def repeat(work: Work, times: int) -> None:
    """Do the same work several times."""
    for _ in range(times):
        await work()


def refill(server: PostgresServer) -> None:
    """Leave 1,000 rows in the table, after a checkpoint."""
    server.execute(f"TRUNCATE {TABLE}")
    batch = json.dumps(JSON_ROWS).replace("'", "''")
    server.execute(f"SELECT vigilbase_create_health_checks('{batch}') FROM generate_series(1, {1_000 // BATCH})")
    server.execute("CHECKPOINT")


def report(rows: int, samples: Samples, round_trips: Mapping[tuple[str, Case], int]) -> list[list[str]]:
    """One line of the table for each case and driver."""
    lines = []
    for (driver, case), rounds in samples.items():
        transferred = count_calls(case, rows) * case.rows
        lines.append(
            [
                case.name,
                driver,
                f"{median(sample.cpu for sample in rounds) / transferred * 1e6:.1f}",
                f"{transferred / median(sample.seconds for sample in rounds):,.0f}",
                str(round_trips[driver, case]),
            ]
        )
    return lines


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description="psycopg 3 compared with asyncpg, as Vigilbase uses a driver.")
    parser.add_argument(
        "--rows", type=int, default=20_000, help="rows of a measurement; single inserts transfer a tenth"
    )
    parser.add_argument("--rounds", type=int, default=15, help="number of rounds; the medians are printed")
    parser.add_argument("--quick", action="store_true", help="take a few seconds and only show that it works")
    options = parser.parse_args()
    rows, rounds = (1_000, 3) if options.quick else (options.rows, options.rounds)
    with_asyncpg = has_asyncpg()
    with running_server() as server:
        round_trips = asyncio.run(count_round_trips(server, with_asyncpg=with_asyncpg))
        samples = asyncio.run(measure_rounds(server, rows, rounds, with_asyncpg=with_asyncpg))
    print_table(
        f"{rows:,} rows per measurement, over TCP on the loopback interface, medians of {rounds} rounds",
        ["what", "driver", "client CPU µs/row", "rows/s", "round trips/call"],
        report(rows, samples, round_trips),
        texts=2,
    )


if __name__ == "__main__":
    main()
