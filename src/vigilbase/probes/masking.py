"""Secrets in texts become `****`: those that are known, and what looks like one."""

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

MASK = "****"
_SHORT = 6  # a shorter secret is looked for as a whole word only, or ordinary texts would fall to pieces

_NAMES = (
    r"(?:access|auth|id|refresh|session|csrf)?[_-]?token|(?:api|private|secret|access|signing)?[_-]?key"
    r"|pass(?:word|wd|phrase)?|pwd|(?:client)?[_-]?secret|sig(?:nature)?"
)
_NAME = rf"(?:[A-Za-z0-9]{{1,30}}[_-]){{0,5}}(?:{_NAMES})"
_CREDENTIAL = r"[A-Za-z0-9._~+/-]{6,}={0,2}(?![\w\"'])"

_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    # A URL: scheme, user, password.
    (
        ("://",),
        re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s/?#:@]{0,500}:)[^\s/?#]{0,500}@", re.IGNORECASE),
        rf"\1{MASK}@",
    ),
    # A header with cookies, up to the end of its line.
    (("cookie",), re.compile(r"(\b(?:set-)?cookie\s{0,3}[:=]\s{0,3})[^\r\n]+", re.IGNORECASE), rf"\1{MASK}"),
    # A header with credentials, after the name of their scheme.
    (
        ("authorization",),
        re.compile(r"(\bauthorization\s{0,3}[:=]\s{0,3}(?:[a-z]{1,20} )?)[^\s,;\"']+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # Credentials alone, which have a digit, a sign or mixed case in them: `Basic authentication` is no secret.
    (
        ("bearer ", "basic ", "token "),
        re.compile(rf"\b((?i:bearer|basic|token) )(?=[A-Za-z]*[\d._~+/-]|[A-Za-z]*[a-z][A-Z]){_CREDENTIAL}"),
        rf"\1{MASK}",
    ),
    # A secret of a JSON document, or of a Python dict.
    (
        ('"', "'"),
        re.compile(
            rf"(([\"'])(?:{_NAME}|(?:set-)?cookie|authorization)\2\s{{0,3}}:\s{{0,3}}([\"']))(?:\\.|(?!\3).)*",
            re.IGNORECASE | re.DOTALL,
        ),
        rf"\1{MASK}",
    ),
    # A secret of a query, a form or a connection string.
    (
        ("=",),
        re.compile(rf"((?<![A-Za-z0-9]){_NAME}=)([\"']?)[^\s&;,\"'<>)}}\]]+", re.IGNORECASE),
        rf"\1\2{MASK}",
    ),
)
"""What secrets look like: a text without any of the parts is not looked at closer."""

_SECRET_KEY = re.compile(rf"{_NAME}|(?:set-)?cookie|(?:proxy-)?authorization", re.IGNORECASE)
_SECRET_HEADER = re.compile(r"authorization|cookie|token|key|secret|password", re.IGNORECASE)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without the known secrets, however they are encoded in it, and without what looks like one."""
    for form in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
        if len(form) >= _SHORT:
            text = text.replace(form, MASK)
        else:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", MASK, text)
    lowered = text.lower()
    for parts, pattern, replacement in _PATTERNS:
        if any(part in lowered for part in parts):
            text = pattern.sub(replacement, text)
    return text


def is_secret_key(name: str) -> bool:
    """Whether what is called so in a JSON document or a query is a secret, as `access_token`."""
    return _SECRET_KEY.fullmatch(name) is not None


def is_secret_header(name: str) -> bool:
    """Whether the value of an HTTP header that is called so is a secret."""
    return _SECRET_HEADER.search(name) is not None


def basic_credentials(user: str, password: str) -> str:
    """User and password as HTTP's basic authentication writes them (RFC 7617)."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _forms(secret: str) -> set[str]:
    """A secret as it is, and percent-encoded in the ways that URLs know."""
    return {secret, unquote(secret), quote(secret, safe=""), quote(secret), quote_plus(secret)} - {""}
