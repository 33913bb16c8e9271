"""How values look in a terminal. Whatever came from outside is text, never markup."""

import json
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from rich.table import Column, Table
from rich.text import Text

from vigilbase.alerts.wording import in_words
from vigilbase.cli.context import out
from vigilbase.models import AlertEvent, ServiceHealthCheck
from vigilbase.vocabulary import Status

STYLES: Mapping[Status, Text] = {
    "healthy": Text("healthy", style="green"),
    "degraded": Text("degraded", style="yellow"),
    "down": Text("down", style="bold red"),
}


def plain(value: str | None) -> Text:
    """A text that a service or a user chose, safe to print: control characters are shown, not obeyed."""
    return Text("".join(character if character.isprintable() else repr(character)[1:-1] for character in value or ""))


def new_table(*names: str, wraps: Collection[str]) -> Table:
    """A table of which only some columns get narrow, where the terminal is; what they cut goes on in the next line."""
    columns = [Column(name, overflow="fold", no_wrap=name not in wraps) for name in names]
    return Table(*columns, box=None, header_style="bold")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in words."""
    return "" if moment is None else f"{in_words(max(now - moment, now - now))} ago"


def clock(moment: datetime | None) -> str:
    """A time to the second, in UTC and ISO 8601."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(moment: datetime | None) -> str | None:
    """A time as JSON has it, whole."""
    return None if moment is None else moment.isoformat()


def check_as_json(check: ServiceHealthCheck) -> dict[str, object]:
    """A check as every command with `--json` shows it."""
    return {
        "id": str(check.id),
        "status": check.status,
        "latency_ms": check.latency_ms,
        "checked_at": iso(check.checked_at),
        "error_message": check.error_message,
        "probe_details": check.probe_details,
    }


def alert_as_json(alert: AlertEvent) -> dict[str, object]:
    """An alert as every command with `--json` shows it."""
    return {
        "id": str(alert.id),
        "service_name": alert.service_name,
        "alert_type": alert.alert_type,
        "status": alert.status,
        "message": alert.message,
        "details": alert.details,
        "created_at": iso(alert.created_at),
        "acknowledged_at": iso(alert.acknowledged_at),
        "resolved_at": iso(alert.resolved_at),
    }


def print_json(value: object) -> None:
    """Print JSON in ASCII: what a terminal would obey or reorder (control characters, bidi overrides) is escaped."""
    if out.is_terminal:
        out.print_json(data=value, ensure_ascii=True)
    else:
        sys.stdout.write(f"{json.dumps(value, indent=2)}\n")
