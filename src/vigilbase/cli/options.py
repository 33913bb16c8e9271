"""Options that several commands have."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from vigilbase.domain import MAX_INTEGER
from vigilbase.errors import InvalidInputError

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", metavar="FILE", dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Your name (default: login name).")]
Limit = Annotated[str, typer.Option("--limit", metavar="N", help="Show at most N, the newest first.")]
"""A text, so that a wrong one gets our own message: pass it to `parse_limit`."""


def parse_limit(text: str) -> int:
    """The number of `--limit`.

    Raises:
        InvalidInputError: it is not a whole number from 1 to 2,147,483,647.

    """
    # isdecimal() alone is also true for the digits of other scripts. Beyond 4,300 digits, int() raises its own error.
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_INTEGER))
    number = int(text) if is_number else 0
    if not 1 <= number <= MAX_INTEGER:
        raise InvalidInputError("--limit", f"must be a whole number from 1 to {MAX_INTEGER}")
    return number


def find_author(by: str | None) -> str | None:
    """The name of `--by`, or the login name; None where there is none, as in some containers."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    # Before Python 3.13, getuser() raises other errors than OSError as well.
    except (OSError, KeyError, ImportError):
        return None
