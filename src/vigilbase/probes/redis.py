"""The probe `redis`: connect, log in and PING."""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, InvalidResponse, RedisError, ResponseError

from vigilbase.domain import JSON, ProbeResult
from vigilbase.net.tls_context import EXCLUDED_FLAGS, INCLUDED_FLAGS
from vigilbase.net.trace import current_trace
from vigilbase.probes.kind import make_kind

_DETAILS = {"redis_version": "server_version", "role": "role"}
_NOT_REDIS = "the server is not Redis"
_RULE = (
    "must be a URL such as redis://:PASSWORD@HOST:6379/0, rediss://HOST:6379 or unix:///PATH "
    "(percent-encode special characters in the password)"
)
_REFUSALS = (RedisError, ValueError, TypeError, AttributeError)
# Celery demands Python's names for what redis-py calls none, optional and required.
_CELERY_VALUE = re.compile(r"(?<=[?&]ssl_cert_reqs=)CERT_(NONE|OPTIONAL|REQUIRED)(?=&|$)")


class RedisTarget(BaseModel):
    """The fields of a redis service: a URL."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis: SecretStr

    @field_validator("redis")
    @classmethod
    def _translate_url(cls, value: SecretStr) -> SecretStr:
        url = _CELERY_VALUE.sub(lambda match: match[1].lower(), value.get_secret_value())
        if not _is_redis_url(url):
            raise ValueError(_RULE)
        if not _is_accepted_by_library(url):
            raise ValueError(_find_wrong_parameter(url) or _RULE)
        return SecretStr(url)


def _is_redis_url(url: str) -> bool:
    """Whether a text is a valid URL. The library checks less: it would read `/abc` as database 0."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.fragment or not url.isprintable() or " " in url:
        return False
    if parts.scheme == "unix":
        return len(parts.path) > 1
    # An "@" after the host belongs to a password that isn't percent-encoded.
    is_path_valid = "@" not in parts.path + parts.query and re.fullmatch(r"(/\d*)?", parts.path) is not None
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and port != 0 and is_path_valid


def _is_accepted_by_library(url: str) -> bool:
    try:
        _make_connection(url)
    except _REFUSALS:
        return False
    return True


def _find_wrong_parameter(url: str) -> str | None:
    """What is wrong with the first parameter that the library refuses by itself, without its value."""
    base, _, query = url.partition("?")
    pairs = query.split("&")
    pair = next((pair for pair in pairs if not _is_accepted_by_library(f"{base}?{pair}")), None)
    name = unquote((pair or "").partition("=")[0])
    before = pairs[: pairs.index(pair)] if pair else []
    # It may be the rest of a password that isn't percent-encoded.
    if not name.isidentifier() or any(unquote(each).startswith(("password=", "username=")) for each in before):
        return None
    if name.startswith("ssl_") and not base.startswith("rediss:"):
        return f'has the parameter "{name}", which only rediss:// has'
    try:
        _make_connection(f"{base}?{pair}")
    except TypeError:
        return f'has the unknown parameter "{name}": remove it'
    except _REFUSALS:
        return f'has a wrong value in the parameter "{name}"'
    return None


async def probe_redis(target: RedisTarget, timeout: float) -> ProbeResult:
    """Open a new connection and send PING; then read a few details if the login may."""
    connection, trace = _make_connection(target.redis.get_secret_value()), current_trace()
    trace.add_secrets([connection.password or ""])
    try:
        trace.begin("connect", "connecting")
        await connection.connect()  # type: ignore[no-untyped-call]
        trace.begin("ping", "waiting for PONG")
        if await _send_command(connection, "PING") != b"PONG":
            return ProbeResult("down", _NOT_REDIS)
        trace.end()
        return ProbeResult(probe_details=await _read_details(connection))
    except RedisError as error:
        if isinstance(error.__context__, FileNotFoundError):
            return ProbeResult("down", "no server is listening on the socket")
        if isinstance(error.__context__, OSError):
            raise  # `run_probe` describes network errors the same for every probe
        return ProbeResult("down", _describe_redis_error(error))
    except ValueError:
        return ProbeResult("down", _NOT_REDIS)
    finally:
        await connection.disconnect(nowait=True)


def _make_connection(url: str) -> AbstractConnection:
    """Make an unopened connection that sends only AUTH and SELECT if needed, so that it works with any server or proxy.

    The library would retry failures; here they are reported at once.
    """
    tls: dict[str, object] = {}
    if url.startswith("rediss:"):  # the others know no such options
        tls = {"ssl_include_verify_flags": [*INCLUDED_FLAGS], "ssl_exclude_verify_flags": [*EXCLUDED_FLAGS]}
    pool = ConnectionPool.from_url(
        url,
        **tls,
        # No HELLO, which servers before Redis 6 don't know.
        protocol=2,
        # No CLIENT SETINFO, which servers before 7.2 don't know.
        driver_info=None,
        retry=Retry(NoBackoff(), 0),
        # `run_probe` sets the time limit.
        socket_timeout=None,
        socket_connect_timeout=None,
    )
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    return connection


async def _send_command(connection: AbstractConnection, command: str) -> object:
    await connection.send_command(command)
    return await connection.read_response()


async def _read_details(connection: AbstractConnection) -> Mapping[str, JSON] | None:
    try:
        answer = await _send_command(connection, "INFO")
    except ResponseError:  # the login may lack the permission
        return None
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else ""
    info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: info[field] for field, key in _DETAILS.items() if field in info} or None


def _describe_redis_error(error: RedisError) -> str:
    if isinstance(error, BusyLoadingError):
        return "Redis is loading its data"
    if isinstance(error, InvalidResponse):  # its text quotes the answer, which may contain the password
        return _NOT_REDIS
    if str(error).startswith("Connection closed by server"):
        return "connection closed before an answer"
    # For an unknown command, a server quotes the arguments, and those of AUTH are secrets.
    text = str(error).split(" with args beginning with")[0].strip(" ,.")
    return f"login refused: {text}" if isinstance(error, AuthenticationError) else text or type(error).__name__


KIND = make_kind(RedisTarget, probe_redis)
