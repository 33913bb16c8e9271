"""The reason that is told of a failed connection: the most telling one, and each place once."""

from itertools import permutations

import pytest

from vigilbase.database.connection_errors import (
    ConnectionFailedError,
    ConnectionFailure,
    make_resolution_failure,
    make_timeout_failure,
    parse_failure,
)

AT = 'connection to server at "10.0.0.1", port 5432 failed: '
ADVICE = "\n\tIs the server running on that host and accepting TCP/IP connections?"
PASSWORD = 'FATAL:  password authentication failed for user "u"'
NOT_ENCRYPTED = 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "u", database "d", no encryption'


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f"connection failed: {AT}Connection refused{ADVICE}", "connection refused"),
        (f"connection failed: {AT}Network is unreachable{ADVICE}", "network unreachable"),
        (f"connection failed: {AT}received invalid response to SSL negotiation: H", "the server is not Postgres"),
        (f"connection failed: {AT}{PASSWORD}", 'password authentication failed for user "u"'),
        (f"connection failed: {AT}{PASSWORD}\n{AT}{NOT_ENCRYPTED}", 'password authentication failed for user "u"'),
        (f"connection failed: {AT}{NOT_ENCRYPTED}\n{AT}{PASSWORD}", 'password authentication failed for user "u"'),
        (f"connection failed: {AT}SSL error: no protocols available\n{AT}{NOT_ENCRYPTED}", "SSL error: no protocols"),
        (f"connection failed: {AT}{NOT_ENCRYPTED}", "no pg_hba.conf entry for host"),
        # Translated messages can't be ranked: the first attempt, which is the one with TLS, counts.
        (f"connection failed: {AT}FATAL:  authentification échouée\n{AT}FATAL:  aucune entrée", "authentification"),
        ('connection failed: connection to server at "10.0.0.1", port 5432: SSL error: bad', "SSL error: bad"),
        ('connection is bad: weak sslmode "require" may not be used\nmore', 'weak sslmode "require" may not be used'),
    ],
)
def test_parse_failure_tells_most_telling_line(message: str, reason: str) -> None:
    failure = parse_failure(message, "db.example.com:5432")
    assert failure.place == "db.example.com:5432"
    assert failure.reason.startswith(reason)
    assert "\n" not in failure.reason


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (f"connection failed: {AT}Connection refused", "10.0.0.1:5432"),
        (f"connection failed: {AT.replace('10.0.0.1', '::1')}Connection refused", "[::1]:5432"),
        ('connection to server on socket "/run/.s.PGSQL.1" failed: No such file or directory', "/run/.s.PGSQL.1"),
        ("connection is bad: out of memory", "the server"),
    ],
)
def test_parse_failure_unknown_place_is_read_from_message(message: str, place: str) -> None:
    assert parse_failure(message, None).place == place


REASONS_BY_RANK = (
    'password authentication failed for user "u"',
    'database "d" does not exist',
    'no pg_hba.conf entry for host "h", user "u", database "d", no encryption',
    "the server is not Postgres",
    make_timeout_failure("h:1", 1).reason,
    "connection refused",
    make_resolution_failure("h").reason,
    "network unreachable",
    "session is read-only",
)


@pytest.mark.parametrize("reasons", list(permutations(REASONS_BY_RANK, 2)))
def test_connection_failed_error_tells_only_most_telling_reason(reasons: tuple[str, str]) -> None:
    told = min(reasons, key=REASONS_BY_RANK.index)
    failures = [ConnectionFailure(f"host{number}:5432", reason) for number, reason in enumerate(reasons)]
    error = ConnectionFailedError(failures)
    assert error.reason == told
    place = f"host{reasons.index(told)}:5432"
    assert str(error) == f"can't connect to {place} (from DATABASE_URL): {told}"


@pytest.mark.parametrize(
    "reason",
    [
        'role "u" does not exist',
        'role "u" is not permitted to log in',
        "fe_sendauth: no password supplied",
        "SASL authentication failed",
        "Tenant or user not found",
        'Peer authentication failed for user "u"',
    ],
)
def test_connection_failed_error_every_refused_login_wins(reason: str) -> None:
    failures = [ConnectionFailure("a:1", "the database system is starting up"), ConnectionFailure("b:1", reason)]
    assert ConnectionFailedError(failures).reason == reason


def test_connection_failed_error_same_reason_names_each_place_once() -> None:
    failures = [ConnectionFailure(place, "connection refused") for place in ("a:1", "b:1", "a:1")]
    assert str(ConnectionFailedError(failures)) == "can't connect to a:1, b:1 (from DATABASE_URL): connection refused"


def test_connection_failed_error_socket_names_no_setting() -> None:
    error = ConnectionFailedError([ConnectionFailure("/run/.s.PGSQL.1", "no server is listening on the socket")])
    assert str(error) == "can't connect to /run/.s.PGSQL.1: no server is listening on the socket"
