"""Alerts as tables. Their JSON is `alerts/alert_json.py`, which webhooks share."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rich.table import Table
from rich.text import Text

from vigilbase.alerts.outage import find_status, measure_length
from vigilbase.alerts.suppression import SHORT_ID
from vigilbase.database.json_codec import parse_timestamp
from vigilbase.domain import JSON
from vigilbase.durations import format_duration
from vigilbase.models import AlertEvent
from vigilbase.times import format_ago, format_time
from vigilbase.views.terminal import Column, escape, make_table

COLUMNS = (
    Column("id"),
    Column("service"),
    Column("type", drop=2),
    Column("status"),
    Column("opened", drop=3),
    Column("lasted", drop=1),
    Column("message", wraps=True),
)


def make_alerts_table(alerts: Sequence[AlertEvent], now: datetime, width: int) -> Table:
    """A row for each alert."""
    rows = [
        (
            str(alert.id)[:SHORT_ID],
            escape(alert.service_name),
            alert.alert_type,
            alert.status,
            format_ago(alert.created_at, now),
            format_length(alert, now, separator=""),
            shorten_message(alert),
        )
        for alert in alerts
    ]
    return make_table(COLUMNS, rows, width)


def shorten_message(alert: AlertEvent) -> Text:
    """The alert's message without the service's name, for a table that has it elsewhere."""
    return escape((alert.message or "").removeprefix(f"{alert.service_name} is "))


def make_alert_table(alert: AlertEvent, now: datetime) -> Table:
    """Everything that is known of one alert, a line for each field and detail."""
    table = Table("", "", box=None, show_header=False)
    fields = {
        "id": Text(str(alert.id)),
        "service": escape(alert.service_name),
        "type": Text(alert.alert_type),
        "status": Text(alert.status),
        "message": escape(alert.message),
        "opened": _format_moment(alert.created_at, now),
        "acknowledged": _format_moment(alert.acknowledged_at, now),
        "resolved": _format_moment(alert.resolved_at, now),
        "lasted": Text(format_length(alert, now)),
        **_format_details(alert.details or {}, now),
    }
    for name, value in fields.items():
        if value.plain:
            # Other programs may name details, too.
            table.add_row(escape(name), value, style="")
    return table


def format_length(alert: AlertEvent, now: datetime, separator: str = " ") -> str:
    """How long the outage lasted, or has lasted so far; nothing for a recovery, which is a moment."""
    if alert.created_at is None or alert.alert_type == "recovery":
        return ""
    length = format_duration(measure_length(alert, now), separator)
    return length if alert.status == "resolved" else f"{length} so far"


def summarize_alert(alert: AlertEvent, now: datetime) -> str:
    """An open alert in a cell: `down, acknowledged, 2m17s`."""
    status = find_status(alert) or alert.alert_type
    return ", ".join([status, alert.status, format_duration(measure_length(alert, now), separator="")])


def _format_details(details: Mapping[str, JSON], now: datetime) -> dict[str, Text]:
    """The reason and the error first, the ids of the checks last."""
    order = {"reason": 0, "last_error": 1, "check_ids": 3}
    names = sorted(details, key=lambda name: (order.get(name, 2), name))
    return dict(_format_detail(name, details[name], now) for name in names)


def _format_detail(name: str, value: JSON, now: datetime) -> tuple[str, Text]:
    label = name.replace("_", " ")
    try:
        if isinstance(value, str) and name.endswith(("_since", "_at")):
            return label, _format_moment(parse_timestamp(value), now)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and name.endswith("_s"):
            return label.removesuffix(" s"), Text(format_duration(timedelta(seconds=value)))
    except (ValueError, OverflowError):  # a detail of another program, whose name means something else
        pass
    return label, _format_value(value)


def _format_value(value: JSON) -> Text:
    if value is None or isinstance(value, str):
        return escape(value)
    if isinstance(value, list):
        return Text("\n").join(_format_value(item) for item in value)
    return escape(json.dumps(value, ensure_ascii=False))


def _format_moment(moment: datetime | None, now: datetime) -> Text:
    return Text(f"{format_time(moment)} ({format_ago(moment, now)})" if moment else "")
