"""Standard Webhooks: signatures as in the reference libraries, and valid secrets."""

import base64
from datetime import UTC, datetime

import pytest

from vigilbase.channels.standard_webhooks import make_signed_headers, parse_secret

# From the tests of the reference libraries (standard-webhooks/standard-webhooks, libraries/*).
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_make_signed_headers_signature_matches_reference_libraries() -> None:
    assert make_signed_headers(ID, AT, BODY, [parse_secret(f"whsec_{SECRET}")]) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_make_signed_headers_each_key_gives_one_signature() -> None:
    signatures = make_signed_headers(ID, AT, BODY, [parse_secret("old"), parse_secret(f"whsec_{SECRET}")])[
        "webhook-signature"
    ]
    old, new = signatures.split(" ")
    assert new == SIGNATURE
    assert old != new


def test_make_signed_headers_without_key_has_no_signature() -> None:
    assert "webhook-signature" not in make_signed_headers(ID, AT, BODY, [])


def test_parse_secret_plain_text_and_missing_padding_are_accepted() -> None:
    assert parse_secret("wörd") == "wörd".encode()
    encoded = base64.b64encode(b"0123456789" * 5).decode()
    assert parse_secret(f"whsec_{encoded}") == parse_secret(f"whsec_{encoded.rstrip('=')}") == b"0123456789" * 5


@pytest.mark.parametrize(
    ("secret", "rule"),
    [
        ("", "empty"),
        ("whsec_", "24 to 64 bytes"),
        (f"whsec_{base64.b64encode(bytes(23)).decode()}", "24 to 64 bytes"),
        (f"whsec_{base64.b64encode(bytes(65)).decode()}", "24 to 64 bytes"),
        ("whsec_§", "base64"),
        ("whsec_a", "base64"),
    ],
)
def test_parse_secret_invalid_value_is_rejected(secret: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_secret(secret)
