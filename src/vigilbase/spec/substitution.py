"""`${NAME}` in the values of the file: the environment's, as shells and Compose write it."""

import re
from collections.abc import Mapping

from vigilbase.spec.environment import variable

_DOLLAR = re.compile(r"\$(?:(\$)|\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}$]*))?\})?)")
"""`$$`, `${NAME}`, `${NAME:-default}`, or the beginning of neither; a `$` before anything else is itself."""


def has_variable(text: str) -> bool:
    """Does a part of the text come from the environment?"""
    return any(match[2] for match in _DOLLAR.finditer(text))


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """The text with the environment's values in it. What they say is not looked at again.

    Raises:
        ValueError: a variable is not set, its file can't be read, or `${` begins no variable.

    """

    def replaced(match: re.Match[str]) -> str:
        dollar, name, default = match.groups()
        if dollar or match[0] == "$":
            return "$"
        if name is None:
            raise ValueError(
                "after ${ must follow the name of an environment variable and }, as in ${NAME} or ${NAME:-default}; "
                "write $$ for a dollar sign"
            )
        value = variable(name, environ)
        if default is not None:
            return value or default
        if value is None:
            raise ValueError(f"the environment variable {name} is not set; set it, or write $$ for a dollar sign")
        return value

    return _DOLLAR.sub(replaced, text)
