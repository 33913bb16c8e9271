"""Why a connection can't be opened, in fewer words than libpq's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from vigilbase.settings import database_variable

_FAILED = re.compile(
    r'connection to server (?:at "(?P<host>[^"]*)"(?: \([^)]*\))?, port (?P<port>\d+)|on socket "(?P<socket>[^"]*)")'
    r" failed: (?:FATAL: *)?(?P<why>.*)"
)
_UNRESOLVED = re.compile(r"failed to resolve host '([^']*)'")
_NO_SOCKET = "nobody listens on the socket"
_WORDS: Mapping[str, str] = {
    "Connection refused": "connection refused",
    "No such file or directory": _NO_SOCKET,
    "server closed the connection": "connection closed before an answer",
    "expected authentication request": "what answers is no Postgres",
    "received invalid response": "what answers is no Postgres",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Where the server should be (`is_socket`: a path), and why there is no connection to it."""

    place: str
    reason: str
    is_socket: bool = False

    def __str__(self) -> str:
        # The embedded server is reached by a socket, so whatever else is tried comes from the setting.
        source = "" if self.is_socket else f" (from {database_variable()})"
        return f"can't connect to {self.place}{source}: {self.reason}"


def refusal_of(error: psycopg.Error) -> Refusal | None:
    """What the driver's error says of a connection that it couldn't open; None if it says something else."""
    text = str(error).strip().split("\n")[0]
    if unresolved := _UNRESOLVED.match(text):
        return Refusal(unresolved[1], "the host's name can't be resolved")
    failed = _FAILED.search(text)
    if failed is None:
        return None
    said = next((words for beginning, words in _WORDS.items() if failed["why"].startswith(beginning)), failed["why"])
    if failed["socket"]:
        return Refusal(failed["socket"], _NO_SOCKET if said == "connection refused" else said, is_socket=True)
    host = f"[{failed['host']}]" if ":" in failed["host"] else failed["host"]
    return Refusal(f"{host}:{failed['port']}", said)
