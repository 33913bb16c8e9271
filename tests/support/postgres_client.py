"""A service client over one connection to a database of one test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vigilbase.database.postgres import PostgresClient


@asynccontextmanager
async def open_client(url: str, *, timeout: float = 30.0, pool_size: int = 1) -> AsyncIterator[PostgresClient]:
    async def conninfo() -> str:
        return url

    client = PostgresClient(conninfo, timeout=timeout, pool_size=pool_size)
    try:
        yield client
    finally:
        await client.aclose()
