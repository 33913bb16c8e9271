"""Opening connections: every server of the URL in turn, within one time limit.

psycopg alone would give each attempt the whole `connect_timeout`, and never less than two seconds, so a first server
that accepts connections and says nothing would use up the time of all others.
"""

import asyncio
import os

import psycopg
from psycopg.abc import ConnDict
from psycopg.conninfo import conninfo_attempts_async, conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from vigilbase.clock import monotonic
from vigilbase.database.adapters import register_adapters
from vigilbase.database.authorities import can_libpq_find_authorities, name_system_authorities
from vigilbase.database.connection_errors import (
    ConnectionFailedError,
    ConnectionFailure,
    describe_place,
    make_resolution_failure,
    make_timeout_failure,
    parse_failure,
)
from vigilbase.database.pool import Connection

# A host that was silent is tried last for a while: each connection would wait for it again. Only the order changes.
_SILENCE_S = 60.0
_silent_until: dict[str | None, float] = {}


def _is_silent(place: str | None) -> bool:
    return _silent_until.get(place, 0.0) > monotonic()


async def connect(conninfo: str, timeout: float) -> Connection:
    """Open a connection that also works through a pooler in transaction mode.

    `timeout`: seconds for all hosts, and all addresses of each, together. Each attempt gets an equal share of what is
    left, or the URL's `connect_timeout` if that is shorter.

    Raises:
        ConnectionFailedError: no server can be reached, or accepts the connection.

    """
    started = monotonic()
    failures: list[ConnectionFailure] = []
    silent: list[str] = []
    cause: psycopg.Error | None = None
    parameters = conninfo_to_dict(conninfo)
    if not can_libpq_find_authorities():
        parameters = name_system_authorities(parameters)
    attempts = sorted(await _list_attempts(parameters, timeout), key=lambda attempt: _is_silent(_find_place(attempt)))
    for number, attempt in enumerate(attempts):
        place = _find_place(attempt)
        share = (started + timeout - monotonic()) / (len(attempts) - number)
        try:
            async with asyncio.timeout(share):
                return await _open(attempt)
        except (TimeoutError, psycopg.errors.ConnectionTimeout):
            silent.append(place or "the server")
            _silent_until[place] = monotonic() + _SILENCE_S
        except psycopg.Error as error:
            failures.append(parse_failure(str(error), place))
            cause = error.with_traceback(None)  # which refers to this frame, and so to itself
    waited = min(timeout, monotonic() - started)
    failures += [make_timeout_failure(place, waited) for place in silent]
    raise ConnectionFailedError(failures) from cause


async def _list_attempts(parameters: ConnDict, timeout: float) -> list[ConnDict]:
    """The parameters for each address of each host."""
    try:
        async with asyncio.timeout(timeout):
            return list(await conninfo_attempts_async(parameters))
    except psycopg.Error as error:
        hosts = _list_hosts(parameters)
        is_unresolved = str(error).startswith("failed to resolve host")
        # The other error: there are more ports than hosts.
        failure = make_resolution_failure(hosts) if is_unresolved else parse_failure(str(error), hosts)
        raise ConnectionFailedError([failure]) from error
    except UnicodeError as error:
        raise ConnectionFailedError([make_resolution_failure(_list_hosts(parameters))]) from error
    except TimeoutError as error:
        raise ConnectionFailedError([make_timeout_failure(_list_hosts(parameters), max(timeout, 0))]) from error


def _list_hosts(parameters: ConnDict) -> str:
    return ", ".join((_find_host(parameters) or "the server").split(","))


def _find_place(parameters: ConnDict) -> str | None:
    host = _find_host(parameters)
    return describe_place(host, str(parameters.get("port") or "")) if host else None


def _find_host(parameters: ConnDict) -> str | None:
    host = parameters.get("host") or parameters.get("hostaddr") or os.environ.get("PGHOST")
    return None if host is None else str(host)


async def _open(parameters: ConnDict) -> Connection:
    connection = await psycopg.AsyncConnection.connect(
        make_conninfo("", **parameters),
        # `run_in_transaction` sends its own BEGIN.
        autocommit=True,
        # A pooler may run the next statement on another server connection, which doesn't know what was prepared.
        prepare_threshold=None,
        row_factory=dict_row,
        application_name="vigilbase",
        client_encoding="UTF8",  # overrides PGCLIENTENCODING, the URL, the role and the database
    )
    register_adapters(connection.adapters, connection)
    return connection
