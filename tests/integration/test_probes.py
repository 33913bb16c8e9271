"""Faults that every probe over TCP reports with a reason."""

import pytest

from tests.support.loopback import (
    SHORT,
    Answer,
    hang_up,
    probe_target,
    require_timed_out,
    send_gibberish,
    serving,
    silent,
)
from tests.support.server import free_port

PASSWORD = "hunter2-hunter2"
TARGETS = [
    ("http", "http://127.0.0.1:{}/"),
    ("tls", "127.0.0.1:{}"),
    ("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{{}}/d"),
]


@pytest.mark.parametrize(("kind", "target"), [*TARGETS, ("tcp", "127.0.0.1:{}")])
async def test_probe_refused_connection_is_down(kind: str, target: str) -> None:
    result = await probe_target(kind, target.format(free_port()))
    assert (result.status, result.error_message) == ("down", "connection refused")


@pytest.mark.parametrize(("kind", "target"), TARGETS)
async def test_probe_silent_server_is_down_after_timeout(kind: str, target: str) -> None:
    async with serving(silent) as port:
        result = await probe_target(kind, target.format(port), timeout=SHORT)
    assert result.status == "down"
    require_timed_out(result)
    assert PASSWORD not in str(result)


@pytest.mark.parametrize("answer", [hang_up, send_gibberish])
@pytest.mark.parametrize(("kind", "target"), TARGETS)
async def test_probe_closed_connection_or_other_protocol_is_down(kind: str, target: str, answer: Answer) -> None:
    async with serving(answer) as port:
        result = await probe_target(kind, target.format(port))
    assert result.status == "down"
    assert result.error_message
    assert "\x00" not in result.error_message
    assert PASSWORD not in str(result)
