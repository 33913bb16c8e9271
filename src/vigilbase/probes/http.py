"""The probe `http`: send a request, follow redirects, and check status code, body and certificate."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from vigilbase.clock import utc_now
from vigilbase.domain import ProbeResult
from vigilbase.net.certificate import CertificateRejected, check_expiry
from vigilbase.net.error_text import INVALID_REDIRECT, ProbeFailure
from vigilbase.net.http_redaction import drop_secret_headers, list_request_secrets
from vigilbase.net.http_transport import OneRequestTransport, get_certificate
from vigilbase.net.http_validation import is_web_url, require_valid_headers
from vigilbase.net.tls_context import CaFile, make_tls_context
from vigilbase.net.trace import current_trace
from vigilbase.probes.expectation import HttpExpectation, check_body, check_status
from vigilbase.probes.http_body import Body, read_body
from vigilbase.probes.kind import make_kind

MAX_REDIRECTS = 10
_PROTOCOL = "http/1.1"
_OWN_HEADERS = {
    "user-agent": f"vigilbase/{version('vigilbase')}",
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "close",
}
_FRAMING_HEADERS = ("content-length", "transfer-encoding", "connection")

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class HttpTarget(BaseModel):
    """The fields of an http service. URL, headers and body may contain secrets, so repr() omits them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    http: str = Field(repr=False)
    method: Method = Field("GET", description="The request method.")
    headers: Mapping[str, SecretStr] = Field({}, description="Headers to send.")
    body: str | None = Field(None, repr=False, description="The body to send.")
    follow_redirects: bool = Field(True, description="Whether to follow redirects, at most ten.")
    ca_file: CaFile | None = Field(None, description="A PEM file of additional certificate authorities to trust.")
    expect: HttpExpectation = HttpExpectation()

    @field_validator("http")
    @classmethod
    def _require_url(cls, value: str) -> str:
        if not is_web_url(value):
            raise ValueError("must be a URL such as https://example.com/health")
        make_tls_context(None, _PROTOCOL)  # cached now, so that the first probe isn't slower
        return value

    @field_validator("method", mode="before")
    @classmethod
    def _to_upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("headers")
    @classmethod
    def _require_sendable(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        require_valid_headers(value, _FRAMING_HEADERS, "probe")
        return value

    @model_validator(mode="after")
    def _require_body_for_rules(self) -> "HttpTarget":
        if self.method == "HEAD" and self.expect.has_body_rule:
            raise ValueError("method HEAD returns no body: use GET, or remove body_contains and json")
        return self


async def probe_http(target: HttpTarget, timeout: float) -> ProbeResult:
    """Send the request over a new connection and check the response."""
    trace = current_trace()
    trace.add_secrets(list_request_secrets(target.http, _reveal(target.headers)))
    transport = OneRequestTransport(make_tls_context(target.ca_file, _PROTOCOL), target.follow_redirects)
    # trust_env=False: the probe measures the service, not a proxy from the environment.
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
        try:
            response = await _follow(client, target)
        except CertificateRejected as error:
            if error.certificate is not None:
                trace.details["certificate_days"] = error.certificate.days_left(utc_now())
            raise
        try:
            body = await read_body(response)
            trace.end()
        finally:
            await response.aclose()
    trace.details["body_bytes"] = len(body.content)
    if body.is_truncated:
        trace.details["body_truncated"] = True
    return _evaluate(target.expect, response, body)


def _reveal(headers: Mapping[str, SecretStr]) -> Mapping[str, str]:
    return {name: value.get_secret_value() for name, value in headers.items()}


async def _follow(client: httpx.AsyncClient, target: HttpTarget) -> httpx.Response:
    """Send the request, follow redirects without reading their bodies, and return the final response."""
    details = current_trace().details
    request, auth = _make_first_request(client, target)
    for redirects in range(MAX_REDIRECTS + 1):
        response = await _send(client, request, auth)
        details["status_code"] = response.status_code
        certificate = get_certificate(response)
        if certificate is not None:
            details["certificate_days"] = certificate.days_left(utc_now())
        following = response.next_request
        if following is None:
            return response
        await response.aclose()
        for key in ("status_code", "certificate_days", "remote_address"):  # of the last response only
            details.pop(key, None)
        details |= {"redirects": redirects + 1, "url": str(following.url)}
        request, auth = drop_secret_headers(following, request, _reveal(target.headers)), None
    raise httpx.TooManyRedirects("more than ten")


async def _send(client: httpx.AsyncClient, request: httpx.Request, auth: httpx.BasicAuth | None) -> httpx.Response:
    """Send one request. httpx prepares the next one of a redirect at once, which fails for an invalid URL."""
    try:
        return await client.send(request, stream=True, auth=auth)
    except (httpx.InvalidURL, ValueError):
        raise ProbeFailure(INVALID_REDIRECT) from None


def _make_first_request(client: httpx.AsyncClient, target: HttpTarget) -> tuple[httpx.Request, httpx.BasicAuth | None]:
    """The request, with the URL's user and password in a header, so that they aren't in the library's log."""
    url = httpx.URL(target.http)
    # In lowercase, so that a configured header replaces our own of the same name.
    headers = {**_OWN_HEADERS, **{name.lower(): value for name, value in _reveal(target.headers).items()}}
    auth = httpx.BasicAuth(url.username, url.password) if url.userinfo and "authorization" not in headers else None
    request = client.build_request(
        target.method,
        url.copy_with(userinfo=b""),
        # As bytes, because httpx encodes text as ASCII and fails for other characters.
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=None if target.body is None else target.body.encode(),
    )
    return request, auth


def _evaluate(expect: HttpExpectation, response: httpx.Response, body: Body) -> ProbeResult:
    """Down if the response doesn't meet the expectations, degraded if only the certificate expires too soon."""
    charset = response.charset_encoding or "utf-8"
    error = check_status(expect, response.status_code) or check_body(expect, body.content, charset, body.is_truncated)
    if error:
        return ProbeResult("down", error)
    if expect.certificate_days is None:
        return ProbeResult()
    certificate = get_certificate(response)
    if certificate is None:
        return ProbeResult("degraded", "expected a certificate, got a connection without TLS")
    warning = check_expiry(certificate, expect.certificate_days, utc_now())
    return ProbeResult("degraded", warning) if warning else ProbeResult()


KIND = make_kind(HttpTarget, probe_http)
