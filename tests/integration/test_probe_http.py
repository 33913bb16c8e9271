"""The http probe on real servers: what it sends, what it expects, and what it tells of an answer."""

import asyncio
import json
import logging

import pytest
from pydantic import ValidationError

from tests.support.loopback import details, fixed_now, http_answer, look, phases, serving
from tests.support.server import free_port
from vigilbase.probes import KINDS

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
async def test_an_answer_is_judged_by_its_status_code(
    head: str, expected: object, status: str, error: str | None
) -> None:
    async with serving(http_answer(head)) as port:
        seen = await look("http", f"http://127.0.0.1:{port}/", expect={"status": expected})
    assert (seen.status, seen.error_message) == (status, error)
    assert details(seen)["status_code"] == int(head[:3])
    assert seen.checked_at == fixed_now()


async def test_an_answer_is_told_in_details_whose_phases_add_up_to_its_latency() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"lo")

    async with serving(slow) as port:
        seen = await look("http", f"http://127.0.0.1:{port}/")
    known = details(seen)
    assert {**known, "phases": ...} == {
        "status_code": 200,
        "remote_address": f"127.0.0.1:{port}",
        "body_bytes": 5,
        "phases": ...,
    }
    measured = phases(seen)
    assert list(measured) == ["dns_ms", "connect_ms", "first_byte_ms", "transfer_ms"]
    assert measured["first_byte_ms"] >= 100
    assert measured["transfer_ms"] >= 50
    assert all(value == round(value, 1) for value in measured.values())
    assert seen.latency_ms * 0.7 - 20 <= sum(measured.values()) <= seen.latency_ms + 1
    json.dumps(known, allow_nan=False)


async def test_a_host_is_reached_by_whichever_of_its_addresses_answers() -> None:
    async with serving(http_answer("200 OK")) as port:  # localhost may be ::1, too, where nobody listens
        seen = await look("http", f"http://localhost:{port}/")
    assert (seen.status, details(seen)["remote_address"]) == ("healthy", f"127.0.0.1:{port}")


async def test_an_ipv6_address_is_reached_and_told_in_brackets() -> None:
    try:
        async with serving(http_answer("200 OK"), host="::1") as port:
            seen = await look("http", f"http://[::1]:{port}/")
    except OSError:
        pytest.skip("there is no IPv6 here")
    assert (seen.status, details(seen)["remote_address"]) == ("healthy", f"[::1]:{port}")


async def test_the_request_is_the_one_that_the_file_asks_for() -> None:
    heard: list[bytes] = []
    async with serving(http_answer("200 OK", heard=heard)) as port:
        await look(
            "http",
            f"http://127.0.0.1:{port}/a%20path?q=1",
            method="post",
            headers={"Content-Type": "application/json", "User-Agent": "me", "X-Name": "Zoë"},
            body='{"é": 1}',
        )
        await look("http", f"http://127.0.0.1:{port}")
    first, second = heard
    assert first.startswith(b"POST /a%20path?q=1 HTTP/1.1\r\n")
    assert first.endswith('\r\n\r\n{"é": 1}'.encode())
    for header in ("content-type: application/json", "user-agent: me", "x-name: Zoë", "accept-encoding: identity"):
        assert header.encode() in first
    assert second.startswith(b"GET / HTTP/1.1\r\n")
    assert b"user-agent: vigilbase/" in second


async def test_the_answer_to_head_has_no_body_to_wait_for() -> None:
    async with serving(http_answer("200 OK\r\ncontent-length: 100")) as port:
        seen = await look("http", f"http://127.0.0.1:{port}/", method="HEAD")
    assert (seen.status, details(seen)["body_bytes"]) == ("healthy", 0)


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
        ("<html>", {"json": {"status": "ok"}}, "expected json, got text that is none"),
        ("", {"json": {"status": "ok"}}, "expected json, got an empty body"),
        ("[" * 100_000, {"json": []}, "expected json, got text that is none"),
    ],
)
async def test_a_body_is_judged_by_what_is_in_it(body: str, expect: dict[str, object], error: str | None) -> None:
    async with serving(http_answer("200 OK", body.encode())) as port:
        seen = await look("http", f"http://127.0.0.1:{port}/", expect=expect)
    assert (seen.status, seen.error_message) == ("down" if error else "healthy", error)
    assert details(seen)["body_bytes"] == len(body)


