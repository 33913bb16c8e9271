"""Certificates of servers: what they say, how long they last, and what is wrong with one."""

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from vigilbase.probes.words import ProbeFailure
from vigilbase.vocabulary import JSON

MAX_NAMES = 20
# Of X509_verify_cert_error_string(3).
_NOT_YET_VALID, _EXPIRED, _NAME_MISMATCH, _ADDRESS_MISMATCH = 9, 10, 62, 64


@dataclass(frozen=True, slots=True)
class Certificate:
    """What of a certificate matters to whoever watches it."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative once it has."""
        return (self.not_after - now) // timedelta(days=1)

    def details(self, now: datetime) -> dict[str, JSON]:
        """As details of a probe."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": self.names[:MAX_NAMES],
            "not_after": self.not_after.isoformat().replace("+00:00", "Z"),
            "days_left": self.days_left(now),
        }


class CertificateRefused(ProbeFailure):
    """A server's certificate isn't valid, and here it is, if it could be seen."""

    def __init__(self, reason: str, certificate: Certificate | None) -> None:
        super().__init__(reason)
        self.certificate = certificate


def read_certificate(der: bytes) -> Certificate | None:
    """The certificate in bytes of DER, or None where it breaks the rules of RFC 5280 so much that it can't be read."""
    try:
        parsed = x509.load_der_x509_certificate(der)
        return Certificate(
            parsed.subject.rfc4514_string(),
            parsed.issuer.rfc4514_string(),
            _names(parsed),
            parsed.not_valid_before_utc,
            parsed.not_valid_after_utc,
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses that it is for: those of subjectAltName, or the common name where there are none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def refusal(
    error: ssl.SSLCertVerificationError, certificate: Certificate | None, host: str, now: datetime
) -> CertificateRefused:
    """Why a certificate was not accepted, in words: of what the check said, and of the certificate itself."""
    return CertificateRefused(_why(error, certificate, host, now), certificate)


def _why(error: ssl.SSLCertVerificationError, certificate: Certificate | None, host: str, now: datetime) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        if certificate is None:
            return "certificate expired"
        if certificate.not_after <= now:
            return f"certificate expired {_span(now - certificate.not_after)} ago"
        return "a certificate in the chain expired"
    if code == _NOT_YET_VALID and certificate is not None and certificate.not_before > now:
        return f"certificate is not valid yet: it will be in {_span(certificate.not_before - now)}"
    if code in (_NAME_MISMATCH, _ADDRESS_MISMATCH):
        names = _listed(certificate.names) if certificate else "another name"
        return f"certificate is for {names}, not {host}"
    return f"certificate is not trusted: {error.verify_message}"


def too_soon(certificate: Certificate, days: int, now: datetime) -> str | None:
    """That a certificate expires in fewer than so many days, or None if it doesn't."""
    left = certificate.days_left(now)
    return None if left >= days else f"certificate expires in {_count(left, 'day')}, expected at least {days}"


def _listed(names: tuple[str, ...]) -> str:
    if not names:
        return "no name"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _span(time: timedelta) -> str:
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if time >= length:
            return _count(time // length, unit)
    return "less than a minute"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
