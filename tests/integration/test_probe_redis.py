"""The probe `redis` on a real Redis, and on what only pretends to be one."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from tests.support.certificates import new_authority
from tests.support.loopback import SHORT, Answer, details, hang_up, look, phases, serving, silent
from tests.support.redis import RedisServer, run_redis
from tests.support.server import free_port
from vigilbase.probes import KINDS
from vigilbase.vocabulary import Observation

PASSWORD = "hunter2@hunter2"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with run_redis() as server:
        yield server


@pytest.fixture
def locked_redis() -> Iterator[RedisServer]:
    with run_redis(PASSWORD) as server:
        yield server


async def _look(url: str, timeout: float = 5) -> Observation:
    seen = await look("redis", url, timeout)
    assert PASSWORD not in str(seen)
    return seen


def _url(server: RedisServer, login: str) -> str:
    return f"redis://{login}127.0.0.1:{server.port}"


def _saying(text: bytes) -> Answer:
    """A server that answers whatever it is sent with one text."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(text)
            await writer.drain()

    return answer


async def test_redis_is_healthy_when_it_answers_ping(redis: RedisServer) -> None:
    seen = await _look(redis.url)
    assert (seen.status, seen.error_message) == ("healthy", None)
    assert details(seen)["role"] == "master"
    assert str(details(seen)["server_version"]).startswith("6.2")
    assert list(phases(seen)) == ["connect_ms", "ping_ms"]
    assert (await _look(f"unix://{redis.socket}?db=1")).status == "healthy"


async def test_redis_leaves_no_connection_open(redis: RedisServer) -> None:
    for _ in range(3):
        await _look(redis.url)
        await _look(f"{redis.url}99")  # a database that isn't there
    assert str(redis.execute("CLIENT", "LIST")).count("\\n") == 1


async def test_redis_logs_in_with_the_password_of_the_url(locked_redis: RedisServer) -> None:
    assert (await _look(_url(locked_redis, f":{quote(PASSWORD)}@"))).status == "healthy"
    assert (await _look(f"unix://{locked_redis.socket}?password={quote(PASSWORD)}")).status == "healthy"


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ("", "login refused: Authentication required"),
        (f":{quote(PASSWORD)}x@", "login refused: invalid username-password pair or user is disabled"),
        (f"nobody:{quote(PASSWORD)}@", "login refused: invalid username-password pair or user is disabled"),
    ],
)
async def test_redis_that_refuses_the_login_is_down(locked_redis: RedisServer, login: str, said: str) -> None:
    seen = await _look(_url(locked_redis, login))
    assert (seen.status, seen.error_message) == ("down", said)


async def test_a_password_that_redis_does_not_want_is_not_quoted(redis: RedisServer) -> None:
    seen = await _look(_url(redis, f":{quote(PASSWORD)}@"))
    assert seen.status == "down"
    assert str(seen.error_message).startswith("login refused: AUTH <password> called without any password configured")


async def test_a_login_that_may_do_nothing_but_ping_is_enough(redis: RedisServer) -> None:
    redis.execute("ACL", "SETUSER", "watcher", "on", f">{PASSWORD}", "+ping")
    seen = await _look(_url(redis, f"watcher:{quote(PASSWORD)}@"))
    assert (seen.status, seen.error_message) == ("healthy", None)
    assert list(details(seen)) == ["phases"]


async def test_redis_that_is_stopped_is_down_and_healthy_again_once_it_is_started(redis: RedisServer) -> None:
    redis.stop()
    seen = await _look(redis.url)
    assert (seen.status, seen.error_message) == ("down", "connection refused")
    assert seen.latency_ms < 1000  # it isn't tried again and again
    seen = await _look(f"unix://{redis.socket}.away")
    assert (seen.status, seen.error_message) == ("down", "nobody listens on the socket")
    redis.start()
    assert (await _look(redis.url)).status == "healthy"


