"""Which command is being run, so that only its module is imported: importing them all takes half a second."""

import os
from collections.abc import Mapping, Sequence

# The module of this package that has a command, in the order of the help.
COMMANDS: Mapping[str, str] = {
    "up": "run",
    "run": "run",
    "check": "check",
    "status": "status",
    "history": "history",
    "alerts": "alerts",
    "silence": "silence",
    "maintenance": "maintenance",
    "channels": "channels",
    "notifications": "notifications",
    "doctor": "doctor",
    "migrate": "migrate",
    "schema": "check",
    "db": "db",
}

_SHELL_OPTIONS = ("--install-completion", "--show-completion")


def list_modules(command: str | None) -> list[str]:
    """The modules to import: that of the command, none for the version, or else all of them."""
    if command is not None and command in COMMANDS:
        return [COMMANDS[command]]
    return [] if command in ("version", "--version") else list(dict.fromkeys(COMMANDS.values()))


def find_command(arguments: Sequence[str]) -> str | None:
    """The command that is being run, or that a shell is completing; it may not exist."""
    if "_VIGILBASE_COMPLETE" in os.environ:
        # Typer's scripts pass the words of the line, bash one a line. A word is complete when another follows it.
        line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
        words = line.replace("\n", " ").split(" ")
        return words[1] if len(words) > 2 else None
    return arguments[0] if arguments else None


def allow_shell_name(arguments: Sequence[str]) -> None:
    """Accept `--show-completion bash`, which scripts need; without a name, the option finds the shell itself.

    Typer supports both, and decides by this variable which of them the options accept.
    """
    if len(arguments) > 1 and arguments[0] in _SHELL_OPTIONS:
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
