"""`vigilbase maintenance add|list|end`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from vigilbase.alerts.silencing import SHORT_ID
from vigilbase.alerts.wording import in_words
from vigilbase.cli.authors import By
from vigilbase.cli.context import AsJson, out, ready_database, run
from vigilbase.cli.render import clock, new_table, plain, print_json
from vigilbase.cli.withholding import (
    WRAPS,
    All,
    Comment,
    From,
    Glob,
    Limit,
    Tag,
    end_one,
    find,
    length,
    moment,
    named_as_options,
    nobody_meant,
    require_services,
    required_author,
    state,
    tell_end,
    whom,
)
from vigilbase.cli.withholding import (
    as_json as written,
)
from vigilbase.cli.withholding import (
    until as end_of,
)
from vigilbase.clock import utc_now
from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.models import CreateMaintenanceData, MaintenanceModel, MaintenanceWindow, Recurrence
from vigilbase.models.maintenance import maintenance_arguments
from vigilbase.settings import load_settings

app = typer.Typer(help="Say when services are worked on, once or again and again.", no_args_is_help=True)

UNTIL_ENDED = "; with --cron, leave it out to go on until somebody ends it"
SHORTEST, LONGEST = "1m", "31d"

Cron = Annotated[
    str | None,
    typer.Option("--cron", metavar="CRON", help='When it comes again, such as "0 3 * * 0": Sundays at 3:00.'),
]
Duration = Annotated[
    str | None, typer.Option("--duration", metavar="DURATION", help="With --cron: how long each time, from 1m to 31d.")
]
Zone = Annotated[
    str | None,
    typer.Option("--time-zone", metavar="ZONE", help="With --cron: by whose clocks, such as Europe/Berlin; else UTC."),
]
For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 30m or 2h.")]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME",
        help="When it ends, such as 2026-12-01T08:00Z; with --cron, for good, and left out: when somebody ends it.",
    ),
]
WindowId = Annotated[str, typer.Argument(metavar="ID", help="The window's id, or enough of its beginning.")]


@app.command()
def add(
    *,
    service: Glob = None,
    tag: Tag = None,
    for_: For = None,
    until: Until = None,
    from_: From = None,
    cron: Cron = None,
    duration: Duration = None,
    time_zone: Zone = None,
    comment: Comment,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add a maintenance window: messages are withheld meanwhile. Probing goes on.

    Example: vigilbase maintenance add --tag shop --cron "0 3 * * 0" --duration 2h --time-zone Europe/Berlin
    --comment backups
    """
    require_services(service, tag)
    recurrence = _recurrence(cron, duration, time_zone)
    if for_ is not None and (until is not None or recurrence is not None):
        raise VigilbaseError("--for says how long a window lasts that comes once; give it without --until and --cron")
    if recurrence is None and for_ is None and until is None:
        raise VigilbaseError("say until when, by --for DURATION or by --until TIME, or how it comes again, by --cron")
    data = CreateMaintenanceData(
        author=required_author(by),
        comment=comment,
        service_glob=service,
        tag=tag,
        starts_at=moment("--from", from_),
        ends_at=moment("--until", until, otherwise=UNTIL_ENDED),
        length_s=length("--for", for_),
        recurrence=recurrence,
    )
    window, hint = run(_add(data))
    if as_json:
        print_json(_as_json(window))
    else:
        name = f"Maintenance {str(window.id)[:SHORT_ID]}"
        holds = state(window, utc_now())
        out.print(f"{name}: {whom(window)}, {_when(window)}; it holds {holds}.", markup=False)
    if hint:
        typer.echo(hint, err=True)


@app.command("list")
def list_(*, every: All = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the maintenance windows that are not over, newest first.

    Example: vigilbase maintenance list --all
    """
    windows = run(find(MaintenanceModel, limit if every else None))
    if as_json:
        print_json({"maintenance": [_as_json(window) for window in windows]})
    elif windows:
        out.print(_table(windows, utc_now()))
    else:
        out.print("There are none." if every else "No maintenance is planned.")


@app.command()
def end(window_id: WindowId, *, as_json: AsJson = False) -> None:
    """End a maintenance window now, and for good; or take back one that hasn't begun.

    Example: vigilbase maintenance end 4f3a21c9
    """
    window, changed = run(end_one(MaintenanceModel, window_id, "maintenance window", "maintenance"))
    if as_json:
        print_json(_as_json(window))
    else:
        out.print(tell_end(window, utc_now(), "Maintenance", changed=changed), markup=False)


def _recurrence(cron: str | None, duration: str | None, time_zone: str | None) -> Recurrence | None:
    if cron is None:
        if duration is not None or time_zone is not None:
            raise VigilbaseError("--duration and --time-zone belong to --cron; for once, give --for or --until")
        return None
    seconds = length("--duration", duration, SHORTEST, LONGEST)
    if seconds is None:
        raise VigilbaseError("say how long it is each time, by --duration")
    if seconds != int(seconds):
        raise InvalidInputError("--duration", "must be whole seconds")
    return Recurrence(cron, int(seconds), time_zone or "UTC")


async def _add(data: CreateMaintenanceData) -> tuple[MaintenanceWindow, str | None]:
    """The window, and what may be wrong with it."""
    with named_as_options():
        maintenance_arguments(data)  # what is wrong with it is said before a database is looked for
        async with ready_database(load_settings(), migrate=False):
            window = await MaintenanceModel.add(data)
            return window, await nobody_meant(window)


def _when(window: MaintenanceWindow) -> str:
    """When it comes, in words."""
    if window.recurrence is None:
        return f"once, until {end_of(window)}"
    cron, zone = plain(window.recurrence.cron), plain(window.recurrence.time_zone)
    return f"{cron} for {in_words(timedelta(seconds=window.recurrence.duration_s))}, {zone}"


def _as_json(window: MaintenanceWindow) -> dict[str, object]:
    again = window.recurrence
    return {
        **written(window),
        "cron": again and again.cron,
        "duration_s": again and again.duration_s,
        "time_zone": again and again.time_zone,
    }


def _table(windows: Sequence[MaintenanceWindow], now: datetime) -> Table:
    table = new_table("id", "services", "when", "holds", "from", "until", "by", "comment", wraps=WRAPS)
    for window in windows:
        table.add_row(
            str(window.id)[:SHORT_ID],
            plain(whom(window)),
            _when(window),
            state(window, now),
            clock(window.starts_at),
            end_of(window),
            plain(window.author),
            plain(window.comment),
        )
    return table


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="maintenance")
