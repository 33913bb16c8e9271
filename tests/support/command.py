"""The command `vigilbase`: in this process, which is ten times as fast, or as a process of its own.

A test starts a process only for what a process alone shows: signals, closed descriptors, screens, `kill -9`.
"""

import asyncio
import logging
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import BinaryIO, TypeVar
from unittest.mock import patch

import pytest

from vigilbase.cli.main import main

VIGILBASE = str(Path(sys.executable).parent / "vigilbase")
_LIMIT_S = 120
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Result = TypeVar("Result")


def run(
    *arguments: str,
    cwd: Path,
    environ: Mapping[str, str],
    missing: Container[str] = (),
    encoding: str = "utf-8",
) -> "CompletedProcess[str]":
    """Run the command to its end in this process.

    `missing`: the streams (such as stdout) that are None. `encoding`: that of the streams.
    """
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        streams = {"stdin": nothing, "stdout": out, "stderr": err}
        descriptors = {name: None if name in missing else file.fileno() for name, file in streams.items()}
        code = _call_main(arguments, cwd, environ, descriptors, encoding)
        return CompletedProcess(["vigilbase", *arguments], code, _read(out), _read(err))


def run_with_only(environ: Mapping[str, str], *arguments: str, cwd: Path) -> "CompletedProcess[str]":
    """As `run`, without the environment of this process."""
    with patch.dict(os.environ, clear=True):
        return run(*arguments, cwd=cwd, environ=environ)


def run_at_terminal(*arguments: str, typed: str, cwd: Path, environ: Mapping[str, str]) -> "CompletedProcess[str]":
    """Run the command in this process at a terminal, where `typed` was typed ahead; `stdout` is the screen's text."""
    # The console keeps the width of the standard output that it finds when it is imported; `run` expects no terminal's.
    run("--help", cwd=cwd, environ=environ)
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    shown: list[bytes] = []
    reader = threading.Thread(target=_read_terminal, args=(ours, shown))
    reader.start()
    try:
        descriptors = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        code = _call_main(arguments, cwd, {**environ, "TERM": "dumb"}, descriptors)
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    return CompletedProcess(["vigilbase", *arguments], code, b"".join(shown).decode().replace("\r\n", "\n"), "")


def run_installed(*arguments: str, cwd: Path, environ: Mapping[str, str]) -> "CompletedProcess[str]":
    """Run the installed command to its end in a process of its own."""
    return subprocess.run(
        [VIGILBASE, *arguments],
        cwd=cwd,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )


@contextmanager
def running(*arguments: str, cwd: Path, environ: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Run the installed command with its output in `cwd/events.log`, and kill it at the end of the block."""
    with (cwd / "events.log").open("a") as log:
        process = subprocess.Popen(
            [VIGILBASE, *arguments],
            cwd=cwd,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _call_main(
    arguments: tuple[str, ...],
    cwd: Path,
    environ: Mapping[str, str],
    descriptors: Mapping[str, int | None],
    encoding: str = "utf-8",
) -> int:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        patch.dict(os.environ, environ),
        chdir(cwd),
        _keeping_logging(),
        _keeping_modules_of(cwd),
        _replacing_standard_streams(monkeypatch, descriptors, encoding),
    ):
        monkeypatch.setattr(sys, "argv", ["vigilbase", *arguments])
        # Otherwise Click would name the command `python -m pytest`.
        monkeypatch.setattr(sys.modules["__main__"], "__package__", None)
        return _outside_event_loop(_call)


def _call() -> int:
    """The exit code of the command."""
    try:
        main()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        sys.stderr.write(f"{error.code}\n")
    except BaseException:  # noqa: BLE001 (as the interpreter does)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


def _outside_event_loop(call: Callable[[], Result]) -> Result:
    """Call a function that runs an event loop; in another thread if one is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            return call()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(_LIMIT_S)
    assert results, f"the command still runs after {_LIMIT_S} s"
    return results[0]


@contextmanager
def _replacing_standard_streams(
    monkeypatch: pytest.MonkeyPatch, descriptors: Mapping[str, int | None], encoding: str
) -> Iterator[None]:
    """Replace the standard streams with their descriptors, which child processes inherit."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(number) for number in range(3)]
    try:
        for number, (name, descriptor) in enumerate(descriptors.items()):
            stream = None
            if descriptor is not None:
                os.dup2(descriptor, number)
                stream = open(number, "w" if number else "r", encoding=encoding, closefd=False)  # noqa: SIM115
            monkeypatch.setattr(sys, name, stream)
        yield
        for name in descriptors:
            getattr(sys, name).close()  # the command has replaced a missing one
    finally:
        monkeypatch.undo()
        for number, descriptor in enumerate(saved):
            os.dup2(descriptor, number)
            os.close(descriptor)


@contextmanager
def _keeping_logging() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "vigilbase", "vigilbase.models")]
    levels, handlers = [logger.level for logger in loggers], logging.getLogger().handlers[:]
    try:
        yield
    finally:
        logging.getLogger().handlers[:] = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _keeping_modules_of(folder: Path) -> Iterator[None]:
    """Forget the modules that the block imports from a folder, and remove the folder from the path."""
    path, known = sys.path[:], set(sys.modules)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).is_relative_to(folder):
                del sys.modules[name]


def _read(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def _read_terminal(descriptor: int, shown: list[bytes]) -> None:
    while True:
        try:
            data = os.read(descriptor, 65_536)
        except OSError:  # on Linux, when the other end is closed
            return
        if not data:
            return
        shown.append(data)
