"""A shortage of file descriptors: probes are skipped, and the runner continues."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.support.command import VIGILBASE
from tests.support.server import PostgresServer
from tests.support.waiting import wait_until_async

TARGETS = {
    "tcp": "127.0.0.1:1",
    "http": "http://127.0.0.1:1/",
    "redis": "redis://127.0.0.1:1",
    "postgres": "postgresql://a@127.0.0.1:1/b",
}
# Prints the kinds whose probe is skipped, and why.
PROGRAM = """
import asyncio, json, os, resource, sys
from vigilbase.probes import PROBES
from vigilbase.probes.run import ProbeSkippedError, run_probe
from vigilbase.clock import utc_now

async def main():
    probes = {kind: PROBES[kind].bind({kind: target}, 2) for kind, target in json.loads(sys.argv[1]).items()}
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    descriptors, skipped = [], {}
    try:
        while True:
            descriptors.append(os.dup(0))
    except OSError:
        pass
    for kind, probe in probes.items():
        try:
            await run_probe(probe, timeout=2, now=utc_now)
        except ProbeSkippedError as error:
            skipped[kind] = str(error)
    os.close(descriptors.pop())
    print(json.dumps(skipped))

asyncio.run(main())
"""


def test_probe_without_file_descriptor_is_skipped() -> None:
    command = [sys.executable, "-c", PROGRAM, json.dumps(TARGETS)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 0, process.stderr
    skipped = json.loads(process.stdout)
    for kind in TARGETS:
        assert skipped[kind].startswith("no file descriptor is left"), kind


async def test_runner_short_of_file_descriptors_records_no_outage(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    listener = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    services = "".join(f"  - {{name: s{number}, tcp: '127.0.0.1:{port}'}}\n" for number in range(100))
    (tmp_path / "vigilbase.yaml").write_text(f"defaults: {{interval: 300ms, timeout: 30s}}\nservices:\n{services}")
    with (tmp_path / "events.log").open("w") as log:
        # Each probe uses a descriptor, and 64 are too few for 100 services, so some probes find none left.
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f"ulimit -n 64; exec {VIGILBASE} run",
            cwd=tmp_path,
            stderr=log,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DATABASE_URL": server.url(database)},
        )
    try:
        await wait_until_async(
            lambda: server.execute("SELECT count(*) FROM service_health_checks", database)[0][0],
            lambda count: isinstance(count, int) and count > 500,
        )
    finally:
        process.terminate()
        assert await process.wait() == 0, (tmp_path / "events.log").read_text()
        listener.close()
    assert server.execute("SELECT DISTINCT status FROM service_health_checks", database) == [("healthy",)]
