"""The probe `http`: the requests that it sends, its expectations, and the details that it reports."""

import asyncio
import json
import logging

import pytest
from pydantic import ValidationError

from tests.support.loopback import fixed_now, get_details, get_phases, http_answer, probe_target, serving
from tests.support.server import free_port
from vigilbase.probes import PROBES

PASSWORD = "hunter2-hunter2"
NO_ENCODINGS = ("klingon", "base64", "idna", "punycode", "undefined", "unicode_escape")


@pytest.mark.parametrize(
    ("head", "expected", "status", "error"),
    [
        ("200 OK", "200-299", "healthy", None),
        ("204 No Content", "200-299", "healthy", None),
        ("503 Busy", "200-299", "down", "expected status 200-299, got 503"),
        ("404 Not Found", "200, 400-404", "healthy", None),
        ("200 OK", 301, "down", "expected status 301, got 200"),
    ],
)
async def test_probe_http_status_code_decides_result(
    head: str, expected: object, status: str, error: str | None
) -> None:
    async with serving(http_answer(head)) as port:
        result = await probe_target("http", f"http://127.0.0.1:{port}/", expect={"status": expected})
    assert (result.status, result.error_message) == (status, error)
    assert get_details(result)["status_code"] == int(head[:3])
    assert result.checked_at == fixed_now()


async def test_probe_http_details_contain_phases_that_add_up_to_latency() -> None:
    async def answer_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")
        await writer.drain()
        await asyncio.sleep(0.15)
        writer.write(b"lo")

    async with serving(answer_slowly) as port:
        result = await probe_target("http", f"http://127.0.0.1:{port}/")
    details = get_details(result)
    assert {**details, "phases": ...} == {
        "status_code": 200,
        "remote_address": f"127.0.0.1:{port}",
        "body_bytes": 5,
        "phases": ...,
    }
    phases = get_phases(result)
    assert list(phases) == ["dns_ms", "connect_ms", "first_byte_ms", "transfer_ms"]
    assert phases["first_byte_ms"] >= 300
    assert phases["transfer_ms"] >= 150
    assert all(value == round(value, 1) for value in phases.values())
    assert result.latency_ms * 0.7 - 20 <= sum(phases.values()) <= result.latency_ms + 1
    json.dumps(details, allow_nan=False)


async def test_probe_http_host_with_several_addresses_uses_one_that_accepts() -> None:
    async with serving(http_answer("200 OK")) as port:  # localhost may also be ::1, which refuses
        result = await probe_target("http", f"http://localhost:{port}/")
    assert (result.status, get_details(result)["remote_address"]) == ("healthy", f"127.0.0.1:{port}")


async def test_probe_http_ipv6_address_is_reported_in_brackets() -> None:
    try:
        async with serving(http_answer("200 OK"), host="::1") as port:
            result = await probe_target("http", f"http://[::1]:{port}/")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert (result.status, get_details(result)["remote_address"]) == ("healthy", f"[::1]:{port}")


async def test_probe_http_request_matches_configuration() -> None:
    heard: list[bytes] = []
    async with serving(http_answer("200 OK", heard=heard)) as port:
        await probe_target(
            "http",
            f"http://127.0.0.1:{port}/a%20path?q=1",
            method="post",
            headers={"Content-Type": "application/json", "User-Agent": "me", "X-Name": "Zoë"},
            body='{"é": 1}',
        )
        await probe_target("http", f"http://127.0.0.1:{port}")
    first, second = heard
    assert first.startswith(b"POST /a%20path?q=1 HTTP/1.1\r\n")
    assert first.endswith('\r\n\r\n{"é": 1}'.encode())
    for header in ("content-type: application/json", "user-agent: me", "x-name: Zoë", "accept-encoding: identity"):
        assert header.encode() in first
    assert second.startswith(b"GET / HTTP/1.1\r\n")
    assert b"user-agent: vigilbase/" in second


async def test_probe_http_head_response_body_is_not_awaited() -> None:
    async with serving(http_answer("200 OK\r\ncontent-length: 100")) as port:
        result = await probe_target("http", f"http://127.0.0.1:{port}/", method="HEAD")
    assert (result.status, get_details(result)["body_bytes"]) == ("healthy", 0)


