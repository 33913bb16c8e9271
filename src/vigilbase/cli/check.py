"""`vigilbase check` and `vigilbase schema`: what needs the file alone."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from vigilbase.cli.options import AsJson, ConfigFile
from vigilbase.clock import utc_now
from vigilbase.domain import ProbeResult
from vigilbase.files import DEFAULT_CONFIG

if TYPE_CHECKING:
    from vigilbase.configfile import ServiceConfig

MAX_CONCURRENT = 10  # more probes that begin at one moment would wait for each other and seem slow


def check(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Probe every service once, without recording anything. Exit code 1 if a service is down.

    Example: vigilbase check --json
    """
    from vigilbase.cli.output import console, print_json
    from vigilbase.cli.session import run_command
    from vigilbase.configfile import load_config
    from vigilbase.views.checks import make_result_json, make_results_table

    services = load_config(config).services
    results = run_command(_probe_all(services))
    rows = [(service.name, service.kind, result) for service, result in zip(services, results, strict=True)]
    if as_json:
        print_json({"checks": [make_result_json(*row) for row in rows]})
    else:
        console.print(make_results_table(rows, console.width))
    if any(result.status == "down" for result in results):
        sys.exit(1)


async def _probe_all(services: "Sequence[ServiceConfig]") -> list[ProbeResult]:
    from vigilbase.probes.run import run_probe
    from vigilbase.runner.fd_limits import raise_fd_limit

    limit = asyncio.Semaphore(min(MAX_CONCURRENT, raise_fd_limit()))

    async def probe(service: "ServiceConfig") -> ProbeResult:
        async with limit:
            return await run_probe(
                service.probe, timeout=service.timeout_s, degraded_after=service.degraded_after_s, now=utc_now
            )

    return list(await asyncio.gather(*map(probe, services)))


def schema() -> None:
    """Print the JSON schema of vigilbase.yaml. Editors use it to complete and check the file.

    Example: vigilbase schema > vigilbase.schema.json
    """
    from vigilbase.configfile.schema import make_file_schema

    typer.echo(json.dumps(make_file_schema(), indent=2))


def register(app: typer.Typer) -> None:
    app.command()(check)
    app.command()(schema)
