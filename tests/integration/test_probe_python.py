"""The probe `python` with functions in temporary modules."""

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import ValidationError

from tests.support.command import run_installed
from tests.support.waiting import wait_until_async
from vigilbase.clock import utc_now
from vigilbase.domain import ProbeResult
from vigilbase.probes import PROBES
from vigilbase.probes.run import run_probe

Probe = Callable[[], Awaitable[ProbeResult]]

SOURCE = """
import asyncio, threading, time
from vigilbase import ProbeResult

release = threading.Event()
loops = []

def nothing(): pass
def healthy(): return "healthy"
def degraded(): return "degraded"
def down(): return "down"
def number(): return 42
def text(): return "fine"
def true(): return True
def secret(): return {"password": "hunter2"}
def raises(): raise LookupError("no orders since noon")
def chained():
    try: raise ConnectionRefusedError(111, "no")
    except OSError as error: raise LookupError("the shop is closed") from error
def exits(): raise SystemExit("enough")
def interrupts(): raise KeyboardInterrupt
def times_out(): raise TimeoutError("the shop is slow")
def cancels(): raise asyncio.CancelledError
def runs_a_loop(): return asyncio.run(async_down())
def closes_the_loop(): asyncio.get_event_loop().close()
def full_result(): return ProbeResult("degraded", error_message="long queue", probe_details={"queue": 7})
def strange_status(): return ProbeResult("broken")
def strange_message(): return ProbeResult("down", error_message=5)
def no_json(): return ProbeResult("healthy", probe_details={"at": release})
def not_finite(): return ProbeResult("healthy", probe_details={"at": float("nan")})
def no_mapping(): return ProbeResult("healthy", probe_details=[1])
def blocks(): assert release.wait(60)
def returns_a_coroutine(): return async_down()

async def async_nothing(): await asyncio.sleep(0)
async def async_down(): return "down"
async def async_raises(): raise LookupError("no orders since noon")
async def group():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(async_raises())
async def async_exits(): raise SystemExit("enough")
async def async_blocks(): assert release.wait(60)
async def waits(): await asyncio.Event().wait()
async def same_loop():
    loops.append(asyncio.get_running_loop())
    return "healthy" if all(loop is loops[0] for loop in loops) else "down"
async def leaves_a_task():
    loops.append(asyncio.create_task(ticks()))
async def ticks():
    await asyncio.sleep(0.01)
    release.set()
    raise SystemExit("from a task that was left running")

class Shop:
    @staticmethod
    def open(): return "healthy"

not_a_function = 5
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module with the source above, in the current folder."""
    name = f"shop_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield name
    if imported := sys.modules.pop(name, None):
        imported.release.set()


def _make_probe(path: str) -> Probe:
    return PROBES["python"].bind({"python": path}, 5)


async def _run(probe: Probe, timeout: float = 30) -> ProbeResult:
    return await run_probe(probe, timeout=timeout, now=utc_now)


@pytest.mark.parametrize(
    ("function", "status", "message"),
    [
        ("nothing", "healthy", None),
        ("healthy", "healthy", None),
        ("async_nothing", "healthy", None),
        ("Shop.open", "healthy", None),
        ("degraded", "degraded", "the function returned degraded"),
        ("down", "down", "the function returned down"),
        ("async_down", "down", "the function returned down"),
        ("returns_a_coroutine", "down", "the function returned down"),
        ("runs_a_loop", "down", "the function returned down"),
        ("number", "down", "returned 42; expected None, a status or a ProbeResult"),
        ("text", "down", "returned 'fine'; expected None, a status or a ProbeResult"),
        ("true", "down", "returned True; expected None, a status or a ProbeResult"),
        ("secret", "down", "returned a dict; expected None, a status or a ProbeResult"),
        ("raises", "down", "LookupError: no orders since noon"),
        ("async_raises", "down", "LookupError: no orders since noon"),
        ("chained", "down", "LookupError: the shop is closed"),
        ("group", "down", "LookupError: no orders since noon"),
        ("exits", "down", "SystemExit: enough"),
        ("async_exits", "down", "SystemExit: enough"),
        ("interrupts", "down", "KeyboardInterrupt"),
        ("cancels", "down", "CancelledError"),
        ("times_out", "down", "TimeoutError: the shop is slow"),
        ("closes_the_loop", "healthy", None),
        ("not_a_function", "down", "{module}:not_a_function is not a function (type: int)"),
        ("nowhere", "down", "{module} has no nowhere"),
        ("Shop.close", "down", "{module} has no Shop.close"),
        (
            "strange_status",
            "down",
            "returned a ProbeResult with status 'broken'; expected healthy, degraded, down",
        ),
        ("strange_message", "down", "returned a ProbeResult whose error_message is not a text (type: int)"),
        (
            "no_json",
            "down",
            "returned a ProbeResult whose probe_details are not JSON: Object of type Event is not JSON serializable",
        ),
        (
            "not_finite",
            "down",
            "returned a ProbeResult whose probe_details are not JSON: Out of range float values",
        ),
        ("no_mapping", "down", "returned a ProbeResult whose probe_details are not JSON: they are not a mapping"),
    ],
)
async def test_probe_python_return_value_or_exception_becomes_result(
    module: str, function: str, status: str, message: str | None
) -> None:
    probe = _make_probe(f"{module}:{function}")
    for _ in range(2):  # the thread survives anything that the function does
        result = await _run(probe)
        assert result.status == status
        if message is None:
            assert result.error_message is None
        else:
            assert str(result.error_message).startswith(message.replace("{module}", module))


