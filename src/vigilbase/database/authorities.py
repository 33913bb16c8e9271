"""The system's certificate authorities for `sslrootcert=system`, which psycopg's own OpenSSL doesn't find.

psycopg[binary] comes with an OpenSSL that looks for them in a folder that exists on no system.
"""

import os
import ssl
from pathlib import Path

import certifi
from psycopg import pq
from psycopg.abc import ConnDict

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


def name_system_authorities(parameters: ConnDict) -> ConnDict:
    """The parameters with the path of the system's authorities instead of `system`, which libpq knows since 16.

    With `system`, libpq verifies the host's name unless told otherwise, and refuses any weaker mode itself.
    """
    root = parameters.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    mode = parameters.get("sslmode") or os.environ.get("PGSSLMODE") or "verify-full"
    if root == "system" and mode == "verify-full":
        return {**parameters, "sslrootcert": find_authorities(), "sslmode": mode}
    return parameters


def can_libpq_find_authorities() -> bool:
    """Whether psycopg's libpq uses the system's OpenSSL, which knows where its authorities are."""
    return pq.__impl__ != "binary"


def find_authorities() -> str:
    """The path of the system's certificate authorities, or of those that come with httpx."""
    known = (ssl.get_default_verify_paths().cafile, *_BUNDLES)
    found = next((path for path in known if path and Path(path).is_file()), None)
    return os.environ.get("SSL_CERT_FILE") or found or certifi.where()
