"""The installed command in a pseudo-terminal, with the screen that a user sees."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.support.command import VIGILBASE
from tests.support.waiting import wait_until

CTRL_C = b"\x03"
MAX_READS = 64


class Terminal:
    """A program with its own screen. Its output is read whenever the screen is."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, columns: int, lines: int) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=1000, ratio=1)
        self.raw = b""
        self._process = process
        self._descriptor = descriptor
        self._stream = pyte.ByteStream(self.screen)

    def lines(self) -> list[str]:
        """The lines that have scrolled off the screen and those on it, oldest first."""
        scrolled = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return [line.rstrip() for line in [*scrolled, *self.screen.display]]

    def text(self) -> str:
        """The same lines as one text."""
        self._read(0)
        return "\n".join(self.lines())

    def visible(self) -> str:
        """The text that is on the screen now."""
        self._read(0)
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, is_expected: Callable[[str], object], within_s: float = 60) -> str:
        """Read until the text is as expected; fail with the last screen."""
        return wait_until(self.text, is_expected, within_s=within_s)

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

    def exit_code(self, within_s: float = 60) -> int:
        """Read to the end, and return the program's exit code, negative for a signal."""
        wait_until(self.text, lambda _: self._process.poll() is not None, within_s=within_s)
        self._read(0.1)
        return self._process.wait()

    def close(self) -> None:
        """Kill the program if it still runs."""
        self._process.kill()
        self._process.wait()
        os.close(self._descriptor)

    def _read(self, wait_s: float) -> None:
        for _ in range(MAX_READS):  # a program that never stops writing must not outlast its deadline
            if not select.select([self._descriptor], [], [], wait_s)[0]:
                return
            try:
                data = os.read(self._descriptor, 65_536)
            except OSError:  # on Linux, the program has ended
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
    """Run the installed command in a pseudo-terminal; kill it at the end of the block."""
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environ}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    ours, theirs = os.openpty()
    _set_size(theirs, columns, lines)
    process = subprocess.Popen(
        [VIGILBASE, *arguments],
        cwd=cwd,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_set_controlling_terminal,  # noqa: PLW1509 (it makes one system call)
    )
    os.close(theirs)
    shown = Terminal(process, ours, columns, lines)
    try:
        yield shown
    finally:
        shown.close()


def _set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def _set_controlling_terminal() -> None:
    """Make standard input the program's controlling terminal, so that Ctrl-C reaches it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
