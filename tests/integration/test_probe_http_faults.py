"""The http probe on servers that misbehave: it is down with a reason, in bounded time and memory."""

import asyncio
import tracemalloc
import zlib

import pytest

from tests.support.loopback import (
    SHORT,
    Answer,
    details,
    gibberish,
    hang_up,
    http_answer,
    look,
    phases,
    serving,
    silent,
)
from tests.support.server import free_port
from vigilbase.vocabulary import Observation

HEAD = b"HTTP/1.1 200 OK\r\n"


def _slowly(start: bytes, drip: bytes) -> Answer:
    """Begins an answer, and then gives a bit of it again and again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(drip)

    return answer


def _in_one_go(answer_bytes: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer_bytes)
        await writer.drain()

    return answer


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def _at(answer: Answer, timeout: float = 5, **values: object) -> Observation:
    async with serving(answer) as port:
        return await look("http", f"http://127.0.0.1:{port}/", timeout=timeout, **values)


@pytest.mark.parametrize(
    ("answer", "hung", "phase"),
    [
        (silent, "connected, waiting for the first byte", "first_byte_ms"),
        (_slowly(HEAD, b"x-drip: 1\r\n"), "the answer began and did not end", "transfer_ms"),
        (_slowly(HEAD + b"\r\n", b"drip"), "the answer began and did not end", "transfer_ms"),
    ],
)
async def test_a_server_that_hangs_is_down_after_the_timeout_and_it_is_said_where(
    answer: Answer, hung: str, phase: str
) -> None:
    seen = await _at(answer, timeout=SHORT)
    assert (seen.status, seen.error_message) == ("down", f"no answer within 0.3 s ({hung})")
    assert 300 <= seen.latency_ms < 2000
    assert list(phases(seen))[-1] == phase
    assert phases(seen)[phase] >= 200
    assert str(details(seen)["remote_address"]).startswith("127.0.0.1:")


async def test_a_handshake_that_hangs_is_said_so() -> None:
    async with serving(silent) as port:
        seen = await look("http", f"https://127.0.0.1:{port}/", timeout=SHORT)
    assert seen.error_message == "no answer within 0.3 s (connected, TLS handshake not finished)"
    assert list(phases(seen)) == ["dns_ms", "connect_ms", "tls_ms"]


async def test_a_body_without_end_is_read_to_a_limit() -> None:
    seen = await _at(_endless)
    assert seen.status == "healthy"
    assert details(seen)["body_bytes"] == 1024 * 1024
    assert details(seen)["body_truncated"] is True
    seen = await _at(_endless, expect={"body_contains": "y"})
    assert seen.error_message == 'expected a body that contains "y" in its first 1,048,576 bytes'
    seen = await _at(_endless, expect={"json": {}})
    assert seen.error_message == "expected json, got a body of more than 1,048,576 bytes"


@pytest.mark.parametrize("size", [1024 * 1024, 1024 * 1024 + 1])
async def test_a_body_of_the_limit_is_whole_and_one_more_byte_is_not(size: int) -> None:
    seen = await _at(http_answer("200 OK", b"x" * size))
    assert details(seen).get("body_truncated", False) is (size > 1024 * 1024)


async def test_the_body_of_a_redirect_is_not_read() -> None:
    async with serving(http_answer("200 OK")) as end:

        async def away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{end}/\r\n\r\n".encode())
            await _slowly(b"", b"x" * 65_536)(reader, writer)

        seen = await _at(away, timeout=2)
    assert (seen.status, details(seen)["redirects"]) == ("healthy", 1)


async def test_a_compressed_body_costs_no_more_memory_than_the_limit() -> None:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(b"\x00" * 2**20) for _ in range(200)) + packer.flush()  # 200 MB, and 200 kB
    head = "200 OK\r\ncontent-encoding: gzip"
    async with serving(http_answer(head, bomb)) as port:
        tracemalloc.start()
        try:
            seen = await look("http", f"http://127.0.0.1:{port}/")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert details(seen)["body_bytes"] == 1024 * 1024
    assert peak < 12 * 2**20


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS | 16, zlib.MAX_WBITS])
async def test_a_body_that_is_compressed_unasked_is_read_all_the_same(wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    body = packer.compress(b'{"status": "ok"}') + packer.flush()
    encoding = "gzip" if wbits > zlib.MAX_WBITS else "deflate"
    seen = await _at(http_answer(f"200 OK\r\ncontent-encoding: {encoding}", body), expect={"json": {"status": "ok"}})
    assert (seen.status, seen.error_message) == ("healthy", None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (hang_up, "connection closed before an answer"),
        (gibberish, "the answer is not HTTP"),
        (_in_one_go(HEAD + b"content-length: 10\r\n\r\nshort"), "connection closed in the middle of the answer"),
        (_in_one_go(HEAD + b"content-length: x\r\n\r\n"), "the answer is not valid HTTP: bad Content-Length"),
        (
            _in_one_go(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"),
            "the answer switches to another protocol, which was not asked for",
        ),
        (_in_one_go(HEAD + b"a" * 200_000), "the answer is not valid HTTP: "),
        (
            _in_one_go(HEAD + b"content-encoding: br\r\n\r\nx"),
            "the body is compressed with br, which was not asked for",
        ),
        (
            _in_one_go(HEAD + b"content-encoding: gzip\r\n\r\nplain"),
            "the body is not compressed as its content-encoding says",
        ),
    ],
)
async def test_what_is_no_answer_is_said_in_words(answer: Answer, said: str) -> None:
    seen = await _at(answer)
    assert seen.status == "down"
    assert (seen.error_message or "").startswith(said)
    assert "bytearray" not in (seen.error_message or "")


async def test_a_refused_connection_is_said_in_words_with_the_address() -> None:
    port = free_port()
    seen = await look("http", f"http://127.0.0.1:{port}/")
    assert (seen.status, seen.error_message) == ("down", "connection refused")
    assert details(seen)["remote_address"] == f"127.0.0.1:{port}"
    assert list(phases(seen)) == ["dns_ms", "connect_ms"]


async def test_a_name_that_is_none_is_said_in_words() -> None:
    seen = await look("http", "http://nowhere.invalid/")
    assert (seen.status, seen.error_message) == ("down", "the name nowhere.invalid can't be resolved")


async def test_a_server_that_speaks_no_tls_is_said_in_words() -> None:
    async with serving(gibberish) as port:
        seen = await look("http", f"https://127.0.0.1:{port}/")
    assert (seen.status, seen.error_message) == ("down", "TLS failed: wrong version number")


async def test_a_server_that_does_not_take_the_request_is_down_after_the_timeout() -> None:
    never = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()

    seen = await _at(deaf, timeout=SHORT, method="PUT", body="x" * 20_000_000)
    assert seen.error_message == "no answer within 0.3 s (connected, waiting for the first byte)"
    assert seen.latency_ms < 2000


async def test_an_answer_to_half_a_request_counts() -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        while await reader.read(65_536):
            pass

    seen = await _at(hasty, method="PUT", body="x" * 20_000_000)
    assert seen.error_message == "expected status 200-299, got 413"
    assert phases(seen)["transfer_ms"] >= 0


async def test_a_redirect_to_nobody_tells_where_and_no_more_of_the_way() -> None:
    end = free_port()
    seen = await _at(http_answer(f"302 Found\r\nlocation: http://u:hunter2@127.0.0.1:{end}/"))
    assert seen.error_message == "connection refused"
    assert {**details(seen), "phases": ...} == {
        "redirects": 1,
        "url": f"http://u:****@127.0.0.1:{end}/",
        "remote_address": f"127.0.0.1:{end}",
        "phases": ...,
    }
