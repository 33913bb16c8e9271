"""The probe `redis`: connect, log in and PING."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, InvalidResponse, RedisError, ResponseError

from vigilbase.probes.finding import Finding
from vigilbase.probes.trail import current_trail
from vigilbase.vocabulary import JSON

_DETAILS = {"redis_version": "server_version", "role": "role"}
_NOT_REDIS = "what answers is no Redis"


class RedisTarget(BaseModel):
    """What a redis service says about its probe: a URL."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis: SecretStr

    @field_validator("redis")
    @classmethod
    def _url(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if not _is_redis_url(url) or not _is_accepted(url):
            raise ValueError(
                "must be a URL such as redis://:PASSWORD@HOST:6379/0, rediss://HOST:6379 or unix:///PATH "
                "(special characters of the password percent-encoded)"
            )
        return value


def _is_redis_url(url: str) -> bool:
    """Whether a text has the form of one; the library would take `/abc` for database 0."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.fragment or not url.isprintable() or " " in url:
        return False
    if parts.scheme == "unix":
        return len(parts.path) > 1
    # An "@" behind the host is part of a password that isn't percent-encoded.
    whole = "@" not in parts.path + parts.query and re.fullmatch(r"(/\d*)?", parts.path) is not None
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and port != 0 and whole


def _is_accepted(url: str) -> bool:
    """Whether the library knows every parameter of the URL."""
    try:
        _connection(url)
    except (RedisError, ValueError, TypeError, AttributeError):
        return False
    return True


async def probe_redis(target: RedisTarget, timeout: float) -> Finding:
    """Connect anew, as an application would, and PING; ask for a few details where that is allowed."""
    connection, trail = _connection(target.redis.get_secret_value()), current_trail()
    trail.keep_secret([connection.password or ""])
    try:
        trail.begin("connect", "connecting")
        await connection.connect()  # type: ignore[no-untyped-call]
        trail.begin("ping", "waiting for PONG")
        if await _ask(connection, "PING") != b"PONG":
            return Finding("down", _NOT_REDIS)
        trail.end()
        return Finding(details=await _details(connection))
    except RedisError as error:
        if isinstance(error.__context__, FileNotFoundError):
            return Finding("down", "nobody listens on the socket")
        if isinstance(error.__context__, OSError):
            raise  # what the network said is said in the words of every probe
        return Finding("down", _said(error))
    except ValueError:
        return Finding("down", _NOT_REDIS)
    finally:
        await connection.disconnect(nowait=True)


def _connection(url: str) -> AbstractConnection:
    """A connection that isn't opened yet, and will send no more than it must: AUTH and SELECT, where they are needed.

    So it works with servers and proxies of any age. A failure is told at once; by itself the library tries again.
    """
    pool = ConnectionPool.from_url(
        url,
        protocol=2,
        driver_info=None,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=None,
        socket_connect_timeout=None,
    )
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    return connection


async def _ask(connection: AbstractConnection, command: str) -> object:
    await connection.send_command(command)
    return await connection.read_response()


async def _details(connection: AbstractConnection) -> Mapping[str, JSON] | None:
    try:
        answer = await _ask(connection, "INFO")
    except ResponseError:  # the login may not be allowed to ask
        return None
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else ""
    said = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {ours: said[theirs] for theirs, ours in _DETAILS.items() if theirs in said} or None


def _said(error: RedisError) -> str:
    if isinstance(error, BusyLoadingError):
        return "Redis is loading its data"
    if isinstance(error, InvalidResponse):  # its text quotes the answer, which may quote what was sent
        return _NOT_REDIS
    if str(error).startswith("Connection closed by server"):
        return "connection closed before an answer"
    # A server that doesn't know a command quotes its arguments, and those of AUTH are secrets.
    text = str(error).split(" with args beginning with")[0].strip(" ,.")
    return f"login refused: {text}" if isinstance(error, AuthenticationError) else text or type(error).__name__
