"""Threads that block neither each other nor the exit of the program."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import wait

import pytest

from vigilbase.threads import DaemonThreads


def test_daemon_threads_hanging_calls_block_others_only_when_all_are_busy() -> None:
    threads, gate = DaemonThreads(max_threads=8), threading.Event()
    hanging = [threads.submit(gate.wait, 60) for _ in range(7)]
    assert threads.submit(lambda: "answered").result(60) == "answered"
    late = threads.submit(gate.wait, 60), threads.submit(lambda: "late")
    assert not late[1].done()
    gate.set()
    assert late[1].result(60) == "late"
    assert not wait(hanging, 60).not_done


def test_daemon_threads_idle_thread_is_reused() -> None:
    threads = DaemonThreads()
    idents = set()
    for _ in range(50):
        idents.add(threads.submit(threading.get_ident).result(60))
        while threads._outstanding:  # a thread becomes idle shortly after it has set the result
            time.sleep(0.001)
    assert len(idents) == 1


def test_daemon_threads_exception_reaches_caller_and_thread_survives() -> None:
    threads = DaemonThreads(max_threads=1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(60)
    with pytest.raises(SystemExit):
        threads.submit(sys.exit).result(60)
    assert threads.submit(lambda: 1).result(60) == 1


def test_daemon_threads_cancelled_call_never_starts() -> None:
    threads, gate, started = DaemonThreads(max_threads=1), threading.Event(), threading.Event()
    hanging = threads.submit(gate.wait, 60)
    cancelled = threads.submit(started.set)
    assert cancelled.cancel()
    gate.set()
    assert hanging.result(60)
    threads.submit(lambda: None).result(60)
    assert not started.is_set()


async def test_daemon_threads_serve_as_event_loop_executor() -> None:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    assert await asyncio.to_thread(lambda: 42) == 42
    assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)


def test_daemon_threads_hanging_thread_does_not_block_exit() -> None:
    program = (
        "import asyncio, time\n"
        "from vigilbase.threads import DaemonThreads\n"
        "async def main():\n"
        "    asyncio.get_running_loop().set_default_executor(DaemonThreads())\n"
        "    hanging = asyncio.ensure_future(asyncio.to_thread(time.sleep, 90))\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
