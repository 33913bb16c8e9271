"""The tcp probe on real listeners."""

import socket
import sys
import threading

import pytest

from tests.support.loopback import SHORT, details, look, phases
from tests.support.server import free_port
from vigilbase.probes.words import telling_errno


async def test_no_more_than_a_listener_is_needed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        seen = await look("tcp", f"127.0.0.1:{port}")
    assert (seen.status, seen.error_message) == ("healthy", None)
    assert details(seen)["remote_address"] == f"127.0.0.1:{port}"
    assert list(phases(seen)) == ["dns_ms", "connect_ms"]


async def test_a_refused_connection_is_said_in_words_whatever_the_number_of_addresses() -> None:
    for host in ("127.0.0.1", "localhost"):
        seen = await look("tcp", f"{host}:{free_port()}")
        assert (seen.status, seen.error_message) == ("down", "connection refused")
        assert "remote_address" in details(seen)


async def test_faults_of_several_addresses_become_the_one_that_says_most(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", port)),  # no TCP goes there
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    seen = await look("tcp", f"several.example:{port}")
    assert (seen.status, seen.error_message) == ("down", "connection refused")


def test_a_refusal_says_more_than_a_missing_route() -> None:
    assert telling_errno([101, 111]) == 111
    assert telling_errno([5]) == 5
    assert telling_errno([]) == 0


async def test_a_name_that_is_none_is_said_in_words() -> None:
    seen = await look("tcp", "nowhere.invalid:80")
    assert (seen.status, seen.error_message) == ("down", "the name nowhere.invalid can't be resolved")
    assert list(phases(seen)) == ["dns_ms"]


async def test_a_resolver_that_hangs_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(10) and [])
    seen = await look("tcp", "slow.example:80", timeout=SHORT)
    released.set()
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (resolving the name)")


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux lets a connection wait that the listener has no room for"
)
async def test_a_listener_that_takes_no_connection_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        seen = await look("tcp", f"127.0.0.1:{address[1]}", timeout=SHORT)
        for one in waiting:
            one.close()
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (connecting)")
    assert details(seen)["remote_address"] == f"127.0.0.1:{address[1]}"
    assert list(phases(seen)) == ["dns_ms", "connect_ms"]
