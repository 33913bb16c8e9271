"""However many sessions record one outage at once, and whatever isolation their transactions have, it is one alert.

Databases and roles may say `default_transaction_isolation = 'repeatable read'`, and then a transaction doesn't see what
others have committed since it began: it has to fail, and to be tried again, instead of opening an alert of its own.
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
KNOWN = {"record": "already_open", "raise_alert": "false"}

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


def at_once(sessions: Sequence[psycopg.Connection], function: str, begin: str) -> list[str]:
    """What each session is answered, or "again" where it has to try again; all have begun before the first one ends."""
    barrier = Barrier(len(sessions), timeout=30)

    def call(connection: psycopg.Connection) -> str:
        connection.execute(begin.encode())
        connection.execute("SELECT count(*) FROM public.alert_events")  # takes the snapshot
        barrier.wait()
        try:
            answer = connection.execute(OUTCOME[function].encode(), arguments(function)).fetchone()
            connection.execute("COMMIT")
        except (SerializationFailure, DeadlockDetected):
            connection.execute("ROLLBACK")
            return "again"
        assert answer
        return str(answer[0])

    with ThreadPoolExecutor(len(sessions)) as pool:
        return sorted(pool.map(call, sessions))


def arguments(function: str) -> list[str]:
    if function != "record":
        return []
    return [
        f'[{{"id": "{uuid4()}", "service_name": "api", "status": "down"}}]',
        f"""[{{"service_name": "api", "to": "down", "opening": {{"message": "gone", "details": {{}}}},
            "routes": {ROUTES}, "tags": []}}]""",
    ]


def counts(server: PostgresServer, database: str) -> list[tuple[object, ...]]:
    return server.execute(
        """SELECT (SELECT count(*) FROM public.alert_events), (SELECT count(*) FROM vigilbase.notifications),
            (SELECT count(*) FROM public.service_health_checks)""",
        database,
    )


@each_function
@each_default
@each_start
def test_sessions_with_a_stale_snapshot_make_one_alert_and_try_again(
    server: PostgresServer, database: str, sessions: list[psycopg.Connection], function: str
) -> None:
    answers = at_once(sessions, function, "BEGIN")
    assert answers == ["again"] * (SESSIONS - 1) + [NEW[function]]
    is_recorded = function == "record"
    assert counts(server, database) == [(1, int(is_recorded), int(is_recorded))]
    again = [session.execute(OUTCOME[function].encode(), arguments(function)).fetchone() for session in sessions]
    assert again == [(KNOWN[function],)] * SESSIONS
    assert counts(server, database) == [(1, int(is_recorded), 1 + SESSIONS if is_recorded else 0)]


@each_function
@each_default
@each_start
def test_sessions_that_ask_for_read_committed_make_one_alert_and_all_succeed(
    server: PostgresServer, database: str, sessions: list[psycopg.Connection], function: str
) -> None:
    answers = at_once(sessions, function, "BEGIN ISOLATION LEVEL READ COMMITTED")
    assert answers == sorted([NEW[function], *[KNOWN[function]] * (SESSIONS - 1)])
    is_recorded = function == "record"
    assert counts(server, database) == [(1, int(is_recorded), SESSIONS if is_recorded else 0)]


@pytest.mark.parametrize("default", ["repeatable read"])
@pytest.mark.parametrize("has_row", [True])
def test_sessions_that_lock_no_service_would_make_many_alerts(
    server: PostgresServer, database: str, sessions: list[psycopg.Connection]
) -> None:
    """The tests above look at what they mean to: a lock that changes nothing lets a stale snapshot pass."""
    server.execute(
        """CREATE OR REPLACE FUNCTION vigilbase.lock_service(p_service_name text) RETURNS void LANGUAGE sql AS $$
            SELECT FROM vigilbase.services AS s WHERE s.service_name = p_service_name FOR UPDATE
        $$""",
        database,
    )
    assert at_once(sessions, "record", "BEGIN") == ["opened"] * SESSIONS
    assert counts(server, database) == [(SESSIONS, SESSIONS, SESSIONS)]
