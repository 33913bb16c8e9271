"""Secrets in texts become `****`, and ordinary texts stay as they are."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.probes.masking import is_secret_header, is_secret_key, masked


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgres://me:pa55@h:5432/d failed", "postgres://me:****@h:5432/d failed"),
        ("redis://:pa55@h", "redis://:****@h"),
        ("https://me:p@ss@h/?a=b@c", "https://me:****@h/?a=b@c"),
        ("GET /?token=abc&x=1", "GET /?token=****&x=1"),
        ("/?access_token=abc#top", "/?access_token=****"),
        ("?api_key=1;apikey=2&key=3", "?api_key=****;apikey=****&key=****"),
        ("X-Amz-Signature=0af", "X-Amz-Signature=****"),
        ("host=h password=pa55 user=me", "host=h password=**** user=me"),
        ("password='pa 55' x", "password='**** 55' x"),
        ('{"password": "pa\\"55", "n": 1}', '{"password": "****", "n": 1}'),
        ("{'client_secret': 'pa55'}", "{'client_secret': '****'}"),
        ("sent Bearer abc.def-123", "sent Bearer ****"),
        ("sent Basic dXNlcjpwYXNz", "sent Basic ****"),
        ("Authorization: Digest abcdef", "Authorization: Digest ****"),
        ("authorization: abcdef, next", "authorization: ****, next"),
        ("Set-Cookie: id=1; Path=/\nDate: x", "Set-Cookie: ****\nDate: x"),
        ("Cookie: id=1; b=2", "Cookie: ****"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, hidden: str) -> None:
    assert masked(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "connection refused",
        "expected status 200-299, got 503",
        "Basic authentication required",
        "bearer token is missing",
        'Bearer realm="api"',
        "https://example.com:8443/a?b=c@d",
        "monkey=banana turkey=dinner",
        "the key: foo, the password: wrong",
        "certificate is for a.example, not b.example",
        "ssh://git@example.com/x",
        "KeyError: 'x'",
        "cookies are off",
        '{"status": "ok"}',
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("secret", "text", "hidden"),
    [
        ("pa ss/w@rd", "pa ss/w@rd pa%20ss%2Fw%40rd pa%20ss/w%40rd pa+ss%2Fw%40rd", "**** **** **** ****"),
        ("pa%20ssw", "pa ssw", "****"),
        ("secret-1", "asecret-1b", "a****b"),
        ("a", "a banana", "**** banana"),
        ("", "text", "text"),
    ],
)
def test_known_secrets_are_masked_however_they_are_encoded(secret: str, text: str, hidden: str) -> None:
    assert masked(text, [secret]) == hidden


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert masked("hunter2hunter2", ["hunter2", "hunter2hunter2"]) == "****"


@given(st.text(), st.text(alphabet="abcdef0123456789-_/@ %", min_size=6), st.text())
def test_a_secret_is_nowhere_in_what_is_left(before: str, secret: str, after: str) -> None:
    assert secret not in masked(f"{before}{secret}{after}", [secret])


@pytest.mark.parametrize(
    "part", ["a", "a.", "a-", "http://", "token", "key_", "a://b:", '"password":"\\', "Bearer a", "cookie "]
)
def test_masking_a_long_text_takes_no_time_to_speak_of(part: str) -> None:
    text = part * (100_000 // len(part))
    began = time.process_time()
    masked(text)
    assert time.process_time() - began < 1


def test_names_of_secrets_are_known() -> None:
    secret = ["Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "my-secret", "Password"]
    assert all(map(is_secret_header, secret))
    assert not any(map(is_secret_header, ["Accept", "Content-Type", "X-Request-Id"]))
    assert all(map(is_secret_key, ["password", "api_key", "db_password", "access_token", "set-cookie"]))
    assert not any(map(is_secret_key, ["keys", "status", "password_age", "tokens_left", "monkey"]))
