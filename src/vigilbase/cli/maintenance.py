"""`vigilbase maintenance add|list|end`."""

from typing import Annotated

import typer

from vigilbase.cli.options import AsJson, By, Limit
from vigilbase.cli.silence_options import (
    All,
    Comment,
    For,
    From,
    Glob,
    Tag,
    create_suppression,
    end_suppression,
    list_suppressions,
    parse_duration_option,
    parse_moment,
    require_author,
    require_one_matcher,
)
from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.models import CreateSuppressionData, Recurrence

app = typer.Typer(help="Schedule maintenance windows, one-off or recurring.", no_args_is_help=True)

# The bounds of models/recurrence.py.
MIN_DURATION, MAX_DURATION = "1m", "31d"

Cron = Annotated[
    str | None,
    typer.Option("--cron", metavar="CRON", help='A recurring start, such as "0 3 * * 0" for Sundays at 3:00.'),
]
Duration = Annotated[
    str | None, typer.Option("--duration", metavar="DURATION", help="With --cron: the length each time, 1m to 31d.")
]
Zone = Annotated[
    str | None,
    typer.Option("--time-zone", metavar="ZONE", help="With --cron: such as Europe/Berlin (default: UTC)."),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME",
        help="The end, such as 2026-12-01T08:00Z. With --cron: when it stops recurring (default: when you end it).",
    ),
]
WindowId = Annotated[str, typer.Argument(metavar="ID", help="The window's id, or its first 4 or more digits.")]


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
    """Schedule a maintenance window. It suppresses notifications; checks and alerts continue as usual.

    Example: vigilbase maintenance add --tag shop --cron "0 3 * * 0" --duration 2h --time-zone Europe/Berlin
    --comment backups
    """
    require_one_matcher(service, tag)
    recurrence = _make_recurrence(cron, duration, time_zone)
    if for_ is not None and (until is not None or recurrence is not None):
        raise VigilbaseError("--for is the length of a one-off window: give it without --until and --cron")
    if recurrence is None and for_ is None and until is None:
        raise VigilbaseError("give the end by --for DURATION or --until TIME, or a recurring start by --cron")
    data = CreateSuppressionData(
        "maintenance",
        author=require_author(by),
        comment=comment,
        service_glob=service,
        tag=tag,
        starts_at=parse_moment("--from", from_),
        ends_at=parse_moment("--until", until, hint="; with --cron, leave it out to recur until you end it"),
        length_s=parse_duration_option("--for", for_),
        recurrence=recurrence,
    )
    create_suppression(data, as_json=as_json)


@app.command("list")
def list_(*, every: All = False, limit: Limit = "50", as_json: AsJson = False) -> None:
    """List the active and upcoming maintenance windows, newest first.

    Example: vigilbase maintenance list --all
    """
    list_suppressions("maintenance", "maintenance", every=every, limit=limit, as_json=as_json)


@app.command()
def end(window_id: WindowId, *, as_json: AsJson = False) -> None:
    """End a maintenance window for good, or cancel one that has not started.

    Example: vigilbase maintenance end 4f3a21c9
    """
    end_suppression("maintenance", window_id, as_json=as_json)


def _make_recurrence(cron: str | None, duration: str | None, time_zone: str | None) -> Recurrence | None:
    if cron is None:
        if duration is not None or time_zone is not None:
            raise VigilbaseError("--duration and --time-zone need --cron; for a one-off window, give --for or --until")
        return None
    seconds = parse_duration_option("--duration", duration, MIN_DURATION, MAX_DURATION)
    if seconds is None:
        raise VigilbaseError("with --cron, set the length of each window with --duration, not --for")
    # The column duration_s is an integer.
    if seconds != int(seconds):
        raise InvalidInputError("--duration", "must be whole seconds")
    return Recurrence(cron, int(seconds), time_zone or "UTC")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="maintenance")
