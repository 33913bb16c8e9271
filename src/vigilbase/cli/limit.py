"""`--limit`, as the commands that list something have it."""

from typing import Annotated

import typer

from vigilbase.errors import InvalidInputError
from vigilbase.models.validation import MAX_INTEGER

Limit = Annotated[str, typer.Option("--limit", metavar="N", help="How many to show at the most, the newest.")]
"""A text, so that what is wrong with it is said in our words: pass it through `valid_limit`."""


def valid_limit(text: str) -> int:
    """The number that `--limit` says.

    Raises:
        InvalidInputError: it is none, or none that can be asked for.

    """
    number = int(text) if text.isdecimal() and len(text) <= len(str(MAX_INTEGER)) else 0
    if not 1 <= number <= MAX_INTEGER:
        raise InvalidInputError("--limit", f"must be a whole number from 1 to {MAX_INTEGER}")
    return number
