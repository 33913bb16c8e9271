"""URLs of SMTP servers. Pure."""

import ipaddress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

Encryption = Literal["opportunistic", "tls", "starttls"]
"""`opportunistic` uses STARTTLS if the server offers it, `starttls` requires it, `tls` encrypts from the first byte."""

_SCHEMES: dict[str, tuple[Encryption, int]] = {
    "smtp": ("opportunistic", 25),
    "smtps": ("tls", 465),
    "smtp+starttls": ("starttls", 587),
}
_FORM = (
    "must be a URL such as smtp://localhost:25, smtps://USER:PASSWORD@HOST:465 or "
    "smtp+starttls://USER:PASSWORD@HOST:587 with special characters of the password percent-encoded"
)
_UNENCRYPTED = "must be smtps:// or smtp+starttls:// if it has a password, unless the server is on this machine"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """An SMTP server; `user` is None if it requires no login."""

    host: str
    port: int
    encryption: Encryption
    user: str | None = None
    password: str = field(default="", repr=False)


def parse_smtp_url(url: str) -> SmtpServer:
    """Parse a URL such as smtps://USER:PASSWORD@HOST:465.

    Raises:
        ValueError: the URL has another form, or would send a password unencrypted. The text doesn't quote it.

    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    if not _is_smtp_url(url, parts) or port == 0 or not parts.hostname:
        raise ValueError(_FORM)
    encryption, default_port = _SCHEMES[parts.scheme]
    user, password = unquote(parts.username or "") or None, unquote(parts.password or "")
    if password and encryption == "opportunistic" and not _is_this_machine(parts.hostname):
        raise ValueError(_UNENCRYPTED)
    return SmtpServer(parts.hostname, port or default_port, encryption, user, password)


def _is_smtp_url(url: str, parts: SplitResult) -> bool:
    # A path or query may be the rest of a password that isn't percent-encoded.
    ends_with_host = parts.path in ("", "/") and not parts.query and not parts.fragment
    has_both_or_neither = bool(parts.username) == bool(parts.password)
    return parts.scheme in _SCHEMES and url.isprintable() and " " not in url and ends_with_host and has_both_or_neither


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