async def test_a_body_is_read_in_the_encoding_that_it_says_or_as_utf_8() -> None:
    for head, body in (
        ("200 OK\r\ncontent-type: text/plain; charset=iso-8859-1", "grün".encode("latin-1")),
        *((f"200 OK\r\ncontent-type: text/plain; charset={name}", b"\xff gr\xc3\xbcn") for name in NO_ENCODINGS),
        ("200 OK", "grün".encode()),
    ):
        async with serving(http_answer(head, body)) as port:
            seen = await look("http", f"http://127.0.0.1:{port}/", expect={"body_contains": "grün"})
        assert seen.error_message is None


async def test_redirects_are_followed_and_told() -> None:
    async with (
        serving(http_answer("200 OK")) as end,
        serving(http_answer(f"302 Found\r\nlocation: http://127.0.0.1:{end}/end?token=abcdef")) as port,
    ):
        seen = await look("http", f"http://127.0.0.1:{port}/")
        assert seen.status == "healthy"
        told = {key: details(seen)[key] for key in ("redirects", "url", "remote_address")}
        assert told == {
            "redirects": 1,
            "url": f"http://127.0.0.1:{end}/end?token=****",
            "remote_address": f"127.0.0.1:{end}",
        }
        seen = await look("http", f"http://127.0.0.1:{port}/", follow_redirects=False, expect={"status": 302})
        assert seen.status == "healthy"
        assert "redirects" not in details(seen)


async def test_redirects_are_not_followed_for_ever_nor_to_what_is_no_web_address() -> None:
    async with (
        serving(http_answer("302 Found\r\nlocation: /again")) as circle,
        serving(http_answer("302 Found\r\nlocation: ftp://127.0.0.1/")) as other,
        serving(http_answer("302 Found\r\nlocation: http://127.0.0.1:port/")) as broken,
    ):
        seen = await look("http", f"http://127.0.0.1:{circle}/")
        assert (seen.status, seen.error_message) == ("down", "too many redirects")
        seen = await look("http", f"http://127.0.0.1:{other}/")
        assert seen.error_message == "can't be redirected to ftp://127.0.0.1/: it is no web address"
        seen = await look("http", f"http://127.0.0.1:{broken}/")
        assert seen.error_message == "redirects to an address that is none"


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://127.0.0.1:{0}/", "can't be redirected to http://127.0.0.1:{0}/: it is no web address"),
        ("http://127.0.0.1:0/", "can't be redirected to http://127.0.0.1:0/: it is no web address"),
        ("http://xn--a/", "redirects to an address that is none"),
        ("//xn--a/", "redirects to an address that is none"),
        ("javascript:alert(1)", "redirects to an address that is none"),
        (":http://[xn--", "redirects to an address that is none"),
    ],
)
async def test_a_redirect_to_an_address_that_is_none_is_said_in_words_and_only_if_it_is_followed(
    location: str, error: str
) -> None:
    async with serving(http_answer("200 OK")) as end:  # where a port that is cut to 16 bits would lead
        beyond = end + 65_536
        async with serving(http_answer(f"302 Found\r\nlocation: {location.format(beyond)}")) as port:
            seen = await look("http", f"http://127.0.0.1:{port}/")
            assert (seen.status, seen.error_message) == ("down", error.format(beyond))
            seen = await look("http", f"http://127.0.0.1:{port}/", follow_redirects=False, expect={"status": 302})
            assert (seen.status, seen.error_message) == ("healthy", None)


