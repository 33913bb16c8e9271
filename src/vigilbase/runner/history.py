"""The state of every service after a restart, rebuilt from what is recorded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator

from vigilbase.alerts.judge import ServiceState, rebuild_state
from vigilbase.clock import ClockReading, read_clock, utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.configfile import ServiceConfig
from vigilbase.database.json_codec import parse_timestamp
from vigilbase.domain import AlertType, Policy, ProbeResult, Status
from vigilbase.models.rows import make_unexpected_answer_error

States: TypeAlias = Mapping[str, ServiceState]

_Moment = Annotated[datetime, BeforeValidator(lambda value: parse_timestamp(str(value)))]
_STATUS_BY_ALERT: Mapping[AlertType, Status] = {
    "service_down": "down",
    "service_degraded": "degraded",
    "recovery": "healthy",
}


class _CheckJson(BaseModel):
    id: UUID
    status: Status
    checked_at: _Moment
    latency_ms: int | None
    error_message: str | None


class _AlertJson(BaseModel):
    alert_type: AlertType
    created_at: _Moment
    details: dict[str, object] | None


class _ServiceJson(BaseModel):
    service_name: str
    checks: list[_CheckJson]
    alert: _AlertJson | None


class _StateJson(BaseModel):
    """The answer of `vigilbase_load_state`."""

    now: AwareDatetime
    services: list[_ServiceJson]


@dataclass(frozen=True, slots=True)
class History:
    """The recorded state of every service, and a reading of the database's clock."""

    states: States
    clock: ClockReading


async def load_history(services: Sequence[ServiceConfig]) -> History:
    """Rebuild the states from each service's last checks and newest alert event, in one call.

    Raises:
        DatabaseError: the database fails.

    """
    function = "vigilbase_load_state"
    policies = {service.name: service.policy for service in services}
    depth = max(max(policy.failure_threshold, policy.success_threshold) for policy in policies.values())
    before = utc_now()
    answer = await get_supabase_service_client().call(
        function, {"p_service_names": json.dumps(list(policies)), "p_checks": depth}
    )
    after = utc_now()
    try:
        state = _StateJson.model_validate(answer)
        states = {each.service_name: _rebuild(each, policies[each.service_name]) for each in state.services}
        return History(states, read_clock(state.now, before, after))
    except ValueError as error:
        raise make_unexpected_answer_error(f"call {function}") from error


def _rebuild(service: _ServiceJson, policy: Policy) -> ServiceState:
    status, since = _read_status(service.alert)
    # The judge reads neither latency nor details, so they may be missing here.
    checks = [
        ProbeResult(check.status, check.error_message, None, check.latency_ms or 0, check.checked_at, check.id)
        for check in reversed(service.checks)
    ]
    return rebuild_state(service.service_name, status, since, checks, policy)


def _read_status(alert: _AlertJson | None) -> tuple[Status, datetime | None]:
    """The status that the judge's newest alert event stands for, and since when, unless it is healthy."""
    status = _STATUS_BY_ALERT[alert.alert_type] if alert else "healthy"
    if alert is None or status == "healthy":
        return "healthy", None
    since = (alert.details or {}).get(f"{status}_since")
    return status, parse_timestamp(since) if isinstance(since, str) else alert.created_at
