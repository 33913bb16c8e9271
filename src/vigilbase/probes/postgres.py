"""The probe `postgres`: connect and ask for SELECT 1."""

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.postgres import connect, run_within, said
from vigilbase.probes.finding import Finding
from vigilbase.settings import is_postgres_url

SELF = "self"


class PostgresTarget(BaseModel):
    """What a postgres service says about its probe: a connection URL, or `self` for Vigilbase's own database."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    postgres: SecretStr

    @field_validator("postgres")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url == SELF:
            return value
        try:
            valid = is_postgres_url(url) and bool(conninfo_to_dict(url))
        except psycopg.Error:
            valid = False
        if not valid:
            # Without a cause: libpq quotes the whole URL, password included.
            raise ValueError("must be self or a URL such as postgresql://USER:PASSWORD@HOST:5432/DATABASE") from None
        return value


async def probe_postgres(target: PostgresTarget, timeout: float) -> Finding:
    """Connect anew, as an application would, and run a statement."""
    url = target.postgres.get_secret_value()
    if url == SELF:
        await get_supabase_service_client().call("vigilbase_access_v1")
        return Finding()
    try:
        async with await connect(url, timeout) as connection:
            await run_within(timeout, connection, "SELECT 1")
    except psycopg.Error as error:
        reason = said(error)
        return Finding("down", "connection refused" if "Connection refused" in reason else reason)
    return Finding()
