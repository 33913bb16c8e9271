"""The probe `postgres`: connect and ask for SELECT 1."""

from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from vigilbase.clock import monotonic
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.postgres import connect, run_within, said
from vigilbase.database.refusals import refusal_of
from vigilbase.errors import DatabaseError
from vigilbase.probes.finding import Finding
from vigilbase.probes.trail import current_trail
from vigilbase.probes.words import ProbeFailure
from vigilbase.settings import is_postgres_url
from vigilbase.vocabulary import JSON

SELF = "self"
_ACCESS = "vigilbase_role_info"


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
    url, trail, began = target.postgres.get_secret_value(), current_trail(), monotonic()
    if url == SELF:
        trail.begin("query", "waiting for the database")
        return await _probe_self()
    trail.keep_secret(_passwords(url))
    try:
        trail.begin("connect", "connecting")
        async with await connect(url, timeout) as connection:
            trail.details.update(_told(connection))
            trail.begin("query", "waiting for the answer to SELECT 1")
            await run_within(timeout - (monotonic() - began), connection, "SELECT 1")
            trail.end()
    except psycopg.errors.ConnectionTimeout:
        raise TimeoutError from None
    except psycopg.Error as error:
        refusal = refusal_of(error)
        return Finding("down", refusal.reason if refusal else said(error))
    return Finding()


async def _probe_self() -> Finding:
    try:
        await get_supabase_service_client().call(_ACCESS)
    except DatabaseError as error:
        raise ProbeFailure(str(error).removeprefix(f"call {_ACCESS}: ")) from error
    return Finding()


def _passwords(url: str) -> list[str]:
    values = conninfo_to_dict(url)
    return [str(values[name]) for name in ("password", "sslpassword") if values.get(name)]


def _told(connection: psycopg.AsyncConnection[DictRow]) -> Mapping[str, JSON]:
    """What a server tells everybody who connects, through a pooler too; whether it is a standby since Postgres 14.

    Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
    """
    version = connection.info.parameter_status("server_version")
    details: dict[str, JSON] = {"server_version": version.split()[0]} if version else {}
    if connection.info.parameter_status("in_hot_standby") == "on":
        details["in_recovery"] = True
    return details
