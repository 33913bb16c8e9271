"""Secrets of HTTP requests: which parts are secret, and keeping them from logs and other hosts."""

import logging
from collections.abc import Iterator, Mapping

import httpx

from vigilbase.net.http_validation import DEFAULT_PORTS
from vigilbase.net.redaction import MIN_SECRET_LENGTH, encode_basic_credentials, is_secret_header, is_secret_key, redact
from vigilbase.net.trace import current_trace


def list_request_secrets(url: str, headers: Mapping[str, str]) -> Iterator[str]:
    """The passwords, tokens and cookies in a URL and in headers, each in the forms in which they are sent."""
    parsed = httpx.URL(url)
    if parsed.userinfo:
        yield parsed.password or parsed.username
        yield parsed.userinfo.decode()
        yield encode_basic_credentials(parsed.username, parsed.password)
    for name, value in parsed.params.multi_items():
        if is_secret_key(name) and len(value) >= MIN_SECRET_LENGTH:
            yield value
    for name, value in headers.items():
        if is_secret_header(name):
            values = [pair.partition("=")[2].strip() for pair in value.split(";")] if "cookie" in name.lower() else []
            without_scheme = value.rpartition(" ")[2]
            yield from (secret for secret in (value, without_scheme, *values) if len(secret) >= MIN_SECRET_LENGTH)


def drop_secret_headers(following: httpx.Request, request: httpx.Request, headers: Mapping[str, str]) -> httpx.Request:
    """The request after a redirect, with secret headers only if the origin stays the same.

    httpx drops `Authorization` for another origin, and always replaces the cookies with those of the response.
    """
    if not _is_same_origin(request.url, following.url):
        for name in filter(is_secret_header, headers):
            following.headers.pop(name, None)
    elif cookies := request.headers.get("cookie"):
        new_cookies = following.headers.get("cookie")
        following.headers["cookie"] = f"{cookies}; {new_cookies}" if new_cookies else cookies
    return following


def _is_same_origin(before: httpx.URL, after: httpx.URL) -> bool:
    """Whether the origins are equal, or the second is the HTTPS version of the first."""
    if before.host != after.host:
        return False
    ports = [url.port or DEFAULT_PORTS.get(url.scheme) for url in (before, after)]
    return (before.scheme, ports[0]) == (after.scheme, ports[1]) or (before.scheme, after.scheme, *ports) == (
        "http",
        "https",
        80,
        443,
    )


class _RedactingFilter(logging.Filter):
    """Redacts the log of the HTTP library, for programs that enable it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage(), current_trace().secrets), ()
        return True


for _name in ("httpx", "httpcore.http11"):
    logging.getLogger(_name).addFilter(_RedactingFilter())
