"""Certificates of real servers, as the probes tls and http see them."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.certificates import Authority, new_authority
from tests.support.loopback import SHORT, details, hang_up, http_answer, look, phases, serving, silent
from tests.support.server import free_port
from vigilbase.probes import KINDS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


async def test_a_valid_certificate_is_healthy_and_told(authority: Authority) -> None:
    async with serving(silent, authority.server("localhost", "127.0.0.1", days=30)) as port:
        seen = await look("tls", f"localhost:{port}", ca_file=authority.ca_file)
    assert (seen.status, seen.error_message) == ("healthy", None)
    known = details(seen)
    certificate = known["certificate"]
    assert isinstance(certificate, dict)
    expires = datetime.fromisoformat(str(certificate.pop("not_after")))
    assert 29 < (expires - datetime.now(UTC)).total_seconds() / 86_400 < 31
    assert certificate == {
        "subject": "CN=server",
        "issuer": "CN=Test authority",
        "names": ["localhost", "127.0.0.1"],
        "days_left": 30,
    }
    assert (known["remote_address"], known["protocol"]) == (f"127.0.0.1:{port}", "TLSv1.3")
    assert str(known["cipher"]).startswith("TLS_")
    assert list(phases(seen)) == ["dns_ms", "connect_ms", "tls_ms"]


async def test_http_tells_the_days_that_a_certificate_lasts(authority: Authority) -> None:
    async with serving(http_answer("200 OK"), authority.server("localhost", days=30)) as port:
        seen = await look("http", f"https://localhost:{port}/", ca_file=authority.ca_file)
    assert (seen.status, details(seen)["certificate_days"]) == ("healthy", 30)
    assert list(phases(seen)) == ["dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms"]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (9, "certificate expires in 9 days, expected at least 14"),
        (1, "certificate expires in 1 day, expected at least 14"),
        (0, "certificate expires in 0 days, expected at least 14"),
        (14, None),
    ],
)
async def test_a_certificate_that_expires_soon_is_degraded(authority: Authority, days: int, said: str | None) -> None:
    async with serving(http_answer("200 OK"), authority.server("localhost", days=days)) as port:
        by_tls = await look("tls", f"localhost:{port}", ca_file=authority.ca_file)
        by_http = await look(
            "http", f"https://localhost:{port}/", ca_file=authority.ca_file, expect={"certificate_days": 14}
        )
        unasked = await look("http", f"https://localhost:{port}/", ca_file=authority.ca_file)
    for seen in (by_tls, by_http):
        assert (seen.status, seen.error_message) == ("degraded" if said else "healthy", said)
    assert unasked.status == "healthy"


async def test_a_wrong_answer_outweighs_a_certificate_that_expires_soon(authority: Authority) -> None:
    async with serving(http_answer("500 Oops"), authority.server("localhost", days=9)) as port:
        expect = {"certificate_days": 14}
        seen = await look("http", f"https://localhost:{port}/", ca_file=authority.ca_file, expect=expect)
    assert (seen.status, seen.error_message) == ("down", "expected status 200-299, got 500")


async def test_a_certificate_is_expected_of_tls_only() -> None:
    async with serving(http_answer("200 OK")) as port:
        seen = await look("http", f"http://127.0.0.1:{port}/", expect={"certificate_days": 14})
    assert seen.status == "degraded"
    assert seen.error_message == "expected a certificate, got an answer over a connection without TLS"


@pytest.mark.parametrize(
    ("days", "from_days", "names", "said"),
    [
        (-3, -90, ("localhost",), "certificate expired 3 days ago"),
        (-0.25, -90, ("localhost",), "certificate expired 6 hours ago"),
        (30, 2.5, ("localhost",), "certificate is not valid yet: it will be in 2 days"),
        (30, -1, ("a.example",), "certificate is for a.example, not localhost"),
        (
            30,
            -1,
            ("a.example", "b.example", "c.example", "d.example"),
            "certificate is for a.example, b.example, c.example and 1 more, not localhost",
        ),
    ],
)
async def test_a_certificate_that_is_not_valid_is_down_in_words(
    authority: Authority, days: float, from_days: float, names: tuple[str, ...], said: str
) -> None:
    async with serving(http_answer("200 OK"), authority.server(*names, days=days, from_days=from_days)) as port:
        by_tls = await look("tls", f"localhost:{port}", ca_file=authority.ca_file)
        by_http = await look("http", f"https://localhost:{port}/", ca_file=authority.ca_file)
    for seen in (by_tls, by_http):
        assert (seen.status, seen.error_message) == ("down", said)
        assert list(phases(seen)) == ["dns_ms", "connect_ms", "tls_ms"]
    certificate = details(by_tls)["certificate"]
    assert isinstance(certificate, dict)
    assert certificate["names"] == list(names)
    assert details(by_http)["certificate_days"] == certificate["days_left"]


async def test_a_certificate_that_nobody_vouches_for_is_down_in_words(authority: Authority) -> None:
    async with (
        serving(silent, authority.server("localhost", self_signed=True)) as by_itself,
        serving(silent, authority.server("localhost")) as by_a_stranger,
    ):
        seen = await look("tls", f"localhost:{by_itself}")
        assert (seen.status, seen.error_message) == (
            "down",
            "certificate is not trusted: self-signed certificate",
        )
        seen = await look("http", f"https://localhost:{by_a_stranger}/")
        assert (seen.status, seen.error_message) == (
            "down",
            "certificate is not trusted: unable to get local issuer certificate",
        )


async def test_a_refused_certificate_is_said_even_if_the_server_does_not_show_it_again(authority: Authority) -> None:
    context = authority.server("localhost", days=-3, from_days=-90)
    seen_before: list[str] = []

    def once(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
        seen_before.append(name or "")
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if len(seen_before) > 1 else None

    context.sni_callback = once
    async with serving(silent, context) as port:
        seen = await look("tls", f"localhost:{port}", ca_file=authority.ca_file)
    assert seen_before == ["localhost", "localhost"]
    assert (seen.status, seen.error_message) == ("down", "certificate expired")
    assert "certificate" not in details(seen)


async def test_a_refused_certificate_is_said_even_if_the_server_hangs_when_it_is_to_show_it_again(
    authority: Authority,
) -> None:
    connections: list[int] = []
    async with serving(silent, authority.server("localhost", days=-3, from_days=-90)) as behind:

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            if len(connections) > 1:
                return await silent(reader, writer)
            back, forth = await asyncio.open_connection("127.0.0.1", behind)
            await asyncio.gather(_piped(reader, forth), _piped(back, writer))
            return None

        async with serving(once) as port:
            seen = await look("tls", f"localhost:{port}", timeout=SHORT, ca_file=authority.ca_file)
    assert len(connections) == 2
    assert (seen.status, seen.error_message) == ("down", "certificate expired")
    assert seen.latency_ms >= 300


async def _piped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_the_name_to_ask_for_may_be_another_than_the_hosts(authority: Authority) -> None:
    async with serving(silent, authority.server("orders.example")) as port:
        target = f"127.0.0.1:{port}"
        seen = await look("tls", target, ca_file=authority.ca_file, server_name="orders.example")
        assert (seen.status, seen.error_message) == ("healthy", None)
        seen = await look("tls", target, ca_file=authority.ca_file)
        assert seen.error_message == "certificate is for orders.example, not 127.0.0.1"


async def test_a_handshake_that_hangs_or_ends_is_down_in_words() -> None:
    async with serving(silent) as port:
        seen = await look("tls", f"127.0.0.1:{port}", timeout=SHORT)
        assert seen.error_message == "no answer within 0.3 s (connected, TLS handshake not finished)"
    async with serving(hang_up) as port:
        seen = await look("tls", f"127.0.0.1:{port}")
        assert seen.status == "down"
        assert seen.error_message in ("connection reset", "TLS failed: connection closed in the handshake")
    seen = await look("tls", f"127.0.0.1:{free_port()}")
    assert seen.error_message == "connection refused"


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"tls": "host:"}, "tls"),
        ({"tls": "https://host"}, "tls"),
        ({"tls": "host:0"}, "tls"),
        ({"tls": "host:443/x"}, "tls"),
        ({"tls": "host", "server_name": "a b"}, "server_name"),
        ({"tls": "host", "server_name": "a:1"}, "server_name"),
        ({"tls": "host", "ca_file": "/nowhere"}, "ca_file"),
        ({"tls": "host", "expect": {"certificate_days": "x"}}, "expect.certificate_days"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(values: dict[str, object], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KINDS["tls"].bind(values, 1)
    assert ".".join(map(str, caught.value.errors()[0]["loc"])) == place


@pytest.mark.parametrize("target", ["example.com", "example.com:8443", "[::1]", "[::1]:8443", "münchen.example"])
def test_a_target_is_a_host_and_perhaps_a_port(target: str) -> None:
    KINDS["tls"].bind({"tls": target}, 1)
