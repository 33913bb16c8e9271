"""TLS contexts: which certificate authorities a connection trusts."""

import ssl
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

# What curl and browsers do, so that a certificate is as valid on every Python: 3.13 changed the defaults. A trusted
# certificate may be an intermediate one, and a private authority may leave out what RFC 5280 demands of it.
INCLUDED_FLAGS = (ssl.VERIFY_X509_PARTIAL_CHAIN,)
EXCLUDED_FLAGS = (ssl.VERIFY_X509_STRICT,)


@cache
def make_tls_context(ca_file: Path | None = None, protocol: str | None = None) -> ssl.SSLContext:
    """A context that trusts the system's certificate authorities and those in a PEM file, with `protocol` as ALPN.

    Contexts are cached, because making one takes longer than a probe.

    Raises:
        ssl.SSLError: the file contains no certificates.
        OSError: the file can't be read.

    """
    context = ssl.create_default_context()
    for flag in INCLUDED_FLAGS:
        context.verify_flags |= flag
    for flag in EXCLUDED_FLAGS:
        context.verify_flags &= ~flag
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if protocol is not None:
        context.set_alpn_protocols([protocol])
    return context


@cache
def make_unverified_context() -> ssl.SSLContext:
    """A context that accepts any certificate, for reading it only. Send no data over its connections."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _require_certificates(path: Path) -> Path:
    path = path.expanduser()
    try:
        make_tls_context(path)
    except ssl.SSLError:
        raise ValueError(f"{path} contains no PEM certificates") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {(error.strerror or str(error)).lower()}") from None
    return path


CaFile = Annotated[Path, AfterValidator(_require_certificates)]
"""A PEM file with additional certificate authorities, checked when the configuration is loaded."""
