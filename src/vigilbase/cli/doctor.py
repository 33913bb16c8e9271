"""`vigilbase doctor`."""

import platform
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from vigilbase import __version__
from vigilbase.cli.context import DEFAULT_CONFIG, AsJson, ConfigFile, out, run
from vigilbase.cli.examination import examine_database
from vigilbase.cli.findings import Finding, ok, problem, warning
from vigilbase.cli.render import plain, print_json
from vigilbase.config.supabase import embedded_server
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.database.programs import account_if_there, require_reachable
from vigilbase.database.urls import masked
from vigilbase.errors import ConfigurationError, EmbeddedPostgresError
from vigilbase.settings import Settings, chosen_transport, database_variable, load_settings
from vigilbase.spec import Spec, load_spec

LEAST_FREE_BYTES = 1_000_000_000
VERDICTS = {
    "ok": Text("ok", style="green"),
    "warning": Text("warning", style="yellow"),
    "problem": Text("problem", style="bold red"),
}


def doctor(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Say whether everything is set up as it should be.

    Looks at everything that Vigilbase needs, and says what to do. Exit code 1 if there is a problem.

    Example: vigilbase doctor --config vigilbase.yaml
    """
    findings = run(_examine(config))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        out.print(_table(findings))
    if any(finding.verdict == "problem" for finding in findings):
        sys.exit(1)


async def _examine(config: Path) -> list[Finding]:
    version = ok("version", f"vigilbase {__version__} on Python {platform.python_version()}")
    configuration, spec = _examine_config(config)
    findings = [version, configuration]
    try:
        settings = load_settings()
        findings.append(ok("settings", _chosen(settings)))
    except ConfigurationError as error:
        return [*findings, problem("settings", str(error))]
    if chosen_transport(settings) == "embedded":
        folder, has_data = _examine_folder(embedded_server(settings))
        findings.append(folder)
        if not has_data:
            return [*findings, ok("connection", "there is no database yet", "`vigilbase up` makes one")]
    return findings + await examine_database(settings, config, spec)


def _examine_config(path: Path) -> tuple[Finding, Spec | None]:
    """What is found of the file, and what it says."""
    with suppress(OSError):  # what can't even be looked for, reading says better
        if not path.exists():
            advice = f"`vigilbase up --config {path}` writes one"
            return warning("configuration", f"{path}: there is no such file", advice), None
    try:
        spec = load_spec(path)
    except ConfigurationError as error:
        return problem("configuration", str(error)), None
    count = len(spec.services)
    return ok("configuration", f"{path}: {count} service{'s' if count > 1 else ''}"), spec


def _chosen(settings: Settings) -> str:
    """Which database is meant and why, without a secret."""
    transport = chosen_transport(settings)
    url = masked(settings.database_url.get_secret_value()) if settings.database_url else None
    by_hand = "VIGILBASE_TRANSPORT says so" if settings.transport else None
    match transport:
        case "supabase":
            also = f"; migrations go to {url}" if url else ""
            return f"the Supabase Data API of {settings.supabase_url}, as {by_hand or 'SUPABASE_URL is set'}{also}"
        case "postgres":
            return f"{url}, as {by_hand or f'{database_variable()} is set'}"
        case _:
            return f"the embedded Postgres, as {by_hand or 'neither SUPABASE_URL nor DATABASE_URL is set'}"


def _examine_folder(server: EmbeddedServer) -> tuple[Finding, bool]:
    """Where the data is or will be, and whether there is any."""
    advice = "set VIGILBASE_HOME to a folder that can be made and written to"
    folder = server.home
    try:
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            return problem("data folder", f"{folder} is no folder", advice), False
        free, has_data = shutil.disk_usage(folder).free, server.data.exists()
    except OSError as error:
        return problem("data folder", f"{folder}: {error.strerror}", advice), False
    try:
        require_reachable(folder, account_if_there())
    except EmbeddedPostgresError as error:
        return problem("data folder", str(error)), has_data
    found = f"{server.home}: {free / 1e9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return warning("data folder", found, "make room, or set VIGILBASE_HOME to a folder on a larger disk"), has_data
    return ok("data folder", found), has_data


def _table(findings: Sequence[Finding]) -> Table:
    table = Table("verdict", "about", "found, and what to do", box=None, header_style="bold")
    for finding in findings:
        table.add_row(VERDICTS[finding.verdict], finding.subject, plain(finding.found))
        if finding.advice:
            table.add_row("", "", plain(f"→ {finding.advice}"))
    return table


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(doctor)
