"""A real Redis from Debian, on a loopback port and a Unix socket, which ends with the test."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.support.server import free_port, in_ci
from tests.support.waiting import wait_until


def find_redis() -> str:
    """The path of the program. If it is missing, the test is skipped, except in CI."""
    path = shutil.which("redis-server")
    if path is None:
        assert not in_ci(), "redis-server is missing: `make test` installs it on Debian"
        pytest.skip("redis-server is not installed (on Debian: apt install redis-server)")
    return path


def allow_debug_command(program: str) -> dict[str, str]:
    """The setting that allows DEBUG, which is always allowed before Redis 7."""
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    match = re.search(r"v=(\d+)", version)
    assert match, version
    return {"enable-debug-command": "local"} if int(match[1]) >= 7 else {}


class RedisServer:
    """A server that can be restarted on the same port. `password` is for its default user."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self.port = free_port()
        self.password = password
        self.socket = folder / "redis.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        program = find_redis()
        options = {
            **allow_debug_command(program),
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket),
            "dir": str(self._folder),
            "save": "",
            "requirepass": self.password,
        }
        # On standard input, because any user can see the arguments of a process.
        config = "".join(f'{name} "{value}"\n' for name, value in options.items())
        self._process = subprocess.Popen(
            [program, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        assert self._process.stdin
        self._process.stdin.write(config.encode())
        self._process.stdin.close()
        wait_until(self._is_ready, bool)

    def stop(self) -> None:
        """Kill the server if it is running."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def execute(self, *command: str) -> object:
        """Send a command as the default user."""
        with Redis(port=self.port, password=self.password or None, protocol=2) as client:
            return client.execute_command(*command)

    def _is_ready(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "redis-server ended"
        try:
            self.execute("PING")
        except RedisError:
            return False
        return True


@contextmanager
def run_redis(password: str = "") -> Iterator[RedisServer]:
    """Run a server inside the block."""
    with tempfile.TemporaryDirectory(prefix="vigilbase-redis-", dir="/tmp") as folder:
        server = RedisServer(Path(folder), password)
        server.start()
        try:
            yield server
        finally:
            server.stop()
