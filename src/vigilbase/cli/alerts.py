"""`vigilbase alerts list|show|ack|resolve`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from vigilbase.alerts.alert_json import make_alert_json
from vigilbase.alerts.suppression import SHORT_ID
from vigilbase.cli.completion import complete_service_names
from vigilbase.cli.options import AsJson, By, Limit, find_author, parse_limit
from vigilbase.cli.output import console, print_json, print_line
from vigilbase.cli.session import open_database, run_command
from vigilbase.clock import utc_now
from vigilbase.domain import MAX_INTEGER
from vigilbase.models import AlertEvent, AlertEventModel
from vigilbase.models.rows import SkippedRows, collect_skipped
from vigilbase.queries.alerts import AlertWithHistory, load_alert_with_history
from vigilbase.queries.by_id import find_one, require_found
from vigilbase.queries.group_windows import load_group_windows
from vigilbase.queries.history import find_newest_check, suggest_service
from vigilbase.times import format_ago
from vigilbase.views.alerts import make_alert_table, make_alerts_table
from vigilbase.views.notifications import make_notification_json, make_unfinished_table
from vigilbase.views.skipped_rows import count_skipped, describe_skipped
from vigilbase.views.terminal import escape
from vigilbase.views.timeline import make_timeline_entry_json, make_timeline_table

app = typer.Typer(help="List, show, acknowledge and resolve alerts.", no_args_is_help=True)

IDS_HINT = "`vigilbase alerts list --all` lists the ids"

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or its first 4 or more digits.")]
All = Annotated[bool, typer.Option("--all", help="Include resolved alerts.")]
Service = Annotated[
    str | None,
    typer.Option(
        "--service", metavar="NAME", help="Only alerts of this service.", autocompletion=complete_service_names
    ),
]
Comment = Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="A comment for the alert's timeline.")]


@app.command("list")
def list_(*, every: All = False, service: Service = None, limit: Limit = "50", as_json: AsJson = False) -> None:
    """List the open alerts, newest first.

    Example: vigilbase alerts list --all --service website
    """
    number = parse_limit(limit)
    alerts, skipped, hint = run_command(_list(number, service, only_open=not every))
    if as_json:
        print_json({"alerts": [make_alert_json(alert) for alert in alerts], "skipped_rows": count_skipped(skipped)})
        return
    if alerts:
        console.print(make_alerts_table(alerts, utc_now(), console.width))
    else:
        of_service = f" of {escape(service)}" if service else ""
        print_line(f"No {'' if every else 'open '}alerts{of_service}{hint or '.'}")
    if skipped:
        print_line(describe_skipped(skipped), style="yellow")
    if len(alerts) + count_skipped(skipped) == number:
        print_line(f"There may be more: --limit {min(2 * number, MAX_INTEGER)} shows them.")


@app.command()
def show(alert_id: AlertId, *, as_json: AsJson = False) -> None:
    """Show everything about an alert: its details, its timeline, and its unfinished notifications.

    Example: vigilbase alerts show 4f3a21c9
    """
    found = run_command(_load_alert(alert_id))
    alert, timeline, notifications = found.alert, found.timeline, found.unfinished
    if as_json:
        entries, unfinished = map(make_timeline_entry_json, timeline), map(make_notification_json, notifications)
        print_json({**make_alert_json(alert), "timeline": list(entries), "notifications": list(unfinished)})
        return
    now = utc_now()
    console.print(make_alert_table(alert, now))
    if timeline:
        console.print()
        console.print(make_timeline_table(alert, timeline, console.width))
    if notifications:
        console.print("\nUnfinished notifications", style="bold")
        console.print(make_unfinished_table(notifications, load_group_windows(), now, console.width))


@app.command()
def ack(alert_id: AlertId, *, by: By = None, comment: Comment = None, as_json: AsJson = False) -> None:
    """Acknowledge an alert: you are working on it. The alert stays open.

    Example: vigilbase alerts ack 4f3a21c9 --by ada --comment "looking into it"
    """
    before, alert = run_command(_acknowledge(alert_id, find_author(by), comment))
    was_acknowledged = before.status == "acknowledged"
    when = f" already, {format_ago(alert.acknowledged_at, utc_now())}"
    _print_result(alert, f"was acknowledged{when}" if was_acknowledged else "is acknowledged", as_json=as_json)


@app.command()
def resolve(alert_id: AlertId, *, by: By = None, comment: Comment = None, as_json: AsJson = False) -> None:
    """Resolve an alert manually.

    Vigilbase resolves its own alerts when the service is healthy again.

    Example: vigilbase alerts resolve 4f3a21c9 --comment "a false alarm"
    """
    before, alert = run_command(_resolve(alert_id, find_author(by), comment))
    if before.status == "resolved":
        outcome = f"was resolved already, {format_ago(alert.resolved_at, utc_now())}"
    elif (alert.details or {}).get("source") == "judge":
        # The judge's current status stays as it is: only checks change it.
        outcome = f"is resolved; no new alert opens until {escape(alert.service_name)} has been healthy again"
    else:
        outcome = "is resolved"
    _print_result(alert, outcome, as_json=as_json)


async def _list(
    limit: int, service: str | None, *, only_open: bool
) -> tuple[list[AlertEvent], Sequence[SkippedRows], str]:
    """The alerts, those that can't be read, and a hint about a service that the database doesn't know."""
    async with open_database():
        # Only the alerts: checks that can't be read are none of this list.
        with collect_skipped() as skipped:
            alerts = await AlertEventModel.find_newest(limit=limit, service_name=service, only_open=only_open)
        if alerts or service is None or (await find_newest_check(service))[0]:
            return alerts, skipped, ""
        return alerts, skipped, f", and no checks of it are recorded; {await suggest_service(service)}"


async def _load_alert(prefix: str) -> AlertWithHistory:
    async with open_database():
        return await load_alert_with_history(await _find_alert(prefix), load_group_windows())


async def _acknowledge(prefix: str, author: str | None, comment: str | None) -> tuple[AlertEvent, AlertEvent]:
    """The alert before and after."""
    async with open_database():
        # The answer alone doesn't show whether the alert was acknowledged before.
        before = await _find_alert(prefix)
        after = await AlertEventModel.acknowledge(before.id, author=author, comment=comment)
        return before, require_found(after, prefix, "alert", IDS_HINT)


async def _resolve(prefix: str, author: str | None, comment: str | None) -> tuple[AlertEvent, AlertEvent]:
    """The alert before and after."""
    async with open_database():
        before = await _find_alert(prefix)
        after = await AlertEventModel.resolve(before.id, author=author, comment=comment)
        return before, require_found(after, prefix, "alert", IDS_HINT)


async def _find_alert(prefix: str) -> AlertEvent:
    return await find_one(AlertEventModel.find_by_id_prefix(prefix), prefix, "alert", IDS_HINT)


def _print_result(alert: AlertEvent, outcome: str, *, as_json: bool) -> None:
    if as_json:
        print_json(make_alert_json(alert))
    else:
        print_line(f"{escape(alert.service_name)}: {alert.alert_type} {str(alert.id)[:SHORT_ID]} {outcome}.")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="alerts")
