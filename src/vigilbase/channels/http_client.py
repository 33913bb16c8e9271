"""Send a batch to a receiver with one POST, and interpret its answer (RFC 9110, section 15)."""

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

from vigilbase.channels.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.channels.http_options import HttpOptions
from vigilbase.clock import utc_now
from vigilbase.errors import VigilbaseError
from vigilbase.net.error_text import describe_error
from vigilbase.net.http_redaction import list_request_secrets
from vigilbase.net.http_transport import OneRequestTransport
from vigilbase.net.http_validation import extract_host, is_web_url
from vigilbase.net.redaction import MIN_SECRET_LENGTH, redact
from vigilbase.net.tls_context import make_tls_context
from vigilbase.net.trace import new_trace

MAX_ANSWER_LENGTH = 300
MAX_ANSWER_BYTES = 4096
ANSWER_TIMEOUT_S = 1.0
_OWN_HEADERS = {
    "content-type": "application/json",
    "user-agent": f"vigilbase/{version('vigilbase')}",
    # `_read_beginning` doesn't decompress.
    "accept-encoding": "identity",
    "connection": "close",
}
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_REJECTIONS = {  # these concern the content of the request, whatever the state of the receiver
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A receiver's answer. `text` is the start of the body in one line, with secrets redacted."""

    host: str
    status: int
    text: str
    redirect_host: str | None = None
    retry_after: timedelta | None = None

    @property
    def summary(self) -> str:
        """The status and the text: `200 OK: received`."""
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else ""
        return f"{self.status} {phrase}".strip() + (f": {self.text}" if self.text else "")


async def post(
    channel: HttpOptions, url: str, body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...] = ()
) -> HttpAnswer:
    """Send one request over a new connection, through no proxy, and follow no redirect.

    The status alone decides whether the receiver accepts the batch, so a body that is cut short or never ends doesn't
    matter. `secrets` are redacted in the answer, as are the secrets of the URL and of headers that look secret.

    Raises:
        TemporaryDeliveryError: the receiver did not answer, or not in time.

    """
    host = extract_host(url)
    # No redirect is followed here, but the Location header must remain: the error names its host.
    transport = OneRequestTransport(make_tls_context(channel.ca_file, "http/1.1"), follows_redirects=True)
    with new_trace() as trace:
        trace.add_secrets([*secrets, *list_request_secrets(url, headers), *_list_address_secrets(url)])
        time_limit = asyncio.timeout(channel.timeout)
        try:
            async with time_limit:
                response = await transport.handle_async_request(_make_request(url, body, headers))
        # Unlike httpx's own transport, ours doesn't translate httpcore's errors.
        except (VigilbaseError, OSError, httpcore.ProtocolError, httpcore.NetworkError, httpx.HTTPError) as error:
            reason = describe_error(error)
            if time_limit.expired():
                waiting = f" ({trace.waiting_for})" if trace.waiting_for else ""
                reason = f"no answer within {channel.timeout:g} s{waiting}"
            raise TemporaryDeliveryError(f"{host}: {redact(reason, trace.secrets)}") from None
        try:
            text = await _read_beginning(response)
        finally:
            await response.aclose()
        return HttpAnswer(
            host,
            response.status_code,
            redact(text, trace.secrets)[:MAX_ANSWER_LENGTH],
            _extract_redirect_host(response.headers.get("location", "")),
            parse_retry_after(response.headers.get("retry-after", ""), utc_now()),
        )


def require_accepted(answer: HttpAnswer) -> str:
    """The summary of the answer if the receiver accepted the batch.

    A status that a broken deployment may return (401, 403, 404, …) is retried, since a late notification is better than
    none.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: the receiver did not accept the batch.

    """
    if 200 <= answer.status < 300:
        return answer.summary
    raise make_delivery_error(answer)


def make_delivery_error(answer: HttpAnswer) -> DeliveryError:
    """The error for an answer other than a success."""
    text = f"{answer.host} answered {answer.summary}"
    if 300 <= answer.status < 400:
        target = f" to {answer.redirect_host}" if answer.redirect_host else ""
        return PermanentDeliveryError(f"{text}: it redirects{target}; put the new address into the file")
    if answer.status == HTTPStatus.GONE:
        return PermanentDeliveryError(f"{text}: it accepts no more notifications")
    if answer.status in _REJECTIONS:
        return PermanentDeliveryError(text, is_channel_fault=False)
    is_busy = answer.status in _BUSY or answer.status >= 500
    return TemporaryDeliveryError(text, answer.retry_after if is_busy else None)


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """The pause that `Retry-After` requests, in seconds or until a date (RFC 9110, section 10.2.3); None if invalid."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Python refuses to convert thousands of digits, and a pause lasts at most six hours anyway.
        return timedelta(seconds=min(int(value[:10]), 10**9))
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date with `-0000` is naive, but HTTP dates are always in GMT (RFC 9110, section 5.6.7).
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0))


def _make_request(url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
    parsed = httpx.URL(url)
    all_headers = {**_OWN_HEADERS, **{name.lower(): value for name, value in headers.items()}}
    without_user = parsed.copy_with(userinfo=b"", fragment=None)
    request = httpx.Request(
        "POST",
        without_user,
        # As bytes, because httpx encodes text as ASCII and fails for other characters.
        headers=[(name.encode(), value.encode()) for name, value in all_headers.items()],
        content=body,
    )
    if parsed.userinfo and "authorization" not in all_headers:
        request = next(httpx.BasicAuth(parsed.username, parsed.password).auth_flow(request))
    return request


async def _read_beginning(response: httpx.Response) -> str:
    """The start of the body in one line, as much of it as arrives soon."""
    content = bytearray()
    with suppress(TimeoutError, OSError, ssl.SSLError, httpcore.ProtocolError, httpcore.NetworkError, httpx.HTTPError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            async for chunk in response.aiter_raw():
                content += chunk[: MAX_ANSWER_BYTES - len(content)]
                if len(content) >= MAX_ANSWER_BYTES:
                    break
    text = content.decode("utf-8", "replace")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _list_address_secrets(url: str) -> Iterator[str]:
    """The path and the query of a URL, complete and in parts."""
    parsed = httpx.URL(url)
    complete = [parsed.raw_path.decode("ascii", "replace"), parsed.path]
    parts = [*parsed.path.split("/"), *(value for _, value in parsed.params.multi_items())]
    yield from (text for text in (*complete, *parts) if len(text) >= MIN_SECRET_LENGTH)


def _extract_redirect_host(location: str) -> str | None:
    return extract_host(location) if is_web_url(location) else None
