"""The body of an answer over HTTP, read to a limit, compressed or not."""

import zlib
from dataclasses import dataclass

import httpx

from vigilbase.probes.words import ProbeFailure

MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """What was read of a body, decompressed, and whether there was more."""

    content: bytes
    truncated: bool


async def read_body(response: httpx.Response) -> Body:
    """The body of an answer, the first MiB of it. Never is more than that in memory, whatever it was compressed from.

    Raises:
        ProbeFailure: the body is compressed in a way that isn't known, or isn't what its content-encoding says.

    """
    decompressor = _decompressor(response)
    content = bytearray()
    async for chunk in response.aiter_raw():
        room = MAX_BODY_BYTES + 1 - len(content)
        try:
            content += chunk[:room] if decompressor is None else decompressor.decompress(chunk, room)
        except zlib.error:
            raise ProbeFailure("the body is not compressed as its content-encoding says") from None
        if len(content) > MAX_BODY_BYTES:
            return Body(bytes(content[:MAX_BODY_BYTES]), truncated=True)
    return Body(bytes(content), truncated=False)


def _decompressor(response: httpx.Response) -> "zlib._Decompress | None":
    """What undoes the content-encoding. None was asked for, but some servers don't heed that."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out which of the two it is
    raise ProbeFailure(f"the body is compressed with {encoding}, which was not asked for")
