"""The probe `tcp`: whether a connection opens."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

from vigilbase.domain import ProbeResult
from vigilbase.net.connection import open_connection
from vigilbase.probes.kind import make_kind


class TcpTarget(BaseModel):
    """The fields of a tcp service: HOST:PORT, with an IPv6 address in brackets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tcp: str

    @field_validator("tcp")
    @classmethod
    def _require_host_and_port(cls, value: str) -> str:
        parse_host_and_port(value)
        return value


def parse_host_and_port(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Parse HOST:PORT, or just HOST if there is a default port.

    Raises:
        ValueError: the text is neither.

    """
    try:
        parts = urlsplit(f"//{text}")
        port = default_port if parts.port is None else parts.port
        if parts.hostname and port and parts.netloc == text and "@" not in text and not text.endswith(":"):
            # `getaddrinfo` encodes names like this, and would fail at each probe instead.
            parts.hostname.encode("idna")
            return parts.hostname, port
    except ValueError:
        pass
    raise ValueError(
        "must be HOST:PORT, such as mail.example.com:25 or [::1]:6379"
        if default_port is None
        else "must be HOST or HOST:PORT, such as example.com or [::1]:8443"
    )


async def probe_tcp(target: TcpTarget, timeout: float) -> ProbeResult:
    host, port = parse_host_and_port(target.tcp)
    async with open_connection(host, port):
        return ProbeResult()


KIND = make_kind(TcpTarget, probe_tcp)
