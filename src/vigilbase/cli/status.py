"""`vigilbase status`."""

from typing import TYPE_CHECKING

import typer

from vigilbase.cli.options import AsJson, ConfigFile
from vigilbase.cli.output import console, print_json, print_line
from vigilbase.cli.session import open_database, run_query
from vigilbase.clock import utc_now
from vigilbase.files import DEFAULT_CONFIG
from vigilbase.views.channel_state import describe_disabled_channel, make_disabled_channel_json
from vigilbase.views.services import describe_status, make_service_status_json, make_status_table
from vigilbase.views.skipped_rows import count_skipped, describe_skipped

if TYPE_CHECKING:
    from vigilbase.queries.status import StatusRows


def status(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Show every service, its latest check and its open alert.

    If vigilbase.yaml can be read, also shows which checks are stale and which services it no longer names.

    Example: vigilbase status --json
    """
    from vigilbase.queries.status import make_statuses

    rows, skipped = run_query(_load())
    now = utc_now()
    services = make_statuses(rows, config, now)
    if as_json:
        print_json(
            {
                "services": [make_service_status_json(service) for service in services],
                "disabled_channels": [make_disabled_channel_json(state) for state in rows.disabled_channels],
                "skipped_rows": count_skipped(skipped),
            }
        )
        return
    if services:
        console.print(make_status_table(services, now, console.width))
        for remark in describe_status(services, config):
            print_line(remark)
    elif not skipped:
        print_line("No checks are recorded yet: start `vigilbase up`.")
    for state in rows.disabled_channels:
        print_line(describe_disabled_channel(state, now), style="red")
    if skipped:
        print_line(describe_skipped(skipped), style="yellow")


async def _load() -> "StatusRows":
    from vigilbase.queries.status import load_status_rows

    async with open_database():
        return await load_status_rows()


def register(app: typer.Typer) -> None:
    app.command()(status)
