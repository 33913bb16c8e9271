"""Short, readable texts for exceptions of the network, of TLS and of HTTP."""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence

import httpcore
import httpx

from vigilbase.errors import VigilbaseError

INVALID_REDIRECT = "redirects to an invalid URL"


class ProbeFailure(VigilbaseError):  # noqa: N818 (what fails is the service)
    """The service is down, and the message is already fit for its check."""


def describe_error(error: BaseException) -> str:
    """Describe an error: the message of a `ProbeFailure` in its causes, or a text for the innermost known cause."""
    chain = list(_walk_causes(error))
    for cause in reversed(chain):
        if isinstance(cause, ProbeFailure):
            return str(cause)
    for cause in chain:
        if reason := _describe_cause(cause):
            return reason
    if isinstance(error, VigilbaseError):
        return str(error)
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return describe_error(error.exceptions[0])
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _describe_cause(error: BaseException) -> str | None:  # noqa: PLR0911 (one for each kind of error)
    match error:
        case ssl.SSLCertVerificationError():
            return f"certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or 'connection closed during the handshake').lower().replace('_', ' ')}"
        case socket.gaierror():
            return "the host's name can't be resolved"
        case OSError():
            return _REASONS.get(error.errno or find_errno(str(error))) or _REASONS_OF_CLASSES.get(type(error))
        case httpx.TooManyRedirects():
            return "too many redirects"
        case httpcore.RemoteProtocolError() | httpx.RemoteProtocolError():
            return _describe_protocol_error(str(error))
        case _:
            return None


def _describe_protocol_error(message: str) -> str:
    """Translate a message of h11, httpcore or httpx, leaving out any quoted bytes."""
    if "without sending a response" in message:
        return "connection closed before an answer"
    if message.startswith("peer closed connection"):
        return "connection closed in the middle of the answer"
    if message.startswith(("illegal status line", "illegal request line")):
        return "the answer is not HTTP"
    if message.startswith("Invalid URL in location header"):
        return INVALID_REDIRECT
    if "_SWITCH_" in message:
        return "the answer switches to a protocol that was not requested"
    return f"the answer is not valid HTTP: {re.split(r':? ?(?:bytearray)?[(:]', message)[0]}"


def is_out_of_fds(error: BaseException | None, message: str) -> bool:
    """Whether a probe failed because this process or this machine has no file descriptor left."""
    shortage = (errno.EMFILE, errno.ENFILE)
    if error and any(isinstance(cause, OSError) and cause.errno in shortage for cause in _walk_causes(error)):
        return True
    try:  # a library or the resolver may have reported something else
        with open(os.devnull, "rb"):  # noqa: PTH123 (the cheapest test for a free descriptor)
            return os.strerror(errno.EMFILE) in message
    except OSError as failure:
        return failure.errno in shortage


def find_errno(message: str) -> int:
    """The most informative error number in a message about several addresses; 0 if it has none."""
    return choose_errno([int(code) for code in re.findall(r"\[Errno (\d+)\]", message)])


def choose_errno(codes: Sequence[int]) -> int:
    """The most informative error number of several; a refused connection says more than a missing route."""
    known = [code for code in _REASONS if code in codes]
    return (known or list(codes) or [0])[0]


_REASONS: Mapping[int, str] = {  # the most informative first
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection closed",
    errno.ENOTCONN: "connection closed",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
}

_REASONS_OF_CLASSES: Mapping[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection reset",
    ConnectionAbortedError: "connection closed",
    BrokenPipeError: "connection closed",
}


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, the innermost first."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _walk_causes(part)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _walk_causes(cause)
    yield error
