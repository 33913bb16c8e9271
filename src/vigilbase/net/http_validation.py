"""Whether a URL or a header can be part of an HTTP request."""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

if TYPE_CHECKING:
    import httpx

MAX_PORT = 65_535
DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\w.-]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*(%[\w.%-]+)?", re.ASCII)
"""An IDNA-encoded name or an IP address; httpx would percent-encode any other character."""
_PLAIN_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>(?!xn--|[^/?]*\.xn--)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?)"
    r"(:(?P<port>[1-9][0-9]{0,4}))?([/?][!-~]*)?"
)
"""A host of lowercase letters, digits and hyphens that is no address and not encoded (xn--); then printable ASCII."""
MAX_PLAIN_LENGTH = 2000
MAX_HOST_LENGTH = 253
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


def require_valid_headers(headers: Mapping[str, SecretStr], own: Collection[str], sender: str) -> None:
    """Raise a ValueError if headers can't be sent, or are among those that the sender sets (`own`, in lowercase)."""
    for name, content in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("must be HTTP header names and their values")
        if name.lower() in own:
            raise ValueError(f"{name} is set by the {sender} itself")
        if any(ord(character) < 32 or ord(character) == 127 for character in content.get_secret_value()):
            raise ValueError(f"the value of {name} must be one line without control characters")


def is_web_url(text: str) -> bool:
    """Whether a text is an absolute HTTP or HTTPS URL."""
    if _split_plain_url(text):
        return True
    import httpx  # noqa: PLC0415 (most URLs are plain, and it takes as long as the rest of a command)

    try:
        return bool(urlsplit(text).netloc) and is_http_url(httpx.URL(text))
    except (httpx.InvalidURL, ValueError):
        return False


def extract_host(url: str) -> str:
    """The parts of a web URL that are not secret: the host, and the port if it isn't the default one."""
    if plain := _split_plain_url(url):
        return plain
    import httpx  # noqa: PLC0415 (as above)

    return httpx.URL(url).netloc.decode("ascii", "replace")


def _split_plain_url(text: str) -> str | None:
    """The host and the port of a URL that every parser reads alike; None if it takes a parser to tell."""
    match = _PLAIN_URL.fullmatch(text)
    if match is None or len(text) > MAX_PLAIN_LENGTH or len(match["host"]) > MAX_HOST_LENGTH:
        return None
    if match["port"] is None or int(match["port"]) == DEFAULT_PORTS[match["scheme"]]:
        return match["host"]
    return f"{match['host']}:{match['port']}" if int(match["port"]) <= MAX_PORT else None


def is_http_url(url: "httpx.URL") -> bool:
    """Whether a URL has the scheme http or https, and a valid host and port, which httpx hardly checks."""
    try:
        host = url.raw_host.decode()
        host.encode("idna")
        is_host = bool(url.host and _HOST.fullmatch(host))
    except UnicodeError:
        return False
    return url.scheme in DEFAULT_PORTS and is_host and (url.port is None or 0 < url.port <= MAX_PORT)
