"""Replace secrets in texts with `****`: known ones, and anything that looks like one."""

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

REDACTED = "****"
MIN_SECRET_LENGTH = 4  # redacting each `1` for a cookie `seen=1` would make texts unreadable
_MIN_SUBSTRING_LENGTH = 6  # shorter secrets match whole words only, or they would garble ordinary texts

_NAMES = (
    r"(?:access|auth|id|refresh|session|csrf)?[_-]?token|(?:api|private|secret|access|signing)?[_-]?key"
    r"|pass(?:word|wd|phrase)?|pwd|(?:client)?[_-]?secret|sig(?:nature)?"
)
_NAME = rf"(?:[A-Za-z0-9]{{1,30}}[_-]){{0,5}}(?:{_NAMES})"
_CREDENTIAL = r"[A-Za-z0-9._~+/-]{6,}={0,2}(?![\w\"'])"

_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    # The password in a URL.
    (
        ("://",),
        re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s/?#:@]{0,500}:)[^\s/?#]{0,500}@", re.IGNORECASE),
        rf"\1{REDACTED}@",
    ),
    # A cookie header, up to the end of the line.
    (("cookie",), re.compile(r"(\b(?:set-)?cookie\s{0,3}[:=]\s{0,3})[^\r\n]+", re.IGNORECASE), rf"\1{REDACTED}"),
    # An Authorization header, after the name of the scheme.
    (
        ("authorization",),
        re.compile(r"(\bauthorization\s{0,3}[:=]\s{0,3}(?:[a-z]{1,20} )?)[^\s,;\"']+", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # Bare credentials, which contain a digit, a symbol or mixed case, unlike `Basic authentication`.
    (
        ("bearer ", "basic ", "token "),
        re.compile(rf"\b((?i:bearer|basic|token) )(?=[A-Za-z]*[\d._~+/-]|[A-Za-z]*[a-z][A-Z]){_CREDENTIAL}"),
        rf"\1{REDACTED}",
    ),
    # A field of a JSON document or a Python dict.
    (
        ('"', "'"),
        re.compile(
            rf"(([\"'])(?:{_NAME}|(?:set-)?cookie|authorization)\2\s{{0,3}}:\s{{0,3}}([\"']))(?:\\.|(?!\3).)*",
            re.IGNORECASE | re.DOTALL,
        ),
        rf"\1{REDACTED}",
    ),
    # A field of a query, a form or a connection string.
    (
        ("=",),
        re.compile(rf"((?<![A-Za-z0-9]){_NAME}=)([\"']?)[^\s&;,\"'<>)}}\]]+", re.IGNORECASE),
        rf"\1\2{REDACTED}",
    ),
)
"""Substrings, pattern and replacement. The pattern is tried only if the lowercase text has one of the substrings."""

_SECRET_KEY = re.compile(rf"{_NAME}|(?:set-)?cookie|(?:proxy-)?authorization", re.IGNORECASE)
_SECRET_HEADER = re.compile(r"authorization|cookie|token|key|secret|password", re.IGNORECASE)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace the known secrets, in any URL encoding, and anything that looks like a secret."""
    # The longest first: replacing a part of a secret would leave the rest readable.
    for form in sorted({form for secret in secrets for form in _list_forms(secret)}, key=len, reverse=True):
        if len(form) >= _MIN_SUBSTRING_LENGTH:
            text = text.replace(form, REDACTED)
        else:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", REDACTED, text)
    lowered = text.lower()
    for substrings, pattern, replacement in _PATTERNS:
        if any(substring in lowered for substring in substrings):
            text = pattern.sub(replacement, text)
    return text


def redact_field(text: str, key: str, secrets: Iterable[str] = ()) -> str:
    """Redact a field of a document: the whole text if the key names a secret, otherwise as `redact` does."""
    return REDACTED if is_secret_key(key) else redact(text, secrets)


def is_secret_key(name: str) -> bool:
    """Whether a key of a JSON document or a query, such as `access_token`, names a secret."""
    return _SECRET_KEY.fullmatch(name) is not None


def is_secret_header(name: str) -> bool:
    """Whether an HTTP header of this name holds a secret."""
    return _SECRET_HEADER.search(name) is not None


def encode_basic_credentials(user: str, password: str) -> str:
    """Encode user and password for HTTP basic authentication (RFC 7617)."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _list_forms(secret: str) -> set[str]:
    """The secret as it is, percent-decoded, and percent-encoded in each common way."""
    return {secret, unquote(secret), quote(secret, safe=""), quote(secret), quote_plus(secret)} - {""}
