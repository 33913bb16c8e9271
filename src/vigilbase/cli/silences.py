"""`vigilbase silence add|list|end`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from vigilbase.alerts.silencing import SHORT_ID
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
from vigilbase.errors import VigilbaseError
from vigilbase.models import CreateSilenceData, Silence, SilenceModel
from vigilbase.models.silence import silence_arguments
from vigilbase.settings import load_settings

app = typer.Typer(help="Withhold messages for a while, of services by name or by tag.", no_args_is_help=True)

UNTIL_ENDED = "ended"

For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 30m or 2h.")]
Until = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="TIME", help="When it ends, such as 2026-12-01T08:00Z; or `ended`: when somebody ends it."
    ),
]
SilenceId = Annotated[str, typer.Argument(metavar="ID", help="The silence's id, or enough of its beginning.")]


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
    """Withhold messages about some services for a while. They are probed as ever; what is open then, is told then.

    Example: vigilbase silence add --service "shop-*" --for 2h --comment "the new release"
    """
    require_services(service, tag)
    if (for_ is None) == (until is None):
        raise VigilbaseError(f"say until when, by --for DURATION or by --until TIME (or --until {UNTIL_ENDED})")
    data = CreateSilenceData(
        author=required_author(by),
        comment=comment,
        service_glob=service,
        tag=tag,
        starts_at=moment("--from", from_),
        ends_at=None if until == UNTIL_ENDED else moment("--until", until),
        length_s=length("--for", for_),
    )
    silence, hint = run(_add(data))
    if as_json:
        print_json(written(silence))
    else:
        begins = "now" if from_ is None else clock(silence.starts_at)
        said = f"Silence {str(silence.id)[:SHORT_ID]}: {whom(silence)}, from {begins} until {end_of(silence)}."
        out.print(said, markup=False)
    if hint:
        typer.echo(hint, err=True)


@app.command("list")
def list_(*, every: All = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the silences that hold or are to come, newest first.

    Example: vigilbase silence list --all
    """
    silences = run(find(SilenceModel, limit if every else None))
    if as_json:
        print_json({"silences": [written(silence) for silence in silences]})
    elif silences:
        out.print(_table(silences, utc_now()))
    else:
        out.print("There are none." if every else "Nothing is silenced.")


@app.command()
def end(silence_id: SilenceId, *, as_json: AsJson = False) -> None:
    """End a silence now, or take back one that hasn't begun. What is still open then is told.

    Example: vigilbase silence end 4f3a21c9
    """
    silence, changed = run(end_one(SilenceModel, silence_id, "silence", "silence"))
    if as_json:
        print_json(written(silence))
    else:
        out.print(tell_end(silence, utc_now(), "Silence", changed=changed), markup=False)


async def _add(data: CreateSilenceData) -> tuple[Silence, str | None]:
    """The silence, and what may be wrong with it."""
    with named_as_options():
        silence_arguments(data)  # what is wrong with it is said before a database is looked for
        async with ready_database(load_settings(), migrate=False):
            silence = await SilenceModel.add(data)
            return silence, await nobody_meant(silence)


def _table(silences: Sequence[Silence], now: datetime) -> Table:
    table = new_table("id", "services", "holds", "from", "until", "by", "comment", wraps=WRAPS)
    for silence in silences:
        table.add_row(
            str(silence.id)[:SHORT_ID],
            plain(whom(silence)),
            state(silence, now),
            clock(silence.starts_at),
            end_of(silence),
            plain(silence.author),
            plain(silence.comment),
        )
    return table


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="silence")
