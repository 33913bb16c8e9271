"""An httpx transport that opens a new connection for each request and measures its phases."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpcore
import httpx

from vigilbase.net.certificate import Certificate
from vigilbase.net.connection import Connection, connect
from vigilbase.net.error_text import ProbeFailure
from vigilbase.net.http_validation import DEFAULT_PORTS, is_http_url
from vigilbase.net.trace import Trace, current_trace

CERTIFICATE = "vigilbase.certificate"


@dataclass(frozen=True, slots=True)
class OneRequestTransport(httpx.AsyncBaseTransport):
    """Opens a new connection for each request, and verifies certificates with `context`.

    The response has the server's certificate in its extensions as `CERTIFICATE`. Without `follows_redirects`, its
    `Location` header is removed, so that httpx doesn't prepare a request for it.
    """

    context: ssl.SSLContext
    follows_redirects: bool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, whose body is not yet read.

        Raises:
            ProbeFailure: the URL is not an HTTP URL, its name can't be resolved, or the certificate is invalid.
            OSError, httpcore.ProtocolError: the connection fails, or the answer is not HTTP.

        """
        url = request.url
        if not is_http_url(url):
            raise ProbeFailure(f"redirects to {url}, which is not an HTTP URL")
        trace = current_trace()
        trace.restart()
        context = self.context if url.scheme == "https" else None
        connection = await connect(url.raw_host.decode(), url.port or DEFAULT_PORTS[url.scheme], context)
        http = httpcore.AsyncHTTP11Connection(
            origin=httpcore.Origin(url.raw_scheme, url.raw_host, url.port or DEFAULT_PORTS[url.scheme]),
            stream=_Stream(connection, trace),
        )
        try:
            response = await http.handle_async_request(_to_httpcore(request))
        except BaseException:
            await connection.close()
            raise
        return httpx.Response(
            response.status,
            headers=[
                header for header in response.headers if self.follows_redirects or header[0].lower() != b"location"
            ],
            stream=_Body(response, connection),
            extensions={CERTIFICATE: connection.certificate},
        )


def get_certificate(response: httpx.Response) -> Certificate | None:
    """The certificate of the server that sent the response; None without TLS."""
    certificate = response.extensions.get(CERTIFICATE)
    return certificate if isinstance(certificate, Certificate) else None


def _to_httpcore(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
    )


class _Stream(httpcore.AsyncNetworkStream):
    """Adapts a connection to httpcore, and traces the phases `first_byte` and `transfer`."""

    def __init__(self, connection: Connection, trace: Trace) -> None:
        self._connection = connection
        self._trace = trace
        self._has_answer = False
        trace.begin("first_byte", "connected, waiting for the first byte")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._connection.reader.read(max_bytes)
        if data and not self._has_answer:
            self._has_answer = True
            self._trace.begin("transfer", "the answer is incomplete")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            self._connection.writer.write(buffer)
            await self._connection.writer.drain()
        except OSError as error:  # httpcore still reads a response, if there is one
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        await self._connection.close()

    def get_extra_info(self, info: str) -> object:
        return None


class _Body(httpx.AsyncByteStream):
    """A response body that closes its connection."""

    def __init__(self, response: httpcore.Response, connection: Connection) -> None:
        self._response = response
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._connection.close()
