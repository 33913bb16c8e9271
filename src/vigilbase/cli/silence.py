"""`vigilbase silence add|list|end`."""

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
from vigilbase.errors import VigilbaseError
from vigilbase.models import CreateSuppressionData

app = typer.Typer(help="Silence services: suppress their notifications for a while.", no_args_is_help=True)

UNTIL_ENDED = "ended"

Until = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="The end, such as 2026-12-01T08:00Z, or `ended` to end it yourself."),
]
SilenceId = Annotated[str, typer.Argument(metavar="ID", help="The silence's id, or its first 4 or more digits.")]


@app.command()
def add(
    *,
    service: Glob = None,
    tag: Tag = None,
    for_: For = None,
    until: Until = None,
    from_: From = None,
    comment: Comment,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Silence services. Checks and alerts continue as usual; only notifications are suppressed.

    When the silence ends, notifications about alerts that are still open are sent.

    Example: vigilbase silence add --service "shop-*" --for 2h --comment "the new release"
    """
    require_one_matcher(service, tag)
    # Without a default: a forgotten end must not silence a service for good.
    if (for_ is None) == (until is None):
        raise VigilbaseError(f"choose when it ends: --for DURATION, --until TIME or --until {UNTIL_ENDED}")
    data = CreateSuppressionData(
        "silence",
        author=require_author(by),
        comment=comment,
        service_glob=service,
        tag=tag,
        starts_at=parse_moment("--from", from_),
        ends_at=None if until == UNTIL_ENDED else parse_moment("--until", until),
        length_s=parse_duration_option("--for", for_),
    )
    create_suppression(data, as_json=as_json)


@app.command("list")
def list_(*, every: All = False, limit: Limit = "50", as_json: AsJson = False) -> None:
    """List the active and upcoming silences, newest first.

    Example: vigilbase silence list --all
    """
    list_suppressions("silence", "silences", every=every, limit=limit, as_json=as_json)


@app.command()
def end(silence_id: SilenceId, *, as_json: AsJson = False) -> None:
    """End a silence now, or cancel one that has not started. Notifications about alerts that are still open are sent.

    Example: vigilbase silence end 4f3a21c9
    """
    end_suppression("silence", silence_id, as_json=as_json)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="silence")
