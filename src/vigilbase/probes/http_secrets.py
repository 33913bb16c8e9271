"""The secrets of an HTTP request: which they are, and that no other host gets them."""

import logging
from collections.abc import Iterator, Mapping

import httpx

from vigilbase.probes.masking import basic_credentials, is_secret_header, is_secret_key, masked
from vigilbase.probes.trail import current_trail

SHORTEST = 4  # as `seen=1` of a cookie: to mask each 1 would hide what is no secret


def secrets_of(url: str, headers: Mapping[str, str]) -> Iterator[str]:
    """What of a URL and of headers nobody may see: passwords, tokens, cookies."""
    parsed = httpx.URL(url)
    if parsed.userinfo:
        yield parsed.password or parsed.username
        yield parsed.userinfo.decode()
        yield basic_credentials(parsed.username, parsed.password)
    for name, value in parsed.params.multi_items():
        if is_secret_key(name) and len(value) >= SHORTEST:
            yield value
    for name, value in headers.items():
        if is_secret_header(name):
            values = [pair.partition("=")[2].strip() for pair in value.split(";")] if "cookie" in name.lower() else []
            without_scheme = value.rpartition(" ")[2]
            yield from (secret for secret in (value, without_scheme, *values) if len(secret) >= SHORTEST)


def without_secrets(following: httpx.Request, request: httpx.Request, headers: Mapping[str, str]) -> httpx.Request:
    """The request that a redirect leads to, with the secret headers at the same place only.

    httpx drops `Authorization` where the place is another; and always the cookies, in favour of those of the answer.
    """
    if not _same_place(request.url, following.url):
        for name in filter(is_secret_header, headers):
            following.headers.pop(name, None)
    elif own := request.headers.get("cookie"):
        given = following.headers.get("cookie")
        following.headers["cookie"] = f"{own}; {given}" if given else own
    return following


def _same_place(before: httpx.URL, after: httpx.URL) -> bool:
    """The same origin, or the same host over TLS now."""
    if before.host != after.host:
        return False
    ports = [url.port or {"http": 80, "https": 443}.get(url.scheme) for url in (before, after)]
    return (before.scheme, ports[0]) == (after.scheme, ports[1]) or (before.scheme, after.scheme, *ports) == (
        "http",
        "https",
        80,
        443,
    )


class _Masking(logging.Filter):
    """Keeps secrets out of what the HTTP library logs, should a program have asked for that."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage(), current_trail().secrets), ()
        return True


for _name in ("httpx", "httpcore.http11"):
    logging.getLogger(_name).addFilter(_Masking())