async def test_probe_python_returned_probe_result_is_kept_and_timed(module: str) -> None:
    started = utc_now()
    result = await _run(_make_probe(f"{module}:full_result"))
    assert (result.status, result.error_message, result.probe_details) == ("degraded", "long queue", {"queue": 7})
    assert result.checked_at >= started


async def test_probe_python_async_function_has_same_loop_each_time(module: str) -> None:
    probe = _make_probe(f"{module}:same_loop")
    assert [(await _run(probe)).status for _ in range(3)] == ["healthy"] * 3
    assert sys.modules[module].loops[0] is not asyncio.get_running_loop()


async def test_probe_python_closed_program_loop_keeps_function_loop(module: str) -> None:
    probe = _make_probe(f"{module}:same_loop")
    results = [await asyncio.to_thread(asyncio.run, _run(probe)) for _ in range(2)]
    assert [result.status for result in results] == ["healthy"] * 2


async def test_probe_python_leftover_task_continues_and_may_fail(module: str) -> None:
    probe = _make_probe(f"{module}:leaves_a_task")
    assert (await _run(probe)).status == "healthy"
    assert await asyncio.to_thread(sys.modules[module].release.wait, 60)
    assert (await _run(probe)).status == "healthy"


async def test_probe_python_async_function_is_cancelled_after_timeout(module: str) -> None:
    probe = _make_probe(f"{module}:waits")
    for _ in range(2):
        result = await _run(probe, timeout=0.2)
        assert (result.status, result.error_message) == ("down", "no answer within 0.2 s")
        assert 200 <= result.latency_ms < 5000
        await _wait_until_free(probe)


@pytest.mark.parametrize("function", ["blocks", "async_blocks"])
async def test_probe_python_blocking_function_is_down_and_not_called_twice(module: str, function: str) -> None:
    probe, other = _make_probe(f"{module}:{function}"), _make_probe(f"{module}:nothing")
    blocked = asyncio.create_task(_run(probe, timeout=2))
    await asyncio.sleep(0)  # lets it start
    assert (await _run(other)).status == "healthy"
    assert not blocked.done()  # so it didn't delay the other probe
    result = await blocked
    assert (result.status, result.error_message) == ("down", "no answer within 2 s")
    assert 2000 <= result.latency_ms < 20_000  # the function blocks for a minute
    result = await _run(probe)
    assert result.status == "down"
    assert re.fullmatch(r"an earlier check is still running after \d+\.\d s", result.error_message or "")
    assert result.latency_ms < 10_000  # it doesn't wait for its time limit of 30 s
    sys.modules[module].release.set()
    await _wait_until_free(probe)
    assert (await _run(probe)).status == "healthy"


async def _wait_until_free(probe: Probe) -> None:
    """Wait until the probe's thread has finished its call."""
    target = probe.args[0]  # type: ignore[attr-defined]
    await wait_until_async(target._worker.measure_busy_time, lambda busy_for_s: busy_for_s is None)


async def test_probe_python_failed_import_is_retried_by_next_probe(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}_late.py").write_text(
        "from pathlib import Path\n"
        f"if not Path({str(tmp_path / 'flag')!r}).exists(): raise ConnectionRefusedError(111, 'no')\n"
        "def check(): pass\n"
    )
    probe = _make_probe(f"{module}_late:check")
    result = await _run(probe)
    assert result.status == "down"
    assert result.error_message == f"can't import {module}_late: ConnectionRefusedError: [Errno 111] no"
    (tmp_path / "flag").touch()
    assert (await _run(probe)).status == "healthy"
    sys.modules.pop(f"{module}_late")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def :", "SyntaxError: invalid syntax"),
        ("raise SystemExit(1)", "SystemExit: 1"),
    ],
)
async def test_probe_python_failed_import_is_down(module: str, tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / f"{module}_bad.py").write_text(source)
    result = await _run(_make_probe(f"{module}_bad:check"))
    assert result.status == "down"
    assert str(result.error_message).startswith(f"can't import {module}_bad: {message}")


def test_python_target_file_name_is_rejected_with_correction() -> None:
    with pytest.raises(ValidationError, match=r"must be MODULE:FUNCTION; write myapp\.health:check"):
        PROBES["python"].bind({"python": "myapp.health.py:check"}, 1)


@pytest.mark.parametrize(
    "path",
    ["myapp", "myapp.health", "myapp:", ":check", "myapp:check()", "my-app:check", "myapp..health:check", "a:b:c"],
)
def test_python_target_malformed_path_is_rejected(path: str) -> None:
    with pytest.raises(ValidationError, match="must be MODULE:FUNCTION, such as"):
        _make_probe(path)


def test_python_target_missing_module_is_rejected() -> None:
    with pytest.raises(ValidationError, match="can't find the module nowhere_to_be_found"):
        _make_probe("nowhere_to_be_found.health:check")


def test_check_command_blocking_function_does_not_block_exit(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import threading\ndef check(): threading.Event().wait()\n")
    (tmp_path / "vigilbase.yaml").write_text("services:\n  - {name: shop, python: 'shop:check', timeout: 200ms}\n")
    started = time.monotonic()
    result = run_installed("check", cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr) == (1, "")
    assert "no answer within 0.2 s" in result.stdout
    assert time.monotonic() - started < 20
