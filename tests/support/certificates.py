"""A certificate authority for tests, which the system doesn't trust, and server certificates from it."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


def _make_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def server_context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose own certificate is in `ca_file`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: str

    @property
    def ca_file(self) -> str:
        return str(self.folder / f"{self.name}.pem")

    def server(
        self,
        *names: str,
        days: float = 30,
        from_days: float = -1,
        self_signed: bool = False,
    ) -> ssl.SSLContext:
        """A context for a server with a certificate for these names, valid from `from_days` to `days` from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_make_name("server"))
            .issuer_name(_make_name("server" if self_signed else self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=from_days))
            .not_valid_after(now + timedelta(days=days, minutes=1 if days >= 0 else -1))
            .add_extension(x509.SubjectAlternativeName([_make_general_name(name) for name in names]), critical=False)
        )
        certificate = builder.sign(key if self_signed else self.key, hashes.SHA256())
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(_encode_key(key) + certificate.public_bytes(_PEM))
        return server_context(path)


def new_authority(folder: Path, *, issuer: Authority | None = None) -> Authority:
    """A root, or an intermediate authority of `issuer`. As many private ones, it leaves out key identifiers."""
    authority = Authority(folder, ec.generate_private_key(ec.SECP256R1()), "Intermediate" if issuer else "Root")
    signer = issuer or authority
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            _make_name(signer.name), _make_name(authority.name), authority.key.public_key(), x509.random_serial_number()
        )
        .not_valid_before(now - timedelta(days=100))
        .not_valid_after(now + timedelta(days=100))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer.key, hashes.SHA256())
    )
    Path(authority.ca_file).write_bytes(certificate.public_bytes(_PEM))
    return authority


def _make_general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
