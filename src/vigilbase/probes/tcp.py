"""The probe `tcp`: can a connection be opened?"""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

from vigilbase.probes.finding import Finding


class TcpTarget(BaseModel):
    """What a tcp service says about its probe: HOST:PORT, an IPv6 address in brackets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tcp: str

    @field_validator("tcp")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host_and_port(value)
        return value


def host_and_port(text: str) -> tuple[str, int]:
    """The two parts of HOST:PORT.

    Raises:
        ValueError: the text is no such thing.

    """
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.port and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise ValueError("must be HOST:PORT, such as mail.example.com:25 or [::1]:6379")


async def probe_tcp(target: TcpTarget, timeout: float) -> Finding:
    """Open a connection and close it again."""
    host, port = host_and_port(target.tcp)
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    # That it could be opened is all that was asked; how the other end takes the closing is not.
    with suppress(OSError):
        await writer.wait_closed()
    return Finding()
