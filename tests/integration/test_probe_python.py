"""The probe `python` on functions in modules of the test's own."""

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import ValidationError

from tests.support.watched import run
from vigilbase.clock import utc_now
from vigilbase.probes import KINDS, Finding, observe
from vigilbase.vocabulary import Observation

Probe = Callable[[], Awaitable[Finding]]

SOURCE = """
import asyncio, threading, time
from vigilbase import Observation

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
def observation(): return Observation("degraded", error_message="long queue", probe_details={"queue": 7})
def strange_status(): return Observation("broken")
def strange_message(): return Observation("down", error_message=5)
def no_json(): return Observation("healthy", probe_details={"at": release})
def not_finite(): return Observation("healthy", probe_details={"at": float("nan")})
def no_mapping(): return Observation("healthy", probe_details=[1])
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
    """The name of a module with those functions, in the current folder."""
    name = f"shop_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield name
    if imported := sys.modules.pop(name, None):
        imported.release.set()


def _probe(path: str) -> Probe:
    return KINDS["python"].bind({"python": path}, 5)


async def _look(probe: Probe, timeout: float = 5) -> Observation:
    return await observe(probe, timeout=timeout, now=utc_now)


@pytest.mark.parametrize(
    ("function", "status", "said"),
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
        ("number", "down", "returned 42; expected None, a status or an Observation"),
        ("text", "down", "returned 'fine'; expected None, a status or an Observation"),
        ("true", "down", "returned True; expected None, a status or an Observation"),
        ("secret", "down", "returned a dict; expected None, a status or an Observation"),
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
        ("not_a_function", "down", "{module}:not_a_function is no function, but a int"),
        ("nowhere", "down", "{module} has no nowhere"),
        ("Shop.close", "down", "{module} has no Shop.close"),
        (
            "strange_status",
            "down",
            "returned an Observation with the status 'broken'; expected None, a status or an Observation",
        ),
        ("strange_message", "down", "returned an Observation whose error_message is a int, not text"),
        (
            "no_json",
            "down",
            "returned an Observation whose probe_details are not JSON: Object of type Event is not JSON serializable",
        ),
        (
            "not_finite",
            "down",
            "returned an Observation whose probe_details are not JSON: Out of range float values",
        ),
        ("no_mapping", "down", "returned an Observation whose probe_details are not JSON: they are no mapping"),
    ],
)
async def test_what_a_function_returns_or_raises_is_what_was_seen(
    module: str, function: str, status: str, said: str | None
) -> None:
    probe = _probe(f"{module}:{function}")
    for _ in range(2):  # the worker lives on, whatever happens in it
        seen = await _look(probe)
        assert seen.status == status
        if said is None:
            assert seen.error_message is None
        else:
            assert str(seen.error_message).startswith(said.replace("{module}", module))


async def test_an_observation_says_what_was_seen_and_its_time_is_measured(module: str) -> None:
    began = utc_now()
    seen = await _look(_probe(f"{module}:observation"))
    assert (seen.status, seen.error_message, seen.probe_details) == ("degraded", "long queue", {"queue": 7})
    assert seen.checked_at >= began


async def test_an_async_function_has_the_same_loop_each_time(module: str) -> None:
    probe = _probe(f"{module}:same_loop")
    assert [(await _look(probe)).status for _ in range(3)] == ["healthy"] * 3
    assert sys.modules[module].loops[0] is not asyncio.get_running_loop()


async def test_a_loop_of_the_program_that_ends_takes_nothing_along(module: str) -> None:
    probe = _probe(f"{module}:same_loop")
    seen = [await asyncio.to_thread(asyncio.run, _look(probe)) for _ in range(2)]
    assert [observation.status for observation in seen] == ["healthy"] * 2


async def test_what_an_async_function_leaves_running_goes_on_and_may_fail(module: str) -> None:
    probe = _probe(f"{module}:leaves_a_task")
    assert (await _look(probe)).status == "healthy"
    assert await asyncio.to_thread(sys.modules[module].release.wait, 10)
    assert (await _look(probe)).status == "healthy"


async def test_an_async_function_is_cancelled_when_the_time_is_over(module: str) -> None:
    probe = _probe(f"{module}:waits")
    for _ in range(2):
        seen = await _look(probe, timeout=0.2)
        assert (seen.status, seen.error_message) == ("down", "no answer within 0.2 s")
        assert 200 <= seen.latency_ms < 2000
        await _until_free(probe)


@pytest.mark.parametrize("function", ["blocks", "async_blocks"])
async def test_one_that_blocks_is_down_stalls_nothing_and_is_not_started_twice(module: str, function: str) -> None:
    probe, other = _probe(f"{module}:{function}"), _probe(f"{module}:nothing")
    blocked = asyncio.create_task(_look(probe, timeout=0.6))
    await asyncio.sleep(0)  # so that it has begun
    assert (await _look(other)).status == "healthy"
    assert not blocked.done()  # so the other one was not held up
    seen = await blocked
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.6 s")
    assert 600 <= seen.latency_ms < 5000
    seen = await _look(probe)
    assert seen.status == "down"
    assert re.fullmatch(r"still busy with an earlier check, for \d+\.\d s", seen.error_message or "")
    assert seen.latency_ms < 600
    sys.modules[module].release.set()
    await _until_free(probe)
    assert (await _look(probe)).status == "healthy"


async def _until_free(probe: Probe) -> None:
    """Wait for the worker to notice that its work is over."""
    target = probe.args[0]  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while target._worker.busy_for() is not None:
            await asyncio.sleep(0)


async def test_a_module_is_imported_at_the_first_probe_and_again_after_a_failure(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}_late.py").write_text(
        "from pathlib import Path\n"
        f"if not Path({str(tmp_path / 'flag')!r}).exists(): raise ConnectionRefusedError(111, 'no')\n"
        "def check(): pass\n"
    )
    probe = _probe(f"{module}_late:check")
    seen = await _look(probe)
    assert seen.status == "down"
    assert seen.error_message == f"can't import {module}_late: ConnectionRefusedError: [Errno 111] no"
    (tmp_path / "flag").touch()
    assert (await _look(probe)).status == "healthy"
    sys.modules.pop(f"{module}_late")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def :", "SyntaxError: invalid syntax"),
        ("raise SystemExit(1)", "SystemExit: 1"),
    ],
)
async def test_a_module_that_cannot_be_imported_is_down(module: str, tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / f"{module}_bad.py").write_text(source)
    seen = await _look(_probe(f"{module}_bad:check"))
    assert seen.status == "down"
    assert str(seen.error_message).startswith(f"can't import {module}_bad: {said}")


def test_a_file_for_a_module_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValidationError, match=r"must be MODULE:FUNCTION; write myapp\.health:check"):
        KINDS["python"].bind({"python": "myapp.health.py:check"}, 1)


@pytest.mark.parametrize(
    "path",
    ["myapp", "myapp.health", "myapp:", ":check", "myapp:check()", "my-app:check", "myapp..health:check", "a:b:c"],
)
def test_what_is_no_module_and_function_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="must be MODULE:FUNCTION, such as"):
        _probe(path)


def test_a_module_that_is_nowhere_is_refused() -> None:
    said = "there is no module nowhere_to_be_found in the current folder or among the installed packages"
    with pytest.raises(ValidationError, match=said):
        _probe("nowhere_to_be_found.health:check")


def test_the_program_ends_at_once_though_a_function_blocks_for_ever(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import threading\ndef check(): threading.Event().wait()\n")
    (tmp_path / "vigilbase.yaml").write_text("services:\n  - {name: shop, python: 'shop:check', timeout: 200ms}\n")
    began = time.monotonic()
    result = run("check", cwd=tmp_path, environ={})
    assert (result.returncode, result.stderr) == (1, "")
    assert "no answer within 0.2 s" in result.stdout
    assert time.monotonic() - began < 20
