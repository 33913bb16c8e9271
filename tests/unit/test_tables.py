"""Tables in a narrow terminal: columns are dropped in order, and no id or name is ever broken."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from vigilbase.configfile import parse_config
from vigilbase.domain import JSON, ProbeResult
from vigilbase.models import (
    AlertEvent,
    ChannelState,
    Notification,
    Recurrence,
    ServiceHealthCheck,
    Suppression,
    TimelineEntry,
)
from vigilbase.views.alerts import make_alerts_table
from vigilbase.views.channels import make_channels_table
from vigilbase.views.checks import make_history_table, make_results_table
from vigilbase.views.notifications import make_notifications_table, make_unfinished_table
from vigilbase.views.services import ServiceStatus, make_status_table
from vigilbase.views.suppressions import make_suppressions_table
from vigilbase.views.terminal import Column, make_table
from vigilbase.views.timeline import make_timeline_table

WIDTH = 80
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SERVICES = ("checkout-payment-gateway-eu", "orders database replica 2", "customer-export-queue")  # 20 to 30 characters
CHANNELS = ("pagerduty", "platform-team", "statuspage-webhook")
IDS = [UUID(f"4f3a21c{number}-0000-7000-8000-00000000000{number}") for number in range(3)]
SHORT_IDS = tuple(str(id_)[:8] for id_ in IDS)
ERROR = "expected status 200-299, got 503 Service Unavailable from 10.20.30.40:8443"
SUPPRESSED_BY = "silence 4f3a21c9 of ana: the new release"


def _ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def _render(table: Table, width: int) -> list[str]:
    """The lines of a table as the commands print it."""
    console = Console(file=StringIO(), width=width, soft_wrap=True, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def _make_alerts() -> list[AlertEvent]:
    return [
        AlertEvent(
            id=id_,
            service_name=service,
            alert_type="service_degraded",
            status="acknowledged",
            message=f"{service} is degraded: {ERROR}",
            details={"degraded_since": _ago(days=3, hours=17).isoformat()},
            created_at=_ago(days=3, hours=16),
            acknowledged_at=_ago(hours=2),
            resolved_at=None,
        )
        for id_, service in zip(IDS, SERVICES, strict=True)
    ]


def _make_checks() -> list[ServiceHealthCheck]:
    return [
        ServiceHealthCheck(id_, service, "degraded", 12_345, _ago(hours=2, minutes=17), ERROR, None, NOW)
        for id_, service in zip(IDS, SERVICES, strict=True)
    ]


def _make_notifications() -> list[Notification]:
    return [
        Notification(
            id=123_456 + number,
            alert_id=IDS[number],
            service_name=SERVICES[number],
            channel=CHANNELS[number],
            kind="acknowledged",
            status="pending",
            attempts=12,
            due_at=_ago(hours=2),
            batch_id=IDS[number],
            answer=None,
            last_error=f"ops.example.com answered 503 Service Unavailable: {ERROR}",
            suppressed_by=SUPPRESSED_BY,
            created_at=_ago(days=3, hours=17),
            ended_at=None,
            waits_for=waits_for,
            next_attempt_at=NOW + timedelta(hours=2),
        )
        for number, waits_for in enumerate(["suppression", "channel_pause", "resolution"])
    ]


def _make_suppressions(*recurrences: Recurrence | None) -> list[Suppression]:
    return [
        Suppression(
            id=id_,
            kind="maintenance",
            service_glob=service,
            tag=None,
            starts_at=NOW + timedelta(days=30),
            ends_at=None,
            recurrence=recurrence,
            author="grace.hopper@example.com",
            comment="the new release of the payment service, with a migration of its database",
            created_at=NOW,
        )
        for id_, service, recurrence in zip(IDS, SERVICES, recurrences, strict=True)
    ]


def _make_timeline_table(width: int) -> Table:
    details: dict[str, JSON] = {"channel": CHANNELS[1], "kind": "acknowledged", "attempts": 12, "error": ERROR}
    entries = [
        TimelineEntry(number, IDS[0], SERVICES[0], NOW, "attempt_failed", "grace.hopper@example.com", "why", details)
        for number in range(3)
    ]
    return make_timeline_table(_make_alerts()[0], entries, width)


def _make_channels_table(width: int) -> Table:
    states = {
        name: ChannelState(
            channel=name,
            disabled_at=disabled_at,
            disabled_reason="ops.example.com answered 410 Gone: the webhook was removed",
            paused_until=NOW + timedelta(hours=2),
            last_batch_at=NOW,
            last_delivered_at=_ago(days=3, hours=17),
            last_error=ERROR,
            pending=12,
            retrying=3,
            suppressed=456,
            failed=7,
        )
        for name, disabled_at in zip(CHANNELS, [None, _ago(hours=2), None], strict=True)
    }
    webhook = "{webhook: {url: 'https://hooks.status.example.com:8443/a'}}"
    listed = ", ".join(f"{name}: {webhook}" for name in CHANNELS)
    config = parse_config(f"services: [{{name: itself, postgres: self}}]\nchannels: {{{listed}}}", {})
    return make_channels_table(list(config.channels.values()), states, NOW, width)


def _make_status_table(width: int) -> Table:
    services = [
        ServiceStatus(check, alert, is_monitored=False, is_stale=None, suppressed_by=None)
        for check, alert in zip(_make_checks(), _make_alerts(), strict=True)
    ]
    return make_status_table(services, NOW, width)


def _make_results_table(width: int) -> Table:
    result = ProbeResult("degraded", ERROR, latency_ms=12_345, checked_at=NOW)
    return make_results_table([(service, "postgres", result) for service in SERVICES], width)


WEEKLY = Recurrence("*/15 3,4,5 * * 0", 7_200, "America/Argentina/Buenos_Aires")
TABLES: Mapping[str, tuple[Callable[[int], Table], tuple[str, ...]]] = {
    "alerts": (lambda width: make_alerts_table(_make_alerts(), NOW, width), SHORT_IDS + SERVICES),
    "status": (_make_status_table, SERVICES),
    "history": (lambda width: make_history_table(_make_checks(), _make_alerts(), width), ("2026-11-24T09:43:00Z",)),
    "check": (_make_results_table, SERVICES),
    "notifications": (
        lambda width: make_notifications_table(_make_notifications(), None, NOW, width),
        ("123456", "123457", "123458", *SERVICES, *CHANNELS),
    ),
    "unfinished notifications": (
        lambda width: make_unfinished_table(_make_notifications(), None, NOW, width),
        ("123456", "123457", "123458", *CHANNELS),
    ),
    "channels": (_make_channels_table, CHANNELS),
    "silences": (
        lambda width: make_suppressions_table(_make_suppressions(None, None, None), NOW, width),
        SHORT_IDS + SERVICES,
    ),
    "maintenance": (
        lambda width: make_suppressions_table(_make_suppressions(WEEKLY, None, WEEKLY), NOW, width),
        SHORT_IDS + SERVICES,
    ),
    "timeline": (_make_timeline_table, ("2026-11-24T12:00:00Z",)),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_80_columns_keep_ids_and_names_unbroken(name: str) -> None:
    make, words = TABLES[name]
    lines = _render(make(WIDTH), WIDTH)
    assert max(map(cell_len, lines)) <= WIDTH, "\n".join(lines)
    for word in words:
        assert any(word in line for line in lines), f"{word} in:\n" + "\n".join(lines)


@pytest.mark.parametrize("name", TABLES)
def test_tables_wide_terminal_has_one_line_per_row(name: str) -> None:
    make, words = TABLES[name]
    lines = _render(make(1000), 1000)
    assert len(lines) == 1 + (6 if name == "history" else 3)
    assert all(any(word in line for line in lines) for word in words)


FIXED = (Column("a"), Column("b", drop=2), Column("c", drop=1), Column("d", drop=3))


@pytest.mark.parametrize(
    ("width", "headings"), [(22, "a b c d"), (21, "a b c"), (16, "a b c"), (15, "a c"), (10, "a c"), (9, "a"), (1, "a")]
)
def test_make_table_narrow_terminal_drops_columns_in_order(width: int, headings: str) -> None:
    table = make_table(FIXED, [("1234", "1234", "1234", "1234")], width)
    assert " ".join(str(column.header) for column in table.columns) == headings


def test_make_table_wrapping_column_breaks_between_words() -> None:
    columns = (Column("service"), Column("kind", drop=1), Column("error", wraps=True))
    rows = [("checkout", "postgres", "the server closed the connection unexpectedly, after ten seconds")]
    lines = _render(make_table(columns, rows, 44), 44)
    assert lines[0].split() == ["service", "kind", "error"]
    assert lines[1].startswith("checkout  postgres  the server closed the")
    assert " ".join(" ".join(lines[1:]).split()).endswith("connection unexpectedly, after ten seconds")
    assert max(map(len, lines)) <= 44


def test_make_table_markup_in_text_is_shown() -> None:
    lines = _render(make_table((Column("service"),), [("[bold]shop[/bold]",), ("[/]",)], WIDTH), WIDTH)
    assert lines[1:] == ["[bold]shop[/bold]", "[/]"]


@given(
    names=st.lists(st.text("abc-日本", min_size=1, max_size=100), min_size=1, max_size=5),
    error=st.text("ab ", max_size=200),
    width=st.integers(1, 200),
)
def test_make_table_any_width_never_breaks_name(names: list[str], error: str, width: int) -> None:
    columns = (Column("service"), Column("kind", drop=1), Column("error", wraps=True))
    lines = _render(make_table(columns, [(name, "postgres", error) for name in names], width), width)
    for name in names:
        assert any(line == name or line.startswith(f"{name} ") for line in lines)