@pytest.mark.parametrize(
    ("body", "expect", "error"),
    [
        ("all ok here", {"body_contains": "ok"}, None),
        ("all bad here", {"body_contains": "ok"}, 'expected a body that contains "ok"'),
        ('{"status": "ok", "n": 1}', {"json": {"status": "ok"}}, None),
        ('{"status": "failing"}', {"json": {"status": "ok"}}, 'expected json status: "ok", got "failing"'),
        ('{"db": {"up": 1}}', {"json": {"db": {"up": True}}}, "expected json db.up: true, got 1"),
        ("{}", {"json": {"db": {"up": True}}}, 'expected json db: {"up": true}, got nothing'),
        ("null", {"json": None}, None),
        ("3", {"json": None}, "expected json null, got 3"),
        ('{"password": "x1"}', {"json": {"password": "x2"}}, "expected json password: ****, got ****"),
        ("<html>", {"json": {"status": "ok"}}, "expected json, got text that is not JSON"),
        ("", {"json": {"status": "ok"}}, "expected json, got an empty body"),
        ("[" * 100_000, {"json": []}, "expected json, got text that is not JSON"),
    ],
)
async def test_probe_http_body_expectation_decides_result(
    body: str, expect: dict[str, object], error: str | None
) -> None:
    async with serving(http_answer("200 OK", body.encode())) as port:
        result = await probe_target("http", f"http://127.0.0.1:{port}/", expect=expect)
    assert (result.status, result.error_message) == ("down" if error else "healthy", error)
    assert get_details(result)["body_bytes"] == len(body)


async def test_probe_http_body_is_decoded_by_charset_or_as_utf_8() -> None:
    for head, body in (
        ("200 OK\r\ncontent-type: text/plain; charset=iso-8859-1", "grün".encode("latin-1")),
        *((f"200 OK\r\ncontent-type: text/plain; charset={name}", b"\xff gr\xc3\xbcn") for name in NO_ENCODINGS),
        ("200 OK", "grün".encode()),
    ):
        async with serving(http_answer(head, body)) as port:
            result = await probe_target("http", f"http://127.0.0.1:{port}/", expect={"body_contains": "grün"})
        assert result.error_message is None


async def test_probe_http_redirect_is_followed_and_reported() -> None:
    async with (
        serving(http_answer("200 OK")) as end,
        serving(http_answer(f"302 Found\r\nlocation: http://127.0.0.1:{end}/end?token=abcdef")) as port,
    ):
        result = await probe_target("http", f"http://127.0.0.1:{port}/")
        assert result.status == "healthy"
        details = get_details(result)
        assert {key: details[key] for key in ("redirects", "url", "remote_address")} == {
            "redirects": 1,
            "url": f"http://127.0.0.1:{end}/end?token=****",
            "remote_address": f"127.0.0.1:{end}",
        }
        result = await probe_target("http", f"http://127.0.0.1:{port}/", follow_redirects=False, expect={"status": 302})
        assert result.status == "healthy"
        assert "redirects" not in get_details(result)


async def test_probe_http_endless_or_invalid_redirect_is_down() -> None:
    async with (
        serving(http_answer("302 Found\r\nlocation: /again")) as circle,
        serving(http_answer("302 Found\r\nlocation: ftp://127.0.0.1/")) as other,
        serving(http_answer("302 Found\r\nlocation: http://127.0.0.1:port/")) as broken,
    ):
        result = await probe_target("http", f"http://127.0.0.1:{circle}/")
        assert (result.status, result.error_message) == ("down", "too many redirects")
        result = await probe_target("http", f"http://127.0.0.1:{other}/")
        assert result.error_message == "redirects to ftp://127.0.0.1/, which is not an HTTP URL"
        result = await probe_target("http", f"http://127.0.0.1:{broken}/")
        assert result.error_message == "redirects to an invalid URL"


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://127.0.0.1:{0}/", "redirects to http://127.0.0.1:{0}/, which is not an HTTP URL"),
        ("http://127.0.0.1:0/", "redirects to http://127.0.0.1:0/, which is not an HTTP URL"),
        ("http://xn--a/", "redirects to an invalid URL"),
        ("//xn--a/", "redirects to an invalid URL"),
        ("javascript:alert(1)", "redirects to an invalid URL"),
        (":http://[xn--", "redirects to an invalid URL"),
    ],
)
async def test_probe_http_redirect_to_invalid_url_is_down_only_if_followed(location: str, error: str) -> None:
    async with serving(http_answer("200 OK")) as end:  # the redirect's port, truncated to 16 bits
        beyond = end + 65_536
        async with serving(http_answer(f"302 Found\r\nlocation: {location.format(beyond)}")) as port:
            result = await probe_target("http", f"http://127.0.0.1:{port}/")
            assert (result.status, result.error_message) == ("down", error.format(beyond))
            result = await probe_target(
                "http", f"http://127.0.0.1:{port}/", follow_redirects=False, expect={"status": 302}
            )
            assert (result.status, result.error_message) == ("healthy", None)


