"""Connections as probes open them: name, address, TLS, each a phase of its own."""

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
from vigilbase.probes.certificate import Certificate, read_certificate, refusal
from vigilbase.probes.trail import Trail, current_trail
from vigilbase.probes.trust import trusting_anybody
from vigilbase.probes.words import ProbeFailure, errno_in

_NEXT_ADDRESS_AFTER_S = 0.25  # RFC 8305, section 5
_HANDSHAKE_AT_MOST_S = 600  # a probe's own limit comes first

Address: TypeAlias = tuple[object, ...]
"""A socket's address: host, port, and more for IPv6."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection, and its certificate if TLS is spoken over it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: ssl.SSLObject | None = None
    certificate: Certificate | None = None

    async def close(self) -> None:
        """Close it now: tell the other end, and wait for no answer."""
        self.writer.close()
        with suppress(AttributeError):  # Python 3.11.2, where the connection is lost already
            self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def connected(
    host: str, port: int, context: ssl.SSLContext | None = None, server_name: str | None = None
) -> AsyncIterator[Connection]:
    """A connection to a host, over TLS if there is a context for it; closed in the end.

    The server's certificate has to be for `server_name`, or else for the host. Phases and the remote address are noted
    on the probe's trail.

    Raises:
        ProbeFailure: the name can't be resolved, or the certificate isn't valid.
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
    """As `connected`, for whoever closes it himself."""
    trail = current_trail()
    trail.begin("dns", "resolving the name")
    addresses = await resolve(host, port)
    trail.begin("connect", "connecting")
    sock, peer = await _open_any(addresses, trail)
    trail.details["remote_address"] = address_text(peer)
    if context is None:
        trail.end()
        return await _streams(sock)
    trail.begin("tls", "connected, TLS handshake not finished")
    name = server_name or host
    family = sock.family
    try:
        connection = await _streams(sock, context, name)
    except ssl.SSLCertVerificationError as error:
        trail.end()
        trail.verdict = str(refusal(error, None, name, utc_now()))
        shown = await _shown_certificate(family, peer, name)
        raise refusal(error, shown, name, utc_now()) from error
    trail.end()
    return connection


async def resolve(host: str, port: int) -> list[AddrInfoType]:
    """The addresses of a host, as `getaddrinfo` has them.

    Raises:
        ProbeFailure: the name can't be resolved.

    """
    try:
        if _is_address(host):  # without a thread
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
        return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (socket.gaierror, UnicodeError) as error:
        raise ProbeFailure(f"the name {host} can't be resolved") from error


def address_text(address: Address) -> str:
    """A socket's address as ip:port, an IPv6 one in brackets."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _open_any(addresses: list[AddrInfoType], trail: Trail) -> tuple[socket.socket, Address]:
    """A socket that is connected to the first address that takes it, and that address."""

    def opened(info: AddrInfoType) -> socket.socket:
        trail.details["remote_address"] = address_text(info[4])  # the last that was tried, should none take it
        return socket.socket(info[0], info[1], info[2])

    try:
        sock = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S, socket_factory=opened
        )
    except OSError as error:
        if error.errno:
            raise
        # Each address failed in a way of its own, which only the text tells.
        raise OSError(errno_in(str(error)), str(error)) from error
    try:
        return sock, sock.getpeername()
    except OSError:  # gone again
        sock.close()
        raise


async def _streams(
    sock: socket.socket, context: ssl.SSLContext | None = None, server_name: str | None = None
) -> Connection:
    try:
        if context is None:
            reader, writer = await asyncio.open_connection(sock=sock)
            return Connection(reader, writer)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=server_name, ssl_handshake_timeout=_HANDSHAKE_AT_MOST_S
        )
    except BaseException:
        sock.close()
        raise
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True)
    return Connection(reader, writer, tls, read_certificate(der) if der else None)


async def _shown_certificate(family: int, address: Address, name: str) -> Certificate | None:
    """The certificate that was refused, from the same address once more. Nothing is sent over this connection."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
        connection = await _streams(sock, trusting_anybody(), name)
    except OSError:
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    await connection.close()
    return connection.certificate
