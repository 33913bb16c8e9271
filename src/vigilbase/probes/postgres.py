"""The probe `postgres`: connect and run SELECT 1."""

from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from vigilbase.clock import monotonic
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.connect import connect
from vigilbase.database.connection_errors import ConnectionFailedError
from vigilbase.database.postgres import get_server_message, run_within
from vigilbase.database.urls import find_flaw
from vigilbase.domain import JSON, ProbeResult
from vigilbase.errors import DatabaseError
from vigilbase.net.error_text import ProbeFailure
from vigilbase.net.trace import current_trace
from vigilbase.postgres_url import is_postgres_url, to_libpq_url
from vigilbase.probes.kind import make_kind

SELF = "self"
_RULE = "must be self or a URL such as postgresql://USER:PASSWORD@HOST:5432/DATABASE"
_ROLE_INFO = "vigilbase_role_info"


class PostgresTarget(BaseModel):
    """The fields of a postgres service: a connection URL, or `self` for Vigilbase's own database."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    postgres: SecretStr

    @field_validator("postgres")
    @classmethod
    def _translate_url(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url == SELF:
            return value
        if not is_postgres_url(url):
            raise ValueError(_RULE)
        url = to_libpq_url(url)
        if flaw := find_flaw(url):
            raise ValueError(flaw)
        return SecretStr(url)


async def probe_postgres(target: PostgresTarget, timeout: float) -> ProbeResult:
    """Open a new connection and run a statement."""
    url, trace, started = target.postgres.get_secret_value(), current_trace(), monotonic()
    if url == SELF:
        trace.begin("query", "waiting for the database")
        return await _probe_self()
    trace.add_secrets(_list_passwords(url))
    try:
        trace.begin("connect", "connecting")
        async with await connect(url, timeout) as connection:
            trace.details.update(_read_server_details(connection))
            trace.begin("query", "waiting for the answer to SELECT 1")
            await run_within(timeout - (monotonic() - started), connection, "SELECT 1")
            trace.end()
    except ConnectionFailedError as error:
        if error.is_timeout:
            # `run_probe` then describes it as it does every timeout, with what the probe waited for.
            raise TimeoutError from None
        return ProbeResult("down", error.reason)
    except psycopg.Error as error:
        return ProbeResult("down", get_server_message(error))
    return ProbeResult()


async def _probe_self() -> ProbeResult:
    try:
        await get_supabase_service_client().call(_ROLE_INFO)
    except DatabaseError as error:
        raise ProbeFailure(str(error).removeprefix(f"call {_ROLE_INFO}: ")) from error
    return ProbeResult()


def _list_passwords(url: str) -> list[str]:
    values = conninfo_to_dict(url)
    return [str(values[name]) for name in ("password", "sslpassword") if values.get(name)]


def _read_server_details(connection: psycopg.AsyncConnection[DictRow]) -> Mapping[str, JSON]:
    """Read the parameters that a server reports on connecting, even through a pooler; `in_hot_standby` since 14.

    Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
    """
    version = connection.info.parameter_status("server_version")
    details: dict[str, JSON] = {"server_version": version.split()[0]} if version else {}
    if connection.info.parameter_status("in_hot_standby") == "on":
        details["in_recovery"] = True
    return details


KIND = make_kind(PostgresTarget, probe_postgres)
