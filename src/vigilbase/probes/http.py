"""The probe `http`: a request, redirects followed, judged by status code, body and certificate."""

import re
from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import Literal
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from vigilbase.clock import utc_now
from vigilbase.probes.certificate import CertificateRefused, too_soon
from vigilbase.probes.expectation import HttpExpectation, body_unmet, status_unmet
from vigilbase.probes.finding import Finding
from vigilbase.probes.http_body import Body, read_body
from vigilbase.probes.http_connection import OneRequestTransport, certificate_of, is_web_address
from vigilbase.probes.http_secrets import secrets_of, without_secrets
from vigilbase.probes.trail import current_trail
from vigilbase.probes.trust import CaFile, trusted
from vigilbase.probes.words import REDIRECTED_NOWHERE, ProbeFailure

MAX_REDIRECTS = 10
_PROTOCOL = "http/1.1"
_OWN_HEADERS = {
    "user-agent": f"vigilbase/{version('vigilbase')}",
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "close",
}
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_FRAMING = ("content-length", "transfer-encoding", "connection")

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class HttpTarget(BaseModel):
    """What an http service says about its probe. URL, headers and body may hold secrets, so they aren't shown."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    http: str = Field(repr=False)
    method: Method = Field("GET", description="What to do with the URL.")
    headers: Mapping[str, SecretStr] = Field({}, description="Headers to send along.")
    body: str | None = Field(None, repr=False, description="What to send as the body.")
    follow_redirects: bool = Field(True, description="Whether a redirect is followed, up to ten times.")
    ca_file: CaFile | None = Field(None, description="A PEM file of further certificate authorities to trust.")
    expect: HttpExpectation = HttpExpectation()

    @field_validator("http")
    @classmethod
    def _url(cls, value: str) -> str:
        if not names_a_web_address(value):
            raise ValueError("must be a URL such as https://example.com/health")
        trusted(None, _PROTOCOL)  # loaded now, and not in the time of the first probe
        return value

    @field_validator("method", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("headers")
    @classmethod
    def _sendable(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        require_sendable(value, _FRAMING, "probe")
        return value

    @model_validator(mode="after")
    def _body_to_expect(self) -> "HttpTarget":
        if self.method == "HEAD" and self.expect.of_body:
            raise ValueError("the answer to HEAD has no body to expect anything of")
        return self


def require_sendable(headers: Mapping[str, SecretStr], own: Collection[str], sender: str) -> None:
    """Raise a ValueError that says why headers can't be sent; `own` are the sender's, in small letters."""
    for name, content in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("must be names of HTTP headers and their values")
        if name.lower() in own:
            raise ValueError(f"{name} is set by the {sender} itself")
        if any(ord(character) < 32 or ord(character) == 127 for character in content.get_secret_value()):
            raise ValueError(f"the value of {name} must be one line without control characters")


def names_a_web_address(text: str) -> bool:
    """Whether a text is a URL that a request can be sent to."""
    try:
        return bool(urlsplit(text).netloc) and is_web_address(httpx.URL(text))
    except (httpx.InvalidURL, ValueError):
        return False


async def probe_http(target: HttpTarget, timeout: float) -> Finding:
    """Send the request over a new connection, and judge the answer."""
    trail = current_trail()
    trail.keep_secret(secrets_of(target.http, _plain(target.headers)))
    transport = OneRequestTransport(trusted(target.ca_file, _PROTOCOL), target.follow_redirects)
    # What is watched is the service, and not a proxy that a variable happens to name.
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
        try:
            response = await _answer(client, target)
        except CertificateRefused as error:
            if error.certificate is not None:
                trail.details["certificate_days"] = error.certificate.days_left(utc_now())
            raise
        try:
            body = await read_body(response)
            trail.end()
        finally:
            await response.aclose()
    trail.details["body_bytes"] = len(body.content)
    if body.truncated:
        trail.details["body_truncated"] = True
    return _judged(target.expect, response, body)


def _plain(headers: Mapping[str, SecretStr]) -> Mapping[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


async def _answer(client: httpx.AsyncClient, target: HttpTarget) -> httpx.Response:
    """The answer at the end of the redirects. Bodies on the way aren't read."""
    details = current_trail().details
    request, auth = _first_request(client, target)
    for redirects in range(MAX_REDIRECTS + 1):
        response = await _sent(client, request, auth)
        details["status_code"] = response.status_code
        certificate = certificate_of(response)
        if certificate is not None:
            details["certificate_days"] = certificate.days_left(utc_now())
        following = response.next_request
        if following is None:
            return response
        await response.aclose()
        for of_the_last in ("status_code", "certificate_days", "remote_address"):
            details.pop(of_the_last, None)
        details |= {"redirects": redirects + 1, "url": str(following.url)}
        request, auth = without_secrets(following, request, _plain(target.headers)), None
    raise httpx.TooManyRedirects("more than ten")


async def _sent(client: httpx.AsyncClient, request: httpx.Request, auth: httpx.BasicAuth | None) -> httpx.Response:
    """The answer to a request, and the request that follows it where it is a redirect: httpx makes that at once."""
    try:
        return await client.send(request, stream=True, auth=auth)
    except (httpx.InvalidURL, ValueError):
        raise ProbeFailure(REDIRECTED_NOWHERE) from None


def _first_request(client: httpx.AsyncClient, target: HttpTarget) -> tuple[httpx.Request, httpx.BasicAuth | None]:
    """The request, with user and password of the URL where they belong, so that no log of the library has them."""
    url = httpx.URL(target.http)
    headers = {**_OWN_HEADERS, **{name.lower(): value for name, value in _plain(target.headers).items()}}
    auth = httpx.BasicAuth(url.username, url.password) if url.userinfo and "authorization" not in headers else None
    request = client.build_request(
        target.method,
        url.copy_with(userinfo=b""),
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=None if target.body is None else target.body.encode(),
    )
    return request, auth


def _judged(expect: HttpExpectation, response: httpx.Response, body: Body) -> Finding:
    """Down if the answer isn't the expected one, degraded if only its certificate doesn't last long enough."""
    charset = response.charset_encoding or "utf-8"
    unmet = status_unmet(expect, response.status_code) or body_unmet(expect, body.content, charset, body.truncated)
    if unmet:
        return Finding("down", unmet)
    if expect.certificate_days is None:
        return Finding()
    certificate = certificate_of(response)
    if certificate is None:
        return Finding("degraded", "expected a certificate, got an answer over a connection without TLS")
    warning = too_soon(certificate, expect.certificate_days, utc_now())
    return Finding("degraded", warning) if warning else Finding()
