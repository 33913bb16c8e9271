"""Server certificates in the probes `tls` and `http`."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.certificates import Authority, new_authority
from tests.support.loopback import (
    SHORT,
    TIMED_OUT,
    get_details,
    get_phases,
    hang_up,
    http_answer,
    probe_target,
    require_timed_out,
    serving,
    silent,
)
from tests.support.server import free_port
from vigilbase.probes import PROBES


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


async def test_probe_tls_valid_certificate_is_healthy_and_reported(authority: Authority) -> None:
    async with serving(silent, authority.server("localhost", "127.0.0.1", days=30)) as port:
        result = await probe_target("tls", f"localhost:{port}", ca_file=authority.ca_file)
    assert (result.status, result.error_message) == ("healthy", None)
    details = get_details(result)
    certificate = details["certificate"]
    assert isinstance(certificate, dict)
    expires = datetime.fromisoformat(str(certificate.pop("not_after")))
    assert 29 < (expires - datetime.now(UTC)).total_seconds() / 86_400 < 31
    assert certificate == {
        "subject": "CN=server",
        "issuer": "CN=Root",
        "names": ["localhost", "127.0.0.1"],
        "days_left": 30,
    }
    assert (details["remote_address"], details["protocol"]) == (f"127.0.0.1:{port}", "TLSv1.3")
    assert str(details["cipher"]).startswith("TLS_")
    assert list(get_phases(result)) == ["dns_ms", "connect_ms", "tls_ms"]


async def test_probe_http_certificate_days_are_reported(authority: Authority) -> None:
    async with serving(http_answer("200 OK"), authority.server("localhost", days=30)) as port:
        result = await probe_target("http", f"https://localhost:{port}/", ca_file=authority.ca_file)
    assert (result.status, get_details(result)["certificate_days"]) == ("healthy", 30)
    assert list(get_phases(result)) == ["dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms"]


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (9, "certificate expires in 9 days, expected at least 14"),
        (1, "certificate expires in 1 day, expected at least 14"),
        (0, "certificate expires in 0 days, expected at least 14"),
        (14, None),
    ],
)
async def test_probe_tls_and_http_certificate_expiring_soon_is_degraded(
    authority: Authority, days: int, message: str | None
) -> None:
    async with serving(http_answer("200 OK"), authority.server("localhost", days=days)) as port:
        by_tls = await probe_target("tls", f"localhost:{port}", ca_file=authority.ca_file)
        by_http = await probe_target(
            "http", f"https://localhost:{port}/", ca_file=authority.ca_file, expect={"certificate_days": 14}
        )
        by_default = await probe_target("http", f"https://localhost:{port}/", ca_file=authority.ca_file)
    for result in (by_tls, by_http):
        assert (result.status, result.error_message) == ("degraded" if message else "healthy", message)
    assert by_default.status == "healthy"


async def test_probe_http_unexpected_status_outweighs_expiring_certificate(authority: Authority) -> None:
    async with serving(http_answer("500 Oops"), authority.server("localhost", days=9)) as port:
        expect = {"certificate_days": 14}
        result = await probe_target("http", f"https://localhost:{port}/", ca_file=authority.ca_file, expect=expect)
    assert (result.status, result.error_message) == ("down", "expected status 200-299, got 500")


async def test_probe_http_certificate_days_without_tls_is_degraded() -> None:
    async with serving(http_answer("200 OK")) as port:
        result = await probe_target("http", f"http://127.0.0.1:{port}/", expect={"certificate_days": 14})
    assert result.status == "degraded"
    assert result.error_message == "expected a certificate, got a connection without TLS"


@pytest.mark.parametrize(
    ("days", "from_days", "names", "message"),
    [
        (-3, -90, ("localhost",), "certificate expired 3 days ago"),
        (-0.25, -90, ("localhost",), "certificate expired 6 hours ago"),
        (30, 2.5, ("localhost",), "certificate is not valid yet: it becomes valid in 2 days"),
        (30, -1, ("a.example",), "certificate is for a.example, not localhost"),
        (
            30,
            -1,
            ("a.example", "b.example", "c.example", "d.example"),
            "certificate is for a.example, b.example, c.example and 1 more, not localhost",
        ),
    ],
)
async def test_probe_tls_and_http_invalid_certificate_is_down_with_reason(
    authority: Authority, days: float, from_days: float, names: tuple[str, ...], message: str
) -> None:
    async with serving(http_answer("200 OK"), authority.server(*names, days=days, from_days=from_days)) as port:
        by_tls = await probe_target("tls", f"localhost:{port}", ca_file=authority.ca_file)
        by_http = await probe_target("http", f"https://localhost:{port}/", ca_file=authority.ca_file)
    for result in (by_tls, by_http):
        assert (result.status, result.error_message) == ("down", message)
        assert list(get_phases(result)) == ["dns_ms", "connect_ms", "tls_ms"]
    certificate = get_details(by_tls)["certificate"]
    assert isinstance(certificate, dict)
    assert certificate["names"] == list(names)
    assert get_details(by_http)["certificate_days"] == certificate["days_left"]


async def test_probe_tls_and_http_untrusted_certificate_is_down(authority: Authority) -> None:
    async with (
        serving(silent, authority.server("localhost", self_signed=True)) as self_signed_port,
        serving(silent, authority.server("localhost")) as unknown_authority_port,
    ):
        result = await probe_target("tls", f"localhost:{self_signed_port}")
        assert (result.status, result.error_message) == (
            "down",
            "certificate is not trusted: self-signed certificate",
        )
        result = await probe_target("http", f"https://localhost:{unknown_authority_port}/")
        assert (result.status, result.error_message) == (
            "down",
            "certificate is not trusted: unable to get local issuer certificate",
        )


async def test_probe_tls_intermediate_authority_may_be_trusted_alone(authority: Authority, tmp_path: Path) -> None:
    intermediate = new_authority(tmp_path, issuer=authority)
    async with serving(silent, intermediate.server("localhost")) as port:
        result = await probe_target("tls", f"localhost:{port}", ca_file=intermediate.ca_file)
    assert (result.status, result.error_message) == ("healthy", None)


async def test_probe_tls_certificate_not_presented_again_is_down_with_reason(authority: Authority) -> None:
    context = authority.server("localhost", days=-3, from_days=-90)
    server_names: list[str] = []

    def present_once(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
        server_names.append(name or "")
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if len(server_names) > 1 else None

    context.sni_callback = present_once
    async with serving(silent, context) as port:
        result = await probe_target("tls", f"localhost:{port}", ca_file=authority.ca_file)
    assert server_names == ["localhost", "localhost"]
    assert (result.status, result.error_message) == ("down", "certificate expired")
    assert "certificate" not in get_details(result)


async def test_probe_tls_second_handshake_hanging_is_down_with_reason(
    authority: Authority,
) -> None:
    connections: list[int] = []
    async with serving(silent, authority.server("localhost", days=-3, from_days=-90)) as tls_port:

        async def forward_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            if len(connections) > 1:
                return await silent(reader, writer)
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", tls_port)
            await asyncio.gather(_pipe(reader, upstream_writer), _pipe(upstream_reader, writer))
            return None

        async with serving(forward_once) as port:
            result = await probe_target("tls", f"localhost:{port}", timeout=SHORT, ca_file=authority.ca_file)
    assert len(connections) == 2
    assert (result.status, result.error_message) == ("down", "certificate expired")
    require_timed_out(result)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_probe_tls_server_name_may_differ_from_host(authority: Authority) -> None:
    async with serving(silent, authority.server("orders.example")) as port:
        target = f"127.0.0.1:{port}"
        result = await probe_target("tls", target, ca_file=authority.ca_file, server_name="orders.example")
        assert (result.status, result.error_message) == ("healthy", None)
        result = await probe_target("tls", target, ca_file=authority.ca_file)
        assert result.error_message == "certificate is for orders.example, not 127.0.0.1"


async def test_probe_tls_hanging_or_closed_handshake_is_down() -> None:
    async with serving(silent) as port:
        result = await probe_target("tls", f"127.0.0.1:{port}", timeout=SHORT)
        assert result.error_message == f"{TIMED_OUT} (connected, TLS handshake not finished)"
    async with serving(hang_up) as port:
        result = await probe_target("tls", f"127.0.0.1:{port}")
        assert result.status == "down"
        assert result.error_message in ("connection reset", "TLS failed: connection closed during the handshake")
    result = await probe_target("tls", f"127.0.0.1:{free_port()}")
    assert result.error_message == "connection refused"


@pytest.mark.parametrize(
    ("values", "field"),
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
def test_tls_target_invalid_field_is_rejected(values: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES["tls"].bind(values, 1)
    assert ".".join(map(str, caught.value.errors()[0]["loc"])) == field


@pytest.mark.parametrize("target", ["example.com", "example.com:8443", "[::1]", "[::1]:8443", "münchen.example"])
def test_tls_target_host_with_optional_port_is_accepted(target: str) -> None:
    PROBES["tls"].bind({"tls": target}, 1)
