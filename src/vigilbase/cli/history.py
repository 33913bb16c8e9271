"""`vigilbase history`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from vigilbase.cli.completion import complete_service_names
from vigilbase.cli.options import AsJson, Limit, parse_limit
from vigilbase.cli.session import open_database, run_query
from vigilbase.clock import utc_now
from vigilbase.durations import parse_duration
from vigilbase.errors import InvalidInputError
from vigilbase.times import format_time

if TYPE_CHECKING:
    from vigilbase.queries.history import ServiceHistory

ServiceName = Annotated[
    str, typer.Argument(metavar="SERVICE", help="The service's name.", autocompletion=complete_service_names)
]
Last = Annotated[str, typer.Option("--last", metavar="DURATION", help="How far to look back, such as 1h or 7d.")]


def history(service: ServiceName, *, last: Last = "24h", limit: Limit = "50", as_json: AsJson = False) -> None:
    """Show a service's checks and alerts, newest first. Times are UTC.

    Example: vigilbase history website --last 7d
    """
    from vigilbase.alerts.alert_json import make_alert_json
    from vigilbase.cli.output import console, print_json, print_line
    from vigilbase.views.checks import describe_no_checks, make_check_json, make_history_table, summarize_history
    from vigilbase.views.skipped_rows import count_skipped, describe_skipped

    period, skipped = run_query(_load(service, _parse_period("--last", last), parse_limit(limit)))
    checks, alerts = period.history.checks, period.alerts
    if as_json:
        print_json(
            {
                "service_name": service,
                "checks": [make_check_json(check) for check in checks],
                "alerts": [make_alert_json(alert) for alert in alerts],
                "skipped_rows": count_skipped(skipped),
            }
        )
        return
    is_cut = sum(period.history.counts.values()) > len(checks)
    # Checks older than the last one shown are left out, so alerts of that time are, too.
    oldest = format_time(checks[-1].checked_at) if is_cut else ""
    shown = [alert for alert in alerts if format_time(alert.created_at) >= oldest]
    if checks or shown:
        console.print(make_history_table(checks, shown, console.width))
    if any(period.history.counts.values()):
        console.print(summarize_history(period.history, alerts, last))
    else:
        console.print(describe_no_checks(service, period.newest, last, utc_now()))
    if skipped:
        print_line(describe_skipped(skipped), style="yellow")


def _parse_period(field: str, text: str) -> timedelta:
    from vigilbase.models.validation import MAX_DAYS

    try:
        seconds = parse_duration(text)
    except ValueError:
        raise InvalidInputError(field, "must be a duration such as 30m, 24h or 7d") from None
    if seconds > timedelta(days=MAX_DAYS).total_seconds():
        raise InvalidInputError(field, f"must be at most {MAX_DAYS}d")
    return timedelta(seconds=seconds)


async def _load(service: str, length: timedelta, limit: int) -> "ServiceHistory":
    from vigilbase.queries.history import load_service_history

    async with open_database():
        return await load_service_history(service, utc_now() - length, limit)


def register(app: typer.Typer) -> None:
    app.command()(history)
