"""The probe `tls`: whether a server's certificate is valid, and for how many more days."""

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vigilbase.clock import utc_now
from vigilbase.domain import ProbeResult
from vigilbase.net.certificate import CertificateRejected, check_expiry
from vigilbase.net.connection import open_connection
from vigilbase.net.error_text import ProbeFailure
from vigilbase.net.tls_context import CaFile, make_tls_context
from vigilbase.net.trace import current_trace
from vigilbase.probes.kind import make_kind
from vigilbase.probes.tcp import parse_host_and_port

DEFAULT_PORT = 443
_HOST_NAME = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*")


class TlsExpectation(BaseModel):
    """`expect:` of a tls service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate_days: int = Field(14, ge=0, le=3650, description="Degraded if the certificate expires in fewer days.")


class TlsTarget(BaseModel):
    """The fields of a tls service: HOST or HOST:PORT (default 443)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tls: str
    server_name: str | None = Field(
        None, description="The name to request, which the certificate must match. Default: the host."
    )
    ca_file: CaFile | None = Field(None, description="A PEM file of additional certificate authorities to trust.")
    expect: TlsExpectation = TlsExpectation()

    @field_validator("tls")
    @classmethod
    def _require_host_and_port(cls, value: str) -> str:
        parse_host_and_port(value, DEFAULT_PORT)
        make_tls_context()  # cached now, so that the first probe isn't slower
        return value

    @field_validator("server_name")
    @classmethod
    def _require_host_name(cls, value: str | None) -> str | None:
        if value is not None and not _HOST_NAME.fullmatch(value):
            raise ValueError("must be a host name, such as example.com")
        return value


async def probe_tls(target: TlsTarget, timeout: float) -> ProbeResult:
    """Connect, complete the handshake and check the certificate."""
    host, port = parse_host_and_port(target.tls, DEFAULT_PORT)
    details = current_trace().details
    try:
        async with open_connection(host, port, make_tls_context(target.ca_file), target.server_name) as connection:
            certificate = connection.certificate
            if connection.tls is not None:
                cipher = connection.tls.cipher()
                details |= {"protocol": connection.tls.version(), "cipher": cipher[0] if cipher else None}
    except CertificateRejected as error:
        if error.certificate is not None:
            details["certificate"] = error.certificate.details(utc_now())
        raise
    if certificate is None:
        raise ProbeFailure("the certificate can't be read")
    details["certificate"] = certificate.details(utc_now())
    warning = check_expiry(certificate, target.expect.certificate_days, utc_now())
    return ProbeResult("degraded", warning) if warning else ProbeResult()


KIND = make_kind(TlsTarget, probe_tls)
