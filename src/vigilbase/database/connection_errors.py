"""Short reasons for failed connections, from libpq's long messages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from vigilbase.settings import find_database_variable

_FAILURE = re.compile(
    r'connection to server (?:at "(?P<host>[^"]*)"(?: \([^)]*\))?, port (?P<port>\d+)|on socket "(?P<socket>[^"]*)")'
    r" failed: (?:FATAL: *)?(?P<why>.*)"
)
_UNRESOLVED = re.compile(r"failed to resolve host '([^']*)'")
_NO_SOCKET = "no server is listening on the socket"
_REASONS: Mapping[str, str] = {
    "Connection refused": "connection refused",
    "No such file or directory": _NO_SOCKET,
    "server closed the connection": "connection closed before an answer",
    "expected authentication request": "the server is not Postgres",
    "received invalid response": "the server is not Postgres",
}


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """The address of a server (a path, if `is_socket`), and why it can't be reached."""

    place: str
    reason: str
    is_socket: bool = False

    def __str__(self) -> str:
        # Only the embedded server is reached through a socket; any other address comes from a setting.
        source = "" if self.is_socket else f" (from {find_database_variable()})"
        return f"can't connect to {self.place}{source}: {self.reason}"


def parse_connection_error(error: psycopg.Error) -> ConnectionFailure | None:
    """The address and the reason in a driver's error; None if the error is not about opening a connection."""
    text = str(error).strip().split("\n")[0]
    if unresolved := _UNRESOLVED.match(text):
        return ConnectionFailure(unresolved[1], "the host's name can't be resolved")
    # psycopg puts "connection failed: " before libpq's text.
    failed = _FAILURE.search(text)
    if failed is None:
        return None
    why = failed["why"]
    reason = next((short for prefix, short in _REASONS.items() if why.startswith(prefix)), why)
    if failed["socket"]:
        reason = _NO_SOCKET if reason == "connection refused" else reason
        return ConnectionFailure(failed["socket"], reason, is_socket=True)
    host = f"[{failed['host']}]" if ":" in failed["host"] else failed["host"]
    return ConnectionFailure(f"{host}:{failed['port']}", reason)
