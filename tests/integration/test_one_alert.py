"""Sessions that record the same outage concurrently create one alert, whatever their isolation level.

A database or a role may set `default_transaction_isolation = 'repeatable read'`. A transaction then doesn't see what
others have committed since it began, so it must fail and be retried, and must not open a second alert.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import DeadlockDetected, SerializationFailure

from tests.support.server import PostgresServer
from tests.support.sql_functions import ROUTES

SESSIONS = 8
OUTCOME = {
    "record": "SELECT public.vigilbase_record(%s, %s) #>> '{transitions,0,outcome}'",
    "raise_alert": "SELECT public.vigilbase_raise_alert('api', 'service_down', 'gone', '{}') ->> 'is_new'",
}
NEW = {"record": "opened", "raise_alert": "true"}
EXISTING = {"record": "already_open", "raise_alert": "false"}

each_function = pytest.mark.parametrize("function", OUTCOME)
each_default = pytest.mark.parametrize("default", ["repeatable read", "serializable"])
each_start = pytest.mark.parametrize("has_row", [False, True], ids=["no_row_yet", "has_a_row"])


@pytest.fixture
def sessions(server: PostgresServer, database: str, default: str, has_row: bool) -> Iterator[list[psycopg.Connection]]:
    """Sessions of the service role in a database with a default isolation."""
    server.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = '{default}'", "postgres")
    if has_row:
        server.execute("SELECT vigilbase.lock_service('api')", database)
    with ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(server.url(database), autocommit=True)) for _ in range(SESSIONS)
        ]
        for connection in connections:
            assert connection.execute("SHOW default_transaction_isolation").fetchone() == (default,)
            connection.execute("SET ROLE service_role")
        yield connections


def run_concurrently(sessions: Sequence[psycopg.Connection], function: str, begin: str) -> list[str]:
    """The answer to each session, or "retry"; all sessions begin before the first one ends."""
    barrier = Barrier(len(sessions), timeout=30)

    def call(connection: psycopg.Connection) -> str:
        connection.execute(begin.encode())
        connection.execute("SELECT count(*) FROM public.alert_events")  # takes the snapshot
        barrier.wait()
        try:
            answer = connection.execute(OUTCOME[function].encode(), make_arguments(function)).fetchone()
            connection.execute("COMMIT")
        except (SerializationFailure, DeadlockDetected):
            connection.execute("ROLLBACK")
            return "retry"
        assert answer
        return str(answer[0])

    with ThreadPoolExecutor(len(sessions)) as pool:
        return sorted(pool.map(call, sessions))


def make_arguments(function: str) -> list[str]:
    if function != "record":
        return []
    return [
        f'[{{"id": "{uuid4()}", "service_name": "api", "status": "down"}}]',
        f"""[{{"service_name": "api", "to": "down", "opening": {{"message": "gone", "details": {{}}}},
            "routes": {ROUTES}, "tags": []}}]""",
    ]


def count_rows(server: PostgresServer, database: str) -> list[tuple[object, ...]]:
    return server.execute(
        """SELECT (SELECT count(*) FROM public.alert_events), (SELECT count(*) FROM vigilbase.notifications),
            (SELECT count(*) FROM public.service_health_checks)""",
        database,
    )


@each_function
@each_default
@each_start
def test_concurrent_sessions_stale_snapshot_create_one_alert(
    server: PostgresServer, database: str, sessions: list[psycopg.Connection], function: str
) -> None:
    answers = run_concurrently(sessions, function, "BEGIN")
    assert answers == sorted([NEW[function], *["retry"] * (SESSIONS - 1)])
    is_recorded = function == "record"
    assert count_rows(server, database) == [(1, int(is_recorded), int(is_recorded))]
    later = [session.execute(OUTCOME[function].encode(), make_arguments(function)).fetchone() for session in sessions]
    assert later == [(EXISTING[function],)] * SESSIONS
    assert count_rows(server, database) == [(1, int(is_recorded), 1 + SESSIONS if is_recorded else 0)]


@each_function
@each_default
@each_start
def test_concurrent_sessions_read_committed_create_one_alert(
    server: PostgresServer, database: str, sessions: list[psycopg.Connection], function: str
) -> None:
    answers = run_concurrently(sessions, function, "BEGIN ISOLATION LEVEL READ COMMITTED")
    assert answers == sorted([NEW[function], *[EXISTING[function]] * (SESSIONS - 1)])
    is_recorded = function == "record"
    assert count_rows(server, database) == [(1, int(is_recorded), SESSIONS if is_recorded else 0)]


@pytest.mark.parametrize("default", ["repeatable read"])
@pytest.mark.parametrize("has_row", [True])
def test_concurrent_sessions_without_service_lock_create_many_alerts(
    server: PostgresServer, database: str, sessions: list[psycopg.Connection]
) -> None:
    """Proof that the tests above can fail: a lock without an update doesn't stop a stale snapshot."""
    server.execute(
        """CREATE OR REPLACE FUNCTION vigilbase.lock_service(p_service_name text) RETURNS void LANGUAGE sql AS $$
            SELECT FROM vigilbase.services AS s WHERE s.service_name = p_service_name FOR UPDATE
        $$""",
        database,
    )
    assert run_concurrently(sessions, "record", "BEGIN") == ["opened"] * SESSIONS
    assert count_rows(server, database) == [(SESSIONS, SESSIONS, SESSIONS)]
