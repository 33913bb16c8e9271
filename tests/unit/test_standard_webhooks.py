"""Signatures, by the example of the reference libraries and by what may be a secret."""

import base64
from datetime import UTC, datetime

import pytest

from vigilbase.alerts.channels.standard_webhooks import key_of, signed_headers

# Of the tests of the reference libraries (standard-webhooks/standard-webhooks, libraries/*).
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_that_of_the_reference_libraries() -> None:
    assert signed_headers(ID, AT, BODY, [key_of(f"whsec_{SECRET}")]) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_each_key_has_a_signature_so_that_one_may_replace_the_other() -> None:
    signatures = signed_headers(ID, AT, BODY, [key_of("old"), key_of(f"whsec_{SECRET}")])["webhook-signature"]
    old, new = signatures.split(" ")
    assert new == SIGNATURE
    assert old != new


def test_without_a_key_there_is_no_signature() -> None:
    assert "webhook-signature" not in signed_headers(ID, AT, BODY, [])


def test_a_plain_secret_is_taken_as_it_is_and_padding_may_be_missing() -> None:
    assert key_of("wörd") == "wörd".encode()
    encoded = base64.b64encode(b"0123456789" * 5).decode()
    assert key_of(f"whsec_{encoded}") == key_of(f"whsec_{encoded.rstrip('=')}") == b"0123456789" * 5


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
def test_what_is_no_secret_is_refused(secret: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        key_of(secret)
