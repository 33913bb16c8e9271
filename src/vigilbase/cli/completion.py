"""What the shell's completion needs besides Typer's own: service names."""

import os
import re
from typing import Self, SupportsIndex

import yaml

from vigilbase.cli.context import DEFAULT_CONFIG
from vigilbase.errors import ConfigurationError
from vigilbase.files import read_text

# What no shell takes for anything but itself, once spaces are dealt with.
_HARMLESS = re.compile(r"[\w./@+-]+(?: [\w./@+-]+)*")


def service_names(incomplete: str) -> list[str]:
    """The names in the current folder's vigilbase.yaml that begin so; none if the file can't be read."""
    try:
        # Only names are wanted, so the file needn't be right in all else.
        services = yaml.safe_load(read_text(DEFAULT_CONFIG))["services"]
        names = [str(service["name"]) for service in services]
    except (ConfigurationError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return []
    found = [name for name in names if name.startswith(incomplete) and _HARMLESS.fullmatch(name)]
    # Bash puts the word on the line as it comes; the other shells quote it themselves.
    return list(map(_Escaped, found)) if _completes_bare_word_of_bash() else found


class _Escaped(str):
    """A name as bash needs it on the line. Typer looks whether it begins with what was typed, without backslashes."""

    def __new__(cls, name: str) -> Self:
        return super().__new__(cls, name.replace(" ", "\\ "))

    def startswith(self, prefix: str | tuple[str, ...], *within: SupportsIndex | None) -> bool:
        return self.replace("\\ ", " ").startswith(prefix, *within)


def _completes_bare_word_of_bash() -> bool:
    """Whether bash asks, and for a word that isn't in quotes: there a backslash is a backslash."""
    if os.environ.get("_VIGILBASE_COMPLETE") != "complete_bash":
        return False
    words, index = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    word = words[int(index)] if index.isdecimal() and int(index) < len(words) else ""
    return not word.startswith(("'", '"'))
