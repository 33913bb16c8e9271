"""Health checks and probe results as JSON, tables and a summary."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from vigilbase.domain import JSON, ProbeResult
from vigilbase.models import AlertEvent, CheckHistory, ServiceHealthCheck
from vigilbase.times import format_ago, format_json_time, format_time, is_future
from vigilbase.views.alerts import shorten_message
from vigilbase.views.terminal import STATUS_TEXTS, Cell, Column, escape, make_table

HISTORY_COLUMNS = (
    Column("time"),
    Column("status"),
    Column("latency", drop=1, is_number=True),
    Column("error", wraps=True),
)
RESULT_COLUMNS = (
    Column("service"),
    Column("kind", drop=2),
    Column("status"),
    Column("latency", drop=1, is_number=True),
    Column("error", wraps=True),
)


def make_check_json(check: ServiceHealthCheck) -> Mapping[str, JSON]:
    """A recorded check."""
    return {
        "id": str(check.id),
        **_make_measured_json(check),
    }


def make_result_json(service_name: str, kind: str, result: ProbeResult) -> Mapping[str, JSON]:
    """A probe result that isn't recorded."""
    return {
        "service_name": service_name,
        "kind": kind,
        **_make_measured_json(result),
    }


def make_results_table(results: Sequence[tuple[str, str, ProbeResult]], width: int) -> Table:
    """A row for each service: its name, its kind, and the probe result."""
    rows = [
        (
            escape(name),
            kind,
            STATUS_TEXTS[result.status],
            format_latency(result.latency_ms),
            escape(result.error_message),
        )
        for name, kind, result in results
    ]
    return make_table(RESULT_COLUMNS, rows, width)


def make_history_table(checks: Sequence[ServiceHealthCheck], alerts: Sequence[AlertEvent], width: int) -> Table:
    """Checks and alerts in one list, newest first."""
    # The sort is stable: within a second, an alert stands above the check that caused it.
    timed = [(format_time(alert.created_at), _make_alert_cells(alert)) for alert in alerts]
    timed += [(format_time(check.checked_at), _make_check_cells(check)) for check in checks]
    timed.sort(key=lambda pair: pair[0], reverse=True)
    return make_table(HISTORY_COLUMNS, [(time, *cells) for time, cells in timed], width)


def summarize_history(history: CheckHistory, alerts: Sequence[AlertEvent], period: str) -> Text:
    """`120 checks in the last 24h: 99.16 % healthy, down once.` There must be at least one check."""
    counts = history.counts
    total = sum(counts.values())
    outages = sum(alert.alert_type == "service_down" for alert in alerts)
    # Fewer checks than failure_threshold open no alert.
    without_alert = "down without an alert" if counts["down"] else "never down"
    times = {0: without_alert, 1: "down once", 2: "down twice"}.get(outages, f"down {outages} times")
    shown = len(history.checks)
    checks = "1 check" if total == 1 else f"{total:,} checks"
    rest = "" if shown == total else f" The newest {f'{shown:,} are' if shown != 1 else 'one is'} shown."
    return Text(
        f"{checks} in the last {escape(period)}: {_format_share(counts['healthy'], total)} healthy, {times}.{rest}"
    )


def describe_no_checks(service: str, newest: ServiceHealthCheck | None, period: str, now: datetime) -> Text:
    """A period without checks, and when the newest check outside it ran; None if none can be read."""
    if newest is None:
        return Text(f"No checks of {escape(service)} in the last {escape(period)} can be read.")
    ago = format_ago(newest.checked_at, now)
    when = f"the newest ran {ago}" if ago else "when the newest ran is not recorded"
    if newest.checked_at is not None and is_future(newest.checked_at, now):
        when = f"the newest is dated in the future ({format_time(newest.checked_at)}): check the clock that wrote it"
    return Text(f"No checks of {escape(service)} in the last {escape(period)}; {when}.")


def format_latency(latency_ms: int | None) -> str:
    """Milliseconds with their unit."""
    return "" if latency_ms is None else f"{latency_ms} ms"


def _make_measured_json(measured: ServiceHealthCheck | ProbeResult) -> Mapping[str, JSON]:
    return {
        "status": measured.status,
        "latency_ms": measured.latency_ms,
        "checked_at": format_json_time(measured.checked_at),
        "error_message": measured.error_message,
        "probe_details": measured.probe_details,
    }


def _make_check_cells(check: ServiceHealthCheck) -> tuple[Cell, Cell, Cell]:
    return STATUS_TEXTS[check.status], format_latency(check.latency_ms), escape(check.error_message)


def _make_alert_cells(alert: AlertEvent) -> tuple[Cell, Cell, Cell]:
    return Text(f"{alert.alert_type}, {alert.status}", style="magenta"), "", shorten_message(alert)


def _format_share(part: int, whole: int) -> str:
    """A percentage cut to two decimals, so that 100 % means all."""
    return f"{part * 10_000 // whole / 100:g} %"
