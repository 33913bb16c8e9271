"""A runner without file descriptors says so, records nothing false, and goes on."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import PostgresServer
from tests.support.watched import VIGILBASE, eventually

PROGRAM = """
import asyncio, os, resource, sys
from vigilbase.probes import KINDS, ProbeNotPossibleError, observe
from vigilbase.clock import utc_now

async def main():
    probe = KINDS[sys.argv[1]].bind({sys.argv[1]: sys.argv[2]}, 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        pass
    try:
        await observe(probe, timeout=2, now=utc_now)
    except ProbeNotPossibleError as error:
        os.close(taken.pop())
        print(error)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("tcp", "127.0.0.1:1"),
        ("http", "http://127.0.0.1:1/"),
        ("redis", "redis://127.0.0.1:1"),
        ("postgres", "postgresql://a@127.0.0.1:1/b"),
    ],
)
def test_a_probe_without_a_file_descriptor_finds_nothing_out(kind: str, target: str) -> None:
    command = [sys.executable, "-c", PROGRAM, kind, target]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith("no file descriptor is left"), done.stderr


async def test_a_runner_that_is_short_of_files_goes_on_and_calls_nobody_down(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    listening = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    services = "".join(f"  - {{name: s{number}, tcp: '127.0.0.1:{port}'}}\n" for number in range(100))
    (tmp_path / "vigilbase.yaml").write_text(f"defaults: {{every: 300ms, timeout: 5s}}\nservices:\n{services}")
    with (tmp_path / "events.log").open("w") as log:
        # Sockets of its own take what is left, so that the probes find none again and again.
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f"ulimit -n 64; exec {VIGILBASE} run",
            cwd=tmp_path,
            stderr=log,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DATABASE_URL": server.url(database)},
        )
    try:
        await asyncio.to_thread(
            eventually,
            lambda: server.execute("SELECT count(*) FROM service_health_checks", database)[0][0],
            lambda count: isinstance(count, int) and count > 1000,
        )
    finally:
        process.terminate()
        assert await process.wait() == 0, (tmp_path / "events.log").read_text()
        listening.close()
    assert server.execute("SELECT DISTINCT status FROM service_health_checks", database) == [("healthy",)]