async def test_secret_headers_go_to_no_other_host_and_stay_at_the_same() -> None:
    heard: list[bytes] = []
    headers = {"Authorization": "Bearer t0ken-a", "Cookie": "id=t0ken-b", "X-Api-Key": "t0ken-c", "X-Plain": "plain"}
    async with (
        serving(http_answer("200 OK", heard=heard)) as end,
        serving(http_answer(f"307 Moved\r\nlocation: http://localhost:{end}/", heard=heard)) as away,
    ):
        await look("http", f"http://127.0.0.1:{away}/", headers=headers)
        first, second = heard
        assert first.count(b"t0ken") == 3
        assert second.count(b"t0ken") == 0
        assert b"x-plain: plain" in second
    heard.clear()
    answers = iter(["302 Found\r\nset-cookie: seen=1\r\nlocation: /next", "200 OK"])

    async def in_turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await http_answer(next(answers), heard=heard)(reader, writer)

    async with serving(in_turn) as port:
        await look("http", f"http://127.0.0.1:{port}/", headers=headers)
    assert heard[1].count(b"t0ken") == 3
    assert b"cookie: id=t0ken-b; seen=1" in heard[1]


async def test_user_and_password_of_a_url_are_sent_and_never_told(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []
    encoded = "aHVudGVyOmh1bnRlcjItaHVudGVyMi9A"  # base64 of hunter:hunter2-hunter2/@
    body = f"you are hunter:{PASSWORD}/@ with {encoded} and Bearer s3cret-token".encode()
    with caplog.at_level(logging.DEBUG):
        async with serving(http_answer(f"302 Found\r\nlocation: /?back={PASSWORD}%2F%40", body, heard)) as port:
            seen = await look(
                "http",
                f"http://hunter:{PASSWORD}%2F%40@127.0.0.1:{port}/?api_key=k3y-of-mine",
                headers={"X-Token": "s3cret-token"},
                follow_redirects=False,
                expect={"json": f"{PASSWORD}/@ k3y-of-mine s3cret-token", "status": 302},
            )
            followed = await look("http", f"http://hunter:{PASSWORD}%2F%40@127.0.0.1:{port}/")
    assert f"Authorization: Basic {encoded}".encode() in heard[0]
    assert b"GET /?api_key=k3y-of-mine " in heard[0]
    assert seen.status == "down"
    for text in (f"{seen} {followed}", caplog.text):
        for secret in (PASSWORD, encoded, "k3y-of-mine", "s3cret-token"):
            assert secret not in text


async def test_a_target_does_not_show_its_secrets() -> None:
    values = {"http": f"https://u:{PASSWORD}@h/", "headers": {"cookie": PASSWORD}, "body": PASSWORD}
    assert PASSWORD not in repr(KINDS["http"].target.model_validate(values))
    assert PASSWORD not in repr(KINDS["http"].bind(values, 1))


async def test_the_probe_looks_at_the_service_and_not_at_a_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with serving(http_answer("200 OK")) as port:
        assert (await look("http", f"http://127.0.0.1:{port}/")).status == "healthy"


@pytest.mark.parametrize(
    ("values", "place", "said"),
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
        ({"headers": {"a b": "x"}}, "headers", "must be names of HTTP headers and their values"),
        ({"headers": {"a": "hunter2-hunter2\r\nb: c"}}, "headers", "the value of a must be one line"),
        ({"headers": {"Content-Length": "3"}}, "headers", "Content-Length is set by the probe itself"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file", "/nowhere/ca.pem can't be read: no such file or directory"),
        ({"ca_file": __file__}, "ca_file", "holds no certificates in PEM form"),
        ({"method": "HEAD", "expect": {"json": {}}}, "", "the answer to HEAD has no body to expect anything of"),
        ({"expect": {"certificate_days": -1}}, "expect.certificate_days", "greater than or equal to 0"),
        ({"expect": {"body_contains": ""}}, "expect.body_contains", "at least 1 character"),
        ({"expect": {"status": "600"}}, "expect.status", "must be status codes such as"),
        ({"expect": {"status": 10**5000}}, "expect.status", "must be status codes such as"),
        ({"expect": {"status": True}}, "expect.status", "must be status codes such as"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(values: dict[str, object], place: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KINDS["http"].bind({"http": "http://h/", **values}, 1)
    first = caught.value.errors(include_input=False)[0]
    assert ".".join(map(str, first["loc"])) == place
    assert said in first["msg"]
    assert PASSWORD not in str(caught.value)
