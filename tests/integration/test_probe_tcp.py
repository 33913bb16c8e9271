"""The probe `tcp` with real listeners."""

import socket
import sys
import threading

import pytest

from tests.support.loopback import SHORT, TIMED_OUT, get_details, get_phases, probe_target
from tests.support.server import free_port
from vigilbase.net.error_text import choose_errno


async def test_probe_tcp_listening_port_is_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = await probe_target("tcp", f"127.0.0.1:{port}")
    assert (result.status, result.error_message) == ("healthy", None)
    assert get_details(result)["remote_address"] == f"127.0.0.1:{port}"
    assert list(get_phases(result)) == ["dns_ms", "connect_ms"]


async def test_probe_tcp_refused_by_one_or_several_addresses_is_down() -> None:
    for host in ("127.0.0.1", "localhost"):
        result = await probe_target("tcp", f"{host}:{free_port()}")
        assert (result.status, result.error_message) == ("down", "connection refused")
        assert "remote_address" in get_details(result)


async def test_probe_tcp_several_errors_report_most_informative(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", port)),  # no TCP goes there
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    result = await probe_target("tcp", f"several.example:{port}")
    assert (result.status, result.error_message) == ("down", "connection refused")


def test_choose_errno_prefers_refused_over_unreachable() -> None:
    assert choose_errno([101, 111]) == 111
    assert choose_errno([5]) == 5
    assert choose_errno([]) == 0


async def test_probe_tcp_unresolvable_name_is_down() -> None:
    result = await probe_target("tcp", "nowhere.invalid:80")
    assert (result.status, result.error_message) == ("down", "the name nowhere.invalid can't be resolved")
    assert list(get_phases(result)) == ["dns_ms"]


async def test_probe_tcp_hanging_resolver_is_down_with_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])
    result = await probe_target("tcp", "slow.example:80", timeout=SHORT)
    released.set()
    assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} (resolving the name)")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a connection wait if the backlog is full")
async def test_probe_tcp_full_backlog_is_down_with_phase() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        result = await probe_target("tcp", f"127.0.0.1:{address[1]}", timeout=SHORT)
        for client in waiting:
            client.close()
    assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} (connecting)")
    assert get_details(result)["remote_address"] == f"127.0.0.1:{address[1]}"
    assert list(get_phases(result)) == ["dns_ms", "connect_ms"]
