"""The program `vigilbase`. It imports nothing that an installation may lack, so that it can say what is missing."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path

from vigilbase.errors import ConfigurationError
from vigilbase.extras import import_from_extra


def main() -> None:
    """Run the command line. An error that a user can fix is one line and exit code 2, never a traceback."""
    # First, before anything opens a file or a connection that would get one of their descriptors.
    _replace_closed_streams()
    _escape_unencodable()
    try:
        program = import_from_extra("vigilbase.cli.app", "cli", "the command line")
    except ConfigurationError as error:
        sys.stderr.write(f"vigilbase: {error}\n")
        sys.exit(2)
    program.run_program(sys.argv[1:])


def _replace_closed_streams() -> None:
    """Open the standard streams that our parent closed (`>&-`), which Python represents as None.

    In this order each gets its own file descriptor, which otherwise a connection would get, here or in a child process.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 (open until the program ends)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _escape_unencodable() -> None:
    """Print an escape for a character that the output's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
