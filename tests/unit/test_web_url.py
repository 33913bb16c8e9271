"""Web URLs that are recognized without a parser."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilbase.net import http_validation
from vigilbase.net.http_validation import extract_host, is_http_url, is_web_url

HOSTS = ["127.0.0.1", "1.2.3.4.5", "example.com", "a.xn--a", "xn--mller-kva.example", "x" * 64, "é", "a", "A", "-", "_"]
PORTS = [":", "0", "080", "443", "80", "65536"]
MARKS = ["://", "//", "/", "?", "#", "@", "%", "[", "]", "\\", " ", "\n", ".", ".."]
PARTS = st.sampled_from(["http", "https", "ftp", *HOSTS, *PORTS, *MARKS])


@given(st.lists(PARTS, max_size=9).map("".join) | st.from_regex(http_validation._PLAIN_URL, fullmatch=True))
def test_plain_url_is_one_for_the_parser_too(text: str) -> None:
    plain = http_validation._split_plain_url(text)
    if plain is not None:
        url = httpx.URL(text)
        assert is_http_url(url)
        assert plain == url.netloc.decode()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com:443/hook?token=1", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("http://localhost:8000/a b", "localhost:8000"),
        ("http://EXAMPLE.com:80?x", "example.com"),
        ("https://user:pass@example.com:8443/", "example.com:8443"),
        ("http://müller.example/", "xn--mller-kva.example"),
        ("http://127.0.0.1:81", "127.0.0.1:81"),
        ("http://[::1]:81/", "[::1]:81"),
    ],
)
def test_extract_host_returns_host_and_unusual_port(url: str, host: str) -> None:
    assert is_web_url(url)
    assert extract_host(url) == host


@pytest.mark.parametrize(
    "url", ["http://example.com:65536/", "http://example.com:99999", "https://", "ftp://example.com"]
)
def test_is_web_url_invalid_url_is_none(url: str) -> None:
    assert not is_web_url(url)


def test_long_host_is_left_to_the_parser() -> None:
    host = ".".join(["a" * 60] * 5)
    assert http_validation._split_plain_url(f"http://{host}/") is None
