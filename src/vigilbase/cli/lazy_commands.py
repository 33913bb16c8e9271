"""The commands, of which only the one that runs is imported: importing them all takes half a second."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from vigilbase.errors import MissingExtraError
from vigilbase.extras import import_from_extra


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A module of this package that registers a command, the command's summary in the help, and the extra it needs."""

    module: str
    summary: str
    extra: str = "cli"


# In the order of the help. A test compares the summaries with the commands' own.
COMMANDS: Mapping[str, LazyCommand] = {
    "up": LazyCommand("run", "Set up the database and monitor your services.", "probes"),
    "run": LazyCommand("run", "Monitor your services; set nothing up.", "probes"),
    "check": LazyCommand("check", "Probe every service once, without recording anything.", "probes"),
    "status": LazyCommand("status", "Show every service, its latest check and its open alert."),
    "history": LazyCommand("history", "Show a service's checks and alerts, newest first."),
    "alerts": LazyCommand("alerts", "List, show, acknowledge and resolve alerts."),
    "silence": LazyCommand("silence", "Silence services: suppress their notifications for a while."),
    "maintenance": LazyCommand("maintenance", "Schedule maintenance windows, one-off or recurring."),
    "channels": LazyCommand("channels", "List, test and enable channels.", "channels"),
    "notifications": LazyCommand("notifications", "List notifications; retry or discard them."),
    "doctor": LazyCommand("doctor", "Check everything that Vigilbase needs, and say what to fix."),
    "migrate": LazyCommand("migrate", "Bring the database's schema up to date."),
    "schema": LazyCommand("check", "Print the JSON schema of vigilbase.yaml.", "all"),
    "db": LazyCommand("db", "Open, dump and restore the database.", "embedded"),
}

_SHELL_OPTIONS = ("--install-completion", "--show-completion")


class LazyGroup(TyperGroup):
    """The group of all commands: names and summaries until a command is run or completed, which imports it.

    Typer names neither the contexts nor the commands of its own copy of Click in public, hence `Any`.
    """

    def __init__(self, *args: Any, commands: Mapping[str, Any], **options: Any) -> None:
        lazy = {name: TyperCommand(name, help=command.summary) for name, command in COMMANDS.items()}
        super().__init__(*args, commands={**lazy, **commands}, **options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name is not None and name in COMMANDS else command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            name = ctx.invoked_subcommand
            if name not in COMMANDS or (error.name or "vigilbase").startswith("vigilbase"):
                raise
            raise MissingExtraError(f"`vigilbase {name}`", COMMANDS[name].extra, str(error.name)) from error


def load_command(name: str) -> Any:
    """Import the module of a command, and make the command.

    Raises:
        MissingExtraError: its extra is not installed.

    """
    app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["--help", "-h"]})
    module = import_from_extra(f"vigilbase.cli.{COMMANDS[name].module}", COMMANDS[name].extra, f"`vigilbase {name}`")
    module.register(app)
    app.callback()(lambda: None)
    return typer.main.get_group(app).commands[name]


def allow_shell_name(arguments: Sequence[str]) -> None:
    """Accept `--show-completion bash`, which scripts need; without a name, the option finds the shell itself.

    Typer supports both, and decides by this variable which of them the options accept.
    """
    if len(arguments) > 1 and arguments[0] in _SHELL_OPTIONS:
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
