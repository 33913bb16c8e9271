"""`vigilbase alerts list|show|ack|resolve`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from vigilbase.alerts.wording import in_words
from vigilbase.cli.authors import By, author_of
from vigilbase.cli.completion import service_names
from vigilbase.cli.context import AsJson, out, ready_database, run
from vigilbase.cli.history import find_meant
from vigilbase.cli.limit import Limit, valid_limit
from vigilbase.cli.owed import delivery_as_json, gather_windows, table_of_owed
from vigilbase.cli.render import ago, alert_as_json, clock, new_table, plain, print_json
from vigilbase.cli.timeline import entry_as_json, timeline_table
from vigilbase.clock import utc_now
from vigilbase.database.values import parse_timestamp
from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.models import (
    AlertDelivery,
    AlertEvent,
    AlertEventModel,
    DeliveryModel,
    HealthCheckModel,
    TimelineEntry,
    TimelineModel,
)
from vigilbase.models.validation import MAX_INTEGER
from vigilbase.settings import load_settings
from vigilbase.vocabulary import JSON

app = typer.Typer(help="List alerts, look at one, acknowledge or resolve it.", no_args_is_help=True)

SHORT_ID = 8
SEE_IDS = "`vigilbase alerts list --all` shows the ids"

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or enough of its beginning.")]
All = Annotated[bool, typer.Option("--all", help="Also those that are resolved.")]
Service = Annotated[
    str | None,
    typer.Option("--service", metavar="NAME", help="Only those of one service.", autocompletion=service_names),
]
Comment = Annotated[
    str | None,
    typer.Option("--comment", metavar="TEXT", help="Why, or what else there is to say; kept in its timeline."),
]


@app.command("list")
def list_(*, every: All = False, service: Service = None, limit: Limit = "50", as_json: AsJson = False) -> None:
    """List the open alerts, newest first.

    Example: vigilbase alerts list --all --service website
    """
    number = valid_limit(limit)
    alerts, hint = run(_list(number, service, only_open=not every))
    if as_json:
        print_json({"alerts": [alert_as_json(alert) for alert in alerts]})
        return
    if alerts:
        out.print(_table(alerts, utc_now()))
    else:
        of_it = f" of {plain(service)}" if service else ""
        out.print(f"No {'' if every else 'open '}alerts{of_it}{hint or '.'}", markup=False)
    if len(alerts) == number:
        out.print(f"There may be more: --limit {min(2 * number, MAX_INTEGER)} shows them.")


@app.command()
def show(alert_id: AlertId, *, as_json: AsJson = False) -> None:
    """Show all that is known of an alert, and its timeline: what happened to it, who was told, and who did what.

    Example: vigilbase alerts show 4f3a21c9
    """
    alert, timeline, owed = run(_find(alert_id))
    if as_json:
        entries, deliveries = map(entry_as_json, timeline), map(delivery_as_json, owed)
        print_json({**alert_as_json(alert), "timeline": list(entries), "owed": list(deliveries)})
        return
    out.print(_portrait(alert, utc_now()))
    if timeline:
        out.print()
        out.print(timeline_table(alert, timeline))
    if owed:
        out.print()
        out.print(table_of_owed(owed, gather_windows(), utc_now()))


@app.command()
def ack(alert_id: AlertId, *, by: By = None, comment: Comment = None, as_json: AsJson = False) -> None:
    """Acknowledge an alert, which stays open: somebody is at it.

    Example: vigilbase alerts ack 4f3a21c9 --by ada --comment "looking into it"
    """
    before, alert = run(_acknowledge(alert_id, author_of(by), comment))
    again = before.status == "acknowledged"
    said = f"was acknowledged already, {ago(alert.acknowledged_at, utc_now())}" if again else "is acknowledged"
    _tell(alert, said, as_json=as_json)


@app.command()
def resolve(alert_id: AlertId, *, by: By = None, comment: Comment = None, as_json: AsJson = False) -> None:
    """Resolve an alert by hand.

    Vigilbase resolves its own when the service is healthy again.

    Example: vigilbase alerts resolve 4f3a21c9 --comment "a false alarm"
    """
    before, alert = run(_resolve(alert_id, author_of(by), comment))
    if before.status == "resolved":
        said = f"was resolved already, {ago(alert.resolved_at, utc_now())}"
    elif (alert.details or {}).get("source") == "judge":
        # For the judge the episode goes on: only checks end it.
        said = f"is resolved; Vigilbase stays quiet until {plain(alert.service_name)} is healthy again"
    else:
        said = "is resolved"
    _tell(alert, said, as_json=as_json)


async def _list(limit: int, service: str | None, *, only_open: bool) -> tuple[list[AlertEvent], str]:
    """The alerts; and, of a service that nothing is known of, what to say about its name."""
    async with ready_database(load_settings(), migrate=False):
        found = await AlertEventModel.find_newest(limit=limit, service_name=service, only_open=only_open)
        if found or service is None or await HealthCheckModel.find_latest_by_service(service):
            return found, ""
        return found, f", and no checks are recorded of it; {await find_meant(service)}"


async def _find(prefix: str) -> tuple[AlertEvent, list[TimelineEntry], list[AlertDelivery]]:
    """An alert, what happened to it, and what is still owed of it."""
    async with ready_database(load_settings(), migrate=False):
        alert = await _the_one(prefix)
        timeline, owed = await asyncio.gather(
            TimelineModel.find_by_alert(alert.id),
            DeliveryModel.find(statuses=("pending", "failed"), alert_id=alert.id, windows=gather_windows()),
        )
        return alert, timeline, [one for one in owed if one.status == "pending" or one.is_needed]


async def _acknowledge(prefix: str, author: str | None, comment: str | None) -> tuple[AlertEvent, AlertEvent]:
    """The alert as it was and as it is."""
    async with ready_database(load_settings(), migrate=False):
        before = await _the_one(prefix)
        after = await AlertEventModel.acknowledge(before.id, author=author, comment=comment)
        return before, _still_there(after, prefix)


async def _resolve(prefix: str, author: str | None, comment: str | None) -> tuple[AlertEvent, AlertEvent]:
    """The alert as it was and as it is."""
    async with ready_database(load_settings(), migrate=False):
        before = await _the_one(prefix)
        after = await AlertEventModel.resolve(before.id, author=author, comment=comment)
        return before, _still_there(after, prefix)


async def _the_one(prefix: str) -> AlertEvent:
    try:
        found = await AlertEventModel.find_by_id_prefix(prefix)
    except InvalidInputError as error:
        raise VigilbaseError(f'"{plain(prefix)}": {error}; {SEE_IDS}') from None
    if len(found) > 1:
        ids = ", ".join(str(alert.id) for alert in found)
        raise VigilbaseError(f"several alerts begin with {prefix}: {ids}: give more of the id; {SEE_IDS}")
    return _still_there(found[0] if found else None, prefix)


def _still_there(alert: AlertEvent | None, prefix: str) -> AlertEvent:
    if alert is None:
        raise VigilbaseError(f"there is no alert {prefix}; {SEE_IDS}")
    return alert


def _tell(alert: AlertEvent, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(alert_as_json(alert))
    else:
        out.print(f"{plain(alert.service_name)}: {alert.alert_type} {str(alert.id)[:SHORT_ID]} {said}.", markup=False)


def _table(alerts: Sequence[AlertEvent], now: datetime) -> Table:
    wraps = {"service", "opened", "lasted", "message"}
    table = new_table("id", "service", "type", "status", "opened", "lasted", "message", wraps=wraps)
    for alert in alerts:
        table.add_row(
            str(alert.id)[:SHORT_ID],
            plain(alert.service_name),
            alert.alert_type,
            alert.status,
            ago(alert.created_at, now),
            _lasted(alert, now),
            plain((alert.message or "").removeprefix(f"{alert.service_name} is ")),
        )
    return table


def _portrait(alert: AlertEvent, now: datetime) -> Table:
    table = Table("", "", box=None, show_header=False)
    rows = {
        "id": Text(str(alert.id)),
        "service": plain(alert.service_name),
        "type": Text(alert.alert_type),
        "status": Text(alert.status),
        "message": plain(alert.message),
        "opened": _moment(alert.created_at, now),
        "acknowledged": _moment(alert.acknowledged_at, now),
        "resolved": _moment(alert.resolved_at, now),
        "lasted": Text(_lasted(alert, now)),
        **_details(alert.details or {}, now),
    }
    for name, value in rows.items():
        if value.plain:
            table.add_row(plain(name), value, style="")
    return table


def _details(details: Mapping[str, JSON], now: datetime) -> dict[str, Text]:
    """The reason and the error first, the checks that caused it last."""
    order = {"reason": 0, "last_error": 1, "check_ids": 3}
    names = sorted(details, key=lambda name: (order.get(name, 2), name))
    return dict(_detail(name, details[name], now) for name in names)


def _detail(name: str, value: JSON, now: datetime) -> tuple[str, Text]:
    """A detail's name and value: a time and a length of time as they are shown elsewhere."""
    words = name.replace("_", " ")
    try:
        if isinstance(value, str) and name.endswith(("_since", "_at")):
            return words, _moment(parse_timestamp(value), now)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name.endswith("_s"):
            return words.removesuffix(" s"), Text(in_words(timedelta(seconds=value)))
    except (ValueError, OverflowError):  # somebody else's detail, which means something else
        pass
    return words, _readable(value)


def _readable(value: JSON) -> Text:
    if value is None or isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return Text("\n").join(_readable(item) for item in value)
    return plain(json.dumps(value, ensure_ascii=False))


def _moment(moment: datetime | None, now: datetime) -> Text:
    return Text(f"{clock(moment)} ({ago(moment, now)})" if moment else "")


def _lasted(alert: AlertEvent, now: datetime) -> str:
    """How long, or for how long so far; a recovery is a moment."""
    if alert.created_at is None or alert.alert_type == "recovery":
        return ""
    length = in_words(max((alert.resolved_at or now) - alert.created_at, now - now))
    return length if alert.status == "resolved" else f"{length} so far"


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="alerts")
