"""The probes on real servers: whatever happens, there is an observation with a duration and a reason."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import Backend
from tests.support.server import PostgresServer, free_port
from vigilbase import close_supabase_service_client
from vigilbase.probes import KINDS, Finding, observe
from vigilbase.vocabulary import Observation

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PASSWORD = "hunter2-hunter2"


def _now() -> datetime:
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


async def _look(kind: str, timeout: float = 2, **values: object) -> Observation:
    return await observe(KINDS[kind].bind({kind: values.pop("target"), **values}, timeout), timeout=timeout, now=_now)


@asynccontextmanager
async def _serving(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _http(head: str, body: bytes = b"") -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()

    return answer


@pytest.mark.parametrize(
    ("head", "expected", "status", "error"),
    [
        ("200 OK", "200-299", "healthy", None),
        ("204 No Content", "200-299", "healthy", None),
        ("503 Busy", "200-299", "down", "expected status 200-299, got 503"),
        ("404 Not Found", "200, 400-404", "healthy", None),
        ("200 OK", 301, "down", "expected status 301, got 200"),
    ],
)
async def test_http_is_judged_by_the_status_code(head: str, expected: object, status: str, error: str | None) -> None:
    async with _serving(_http(head)) as port:
        seen = await _look("http", target=f"http://127.0.0.1:{port}/", expect={"status": expected})
    assert (seen.status, seen.error_message) == (status, error)
    assert seen.probe_details == {"status_code": int(head[:3])}
    assert seen.checked_at == _now()


async def test_http_follows_redirects_but_not_for_ever() -> None:
    async with (
        _serving(_http("200 OK")) as end,
        _serving(_http(f"302 Found\r\nlocation: http://127.0.0.1:{end}/")) as port,
        _serving(_http("302 Found\r\nlocation: /again")) as circle,
    ):
        assert (await _look("http", target=f"http://127.0.0.1:{port}/")).status == "healthy"
        seen = await _look("http", target=f"http://127.0.0.1:{circle}/")
        assert (seen.status, seen.error_message) == ("down", "TooManyRedirects: Exceeded maximum allowed redirects.")


async def test_http_looks_at_the_service_and_not_at_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with _serving(_http("200 OK")) as port:
        assert (await _look("http", target=f"http://127.0.0.1:{port}/")).status == "healthy"


async def test_http_does_not_read_a_body_without_end() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with _serving(endless) as port:
        assert (await _look("http", target=f"http://127.0.0.1:{port}/")).status == "healthy"


async def test_a_server_that_never_answers_is_down_after_the_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with _serving(silent) as port:
        seen = await _look("http", timeout=0.3, target=f"http://127.0.0.1:{port}/")
        assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s")
        assert 300 <= seen.latency_ms < 2000
        seen = await _look("postgres", timeout=0.3, target=f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")
        assert seen.status == "down"
        assert seen.latency_ms < 2000


async def test_a_server_that_hangs_up_is_down() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async with _serving(hang_up) as port:
        seen = await _look("http", target=f"http://127.0.0.1:{port}/")
        assert seen.status == "down"
        assert seen.error_message


async def test_a_server_that_speaks_something_else_is_down() -> None:
    async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\xff220 hello\r\n" * 10)
        await writer.drain()

    async with _serving(gibberish) as port:
        for kind, url in (("http", "http://127.0.0.1:{}/"), ("postgres", "postgresql://u@127.0.0.1:{}/d")):
            seen = await _look(kind, target=url.format(port))
            assert seen.status == "down"
            assert seen.error_message
            assert "\x00" not in seen.error_message


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("http", "http://127.0.0.1:{}/"),
        ("tcp", "127.0.0.1:{}"),
        ("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{{}}/d"),
    ],
)
async def test_a_refused_connection_is_said_in_words(kind: str, target: str) -> None:
    seen = await _look(kind, target=target.format(free_port()))
    assert (seen.status, seen.error_message) == ("down", "connection refused")


@pytest.mark.parametrize(("kind", "target"), [("http", "http://nowhere.invalid/"), ("tcp", "nowhere.invalid:80")])
async def test_an_unknown_host_is_said_in_words(kind: str, target: str) -> None:
    seen = await _look(kind, target=target)
    assert (seen.status, seen.error_message) == ("down", "the host's name can't be resolved")


def _self_signed(path: Path) -> Path:
    """A key and a certificate for localhost that only itself vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    unprotected = serialization.NoEncryption()
    key_text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unprotected)
    path.write_bytes(key_text + certificate.public_bytes(pem))
    return path


async def test_a_certificate_that_nobody_vouches_for_is_said_in_words(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path / "localhost.pem"))
    async with _serving(_http("200 OK"), context) as port:
        seen = await _look("http", target=f"https://localhost:{port}/")
    assert seen.status == "down"
    assert seen.error_message is not None
    assert seen.error_message.startswith("certificate not accepted: self-signed certificate")


async def test_tcp_needs_no_more_than_a_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = await _look("tcp", target=f"127.0.0.1:{listener.getsockname()[1]}")
    assert (seen.status, seen.error_message, seen.probe_details) == ("healthy", None, None)


async def test_postgres_is_healthy_when_it_answers_a_statement(server: PostgresServer) -> None:
    assert (await _look("postgres", target=server.url("vigilbase"))).status == "healthy"


async def test_postgres_with_a_wrong_password_or_database_is_down_in_its_own_words(server: PostgresServer) -> None:
    seen = await _look("postgres", target=server.url("vigilbase", password=PASSWORD))
    assert seen.status == "down"
    assert "password authentication failed" in (seen.error_message or "")
    assert PASSWORD not in (seen.error_message or "")
    seen = await _look("postgres", target=server.url("nowhere"))
    assert 'database "nowhere" does not exist' in (seen.error_message or "")


async def test_self_is_vigilbases_own_database_over_its_transport(backend: Backend) -> None:
    seen = await _look("postgres", target="self")
    assert (seen.status, seen.error_message) == ("healthy", None)
    await close_supabase_service_client()


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (RuntimeError("it broke"), "RuntimeError: it broke"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError"),
        (ValueError("a\x00\n\n  b"), "ValueError: a b"),
        (ValueError("\ud800"), "ValueError: ?"),
        (TimeoutError(), "no answer within 1 s"),
    ],
)
async def test_a_probe_that_raises_is_down_with_the_reason(raised: Exception, said: str) -> None:
    async def probe() -> Finding:
        raise raised

    seen = await observe(probe, timeout=1, now=_now)
    assert (seen.status, seen.error_message) == ("down", said)


async def test_a_long_reason_is_cut() -> None:
    async def probe() -> Finding:
        return Finding("down", "x" * 10_000)

    seen = await observe(probe, timeout=1, now=_now)
    assert seen.error_message == "x" * 499 + "…"
