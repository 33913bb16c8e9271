"""Server certificates: reading them, and explaining why one was rejected or expires soon."""

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from vigilbase.domain import JSON
from vigilbase.net.error_text import ProbeFailure

MAX_NAMES = 20
# Verify codes of OpenSSL: X509_STORE_CTX_get_error(3).
_NOT_YET_VALID, _EXPIRED, _NAME_MISMATCH, _ADDRESS_MISMATCH = 9, 10, 62, 64


@dataclass(frozen=True, slots=True)
class Certificate:
    """The parts of a certificate that a probe reports. Times are aware, in UTC."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative once it has."""
        return (self.not_after - now) // timedelta(days=1)

    def details(self, now: datetime) -> dict[str, JSON]:
        """The certificate as probe details."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": self.names[:MAX_NAMES],
            "not_after": self.not_after.isoformat().replace("+00:00", "Z"),
            "days_left": self.days_left(now),
        }


class CertificateRejected(ProbeFailure):
    """A server's certificate is invalid. `certificate` is None if the server didn't present it again."""

    def __init__(self, reason: str, certificate: Certificate | None) -> None:
        super().__init__(reason)
        self.certificate = certificate


def read_certificate(der: bytes) -> Certificate | None:
    """Parse a DER-encoded certificate; None if it violates RFC 5280 too badly to be parsed."""
    try:
        parsed = x509.load_der_x509_certificate(der)
        return Certificate(
            parsed.subject.rfc4514_string(),
            parsed.issuer.rfc4514_string(),
            _read_names(parsed),
            parsed.not_valid_before_utc,
            parsed.not_valid_after_utc,
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def _read_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses in subjectAltName, or the common name if that extension is missing."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def explain_rejection(
    error: ssl.SSLCertVerificationError, certificate: Certificate | None, host: str, now: datetime
) -> CertificateRejected:
    """Turn a verification error into a `CertificateRejected` whose message says what is wrong with the certificate."""
    return CertificateRejected(_describe_rejection(error, certificate, host, now), certificate)


def _describe_rejection(
    error: ssl.SSLCertVerificationError, certificate: Certificate | None, host: str, now: datetime
) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        if certificate is None:
            return "certificate expired"
        if certificate.not_after <= now:
            return f"certificate expired {_format_span(now - certificate.not_after)} ago"
        return "a certificate in the chain has expired"
    if code == _NOT_YET_VALID and certificate is not None and certificate.not_before > now:
        return f"certificate is not valid yet: it becomes valid in {_format_span(certificate.not_before - now)}"
    if code in (_NAME_MISMATCH, _ADDRESS_MISMATCH):
        names = _list_names(certificate.names) if certificate else "another name"
        return f"certificate is for {names}, not {host}"
    return f"certificate is not trusted: {error.verify_message}"


def check_expiry(certificate: Certificate, min_days: int, now: datetime) -> str | None:
    """A warning if the certificate expires in fewer than `min_days` days, otherwise None."""
    left = certificate.days_left(now)
    if left >= min_days:
        return None
    return f"certificate expires in {_format_count(left, 'day')}, expected at least {min_days}"


def _list_names(names: tuple[str, ...]) -> str:
    if not names:
        return "no name"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _format_span(time: timedelta) -> str:
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if time >= length:
            return _format_count(time // length, unit)
    return "less than a minute"


def _format_count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
