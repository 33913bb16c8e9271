"""URLs of SMTP servers: where to, how it is encrypted, and as whom."""

import ipaddress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

Encryption = Literal["if offered", "from the start", "starttls"]

_SCHEMES: dict[str, tuple[Encryption, int]] = {
    "smtp": ("if offered", 25),
    "smtps": ("from the start", 465),
    "smtp+starttls": ("starttls", 587),
}
_FORM = (
    "must be a URL such as smtp://localhost:25, smtps://USER:PASSWORD@HOST:465 or "
    "smtp+starttls://USER:PASSWORD@HOST:587 (special characters of the password percent-encoded)"
)
_UNSAFE = "a password needs smtps:// or smtp+starttls://, unless the server is on this machine"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A server that takes mails; without a user, it asks for none."""

    host: str
    port: int
    encryption: Encryption
    user: str | None = None
    password: str = field(default="", repr=False)


def smtp_server(url: str) -> SmtpServer:
    """What a URL says.

    Raises:
        ValueError: it has another form, or would send a password in the clear; the text doesn't quote it.

    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    if not _is_smtp_url(url, parts) or port == 0 or not parts.hostname:
        raise ValueError(_FORM)
    encryption, usual_port = _SCHEMES[parts.scheme]
    user, password = unquote(parts.username or "") or None, unquote(parts.password or "")
    if password and encryption == "if offered" and not _is_this_machine(parts.hostname):
        raise ValueError(_UNSAFE)
    return SmtpServer(parts.hostname, port or usual_port, encryption, user, password)


def _is_smtp_url(url: str, parts: SplitResult) -> bool:
    # What follows the host may be the rest of a password that isn't percent-encoded.
    has_no_more = parts.path in ("", "/") and not parts.query and not parts.fragment
    has_both_or_none = bool(parts.username) == bool(parts.password)
    return parts.scheme in _SCHEMES and url.isprintable() and " " not in url and has_no_more and has_both_or_none


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
