"""The probe `redis` with a real Redis, and with other protocols."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from tests.support.certificates import new_authority
from tests.support.loopback import (
    SHORT,
    TIMED_OUT,
    Answer,
    get_details,
    get_phases,
    hang_up,
    probe_target,
    require_timed_out,
    serving,
    silent,
)
from tests.support.redis import RedisServer, run_redis
from tests.support.server import free_port
from vigilbase.domain import ProbeResult
from vigilbase.probes import PROBES

PASSWORD = "hunter2@hunter2"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with run_redis() as server:
        yield server


@pytest.fixture
def locked_redis() -> Iterator[RedisServer]:
    with run_redis(PASSWORD) as server:
        yield server


async def _probe(url: str, timeout: float = 5) -> ProbeResult:
    result = await probe_target("redis", url, timeout)
    assert PASSWORD not in str(result)
    return result


def _make_url(server: RedisServer, login: str) -> str:
    return f"redis://{login}127.0.0.1:{server.port}"


def _repeat_answer(text: bytes) -> Answer:
    """Make a handler that sends the same text after everything it receives."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(text)
            await writer.drain()

    return answer


async def test_probe_redis_running_server_is_healthy(redis: RedisServer) -> None:
    result = await _probe(redis.url)
    assert (result.status, result.error_message) == ("healthy", None)
    assert get_details(result)["role"] == "master"
    info = redis.execute("INFO", "server")
    assert isinstance(info, dict)
    assert get_details(result)["server_version"] == info["redis_version"]
    assert list(get_phases(result)) == ["connect_ms", "ping_ms"]
    assert (await _probe(f"unix://{redis.socket}?db=1")).status == "healthy"


async def test_probe_redis_closes_connection(redis: RedisServer) -> None:
    for _ in range(3):
        await _probe(redis.url)
        await _probe(f"{redis.url}99")  # a database that doesn't exist
    assert str(redis.execute("CLIENT", "LIST")).count("\\n") == 1


async def test_probe_redis_url_password_logs_in(locked_redis: RedisServer) -> None:
    assert (await _probe(_make_url(locked_redis, f":{quote(PASSWORD)}@"))).status == "healthy"
    assert (await _probe(f"unix://{locked_redis.socket}?password={quote(PASSWORD)}")).status == "healthy"


@pytest.mark.parametrize(
    ("login", "message"),
    [
        ("", "login refused: Authentication required"),
        (f":{quote(PASSWORD)}x@", "login refused: invalid username-password pair or user is disabled"),
        (f"nobody:{quote(PASSWORD)}@", "login refused: invalid username-password pair or user is disabled"),
    ],
)
async def test_probe_redis_refused_login_is_down(locked_redis: RedisServer, login: str, message: str) -> None:
    result = await _probe(_make_url(locked_redis, login))
    assert (result.status, result.error_message) == ("down", message)


async def test_probe_redis_unneeded_password_is_not_quoted(redis: RedisServer) -> None:
    result = await _probe(_make_url(redis, f":{quote(PASSWORD)}@"))
    assert result.status == "down"
    assert str(result.error_message).startswith("login refused: AUTH <password> called without any password configured")


async def test_probe_redis_login_with_only_ping_permission_is_healthy(redis: RedisServer) -> None:
    redis.execute("ACL", "SETUSER", "watcher", "on", f">{PASSWORD}", "+ping")
    result = await _probe(_make_url(redis, f"watcher:{quote(PASSWORD)}@"))
    assert (result.status, result.error_message) == ("healthy", None)
    assert list(get_details(result)) == ["phases"]


async def test_probe_redis_stopped_server_is_down_until_started(redis: RedisServer) -> None:
    redis.stop()
    result = await _probe(redis.url)
    assert (result.status, result.error_message) == ("down", "connection refused")
    assert result.latency_ms < 1000  # without retries
    result = await _probe(f"unix://{redis.socket}.away")
    assert (result.status, result.error_message) == ("down", "no server is listening on the socket")
    redis.start()
    assert (await _probe(redis.url)).status == "healthy"


async def test_probe_redis_loading_server_is_down(redis: RedisServer) -> None:
    redis.execute("CONFIG", "SET", "rdbcompression", "no")
    redis.execute("DEBUG", "POPULATE", "20", "key", str(2**20))
    redis.execute("CONFIG", "SET", "key-load-delay", "200000")  # µs; it answers after every few keys
    with socket.create_connection(("127.0.0.1", redis.port)) as administrator:
        administrator.sendall(b"DEBUG RELOAD\r\n")
        async with asyncio.timeout(60):
            while (result := await _probe(redis.url)).status == "healthy":
                pass
    assert result.error_message == "Redis is loading its data"


