"""Threads that hold up neither each other nor the end of the program."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import wait

import pytest

from vigilbase.threads import DaemonThreads


def test_calls_that_hang_hold_up_no_other_until_there_are_very_many() -> None:
    threads, gate = DaemonThreads(max_threads=8), threading.Event()
    hanging = [threads.submit(gate.wait, 10) for _ in range(7)]
    assert threads.submit(lambda: "answered").result(5) == "answered"
    late = threads.submit(gate.wait, 10), threads.submit(lambda: "late")
    assert not late[1].done()
    gate.set()
    assert late[1].result(5) == "late"
    assert all(wait(hanging, 5).done)


def test_a_thread_is_used_again() -> None:
    threads = DaemonThreads()
    names = set()
    for _ in range(50):
        names.add(threads.submit(threading.get_ident).result(5))
    assert len(names) < 50


def test_an_exception_reaches_whoever_asked_and_the_thread_lives_on() -> None:
    threads = DaemonThreads(max_threads=1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(5)
    with pytest.raises(SystemExit):
        threads.submit(sys.exit).result(5)
    assert threads.submit(lambda: 1).result(5) == 1


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    threads, gate, begun = DaemonThreads(max_threads=1), threading.Event(), threading.Event()
    hanging = threads.submit(gate.wait, 10)
    given_up = threads.submit(begun.set)
    assert given_up.cancel()
    gate.set()
    assert hanging.result(5)
    threads.submit(lambda: None).result(5)
    assert not begun.is_set()


async def test_an_event_loop_takes_it_for_its_own() -> None:
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    assert await asyncio.to_thread(lambda: 42) == 42
    assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)


def test_a_program_ends_though_a_thread_of_it_hangs() -> None:
    program = (
        "import asyncio, time\n"
        "from vigilbase.threads import DaemonThreads\n"
        "async def main():\n"
        "    asyncio.get_running_loop().set_default_executor(DaemonThreads())\n"
        "    hanging = asyncio.ensure_future(asyncio.to_thread(time.sleep, 60))\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
