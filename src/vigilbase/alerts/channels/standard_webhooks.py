"""Signatures as Standard Webhooks 1.0.0 has them (standardwebhooks.com, "Signature scheme"). Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes of a symmetric secret


def key_of(secret: str) -> bytes:
    """The key that a secret means: what follows `whsec_` in base64, or the bytes of any other text.

    Raises:
        ValueError: after `whsec_` follows no base64, or too little or too much of it; or there is nothing at all.

    """
    if not secret.startswith(PREFIX):
        key = secret.encode()
    else:
        encoded = secret.removeprefix(PREFIX).rstrip("=")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("must be base64 after whsec_") from None
        if not SHORTEST <= len(key) <= LONGEST:
            raise ValueError(f"must be {SHORTEST} to {LONGEST} bytes after whsec_, as base64")
    if not key:
        raise ValueError("must not be empty")
    return key


def signed_headers(message_id: str, at: datetime, body: bytes, keys: Sequence[bytes]) -> Mapping[str, str]:
    """The headers of one try, which began `at`: the id is the same on every try, time and signatures are not.

    One signature for each key, so that a receiver can go from one to the next; none without a key.
    """
    timestamp = str(int(at.timestamp()))
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
    if keys:
        headers["webhook-signature"] = " ".join(signature(message_id, timestamp, body, key) for key in keys)
    return headers


def signature(message_id: str, timestamp: str, body: bytes, key: bytes) -> str:
    """`v1,` and the HMAC-SHA256 over id, timestamp and body, with dots between them, in base64."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
