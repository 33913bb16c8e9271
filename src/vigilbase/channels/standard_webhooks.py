"""Signatures of Standard Webhooks 1.0.0 (standardwebhooks.com, "Signature scheme"). Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
# The specification's bounds for symmetric keys.
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64


def parse_secret(secret: str) -> bytes:
    """The key in a secret: the decoded base64 after `whsec_`, or the bytes of any other text.

    Raises:
        ValueError: the text after `whsec_` is not base64 or has the wrong length, or the secret is empty.

    """
    if not secret.startswith(PREFIX):
        key = secret.encode()
    else:
        encoded = secret.removeprefix(PREFIX).rstrip("=")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("must be base64 after whsec_") from None
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise ValueError(f"must be {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes after whsec_, as base64")
    if not key:
        raise ValueError("must not be empty")
    return key


def make_signed_headers(webhook_id: str, at: datetime, body: bytes, keys: Sequence[bytes]) -> Mapping[str, str]:
    """The headers of an attempt that began `at`; the id is the same at every attempt, the time and signatures are not.

    There is one signature for each key, so that a receiver can change keys without losing notifications.
    """
    timestamp = str(int(at.timestamp()))
    headers = {"webhook-id": webhook_id, "webhook-timestamp": timestamp}
    if keys:
        headers["webhook-signature"] = " ".join(sign(webhook_id, timestamp, body, key) for key in keys)
    return headers


def sign(webhook_id: str, timestamp: str, body: bytes, key: bytes) -> str:
    """`v1,` and the HMAC-SHA256 over id, timestamp and body, separated by dots, in base64."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
