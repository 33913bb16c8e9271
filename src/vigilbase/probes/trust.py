"""Whom TLS connections trust: the system's certificate authorities, and those of a file."""

import ssl
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


@cache
def trusted(ca_file: Path | None = None, protocol: str | None = None) -> ssl.SSLContext:
    """A context that trusts the system's authorities and those of a PEM file, made once: it takes longer than a probe.

    Raises:
        OSError: the file can't be read (`ssl.SSLError`, too, is one: it holds no certificate).

    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if protocol is not None:
        context.set_alpn_protocols([protocol])
    return context


@cache
def trusting_anybody() -> ssl.SSLContext:
    """A context that accepts any certificate, to see what it says. Nothing may be sent over its connections."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _with_certificates(path: Path) -> Path:
    path = path.expanduser()
    try:
        trusted(path)
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificates in PEM form") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {(error.strerror or str(error)).lower()}") from None
    return path


CaFile = Annotated[Path, AfterValidator(_with_certificates)]
"""A PEM file with the certificates of further authorities; read when the configuration is."""
