"""The probe `tls`: is the certificate of a server valid, and for how long still?"""

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vigilbase.clock import utc_now
from vigilbase.probes.certificate import CertificateRefused, too_soon
from vigilbase.probes.connection import connected
from vigilbase.probes.finding import Finding
from vigilbase.probes.tcp import host_and_port
from vigilbase.probes.trail import current_trail
from vigilbase.probes.trust import CaFile, trusted
from vigilbase.probes.words import ProbeFailure

DEFAULT_PORT = 443
_HOST_NAME = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*")


class TlsExpectation(BaseModel):
    """`expect:` of a tls service: for how many days at least the certificate has to be valid still."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate_days: int = Field(14, ge=0, le=3650, description="Degraded if the certificate lasts fewer days.")


class TlsTarget(BaseModel):
    """What a tls service says about its probe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tls: str
    server_name: str | None = Field(None, description="The name to ask for and to check, if it isn't the host's.")
    ca_file: CaFile | None = Field(None, description="A PEM file of further certificate authorities to trust.")
    expect: TlsExpectation = TlsExpectation()

    @field_validator("tls")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host_and_port(value, DEFAULT_PORT)
        trusted()  # loaded now, and not in the time of the first probe
        return value

    @field_validator("server_name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and not _HOST_NAME.fullmatch(value):
            raise ValueError("must be the name of a host, such as example.com")
        return value


async def probe_tls(target: TlsTarget, timeout: float) -> Finding:
    """Connect, shake hands and look at the certificate."""
    host, port = host_and_port(target.tls, DEFAULT_PORT)
    details = current_trail().details
    try:
        async with connected(host, port, trusted(target.ca_file), target.server_name) as connection:
            certificate = connection.certificate
            if connection.tls is not None:
                cipher = connection.tls.cipher()
                details |= {"protocol": connection.tls.version(), "cipher": cipher[0] if cipher else None}
    except CertificateRefused as error:
        if error.certificate is not None:
            details["certificate"] = error.certificate.details(utc_now())
        raise
    if certificate is None:
        raise ProbeFailure("the certificate can't be read")
    details["certificate"] = certificate.details(utc_now())
    warning = too_soon(certificate, target.expect.certificate_days, utc_now())
    return Finding("degraded", warning) if warning else Finding()
