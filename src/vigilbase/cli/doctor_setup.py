"""What the doctor examines before it reaches the database: the file, the settings and the folder."""

import platform
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vigilbase import __version__
from vigilbase.cli.doctor_checks import check_database
from vigilbase.config.supabase import make_embedded_server
from vigilbase.configfile import Config, load_config
from vigilbase.database.binaries import find_account, require_reachable
from vigilbase.database.urls import redact_url
from vigilbase.errors import ConfigurationError, EmbeddedPostgresError, MissingExtraError
from vigilbase.settings import Settings, choose_transport, find_database_variable, load_settings
from vigilbase.views.findings import (
    Finding,
    make_ok,
    make_problem,
    make_warning,
)

if TYPE_CHECKING:
    from vigilbase.database.embedded import EmbeddedServer

MIN_FREE_BYTES = 1_000_000_000


async def run_checks(path: Path) -> list[Finding]:
    """Examine the file, the settings and the database, in that order, as far as each allows."""
    version = make_ok("version", f"vigilbase {__version__} on Python {platform.python_version()}")
    file_finding, config = _check_config(path)
    findings = [version, file_finding]
    try:
        settings = load_settings()
        findings.append(make_ok("settings", _describe_transport(settings)))
    except ConfigurationError as error:
        return [*findings, make_problem("settings", str(error))]
    if choose_transport(settings).has_own_server:
        try:
            folder_finding, has_data = _check_folder(make_embedded_server(settings))
        except MissingExtraError as error:
            return [*findings, make_problem("connection", str(error))]
        findings.append(folder_finding)
        # To go on would start the server and create the database, but the doctor changes nothing.
        if not has_data:
            return [*findings, make_ok("connection", "there is no database yet", "`vigilbase up` creates one")]
    return findings + await check_database(settings, path, config)


def _check_config(path: Path) -> tuple[Finding, Config | None]:
    with suppress(OSError):  # reading a path that can't even be examined gives the better message
        if not path.exists():
            advice = f"`vigilbase up --config {path}` creates one"
            return make_warning("configuration", f"{path}: does not exist", advice), None
    try:
        config = load_config(path)
    except ConfigurationError as error:
        return make_problem("configuration", str(error)), None
    count = len(config.services)
    return make_ok("configuration", f"{path}: {count} service{'s' if count > 1 else ''}"), config


def _describe_transport(settings: Settings) -> str:
    """The chosen database and the reason, without secrets."""
    url = redact_url(settings.database_url.get_secret_value()) if settings.database_url else None
    is_forced = "VIGILBASE_TRANSPORT says so" if settings.transport else None
    match choose_transport(settings).name:
        case "supabase":
            migrations = f"; migrations go to {url}" if url else ""
            reason = is_forced or "SUPABASE_URL is set"
            return f"the Supabase Data API of {settings.supabase_url}, because {reason}{migrations}"
        case "postgres":
            return f"{url}, because {is_forced or f'{find_database_variable()} is set'}"
        case "embedded":
            return f"the embedded Postgres, because {is_forced or 'neither SUPABASE_URL nor DATABASE_URL is set'}"


def _check_folder(server: "EmbeddedServer") -> tuple[Finding, bool]:
    """The folder of the embedded server, and whether it has data."""
    advice = "set VIGILBASE_HOME to a folder that you can create and write to"
    folder = server.home
    try:
        # Before the first `up` it doesn't exist, so the folder that it will be created in is examined.
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            return make_problem("data folder", f"{folder} is not a folder", advice), False
        free, has_data = shutil.disk_usage(folder).free, server.has_data()
    except OSError as error:
        return make_problem("data folder", f"{folder}: {error.strerror}", advice), False
    except EmbeddedPostgresError as error:
        return make_problem("data folder", str(error)), False
    try:
        require_reachable(folder, find_account())
    except EmbeddedPostgresError as error:
        return make_problem("data folder", str(error)), has_data
    message = f"{server.home}: {free / 1e9:.1f} GB free"
    if free < MIN_FREE_BYTES:
        advice = "free some space, or set VIGILBASE_HOME to a folder on a larger disk"
        return make_warning("data folder", message, advice), has_data
    return make_ok("data folder", message), has_data
