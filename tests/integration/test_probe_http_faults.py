"""The probe `http` with faulty servers: it is down with a reason, in bounded time and memory."""

import asyncio
import tracemalloc
import zlib

import pytest

from tests.support.loopback import (
    SHORT,
    TIMED_OUT,
    Answer,
    get_details,
    get_phases,
    hang_up,
    http_answer,
    probe_target,
    require_timed_out,
    send_gibberish,
    serving,
    silent,
)
from tests.support.server import free_port
from vigilbase.domain import ProbeResult

HEAD = b"HTTP/1.1 200 OK\r\n"


def _drip_answer(start: bytes, drip: bytes) -> Answer:
    """Make a handler that begins an answer and then repeats a fragment forever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(drip)

    return answer


def _send_answer(answer_bytes: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer_bytes)
        await writer.drain()

    return answer


async def _send_endless_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def _probe_server(answer: Answer, timeout: float = 30, **values: object) -> ProbeResult:
    async with serving(answer) as port:
        return await probe_target("http", f"http://127.0.0.1:{port}/", timeout=timeout, **values)


@pytest.mark.parametrize(
    ("answer", "waiting_for", "phase"),
    [
        (silent, "connected, waiting for the first byte", "first_byte_ms"),
        (_drip_answer(HEAD, b"x-drip: 1\r\n"), "the answer is incomplete", "transfer_ms"),
        (_drip_answer(HEAD + b"\r\n", b"drip"), "the answer is incomplete", "transfer_ms"),
    ],
)
async def test_probe_http_hanging_server_is_down_with_phase(answer: Answer, waiting_for: str, phase: str) -> None:
    result = await _probe_server(answer, timeout=SHORT)
    assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} ({waiting_for})")
    require_timed_out(result)
    assert list(get_phases(result))[-1] == phase
    assert get_phases(result)[phase] >= 600 * SHORT
    assert str(get_details(result)["remote_address"]).startswith("127.0.0.1:")


async def test_probe_http_hanging_handshake_is_down_with_phase() -> None:
    async with serving(silent) as port:
        result = await probe_target("http", f"https://127.0.0.1:{port}/", timeout=SHORT)
    assert result.error_message == f"{TIMED_OUT} (connected, TLS handshake not finished)"
    assert list(get_phases(result)) == ["dns_ms", "connect_ms", "tls_ms"]


async def test_probe_http_endless_body_is_truncated() -> None:
    result = await _probe_server(_send_endless_body)
    assert result.status == "healthy"
    assert get_details(result)["body_bytes"] == 1024 * 1024
    assert get_details(result)["body_truncated"] is True
    result = await _probe_server(_send_endless_body, expect={"body_contains": "y"})
    assert result.error_message == 'expected a body that contains "y" in its first 1,048,576 bytes'
    result = await _probe_server(_send_endless_body, expect={"json": {}})
    assert result.error_message == "expected json, got a body of more than 1,048,576 bytes"


@pytest.mark.parametrize("size", [1024 * 1024, 1024 * 1024 + 1])
async def test_probe_http_body_is_truncated_only_above_limit(size: int) -> None:
    result = await _probe_server(http_answer("200 OK", b"x" * size))
    assert get_details(result).get("body_truncated", False) is (size > 1024 * 1024)


async def test_probe_http_redirect_body_is_not_read() -> None:
    async with serving(http_answer("200 OK")) as end:

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{end}/\r\n\r\n".encode())
            await _drip_answer(b"", b"x" * 65_536)(reader, writer)

        result = await _probe_server(redirect, timeout=10)
    assert (result.status, get_details(result)["redirects"]) == ("healthy", 1)


async def test_probe_http_decompression_bomb_uses_bounded_memory() -> None:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(b"\x00" * 2**20) for _ in range(200)) + packer.flush()  # 200 MB, and 200 kB
    head = "200 OK\r\ncontent-encoding: gzip"
    async with serving(http_answer(head, bomb)) as port:
        tracemalloc.start()
        try:
            result = await probe_target("http", f"http://127.0.0.1:{port}/")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert get_details(result)["body_bytes"] == 1024 * 1024
    assert peak < 12 * 2**20


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS | 16, zlib.MAX_WBITS])
async def test_probe_http_unrequested_compression_is_decompressed(wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    body = packer.compress(b'{"status": "ok"}') + packer.flush()
    encoding = "gzip" if wbits > zlib.MAX_WBITS else "deflate"
    result = await _probe_server(
        http_answer(f"200 OK\r\ncontent-encoding: {encoding}", body), expect={"json": {"status": "ok"}}
    )
    assert (result.status, result.error_message) == ("healthy", None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (hang_up, "connection closed before an answer"),
        (send_gibberish, "the answer is not HTTP"),
        (_send_answer(HEAD + b"content-length: 10\r\n\r\nshort"), "connection closed in the middle of the answer"),
        (_send_answer(HEAD + b"content-length: x\r\n\r\n"), "the answer is not valid HTTP: bad Content-Length"),
        (
            _send_answer(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"),
            "the answer switches to a protocol that was not requested",
        ),
        (_send_answer(HEAD + b"a" * 200_000), "the answer is not valid HTTP: "),
        (
            _send_answer(HEAD + b"content-encoding: br\r\n\r\nx"),
            "the content-encoding br is not supported",
        ),
        (
            _send_answer(HEAD + b"content-encoding: gzip\r\n\r\nplain"),
            "the body doesn't match its content-encoding",
        ),
    ],
)
async def test_probe_http_malformed_answer_is_down_with_reason(answer: Answer, message: str) -> None:
    result = await _probe_server(answer)
    assert result.status == "down"
    assert (result.error_message or "").startswith(message)
    assert "bytearray" not in (result.error_message or "")


async def test_probe_http_refused_connection_is_down_with_address() -> None:
    port = free_port()
    result = await probe_target("http", f"http://127.0.0.1:{port}/")
    assert (result.status, result.error_message) == ("down", "connection refused")
    assert get_details(result)["remote_address"] == f"127.0.0.1:{port}"
    assert list(get_phases(result)) == ["dns_ms", "connect_ms"]


async def test_probe_http_unresolvable_name_is_down() -> None:
    result = await probe_target("http", "http://nowhere.invalid/")
    assert (result.status, result.error_message) == ("down", "the name nowhere.invalid can't be resolved")


async def test_probe_http_server_without_tls_is_down() -> None:
    async with serving(send_gibberish) as port:
        result = await probe_target("http", f"https://127.0.0.1:{port}/")
    assert (result.status, result.error_message) == ("down", "TLS failed: wrong version number")


async def test_probe_http_unread_request_is_down_after_timeout() -> None:
    never = asyncio.Event()

    async def ignore_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()

    result = await _probe_server(ignore_request, timeout=SHORT, method="PUT", body="x" * 20_000_000)
    assert result.error_message == f"{TIMED_OUT} (connected, waiting for the first byte)"
    require_timed_out(result)


async def test_probe_http_response_before_end_of_request_counts() -> None:
    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        while await reader.read(65_536):
            pass

    result = await _probe_server(answer_early, method="PUT", body="x" * 20_000_000)
    assert result.error_message == "expected status 200-299, got 413"
    assert get_phases(result)["transfer_ms"] >= 0


async def test_probe_http_redirect_to_closed_port_reports_last_request_only() -> None:
    end = free_port()
    result = await _probe_server(http_answer(f"302 Found\r\nlocation: http://u:hunter2@127.0.0.1:{end}/"))
    assert result.error_message == "connection refused"
    assert {**get_details(result), "phases": ...} == {
        "redirects": 1,
        "url": f"http://u:****@127.0.0.1:{end}/",
        "remote_address": f"127.0.0.1:{end}",
        "phases": ...,
    }
