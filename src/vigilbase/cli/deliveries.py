"""`vigilbase deliveries list|retry`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from vigilbase.cli.authors import By, author_of
from vigilbase.cli.context import DEFAULT_CONFIG, AsJson, ConfigFile, out, ready_database, run
from vigilbase.cli.limit import Limit, valid_limit
from vigilbase.cli.owed import delivery_as_json, gather_windows, next_try, switched_off, tell_off_and_remedy, told
from vigilbase.cli.render import ago, new_table, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.models import AlertDelivery, ChannelState, DeliveryModel
from vigilbase.models.delivery import Retry
from vigilbase.settings import load_settings
from vigilbase.vocabulary import DELIVERY_STATUSES, DeliveryStatus

app = typer.Typer(help="List the messages that are owed; try again or drop what was given up.", no_args_is_help=True)

SEE_NUMBERS = "`vigilbase deliveries list --all` shows the numbers"
MOST_DIGITS = 18  # whatever is that long, Postgres' BIGINT holds

OPEN: tuple[DeliveryStatus, ...] = ("pending", "failed")

All = Annotated[bool, typer.Option("--all", help="Also those that were delivered, or aren't needed any more.")]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The delivery's number, as `deliveries list` has it.")]


@app.command("list")
def list_(
    config: ConfigFile = DEFAULT_CONFIG, *, every: All = False, limit: Limit = "50", as_json: AsJson = False
) -> None:
    """List the messages that are still owed and those that were given up (failed), newest first.

    Example: vigilbase deliveries list --all
    """
    number, windows = valid_limit(limit), gather_windows(config)
    deliveries, channels = run(_list(DELIVERY_STATUSES if every else OPEN, number, windows))
    if as_json:
        print_json({"deliveries": [delivery_as_json(delivery) for delivery in deliveries]})
    elif deliveries:
        now = utc_now()
        out.print(_table(deliveries, windows, now))
        for state in switched_off(channels):
            out.print(tell_off_and_remedy(state, now), markup=False)
    else:
        out.print("There are none." if every else "Nothing is owed, and nothing was given up.")


@app.command()
def retry(number: Number, *, by: By = None, as_json: AsJson = False) -> None:
    """Try a message again that was given up, under the same id as before.

    Example: vigilbase deliveries retry 42
    """
    found = run(_retry(_valid_number(number), author_of(by)))
    if found is None:
        raise VigilbaseError(_unknown(number))
    delivery, outcome = found
    if outcome != "requeued":
        raise VigilbaseError(f"delivery {number} ({delivery.kind}) {_why_not(delivery, outcome)}")
    if as_json:
        print_json(delivery_as_json(delivery))
    else:
        out.print(f"{delivery.channel} is tried again: {delivery.kind}, {plain(delivery.service_name)}", markup=False)


@app.command()
def cancel(number: Number, *, by: By = None, as_json: AsJson = False) -> None:
    """Give up a message that is owed, or that was given up already: nobody needs it any more.

    Example: vigilbase deliveries cancel 42
    """
    found = run(_cancel(_valid_number(number), author_of(by)))
    if found is None:
        raise VigilbaseError(_unknown(number))
    delivery, cancelled = found
    if not cancelled:
        is_sent = delivery.status == "pending"
        raise VigilbaseError(f"delivery {number} is {'being sent just now' if is_sent else delivery.status}")
    if as_json:
        print_json(delivery_as_json(delivery))
    else:
        out.print(f"{delivery.channel} is not told: {delivery.kind}, {plain(delivery.service_name)}", markup=False)


def _valid_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > MOST_DIGITS:
        raise InvalidInputError("NUMBER", f"must be the number of a delivery, such as 42; {SEE_NUMBERS}")
    return int(text)


def _unknown(number: str) -> str:
    return f"there is no delivery {number}; {SEE_NUMBERS}"


def _why_not(delivery: AlertDelivery, outcome: Retry) -> str:
    match outcome:
        case "resolved":
            return "isn't needed any more: its alert is over"
        case "acknowledged":
            return "isn't needed any more: somebody has acknowledged its alert"
    return f"is {delivery.status}; only what failed can be tried again"


async def _list(
    statuses: Sequence[DeliveryStatus], limit: int, windows: Mapping[str, float] | None
) -> tuple[list[AlertDelivery], list[ChannelState]]:
    async with ready_database(load_settings(), migrate=False):
        found = await DeliveryModel.find(statuses=statuses, limit=limit, windows=windows)
        return found, await DeliveryModel.find_channels()


async def _retry(number: int, author: str | None) -> tuple[AlertDelivery, Retry] | None:
    async with ready_database(load_settings(), migrate=False):
        return await DeliveryModel.retry(number, author=author)


async def _cancel(number: int, author: str | None) -> tuple[AlertDelivery, bool] | None:
    async with ready_database(load_settings(), migrate=False):
        return await DeliveryModel.cancel(number, author=author)


def _table(deliveries: Sequence[AlertDelivery], windows: Mapping[str, float] | None, now: datetime) -> Table:
    names = ("number", "service", "channel", "what", "status", "tries", "owed", "next try", "answer")
    table = new_table(*names, wraps={"service", "channel", "owed", "next try", "answer"})
    table.columns[0].justify = table.columns[5].justify = "right"
    for delivery in deliveries:
        table.add_row(
            str(delivery.id),
            plain(delivery.service_name),
            plain(delivery.channel),
            delivery.kind,
            delivery.status,
            str(delivery.attempts),
            ago(delivery.created_at, now),
            next_try(delivery, windows, now),
            plain(told(delivery)),
        )
    return table


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="deliveries")
