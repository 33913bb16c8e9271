"""asyncpg, as far as the benchmarks use it. It is no dependency of the project, so it may be missing."""

import importlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Protocol, cast


class AsyncpgConnection(Protocol):
    """The part of `asyncpg.Connection` that is used here."""

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, object]]: ...

    async def fetchval(self, query: str, *args: object, timeout: float | None = None) -> object: ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> str: ...

    def transaction(self) -> AbstractAsyncContextManager[object]: ...

    async def set_type_codec(
        self,
        typename: str,
        *,
        schema: str,
        format: str,  # noqa: A002
        encoder: object,
        decoder: object,
    ) -> None: ...

    def terminate(self) -> None: ...


def has_asyncpg() -> bool:
    """Whether asyncpg is there; says what to do where it isn't."""
    try:
        importlib.import_module("asyncpg")
    except ImportError:
        print("asyncpg is missing, so psycopg is measured alone: `pip install asyncpg`\n")
        return False
    return True


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[AsyncpgConnection]:
    """A connection that keeps no prepared statements and reads and writes JSON as plain Python."""
    connect = importlib.import_module("asyncpg").connect
    connection = cast("AsyncpgConnection", await connect(url, statement_cache_size=0))
    try:
        for name, version in (("json", b""), ("jsonb", b"\x01")):
            await connection.set_type_codec(
                name,
                schema="pg_catalog",
                format="binary",  # COPY knows no other
                encoder=partial(_encoded, version),
                decoder=partial(_decoded, version),
            )
        yield connection
    finally:
        connection.terminate()


def _encoded(version: bytes, value: object) -> bytes:
    return version + json.dumps(value).encode()


def _decoded(version: bytes, data: bytes) -> object:
    return json.loads(data[len(version) :])
