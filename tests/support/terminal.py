"""A pseudo-terminal with the installed command in it, and a screen that shows what a user would see."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.support.watched import VIGILBASE

CTRL_C = b"\x03"
MOST_READS = 64


class Terminal:
    """A program on a screen of its own. What it prints is read whenever somebody looks."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, columns: int, lines: int) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=1000, ratio=1)
        self.raw = b""
        self._process = process
        self._descriptor = descriptor
        self._stream = pyte.ByteStream(self.screen)

    def lines(self) -> list[str]:
        """What stands on the screen now, and what has scrolled off it, oldest first."""
        gone = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return [line.rstrip() for line in [*gone, *self.screen.display]]

    def text(self) -> str:
        """The same as one text."""
        self._read(0)
        return "\n".join(self.lines())

    def visible(self) -> str:
        """What stands on the screen now, alone."""
        self._read(0)
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, wanted: Callable[[str], object], within_s: float = 30) -> str:
        """Read until the text is as wanted; fail with the screen as it was last."""
        deadline = time.monotonic() + within_s
        while not wanted(text := self.text()):
            assert time.monotonic() < deadline, f"after {within_s} s the screen is still:\n{text}"
            self._read(0.05)
        return text

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._descriptor, keys)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the window."""
        _set_size(self._descriptor, columns, lines)
        self.screen.resize(lines, columns)

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def exit_code(self, within_s: float = 10) -> int:
        """Read to the end; the program's exit code, negative for a signal."""
        deadline = time.monotonic() + within_s
        while (code := self._process.poll()) is None:
            self._read(0.02)
            assert time.monotonic() < deadline, f"still running:\n{self.text()}"
        self._read(0.1)
        return code

    def close(self) -> None:
        """Kill the program if it still runs."""
        self._process.kill()
        self._process.wait()
        os.close(self._descriptor)

    def _read(self, wait_s: float) -> None:
        for _ in range(MOST_READS):  # a program that never stops writing must not outlast its deadline
            if not select.select([self._descriptor], [], [], wait_s)[0]:
                return
            try:
                data = os.read(self._descriptor, 65_536)
            except OSError:  # Linux says so when the program has ended
                return
            if not data:
                return
            self.raw += data
            self._stream.feed(data)
            wait_s = 0


@contextmanager
def terminal(
    arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], columns: int = 100, lines: int = 30
) -> Iterator[Terminal]:
    """The installed command in a pseudo-terminal."""
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environ}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    ours, its = os.openpty()
    _set_size(its, columns, lines)
    process = subprocess.Popen(
        [VIGILBASE, *arguments],
        cwd=cwd,
        env=environment,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=_take_the_terminal,  # noqa: PLW1509 (it makes one system call)
    )
    os.close(its)
    shown = Terminal(process, ours, columns, lines)
    try:
        yield shown
    finally:
        shown.close()


def _set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def _take_the_terminal() -> None:
    """Make it the program's controlling terminal, so that Ctrl-C reaches it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
