"""The probe `tcp`: can a connection be opened?"""

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

from vigilbase.probes.connection import connected
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


def host_and_port(text: str, default_port: int | None = None) -> tuple[str, int]:
    """The two parts of HOST:PORT, or of HOST where there is a default.

    Raises:
        ValueError: the text is no such thing.

    """
    try:
        parts = urlsplit(f"//{text}")
        port = default_port if parts.port is None else parts.port
        if parts.hostname and port and parts.netloc == text and "@" not in text and not text.endswith(":"):
            parts.hostname.encode("idna")
            return parts.hostname, port
    except ValueError:
        pass
    raise ValueError(
        "must be HOST:PORT, such as mail.example.com:25 or [::1]:6379"
        if default_port is None
        else "must be HOST or HOST:PORT, such as example.com or [::1]:8443"
    )


async def probe_tcp(target: TcpTarget, timeout: float) -> Finding:
    """Open a connection and close it again."""
    host, port = host_and_port(target.tcp)
    async with connected(host, port):
        return Finding()
