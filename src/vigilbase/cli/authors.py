"""Who says so: what is done by hand is done by somebody."""

import getpass
from typing import Annotated

import typer

By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it; your login name, unless you say another.")
]


def author_of(by: str | None) -> str | None:
    """The name that was given, or the login name; None where there is none, as in some containers."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
