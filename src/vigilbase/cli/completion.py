"""What the shell's completion needs besides Typer's own: service names, and a shell that is named."""

import os
import re
from collections.abc import Sequence

import yaml

from vigilbase.cli.context import DEFAULT_CONFIG
from vigilbase.errors import ConfigurationError
from vigilbase.spec import read_text

# What no shell takes for anything but itself, once spaces are dealt with.
_HARMLESS = re.compile(r"[\w./@+-]+(?: [\w./@+-]+)*")
_OPTIONS = ("--install-completion", "--show-completion")


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
    if os.environ.get("_VIGILBASE_COMPLETE") == "complete_bash":
        return [name.replace(" ", "\\ ") for name in found]
    return found


def allow_named_shell(arguments: Sequence[str]) -> None:
    """Let `--show-completion bash` name the shell, as a script must; alone, the option finds out which one it is.

    Typer has both forms, and decides by this variable which of them the options take.
    """
    if len(arguments) > 1 and arguments[0] in _OPTIONS:
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
