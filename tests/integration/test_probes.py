"""The probes on real servers: whatever happens, there is an observation with a duration and a reason."""

import pytest

from tests.conftest import Backend
from tests.support.loopback import SHORT, Answer, gibberish, hang_up, look, serving, silent
from tests.support.server import PostgresServer, free_port
from vigilbase import close_supabase_service_client

PASSWORD = "hunter2-hunter2"
TARGETS = [
    ("http", "http://127.0.0.1:{}/"),
    ("tls", "127.0.0.1:{}"),
    ("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{{}}/d"),
]


@pytest.mark.parametrize(("kind", "target"), [*TARGETS, ("tcp", "127.0.0.1:{}")])
async def test_a_refused_connection_is_said_in_words(kind: str, target: str) -> None:
    seen = await look(kind, target.format(free_port()))
    assert (seen.status, seen.error_message) == ("down", "connection refused")


@pytest.mark.parametrize(("kind", "target"), TARGETS)
async def test_a_server_that_never_answers_is_down_after_the_timeout(kind: str, target: str) -> None:
    async with serving(silent) as port:
        seen = await look(kind, target.format(port), timeout=SHORT)
    assert seen.status == "down"
    assert 290 <= seen.latency_ms < 2000
    assert PASSWORD not in str(seen)


@pytest.mark.parametrize("answer", [hang_up, gibberish])
@pytest.mark.parametrize(("kind", "target"), TARGETS)
async def test_a_server_that_hangs_up_or_speaks_something_else_is_down(kind: str, target: str, answer: Answer) -> None:
    async with serving(answer) as port:
        seen = await look(kind, target.format(port))
    assert seen.status == "down"
    assert seen.error_message
    assert "\x00" not in seen.error_message
    assert PASSWORD not in str(seen)


async def test_postgres_is_healthy_when_it_answers_a_statement(server: PostgresServer) -> None:
    assert (await look("postgres", server.url("vigilbase"))).status == "healthy"


async def test_postgres_with_a_wrong_password_or_database_is_down_in_its_own_words(server: PostgresServer) -> None:
    seen = await look("postgres", server.url("vigilbase", password=PASSWORD))
    assert seen.status == "down"
    assert "password authentication failed" in (seen.error_message or "")
    assert PASSWORD not in (seen.error_message or "")
    seen = await look("postgres", server.url("nowhere"))
    assert 'database "nowhere" does not exist' in (seen.error_message or "")


async def test_self_is_vigilbases_own_database_over_its_transport(backend: Backend) -> None:
    seen = await look("postgres", "self")
    assert (seen.status, seen.error_message) == ("healthy", None)
    await close_supabase_service_client()