async def test_probe_redis_hanging_server_is_down_after_timeout() -> None:
    async with serving(silent) as port:
        result = await _probe(f"redis://127.0.0.1:{port}", timeout=SHORT)
        assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} (waiting for PONG)")
        require_timed_out(result)
        result = await _probe(f"rediss://127.0.0.1:{port}", timeout=SHORT)
        assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} (connecting)")
        require_timed_out(result)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"220 hello\r\n", "the server is not Redis"),
        (b"\x00\xff\r\n", "the server is not Redis"),
        (b":hunter2@hunter2\r\n", "the server is not Redis"),
        (b"+OK\r\n", "the server is not Redis"),
        (b"-ERR unknown command `AUTH`, with args beginning with: `hunter2@hunter2`, \r\n", "unknown command `AUTH`"),
        (b"-ERR I do not like hunter2@hunter2\r\n", "I do not like ****"),
        (b"-ERR max number of clients reached\r\n", "max number of clients reached"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "Link with MASTER is down"),
    ],
)
async def test_probe_redis_other_protocol_or_error_is_down_without_password(text: bytes, message: str) -> None:
    async with serving(_repeat_answer(text)) as port:
        result = await _probe(f"redis://:{quote(PASSWORD)}@127.0.0.1:{port}")
    assert result.status == "down"
    assert message in (result.error_message or "")


async def test_probe_redis_closed_connection_is_down() -> None:
    async with serving(hang_up) as port:
        result = await _probe(f"redis://127.0.0.1:{port}")
    assert result.status == "down"
    assert "connection" in (result.error_message or "").lower()


async def test_probe_redis_server_without_tls_is_down() -> None:
    async with serving(_repeat_answer(b"+PONG\r\n")) as port:
        result = await _probe(f"rediss://127.0.0.1:{port}")
    assert result.status == "down"
    assert "TLS failed" in (result.error_message or "")


async def test_probe_redis_certificate_is_verified_by_system_or_url_authorities(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    async with serving(_repeat_answer(b"+PONG\r\n"), authority.server("localhost")) as port:
        url = f"rediss://localhost:{port}"
        assert (await _probe(f"{url}?ssl_ca_certs={authority.ca_file}")).status == "healthy"
        result = await _probe(url)
    assert result.status == "down"
    assert str(result.error_message).startswith("certificate is not trusted")


async def test_probe_redis_all_addresses_refused_is_down() -> None:
    with socket.socket() as reserved:  # bound, but not listening
        reserved.bind(("127.0.0.1", 0))
        result = await _probe(f"redis://localhost:{reserved.getsockname()[1]}")
    assert (result.status, result.error_message) == ("down", "connection refused")


@pytest.mark.parametrize(
    "url",
    [
        "redis.example.com:6379",
        "http://redis.example.com",
        "redis://",
        f"redis://:{PASSWORD}@",
        f"redis://:{PASSWORD}@host:port",
        f"redis://:{PASSWORD}@host:99999",
        f"redis://:{PASSWORD}@host/zero",
        f"redis://:{PASSWORD}/@host/0",
        f"redis://:{PASSWORD}#@host/0",
        f"redis://:12?{PASSWORD}@host/0",
        f"redis://:{PASSWORD} @host/0",
        "unix://",
    ],
)
def test_redis_target_invalid_url_is_rejected_without_quoting(url: str) -> None:
    with pytest.raises(ValidationError, match="must be a URL such as redis://:PASSWORD@HOST:6379/0") as error:
        PROBES["redis"].bind({"redis": url}, 1)
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize(
    ("scheme", "query", "message"),
    [
        ("redis", "unknown=hunter2", 'has the unknown parameter "unknown"'),
        ("redis", "password=hunt&er2=x", "must be a URL such as"),
        ("redis", "db=hunter2", 'has a wrong value in the parameter "db"'),
        ("redis", "db=1&socket_timeout=hunter2&unknown=1", 'has a wrong value in the parameter "socket_timeout"'),
        ("redis", "protocol=9", 'has a wrong value in the parameter "protocol"'),
        ("rediss", "ssl_cert_reqs=hunter2", 'has a wrong value in the parameter "ssl_cert_reqs"'),
        ("rediss", "ssl_cert_reqs=CERT_HUNTER2", 'has a wrong value in the parameter "ssl_cert_reqs"'),
        ("redis", "ssl_cert_reqs=none", 'has the parameter "ssl_cert_reqs", which only rediss:// has'),
    ],
)
def test_redis_target_wrong_parameter_is_named_without_its_value(scheme: str, query: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as error:
        PROBES["redis"].bind({"redis": f"{scheme}://:{quote(PASSWORD)}@host/0?{query}"}, 1)
    assert "hunter2" not in str(error.value).lower()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("CERT_NONE", None),
        ("none", None),
        ("CERT_REQUIRED", "certificate is not trusted"),
        ("CERT_OPTIONAL", "certificate is not trusted"),
        ("required", "certificate is not trusted"),
    ],
)
async def test_probe_redis_ssl_cert_reqs_of_celery_is_taken(tmp_path: Path, value: str, message: str | None) -> None:
    context = new_authority(tmp_path).server("elsewhere.example")
    async with serving(_repeat_answer(b"+PONG\r\n"), context) as port:
        result = await _probe(f"rediss://localhost:{port}?db=0&ssl_cert_reqs={value}")
    assert (result.status == "healthy") == (message is None)
    assert str(result.error_message).startswith(str(message))


def test_redis_target_repr_contains_no_password() -> None:
    url = f"redis://:{quote(PASSWORD)}@127.0.0.1:{free_port()}"
    assert quote(PASSWORD) not in repr(PROBES["redis"].bind({"redis": url}, 1))