async def test_probe_http_redirect_sends_secret_headers_to_same_origin_only() -> None:
    heard: list[bytes] = []
    headers = {"Authorization": "Bearer t0ken-a", "Cookie": "id=t0ken-b", "X-Api-Key": "t0ken-c", "X-Plain": "plain"}
    async with (
        serving(http_answer("200 OK", heard=heard)) as end,
        serving(http_answer(f"307 Moved\r\nlocation: http://localhost:{end}/", heard=heard)) as away,
    ):
        await probe_target("http", f"http://127.0.0.1:{away}/", headers=headers)
        first, second = heard
        assert first.count(b"t0ken") == 3
        assert second.count(b"t0ken") == 0
        assert b"x-plain: plain" in second
    heard.clear()
    answers = iter(["302 Found\r\nset-cookie: seen=1\r\nlocation: /next", "200 OK"])

    async def answer_next(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await http_answer(next(answers), heard=heard)(reader, writer)

    async with serving(answer_next) as port:
        await probe_target("http", f"http://127.0.0.1:{port}/", headers=headers)
    assert heard[1].count(b"t0ken") == 3
    assert b"cookie: id=t0ken-b; seen=1" in heard[1]


async def test_probe_http_secrets_are_sent_and_redacted_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []
    encoded = "aHVudGVyOmh1bnRlcjItaHVudGVyMi9A"  # base64 of hunter:hunter2-hunter2/@
    body = f"you are hunter:{PASSWORD}/@ with {encoded} and Bearer s3cret-token".encode()
    with caplog.at_level(logging.DEBUG):
        async with serving(http_answer(f"302 Found\r\nlocation: /?back={PASSWORD}%2F%40", body, heard)) as port:
            result = await probe_target(
                "http",
                f"http://hunter:{PASSWORD}%2F%40@127.0.0.1:{port}/?api_key=k3y-of-mine",
                headers={"X-Token": "s3cret-token"},
                follow_redirects=False,
                expect={"json": f"{PASSWORD}/@ k3y-of-mine s3cret-token", "status": 302},
            )
            followed = await probe_target("http", f"http://hunter:{PASSWORD}%2F%40@127.0.0.1:{port}/")
    assert f"Authorization: Basic {encoded}".encode() in heard[0]
    assert b"GET /?api_key=k3y-of-mine " in heard[0]
    assert result.status == "down"
    for text in (f"{result} {followed}", caplog.text):
        for secret in (PASSWORD, encoded, "k3y-of-mine", "s3cret-token"):
            assert secret not in text


async def test_http_target_repr_contains_no_secrets() -> None:
    values = {"http": f"https://u:{PASSWORD}@h/", "headers": {"cookie": PASSWORD}, "body": PASSWORD}
    assert PASSWORD not in repr(PROBES["http"].target.model_validate(values))
    assert PASSWORD not in repr(PROBES["http"].bind(values, 1))


async def test_probe_http_proxy_variable_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with serving(http_answer("200 OK")) as port:
        assert (await probe_target("http", f"http://127.0.0.1:{port}/")).status == "healthy"


@pytest.mark.parametrize(
    ("values", "field", "rule"),
    [
        ({"http": "ftp://h/"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": "http:///x"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": "http://h:99999/"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": f"http://{'a' * 64}.example/"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": "http://exa mple.com/"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": "http://a%20b/"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": "http://xn--a/"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": "http://h:0/"}, "http", "must be a URL such as https://example.com/health"),
        ({"http": "http://u:hunter2-hunter2@[/"}, "http", "must be a URL such as https://example.com/health"),
        ({"method": "TRACE"}, "method", "Input should be 'GET'"),
        ({"headers": {"a b": "x"}}, "headers", "must be HTTP header names"),
        ({"headers": {"a": "hunter2-hunter2\r\nb: c"}}, "headers", "the value of a must be one line"),
        ({"headers": {"Content-Length": "3"}}, "headers", "Content-Length is set by the probe itself"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file", "/nowhere/ca.pem can't be read: no such file"),
        ({"ca_file": __file__}, "ca_file", "contains no PEM certificates"),
        ({"method": "HEAD", "expect": {"json": {}}}, "", "HEAD returns no body"),
        ({"expect": {"certificate_days": -1}}, "expect.certificate_days", "greater than or equal to 0"),
        ({"expect": {"body_contains": ""}}, "expect.body_contains", "at least 1 character"),
        ({"expect": {"status": "600"}}, "expect.status", "must be status codes such as"),
        ({"expect": {"status": 10**5000}}, "expect.status", "must be status codes such as"),
        ({"expect": {"status": True}}, "expect.status", "must be status codes such as"),
    ],
)
def test_http_target_invalid_field_is_rejected(values: dict[str, object], field: str, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES["http"].bind({"http": "http://h/", **values}, 1)
    error = caught.value.errors(include_input=False)[0]
    assert ".".join(map(str, error["loc"])) == field
    assert rule in error["msg"]
    assert PASSWORD not in str(caught.value)
