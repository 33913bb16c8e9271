"""Completion of service names in the shell."""

import os
import re
from typing import Self, SupportsIndex

from vigilbase.errors import ConfigurationError
from vigilbase.files import DEFAULT_CONFIG, read_text

# Characters that every shell takes literally, apart from the spaces between them.
_LITERAL = re.compile(r"[\w./@+-]+(?: [\w./@+-]+)*")


def complete_service_names(incomplete: str) -> list[str]:
    """The services of the current folder's vigilbase.yaml whose names begin like this; none if it can't be read."""
    import yaml

    try:
        # Names are all that matters here, so the rest of the file may be wrong.
        services = yaml.safe_load(read_text(DEFAULT_CONFIG))["services"]
        names = [str(service["name"]) for service in services]
    except (ConfigurationError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return []
    matching = [name for name in names if name.startswith(incomplete) and _LITERAL.fullmatch(name)]
    # Bash inserts the word as it is; the other shells quote it themselves.
    return list(map(_Escaped, matching)) if _is_bare_word_in_bash() else matching


class _Escaped(str):
    """A name with escaped spaces, for bash. Typer compares it with what was typed, which has no backslashes."""

    def __new__(cls, name: str) -> Self:
        return super().__new__(cls, name.replace(" ", "\\ "))

    def startswith(self, prefix: str | tuple[str, ...], *within: SupportsIndex | None) -> bool:
        return self.replace("\\ ", " ").startswith(prefix, *within)


def _is_bare_word_in_bash() -> bool:
    """Whether bash completes a word without quotes, within which a backslash is a backslash."""
    if os.environ.get("_VIGILBASE_COMPLETE") != "complete_bash":
        return False
    words, index = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    word = words[int(index)] if index.isdecimal() and int(index) < len(words) else ""
    return not word.startswith(("'", '"'))
