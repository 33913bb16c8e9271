"""The probe `postgres`: connect and ask for SELECT 1."""

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.postgres import run_within
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
        async with await psycopg.AsyncConnection.connect(
            url,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
            connect_timeout=max(1, round(timeout)),
            application_name="vigilbase",
        ) as connection:
            await run_within(timeout, connection, "SELECT 1")
    except psycopg.Error as error:
        return Finding("down", _said(error))
    return Finding()


def _said(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error).strip().split("\n")[0] or type(error).__name__
    return "connection refused" if "Connection refused" in text else text
