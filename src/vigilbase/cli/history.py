"""`vigilbase history`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from vigilbase.cli.completion import service_names
from vigilbase.cli.context import AsJson, out, ready_database, run
from vigilbase.cli.limit import Limit, valid_limit
from vigilbase.cli.render import STYLES, ago, alert_as_json, check_as_json, clock, new_table, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.durations import duration_s
from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.models import AlertEvent, AlertEventModel, CheckHistory, HealthCheckModel, ServiceHealthCheck
from vigilbase.models.validation import MAX_DAYS
from vigilbase.settings import load_settings

MAX_ALERTS = 1000

ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="Its name.", autocompletion=service_names)]
Last = Annotated[str, typer.Option("--last", metavar="DURATION", help="How far back to look, such as 1h or 7d.")]


@dataclass(frozen=True, slots=True)
class _Period:
    """What happened to a service in a period; `newest` is its newest check, in the period or before."""

    history: CheckHistory
    alerts: Sequence[AlertEvent]
    newest: ServiceHealthCheck


def history(service: ServiceName, *, last: Last = "24h", limit: Limit = "50", as_json: AsJson = False) -> None:
    """Show a service's checks and alerts, newest first. Times are UTC.

    Example: vigilbase history website --last 7d
    """
    period = run(_load(service, _length("--last", last), valid_limit(limit)))
    checks, alerts = period.history.checks, period.alerts
    if as_json:
        print_json(
            {
                "service_name": service,
                "checks": [check_as_json(check) for check in checks],
                "alerts": [alert_as_json(alert) for alert in alerts],
            }
        )
        return
    cut = sum(period.history.counts.values()) > len(checks)
    # Below the oldest check that is shown, checks are left out, so alerts are, too.
    oldest = clock(checks[-1].checked_at) if cut else ""
    shown = [alert for alert in alerts if clock(alert.created_at) >= oldest]
    if checks or shown:
        out.print(_table(checks, shown))
    out.print(_summary(service, period, last, cut=cut))


def _length(field: str, text: str) -> timedelta:
    try:
        seconds = duration_s(text)
    except ValueError:
        raise InvalidInputError(field, "must be a duration such as 30m, 24h or 7d") from None
    if seconds > timedelta(days=MAX_DAYS).total_seconds():
        raise InvalidInputError(field, f"must be at most {MAX_DAYS}d")
    return timedelta(seconds=seconds)


async def _load(service: str, length: timedelta, limit: int) -> _Period:
    async with ready_database(load_settings(), migrate=False):
        since = utc_now() - length
        found = await HealthCheckModel.find_history(service, since=since, limit=limit)
        newest = found.checks[0] if found.checks else await HealthCheckModel.find_latest_by_service(service)
        if newest is None:
            raise VigilbaseError(f'no checks of "{plain(service)}" are recorded; {await find_meant(service)}')
        alerts = await AlertEventModel.find_newest(limit=MAX_ALERTS, service_name=service, since=since)
        return _Period(found, alerts, newest)


async def find_meant(service: str) -> str:
    """Which service may be meant by a name that nothing is recorded of."""
    known = [check.service_name for check in await HealthCheckModel.find_latest()]
    close = get_close_matches(service, known, n=1)
    return f'did you mean "{plain(close[0])}"?' if close else "`vigilbase status` shows which there are"


def _table(checks: Sequence[ServiceHealthCheck], alerts: Sequence[AlertEvent]) -> Table:
    table = new_table("time", "status", "latency", "error", wraps={"error"})
    table.columns[2].justify = "right"
    # The sort is stable: in the same second, an alert stands above the check, which came first and caused it.
    rows = [(clock(alert.created_at), *_alert_row(alert)) for alert in alerts]
    rows += [(clock(check.checked_at), *_check_row(check)) for check in checks]
    for row in sorted(rows, key=lambda row: row[0], reverse=True):
        table.add_row(*row)
    return table


def _check_row(check: ServiceHealthCheck) -> tuple[Text, str, Text]:
    latency = "" if check.latency_ms is None else f"{check.latency_ms} ms"
    return STYLES[check.status], latency, plain(check.error_message)


def _alert_row(alert: AlertEvent) -> tuple[Text, str, Text]:
    return Text(f"{alert.alert_type}, {alert.status}", style="magenta"), "", plain(alert.message)


def _summary(service: str, period: _Period, last: str, *, cut: bool) -> Text:
    counts = period.history.counts
    total = sum(counts.values())
    name, length = plain(service), plain(last)
    if not total:
        ran = period.newest.checked_at
        newest = f"the newest ran {ago(ran, utc_now())}" if ran else "when the newest ran is not recorded"
        return Text(f"No checks of {name} in the last {length}; {newest}.")
    outages = sum(alert.alert_type == "service_down" for alert in period.alerts)
    without = "down without an alert" if counts["down"] else "never down"
    times = {0: without, 1: "down once", 2: "down twice"}.get(outages, f"down {outages} times")
    many = len(period.history.checks)
    shown = f" The newest {f'{many:,} are' if many != 1 else 'one is'} shown." if cut else ""
    checks = "1 check" if total == 1 else f"{total:,} checks"
    return Text(f"{checks} in the last {length}: {_share(counts['healthy'], total)} healthy, {times}.{shown}")


def _share(part: int, whole: int) -> str:
    """A part in percent, cut to two decimals: 100 % means all."""
    return f"{part * 10_000 // whole / 100:g} %"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(history)
