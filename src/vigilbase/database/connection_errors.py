"""Why a connection can't be opened: one short reason out of libpq's long messages, and of several attempts."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vigilbase.errors import DatabaseUnavailableError
from vigilbase.settings import find_database_variable

_LINE = re.compile(
    r'connection to server (?:at "(?P<host>[^"]*)"(?: \([^)]*\))?, port (?P<port>\d+)|on socket "(?P<socket>[^"]*)")'
    r"(?: failed)?: (?:FATAL: *)?(?P<why>.*)"
)
_CLOSED = "connection closed before an answer"
_NOT_POSTGRES = "the server is not Postgres"
_REFUSED = "connection refused"
_NO_SOCKET = "no server is listening on the socket"
_NO_ANSWER = "no answer"
_NO_NAME = "the host's name can't be resolved"
_NO_ROUTE = "no route to the host"
_NO_NETWORK = "network unreachable"
_REASONS: Mapping[str, str] = {
    "Connection refused": _REFUSED,
    "No such file or directory": _NO_SOCKET,
    "server closed the connection": _CLOSED,
    "expected authentication request": _NOT_POSTGRES,
    "received invalid response": _NOT_POSTGRES,
    "No route to host": _NO_ROUTE,
    "Network is unreachable": _NO_NETWORK,
    "Cannot assign requested address": _NO_NETWORK,  # IPv6 on a machine without it
}

# The most telling first. The login is the same wherever it is tried; `None` is every reason that isn't here.
_CREDENTIALS = (
    r"authentication failed|no password supplied|role \".*\" (does not exist|is not permitted)"
    r"|no such user|Tenant or user not found"  # PgBouncer, Supavisor
)
_RANKS: Sequence[str | None] = (
    _CREDENTIALS,
    None,
    # libpq's second attempt, without TLS: why the first one failed says more.
    r"no pg_hba\.conf entry .*(no encryption|SSL off)",
    _NOT_POSTGRES,
    _CLOSED,
    _NO_ANSWER,  # of a host with two addresses, a server often listens at one alone: the other one refuses
    _REFUSED,
    _NO_SOCKET,
    _NO_NAME,
    _NO_ROUTE,
    _NO_NETWORK,
    # `target_session_attrs` asks for another server, so that this one is not the right one is no fault.
    r"session is (not )?read-only|server is (not )?in hot standby mode",
)


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """Why one server can't be reached. `place` is its address, or a path if it is a socket."""

    place: str
    reason: str

    @property
    def rank(self) -> int:
        """How telling the reason is; 0 is the most."""
        patterns = enumerate(_RANKS)
        return next((rank for rank, pattern in patterns if pattern and re.search(pattern, self.reason)), _OTHER)


_OTHER = _RANKS.index(None)


class ConnectionFailedError(DatabaseUnavailableError):
    """No connection could be opened. `reason` is the most telling one, without the place."""

    def __init__(self, failures: Sequence[ConnectionFailure]) -> None:
        shown = min(failures, key=lambda failure: failure.rank)
        places = dict.fromkeys(failure.place for failure in failures if failure.reason == shown.reason)
        # Only the embedded server is reached through a socket; any other address comes from a setting.
        source = "" if shown.place.startswith("/") else f" (from {find_database_variable()})"
        super().__init__(f"can't connect to {', '.join(places)}{source}: {shown.reason}")
        self.reason = shown.reason
        self.is_timeout = shown.reason.startswith(_NO_ANSWER)


def parse_failure(message: str, place: str | None) -> ConnectionFailure:
    """The most telling line of the driver's message about one attempt; `place` is where it was made, if that is known.

    libpq's own words for the place are the address, not the host that the user knows.
    """
    lines = [match for line in message.splitlines() if (match := _LINE.search(line))]
    if not lines:  # libpq found something wrong before it connected
        reason = message.strip().split("\n")[0].removeprefix("connection failed: ").removeprefix("connection is bad: ")
        return ConnectionFailure(place or "the server", reason)
    return min((_parse_line(line, place) for line in lines), key=lambda failure: failure.rank)


def make_timeout_failure(place: str, seconds: float) -> ConnectionFailure:
    """The failure of a server that said nothing for that long."""
    return ConnectionFailure(place, f"{_NO_ANSWER} within {round(seconds, 1):g} s")


def make_resolution_failure(place: str) -> ConnectionFailure:
    """The failure of a host that has no address."""
    return ConnectionFailure(place, _NO_NAME)


def describe_place(host: str, port: str) -> str:
    """The address of a server as the user knows it."""
    port = port or os.environ.get("PGPORT") or "5432"
    if host.startswith("/"):
        return f"{host}/.s.PGSQL.{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse_line(line: re.Match[str], place: str | None) -> ConnectionFailure:
    reason = next((short for prefix, short in _REASONS.items() if line["why"].startswith(prefix)), line["why"])
    if line["socket"]:
        return ConnectionFailure(line["socket"], _NO_SOCKET if reason == _REFUSED else reason)
    return ConnectionFailure(place or describe_place(line["host"], line["port"]), reason)
