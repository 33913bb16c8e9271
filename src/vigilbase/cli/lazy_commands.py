"""The commands, of which only the one that runs is imported: importing them all takes half a second."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import typer
from typer.core import TyperCommand, TyperGroup

from vigilbase.extras import explain_missing_module, import_from_extra


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
    """The group of all commands: names and summaries until a command is run or completed, which imports it."""

    # Typer's own annotations name classes of its private copy of Click.
    def resolve_command(  # type: ignore[override]
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """Import the command that the arguments name."""
        name, command, rest = super().resolve_command(ctx, args)
        is_lazy = name is not None and name in COMMANDS
        return name, load_command(str(name)) if is_lazy else cast("TyperCommand | None", command), rest

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command; a module that it lacks is an error that says how to install it."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            name = str(ctx.invoked_subcommand)
            raise explain_missing_module(error, COMMANDS[name].extra, f"`vigilbase {name}`") from error


def add_placeholders(app: typer.Typer) -> None:
    """Add the commands without what they do, which `LazyGroup` imports."""
    for name, command in COMMANDS.items():
        app.command(name, help=command.summary)(lambda: None)


def load_command(name: str) -> TyperCommand | TyperGroup:
    """Import the module of a command, and make the command.

    Raises:
        MissingExtraError: its extra is not installed.

    """
    app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["--help", "-h"]})
    module = import_from_extra(f"vigilbase.cli.{COMMANDS[name].module}", COMMANDS[name].extra, f"`vigilbase {name}`")
    module.register(app)
    app.callback()(lambda: None)
    return cast("TyperCommand | TyperGroup", typer.main.get_group(app).commands[name])


def allow_shell_name(arguments: Sequence[str]) -> None:
    """Accept `--show-completion bash`, which scripts need; without a name, the option finds the shell itself.

    Typer supports both, and decides by this variable which of them the options accept.
    """
    if len(arguments) > 1 and arguments[0] in _SHELL_OPTIONS:
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
