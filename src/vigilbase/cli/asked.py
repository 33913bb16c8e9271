"""What the command line, or a shell that completes one, asks for; found out before any command is imported."""

import os
from collections.abc import Sequence

_OPTIONS = ("--install-completion", "--show-completion")


def asked_command(arguments: Sequence[str]) -> str | None:
    """The command that these arguments begin with, or that a shell completes; it may be none that there is."""
    if "_VIGILBASE_COMPLETE" in os.environ:
        # Typer's scripts: the words of the line, for bash one a line; a command is complete if a word follows it.
        line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
        words = line.replace("\n", " ").split(" ")
        return words[1] if len(words) > 2 else None
    return arguments[0] if arguments else None


def allow_named_shell(arguments: Sequence[str]) -> None:
    """Let `--show-completion bash` name the shell, as a script must; alone, the option finds out which one it is.

    Typer has both forms, and decides by this variable which of them the options take.
    """
    if len(arguments) > 1 and arguments[0] in _OPTIONS:
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
