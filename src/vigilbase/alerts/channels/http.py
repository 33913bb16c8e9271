"""One POST to a receiver, and what its answer means for the message (RFC 9110, section 15)."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version

import httpcore
import httpx

from vigilbase.alerts.channels.http_channel import HttpChannel
from vigilbase.alerts.channels.sending import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.clock import utc_now
from vigilbase.errors import VigilbaseError
from vigilbase.probes.http import names_a_web_address
from vigilbase.probes.http_connection import OneRequestTransport
from vigilbase.probes.http_secrets import SHORTEST, secrets_of
from vigilbase.probes.masking import masked
from vigilbase.probes.trail import new_trail
from vigilbase.probes.trust import trusted
from vigilbase.probes.words import in_words

MAX_SAID = 300
MAX_ANSWER_BYTES = 4096
ANSWER_WITHIN_S = 1.0
_OWN_HEADERS = {
    "content-type": "application/json",
    "user-agent": f"vigilbase/{version('vigilbase')}",
    "accept-encoding": "identity",
    "connection": "close",
}
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_REFUSALS = {  # whatever the state of the receiver: it is about what the message holds
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered: the beginning of the body as one line, without secrets; whither and when instead."""

    host: str
    status: int
    said: str
    redirected_to: str | None = None
    retry_after: timedelta | None = None

    @property
    def in_words(self) -> str:
        """The status, and what was said: `200 OK: received`."""
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else ""
        return f"{self.status} {phrase}".strip() + (f": {self.said}" if self.said else "")


async def post(
    channel: HttpChannel, url: str, body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...] = ()
) -> Answer:
    """Send one request over a new connection, through no proxy, and follow no redirect.

    Once the status is there, the message is taken or refused; so a body that breaks off or never ends changes nothing.
    `secrets` are masked in what the receiver says, as are those of the URL, and of headers that are called like one.

    Raises:
        TemporaryDeliveryError: there was no answer, or none in time.

    """
    host = receiver(url)
    transport = OneRequestTransport(trusted(channel.ca_file, "http/1.1"), follows_redirects=True)
    with new_trail() as trail:
        trail.keep_secret([*secrets, *secrets_of(url, headers), *_of_the_address(url)])
        limit = asyncio.timeout(channel.timeout)
        try:
            async with limit:
                response = await transport.handle_async_request(_request(url, body, headers))
        except (VigilbaseError, OSError, httpcore.ProtocolError, httpcore.NetworkError, httpx.HTTPError) as error:
            reason = in_words(error)
            if limit.expired():
                waiting = f" ({trail.waiting_for})" if trail.waiting_for else ""
                reason = f"no answer within {channel.timeout:g} s{waiting}"
            raise TemporaryDeliveryError(f"{host}: {masked(reason, trail.secrets)}") from None
        try:
            said = await _beginning(response)
        finally:
            await response.aclose()
        return Answer(
            host,
            response.status_code,
            masked(said, trail.secrets)[:MAX_SAID],
            _host_of(response.headers.get("location", "")),
            retry_after(response.headers.get("retry-after", ""), utc_now()),
        )


def taken(answer: Answer) -> str:
    """The answer in words, if the message was taken.

    What may be a fault of a deployment (401, 403, 404, …) is tried again, since an alert that came late is better than
    a lost one.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: it was not.

    """
    if 200 <= answer.status < 300:
        return answer.in_words
    raise failure(answer)


def failure(answer: Answer) -> DeliveryError:
    """What an answer means that is no success."""
    said = f"{answer.host} answered {answer.in_words}"
    if 300 <= answer.status < 400:
        whither = f" to {answer.redirected_to}" if answer.redirected_to else ""
        return PermanentDeliveryError(f"{said}: it redirects{whither}; put the address that it leads to into the file")
    if answer.status == HTTPStatus.GONE:
        return PermanentDeliveryError(f"{said}: it wants no more messages")
    if answer.status in _REFUSALS:
        return PermanentDeliveryError(said, of_the_channel=False)
    is_busy = answer.status in _BUSY or answer.status >= 500
    return TemporaryDeliveryError(said, answer.retry_after if is_busy else None)


def retry_after(value: str, now: datetime) -> timedelta | None:
    """How long `Retry-After` asks for, in seconds or until a date (RFC 9110, section 10.2.3); None if neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:10]), 10**9))
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0))


def receiver(url: str) -> str:
    """The part of a URL that is no secret: the host, and the port if it is named."""
    return httpx.URL(url).netloc.decode("ascii", "replace")


def _request(url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
    address = httpx.URL(url)
    all_headers = {**_OWN_HEADERS, **{name.lower(): value for name, value in headers.items()}}
    bare = address.copy_with(userinfo=b"", fragment=None)
    request = httpx.Request(
        "POST", bare, headers=[(name.encode(), value.encode()) for name, value in all_headers.items()], content=body
    )
    if address.userinfo and "authorization" not in all_headers:
        request = next(httpx.BasicAuth(address.username, address.password).auth_flow(request))
    return request


async def _beginning(response: httpx.Response) -> str:
    """The first bytes of the body as one line, as far as they come soon."""
    content = bytearray()
    with suppress(TimeoutError, OSError, ssl.SSLError, httpcore.ProtocolError, httpcore.NetworkError, httpx.HTTPError):
        async with asyncio.timeout(ANSWER_WITHIN_S):
            async for chunk in response.aiter_raw():
                content += chunk[: MAX_ANSWER_BYTES - len(content)]
                if len(content) >= MAX_ANSWER_BYTES:
                    break
    text = content.decode("utf-8", "replace")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _of_the_address(url: str) -> Iterator[str]:
    """The path and the query of an address, whole and in parts."""
    address = httpx.URL(url)
    parts = [*address.path.split("/"), *(value for _, value in address.params.multi_items())]
    whole = [address.raw_path.decode("ascii", "replace"), address.path]
    yield from (part for part in (*whole, *parts) if len(part) >= SHORTEST)


def _host_of(location: str) -> str | None:
    return receiver(location) if names_a_web_address(location) else None
