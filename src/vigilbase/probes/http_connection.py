"""One HTTP request over one new connection, as a transport of httpx that measures the phases."""

import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpcore
import httpx

from vigilbase.probes.certificate import Certificate
from vigilbase.probes.connection import Connection, connect
from vigilbase.probes.trail import Trail, current_trail
from vigilbase.probes.words import ProbeFailure

CERTIFICATE = "vigilbase.certificate"
MAX_PORT = 65_535
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\w.-]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*(%[\w.%-]+)?", re.ASCII)
"""A name, as IDNA encodes it, or an IP address; httpx would percent-encode what is in neither."""


@dataclass(frozen=True, slots=True)
class OneRequestTransport(httpx.AsyncBaseTransport):
    """Opens a connection for each request, and trusts whom `context` trusts.

    The server's certificate is in the answer's extensions as `CERTIFICATE`. Where a redirect leads, the answer says
    only if it is to be followed.
    """

    context: ssl.SSLContext
    follows_redirects: bool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer's body is still to be read.

        Raises:
            ProbeFailure: no HTTP can be spoken with the URL's host, for a reason that it says.
            OSError, httpcore.ProtocolError: the connection fails, or what comes over it is not HTTP.

        """
        url = request.url
        if not is_web_address(url):
            raise ProbeFailure(f"can't be redirected to {url}: it is no web address")
        trail = current_trail()
        trail.restart()
        context = self.context if url.scheme == "https" else None
        connection = await connect(url.raw_host.decode(), url.port or _PORTS[url.scheme], context)
        http = httpcore.AsyncHTTP11Connection(
            origin=httpcore.Origin(url.raw_scheme, url.raw_host, url.port or _PORTS[url.scheme]),
            stream=_Stream(connection, trail),
        )
        try:
            answer = await http.handle_async_request(_as_httpcore(request))
        except BaseException:
            await connection.close()
            raise
        return httpx.Response(
            answer.status,
            headers=[header for header in answer.headers if self.follows_redirects or header[0].lower() != b"location"],
            stream=_Body(answer, connection),
            extensions={CERTIFICATE: connection.certificate},
        )


def is_web_address(url: httpx.URL) -> bool:
    """Whether a URL leads to a host that may speak HTTP. httpx takes any port, and looks at few names closely."""
    try:
        host = url.raw_host.decode()
        host.encode("idna")
        is_host = bool(url.host and _HOST.fullmatch(host))
    except UnicodeError:
        return False
    return url.scheme in _PORTS and is_host and (url.port is None or 0 < url.port <= MAX_PORT)


def certificate_of(response: httpx.Response) -> Certificate | None:
    """The certificate of the server that gave an answer, None where no TLS was spoken."""
    certificate = response.extensions.get(CERTIFICATE)
    return certificate if isinstance(certificate, Certificate) else None


def _as_httpcore(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
    )


class _Stream(httpcore.AsyncNetworkStream):
    """A connection as httpcore wants it, with the phases `first_byte` and `transfer`."""

    def __init__(self, connection: Connection, trail: Trail) -> None:
        self._connection = connection
        self._trail = trail
        self._answered = False
        trail.begin("first_byte", "connected, waiting for the first byte")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._connection.reader.read(max_bytes)
        if data and not self._answered:
            self._answered = True
            self._trail.begin("transfer", "the answer began and did not end")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            self._connection.writer.write(buffer)
            await self._connection.writer.drain()
        except OSError as error:  # httpcore looks whether there is an answer all the same
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        await self._connection.close()

    def get_extra_info(self, info: str) -> object:
        return None


class _Body(httpx.AsyncByteStream):
    """An answer's body, and the connection that ends with it."""

    def __init__(self, answer: httpcore.Response, connection: Connection) -> None:
        self._answer = answer
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._connection.close()
