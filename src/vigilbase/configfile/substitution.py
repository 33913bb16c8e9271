"""Substitutes `${NAME}` in the values of the file, with the syntax of shells and Compose."""

import re
from collections.abc import Mapping

from vigilbase.configfile.environment import read_variable

_DOLLAR = re.compile(r"\$(?:(\$)|\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}$]*))?\})?)")
"""`$$`, `${NAME}`, `${NAME:-default}`, or a malformed `${`. Any other `$` stays as it is."""


def has_variable(text: str) -> bool:
    """Return whether a text contains `${NAME}`."""
    return any(match[2] for match in _DOLLAR.finditer(text))


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Replace each `${NAME}` by its value, which is not expanded again, and each `$$` by a dollar sign.

    Raises:
        ValueError: a variable is malformed or not set, or its file can't be read.

    """

    def replace(match: re.Match[str]) -> str:
        dollar, name, default = match.groups()
        if dollar or match[0] == "$":
            return "$"
        if name is None:
            raise ValueError("malformed variable; write ${NAME} or ${NAME:-default}, or $$ for a dollar sign")
        value = read_variable(name, environ)
        if default is not None:
            # As in shells, `:-` replaces an empty value, too.
            return value or default
        if value is None:
            raise ValueError(f"the environment variable {name} is not set; set it, or write $$ for a dollar sign")
        return value

    return _DOLLAR.sub(replace, text)
