"""Opening connections for probes. DNS, connect and TLS are separate phases of the trace."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType

from vigilbase.clock import utc_now
from vigilbase.net.certificate import Certificate, explain_rejection, read_certificate
from vigilbase.net.error_text import ProbeFailure, find_errno
from vigilbase.net.tls_context import make_unverified_context
from vigilbase.net.trace import Trace, current_trace

_NEXT_ADDRESS_DELAY_S = 0.25  # RFC 8305, section 5
_HANDSHAKE_TIMEOUT_S = 600  # never reached: a probe's own timeout is shorter

Address: TypeAlias = tuple[object, ...]
"""A socket address: host and port, and for IPv6 also flow info and scope id."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection. `tls` and `certificate` are None without TLS."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: ssl.SSLObject | None = None
    certificate: Certificate | None = None

    async def close(self) -> None:
        """Close the connection at once, without waiting for the peer."""
        self.writer.close()
        with suppress(AttributeError):  # Python 3.11.2, where the connection is lost already
            self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def open_connection(
    host: str, port: int, context: ssl.SSLContext | None = None, server_name: str | None = None
) -> AsyncIterator[Connection]:
    """Connect to a host, over TLS if there is a `context`, and close the connection at the end of the block.

    The server's certificate must be for `server_name` (default: the host). Phases and the remote address are added to
    the current trace.

    Raises:
        ProbeFailure: the name can't be resolved, or the certificate is invalid.
        OSError: the connection can't be opened.

    """
    connection = await connect(host, port, context, server_name)
    try:
        yield connection
    finally:
        await connection.close()


async def connect(
    host: str, port: int, context: ssl.SSLContext | None = None, server_name: str | None = None
) -> Connection:
    """Like `open_connection`, but the caller closes the connection."""
    trace = current_trace()
    trace.begin("dns", "resolving the name")
    addresses = await resolve(host, port)
    trace.begin("connect", "connecting")
    sock, peer = await _connect_socket(addresses, trace)
    trace.details["remote_address"] = format_address(peer)
    if context is None:
        trace.end()
        return await _open_streams(sock)
    trace.begin("tls", "connected, TLS handshake not finished")
    name = server_name or host
    family = sock.family
    try:
        connection = await _open_streams(sock, context, name)
    except ssl.SSLCertVerificationError as error:
        trace.end()
        # Set before the second handshake: if that hangs, the timeout still reports this reason.
        trace.known_error = str(explain_rejection(error, None, name, utc_now()))
        # Python gives out no certificate from a handshake that failed.
        certificate = await _fetch_rejected_certificate(family, peer, name)
        raise explain_rejection(error, certificate, name, utc_now()) from error
    trace.end()
    return connection


async def resolve(host: str, port: int) -> list[AddrInfoType]:
    """Look up the addresses of a host, in the form of `getaddrinfo`.

    Raises:
        ProbeFailure: the name can't be resolved.

    """
    try:
        if _is_address(host):  # needs no thread
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
        return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (socket.gaierror, UnicodeError) as error:
        raise ProbeFailure(f"the name {host} can't be resolved") from error


def format_address(address: Address) -> str:
    """Format a socket address as ip:port, with an IPv6 address in brackets."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _connect_socket(addresses: list[AddrInfoType], trace: Trace) -> tuple[socket.socket, Address]:
    """Connect to the first address that accepts; return the socket and that address."""

    def make_socket(info: AddrInfoType) -> socket.socket:
        trace.details["remote_address"] = format_address(info[4])  # if all fail, the last attempt remains
        return socket.socket(info[0], info[1], info[2])

    try:
        sock = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_DELAY_S, socket_factory=make_socket
        )
    except OSError as error:
        if error.errno:
            raise
        # The addresses failed in different ways: only the text has their error numbers.
        raise OSError(find_errno(str(error)), str(error)) from error
    try:
        return sock, sock.getpeername()
    except OSError:  # already disconnected
        sock.close()
        raise


async def _open_streams(
    sock: socket.socket, context: ssl.SSLContext | None = None, server_name: str | None = None
) -> Connection:
    try:
        if context is None:
            reader, writer = await asyncio.open_connection(sock=sock)
            return Connection(reader, writer)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=server_name, ssl_handshake_timeout=_HANDSHAKE_TIMEOUT_S
        )
    except BaseException:
        sock.close()
        raise
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True)
    return Connection(reader, writer, tls, read_certificate(der) if der else None)


async def _fetch_rejected_certificate(family: int, address: Address, name: str) -> Certificate | None:
    """Connect again without verification to read the rejected certificate. No data is sent over this connection."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
        connection = await _open_streams(sock, make_unverified_context(), name)
    except OSError:
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    await connection.close()
    return connection.certificate