async def test_redis_that_loads_its_data_is_down(redis: RedisServer) -> None:
    redis.execute("CONFIG", "SET", "rdbcompression", "no")
    redis.execute("DEBUG", "POPULATE", "20", "key", str(2**20))
    redis.execute("CONFIG", "SET", "key-load-delay", "200000")  # µs; between two keys or three it answers
    with socket.create_connection(("127.0.0.1", redis.port)) as administrator:
        administrator.sendall(b"DEBUG RELOAD\r\n")
        async with asyncio.timeout(20):
            while (seen := await _look(redis.url)).status == "healthy":
                pass
    assert seen.error_message == "Redis is loading its data"


async def test_a_server_that_hangs_is_down_when_the_time_is_over() -> None:
    async with serving(silent) as port:
        seen = await _look(f"redis://127.0.0.1:{port}", timeout=SHORT)
        assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (waiting for PONG)")
        assert 300 <= seen.latency_ms < 2000
        seen = await _look(f"rediss://127.0.0.1:{port}", timeout=SHORT)
        assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (connecting)")
        assert seen.latency_ms < 2000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"220 hello\r\n", "what answers is no Redis"),
        (b"\x00\xff\r\n", "what answers is no Redis"),
        (b":hunter2@hunter2\r\n", "what answers is no Redis"),
        (b"+OK\r\n", "what answers is no Redis"),
        (b"-ERR unknown command `AUTH`, with args beginning with: `hunter2@hunter2`, \r\n", "unknown command `AUTH`"),
        (b"-ERR I do not like hunter2@hunter2\r\n", "I do not like ****"),
        (b"-ERR max number of clients reached\r\n", "max number of clients reached"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "Link with MASTER is down"),
    ],
)
async def test_what_is_no_redis_or_has_an_error_is_down_without_the_password(text: bytes, said: str) -> None:
    async with serving(_saying(text)) as port:
        seen = await _look(f"redis://:{quote(PASSWORD)}@127.0.0.1:{port}")
    assert seen.status == "down"
    assert said in (seen.error_message or "")


async def test_a_server_that_hangs_up_is_down() -> None:
    async with serving(hang_up) as port:
        seen = await _look(f"redis://127.0.0.1:{port}")
    assert seen.status == "down"
    assert "connection" in (seen.error_message or "").lower()


async def test_a_server_with_another_protocol_than_tls_is_down() -> None:
    async with serving(_saying(b"+PONG\r\n")) as port:
        seen = await _look(f"rediss://127.0.0.1:{port}")
    assert seen.status == "down"
    assert "TLS failed" in (seen.error_message or "")


async def test_a_certificate_is_checked_against_the_authorities_of_the_system_or_of_the_url(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    async with serving(_saying(b"+PONG\r\n"), authority.server("localhost")) as port:
        url = f"rediss://localhost:{port}"
        assert (await _look(f"{url}?ssl_ca_certs={authority.ca_file}")).status == "healthy"
        seen = await _look(url)
    assert seen.status == "down"
    assert str(seen.error_message).startswith("certificate is not trusted")


async def test_a_host_of_several_addresses_that_all_refuse_is_refused() -> None:
    with socket.socket() as nobody:  # bound, so that nobody else listens there
        nobody.bind(("127.0.0.1", 0))
        seen = await _look(f"redis://localhost:{nobody.getsockname()[1]}")
    assert (seen.status, seen.error_message) == ("down", "connection refused")


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
        f"redis://:{PASSWORD}@host/0?unknown=1",
        f"redis://:{PASSWORD}@host/0?db=zero",
        f"redis://:{PASSWORD} @host/0",
        "unix://",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValidationError, match="must be a URL such as redis://:PASSWORD@HOST:6379/0") as error:
        KINDS["redis"].bind({"redis": url}, 1)
    assert PASSWORD not in str(error.value)


def test_a_target_does_not_show_its_password() -> None:
    url = f"redis://:{quote(PASSWORD)}@127.0.0.1:{free_port()}"
    assert quote(PASSWORD) not in repr(KINDS["redis"].bind({"redis": url}, 1))
