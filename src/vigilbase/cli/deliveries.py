"""`vigilbase deliveries list|retry`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from vigilbase.cli.context import AsJson, out, ready_database, run
from vigilbase.cli.render import ago, iso, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.errors import VigilbaseError
from vigilbase.models import AlertDelivery, DeliveryModel
from vigilbase.settings import load_settings
from vigilbase.vocabulary import DELIVERY_STATUSES, DeliveryStatus

app = typer.Typer(help="List the messages that are owed, and try again what was given up.", no_args_is_help=True)

OPEN: tuple[DeliveryStatus, ...] = ("pending", "dead")

All = Annotated[bool, typer.Option("--all", help="Also those that were delivered, or aren't needed any more.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", help="How many to show at the most, the newest.")]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The delivery's number, as `deliveries list` has it.")]


@app.command("list")
def list_(*, every: All = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the messages that are still owed and those that were given up (dead), newest first.

    Example: vigilbase deliveries list --all
    """
    deliveries = run(_list(DELIVERY_STATUSES if every else OPEN, limit))
    if as_json:
        print_json({"deliveries": [_as_json(delivery) for delivery in deliveries]})
    elif deliveries:
        out.print(_table(deliveries, utc_now()))
    else:
        out.print("There are none." if every else "Nothing is owed, and nothing was given up.")


@app.command()
def retry(number: Number, *, as_json: AsJson = False) -> None:
    """Try a message again that was given up, under the same id as before.

    Example: vigilbase deliveries retry 42
    """
    found = run(_retry(number))
    if found is None:
        raise VigilbaseError(f"there is no delivery {number}; `vigilbase deliveries list --all` shows the numbers")
    delivery, retried = found
    if not retried:
        raise VigilbaseError(f"delivery {number} is {delivery.status}; only what is dead can be tried again")
    if as_json:
        print_json(_as_json(delivery))
    else:
        what = f"{delivery.kind}, {plain(delivery.service_name)}"
        out.print(f"{delivery.channel} is tried again, if its alert still needs it: {what}", markup=False)


async def _list(statuses: Sequence[DeliveryStatus], limit: int) -> list[AlertDelivery]:
    async with ready_database(load_settings(), migrate=False):
        return await DeliveryModel.find(statuses=statuses, limit=limit)


async def _retry(number: int) -> tuple[AlertDelivery, bool] | None:
    async with ready_database(load_settings(), migrate=False):
        return await DeliveryModel.retry(number)


def _as_json(delivery: AlertDelivery) -> dict[str, object]:
    return {
        "id": delivery.id,
        "alert_id": str(delivery.alert_id),
        "service_name": delivery.service_name,
        "channel": delivery.channel,
        "kind": delivery.kind,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "due_at": iso(delivery.due_at),
        "message_id": delivery.message_id and str(delivery.message_id),
        "answer": delivery.answer,
        "last_error": delivery.last_error,
        "created_at": iso(delivery.created_at),
        "ended_at": iso(delivery.ended_at),
    }


def _table(deliveries: Sequence[AlertDelivery], now: datetime) -> Table:
    table = Table(
        "number", "service", "channel", "what", "status", "tries", "owed", "answer", box=None, header_style="bold"
    )
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
            plain(delivery.answer if delivery.status == "delivered" else delivery.last_error),
        )
    return table
