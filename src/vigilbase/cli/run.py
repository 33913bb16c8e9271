"""`vigilbase up` and `vigilbase run`."""

from pathlib import Path

import typer

from vigilbase.cli.options import ConfigFile
from vigilbase.errors import ConfigurationError
from vigilbase.files import DEFAULT_CONFIG
from vigilbase.logging import get_logger

log = get_logger(__name__)


def up(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Set up the database and monitor your services.

    Starts the embedded Postgres if you configured no database, applies migrations, then probes your services on
    schedule, records the checks, and opens and resolves alerts. Stop it with Ctrl-C.

    Creates a vigilbase.yaml if there is none. Asks before it creates tables in a DATABASE_URL database that has other
    tables and none of Vigilbase's. Shows a live table in a terminal, and a line for each event elsewhere.

    Example: vigilbase up --config vigilbase.yaml
    """
    from rich.console import Console

    from vigilbase.cli.confirm import confirm_host
    from vigilbase.cli.monitor import monitor
    from vigilbase.cli.session import run_command
    from vigilbase.configfile import load_config
    from vigilbase.settings import load_settings

    if not _exists(config):
        _write_starter(config)
    screen = Console()
    # A dumb terminal can't move the cursor, so it gets a line for each event.
    is_live = screen.is_terminal and not screen.is_dumb_terminal
    loaded = load_config(config)
    if confirm_host(load_settings()):
        run_command(monitor(loaded, migrate=True, screen=screen if is_live else None))


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Monitor your services; set nothing up.

    For containers and system services.

    The database must exist and be migrated. Prints a line for each event.

    Example: vigilbase run --config /etc/vigilbase.yaml
    """
    from vigilbase.cli.monitor import monitor
    from vigilbase.cli.session import run_command
    from vigilbase.configfile import load_config

    run_command(monitor(load_config(config), migrate=False, screen=None))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a closed folder or a name that is too long: reading it gives the better message
        return True


def _write_starter(path: Path) -> None:
    from vigilbase.configfile.starter import STARTER

    # A new vigilbase.yaml would silently take the place of a file with the other extension.
    if (other := path.with_suffix(".yml")).is_file() and path == DEFAULT_CONFIG:
        raise ConfigurationError(f"there is no {path}, but a {other}: rename it, or use `--config {other}`")
    try:
        path.write_text(STARTER, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: does not exist and can't be written: {error.strerror}") from error
    log.info("config.created", file=str(path))


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(run)
