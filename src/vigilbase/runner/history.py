"""The state of every service after a restart, rebuilt from what is recorded."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from vigilbase.alerts.judge import ServiceState, rebuild_state
from vigilbase.clock import ClockReading, read_clock, utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.configfile import ServiceConfig
from vigilbase.database.client import Row, Value
from vigilbase.database.json_codec import parse_timestamp
from vigilbase.domain import ALERT_TYPES, STATUSES, AlertType, Check, ProbeResult, Status
from vigilbase.logging import get_logger
from vigilbase.models.columns import (
    get_choice,
    get_moment,
    get_optional_integer,
    get_optional_moment,
    get_optional_object,
    get_optional_text,
    get_text,
    get_uuid,
)
from vigilbase.models.rows import read_item, read_items, read_row, read_rows

log = get_logger(__name__)

States: TypeAlias = Mapping[str, ServiceState]

_FUNCTION = "vigilbase_load_state"
_ATTEMPT = f"call {_FUNCTION}"
_STATUS_BY_ALERT: Mapping[AlertType, Status] = {
    "service_down": "down",
    "service_degraded": "degraded",
    "recovery": "healthy",
}


@dataclass(frozen=True, slots=True)
class History:
    """The recorded state of every service, and a reading of the database's clock."""

    states: States
    clock: ClockReading


async def load_history(services: Sequence[ServiceConfig]) -> History:
    """Rebuild the states from each service's last checks and newest alert event, in one call.

    Rows of other code that can't be read are skipped.

    Raises:
        DatabaseError: the database fails.

    """
    policies = {service.name: service.policy for service in services}
    depth = max(max(policy.failure_threshold, policy.success_threshold) for policy in policies.values())
    before = utc_now()
    answer = await get_supabase_service_client().call(
        _FUNCTION, {"p_service_names": json.dumps(list(policies)), "p_checks": depth}
    )
    after = utc_now()
    state = read_row(answer, _ATTEMPT) or {}
    now = read_item(state, lambda row: get_moment(row, "now"), _ATTEMPT)
    services_by_name = {_read_name(row): row for row in read_rows(state.get("services"), _ATTEMPT)}
    rows = [
        {**check, "service_name": name}
        for name, service in services_by_name.items()
        for check in read_rows(service.get("checks"), _ATTEMPT)
    ]
    checks = read_items(rows, _read_check, _ATTEMPT, log, "health_check")
    results: dict[str, list[ProbeResult]] = {name: [] for name in services_by_name}
    for check in reversed(checks):
        results[check.service_name].append(check.result)
    states = {
        name: rebuild_state(name, *_read_status(services_by_name[name].get("alert")), results[name], policy)
        for name, policy in policies.items()
        if name in services_by_name
    }
    return History(states, read_clock(now, before, after))


def _read_name(row: Row) -> str:
    return read_item(row, lambda each: get_text(each, "service_name"), _ATTEMPT)


def _read_check(row: Row) -> Check:
    return Check(
        get_text(row, "service_name"),
        ProbeResult(
            get_choice(row, "status", STATUSES),
            get_optional_text(row, "error_message"),
            # The judge reads neither details nor latency, so they may be missing here.
            None,
            get_optional_integer(row, "latency_ms") or 0,
            get_moment(row, "checked_at"),
            get_uuid(row, "id"),
        ),
    )


def _read_status(alert: Value) -> tuple[Status, datetime | None]:
    """The status that the judge's newest alert event stands for, and since when, unless it is healthy."""
    return ("healthy", None) if alert is None else read_item(read_row(alert, _ATTEMPT), _read_alert, _ATTEMPT)


def _read_alert(row: Row) -> tuple[Status, datetime | None]:
    status = _STATUS_BY_ALERT[get_choice(row, "alert_type", ALERT_TYPES)]
    if status == "healthy":
        return status, None
    # When the first of the checks ran that caused the alert; other code's details may say anything.
    since = (get_optional_object(row, "details") or {}).get(f"{status}_since")
    with suppress(ValueError):
        return status, parse_timestamp(str(since))
    return status, get_optional_moment(row, "created_at")
