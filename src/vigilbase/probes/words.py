"""Where exceptions become words that a person understands."""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence

import httpcore
import httpx

from vigilbase.errors import VigilbaseError

REDIRECTED_NOWHERE = "redirects to an address that is none"


class ProbeFailure(VigilbaseError):  # noqa: N818 (what fails is the service)
    """A probe found the service down, and says so in its own words."""


def in_words(error: BaseException) -> str:
    """The reason of a failure as a person would say it: a probe's own words, or those for the innermost known error."""
    chain = list(_chain(error))
    for cause in reversed(chain):
        if isinstance(cause, ProbeFailure):
            return str(cause)
    for cause in chain:
        if reason := _reason(cause):
            return reason
    if isinstance(error, VigilbaseError):
        return str(error)
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return in_words(error.exceptions[0])
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _reason(error: BaseException) -> str | None:  # noqa: PLR0911 (one for each kind of error)
    match error:
        case ssl.SSLCertVerificationError():
            return f"certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or 'connection closed in the handshake').lower().replace('_', ' ')}"
        case socket.gaierror():
            return "the host's name can't be resolved"
        case OSError():
            return _REASONS.get(error.errno or errno_in(str(error))) or _REASONS_OF_CLASSES.get(type(error))
        case httpx.TooManyRedirects():
            return "too many redirects"
        case httpcore.RemoteProtocolError() | httpx.RemoteProtocolError():
            return _protocol_fault(str(error))
        case _:
            return None


def _protocol_fault(said: str) -> str:
    """What h11, httpcore and httpx call a protocol error, without the bytes that they quote."""
    if "without sending a response" in said:
        return "connection closed before an answer"
    if said.startswith("peer closed connection"):
        return "connection closed in the middle of the answer"
    if said.startswith(("illegal status line", "illegal request line")):
        return "the answer is not HTTP"
    if said.startswith("Invalid URL in location header"):
        return REDIRECTED_NOWHERE
    if "_SWITCH_" in said:
        return "the answer switches to another protocol, which was not asked for"
    return f"the answer is not valid HTTP: {re.split(r':? ?(?:bytearray)?[(:]', said)[0]}"


def is_our_own_shortage(error: BaseException | None, said: str) -> bool:
    """Whether a probe failed, and said so, because this process, or this machine, has no file descriptor left."""
    shortage = (errno.EMFILE, errno.ENFILE)
    if error and any(isinstance(cause, OSError) and cause.errno in shortage for cause in _chain(error)):
        return True
    try:  # a library, or the resolver, may have said something else about it
        with open(os.devnull, "rb"):  # noqa: PTH123 (the cheapest way to see whether there is one)
            return os.strerror(errno.EMFILE) in said
    except OSError as failure:
        return failure.errno in shortage


def errno_in(said: str) -> int:
    """The most telling fault of several addresses of a host, where only the text tells of each; 0 for none."""
    return telling_errno([int(code) for code in re.findall(r"\[Errno (\d+)\]", said)])


def telling_errno(codes: Sequence[int]) -> int:
    """Of the faults of several addresses of a host the one that says most: a refusal says more than no route."""
    known = [code for code in _REASONS if code in codes]
    return (known or list(codes) or [0])[0]


_REASONS: Mapping[int, str] = {  # the most telling first
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection closed",
    errno.ENOTCONN: "connection closed",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connecting timed out",
}

_REASONS_OF_CLASSES: Mapping[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection reset",
    ConnectionAbortedError: "connection closed",
    BrokenPipeError: "connection closed",
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, the innermost first."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _chain(part)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _chain(cause)
    yield error
