"""Reading the body of an HTTP response up to a limit, compressed or not."""

import zlib
from dataclasses import dataclass

import httpx

from vigilbase.net.error_text import ProbeFailure

MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """The start of a body, decompressed."""

    content: bytes
    is_truncated: bool


async def read_body(response: httpx.Response) -> Body:
    """Read the first MiB of a body. No more than that is in memory, even if a compressed body expands to more.

    Raises:
        ProbeFailure: the content-encoding is unsupported, or the body doesn't match it.

    """
    decompressor = _make_decompressor(response)
    content = bytearray()
    async for chunk in response.aiter_raw():
        # One byte more than the limit tells a longer body from one that just fits.
        room = MAX_BODY_BYTES + 1 - len(content)
        try:
            content += chunk[:room] if decompressor is None else decompressor.decompress(chunk, room)
        except zlib.error:
            raise ProbeFailure("the body doesn't match its content-encoding") from None
        if len(content) > MAX_BODY_BYTES:
            return Body(bytes(content[:MAX_BODY_BYTES]), is_truncated=True)
    return Body(bytes(content), is_truncated=False)


def _make_decompressor(response: httpx.Response) -> "zlib._Decompress | None":
    """A decompressor for the content-encoding, if any. The probe requests none, but some servers compress anyway."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(zlib.MAX_WBITS | 32)  # detects gzip or zlib
    raise ProbeFailure(f"the content-encoding {encoding} is not supported")
