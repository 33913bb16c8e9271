"""The parts of asyncpg that the benchmarks use. It isn't a dependency, so it may be missing."""

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
    """Whether asyncpg is installed; prints a hint if it isn't."""
    try:
        importlib.import_module("asyncpg")
    except ImportError:
        print("asyncpg is missing, so only psycopg is measured; run `pip install asyncpg` to compare\n")
        return False
    return True


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[AsyncpgConnection]:
    """A connection without prepared statements that converts JSON to plain Python and back."""
    connect = importlib.import_module("asyncpg").connect
    connection = cast("AsyncpgConnection", await connect(url, statement_cache_size=0))
    try:
        for name, version in (("json", b""), ("jsonb", b"\x01")):
            await connection.set_type_codec(
                name,
                schema="pg_catalog",
                format="binary",  # the only one that COPY supports
                encoder=partial(_encode, version),
                decoder=partial(_decode, version),
            )
        yield connection
    finally:
        connection.terminate()


def _encode(version: bytes, value: object) -> bytes:
    return version + json.dumps(value).encode()


def _decode(version: bytes, data: bytes) -> object:
    return json.loads(data[len(version) :])
