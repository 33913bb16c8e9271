"""Judges a batch of checks, and records it in one transaction with everything that it causes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

from vigilbase.alerts.alert_text import AlertText, make_opening_text, make_recovery_text
from vigilbase.alerts.judge import ServiceState, judge
from vigilbase.alerts.routing import plan_notifications
from vigilbase.clock import ClockReading, read_clock, utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.configfile import ServiceConfig
from vigilbase.domain import JSON, Check, Policy, Transition
from vigilbase.logging import get_logger
from vigilbase.models.rows import make_unexpected_answer_error
from vigilbase.runner.history import States

log = get_logger(__name__)


class _AlertJson(BaseModel):
    id: UUID
    message: str | None


class _TransitionJson(BaseModel):
    service_name: str
    opened: _AlertJson | None
    recovery: _AlertJson | None


class _RecordJson(BaseModel):
    """The answer of `vigilbase_record`."""

    now: AwareDatetime
    transitions: list[_TransitionJson]


@dataclass(frozen=True, slots=True)
class RecordResult:
    """A reading of the database's clock, and whether the batch opened or resolved alerts."""

    clock: ClockReading
    has_changed_alerts: bool


def judge_batch(
    states: States, checks: Iterable[Check], policies: Mapping[str, Policy]
) -> tuple[States, list[Transition]]:
    """The states after a batch, and the transitions that it causes, in order."""
    after = dict(states)
    transitions = []
    for check in checks:
        name = check.service_name
        after[name], transition = judge(after.get(name, ServiceState(name)), check.result, policies[name])
        if transition:
            transitions.append(transition)
    return after, transitions


async def record(
    checks: Sequence[Check], transitions: Sequence[Transition], services: Mapping[str, ServiceConfig] | None = None
) -> RecordResult:
    """Write checks and transitions with their alerts and notifications, in one transaction; log each transition.

    `services` has the routes and tags of the checks' services. Recording the same batch again changes nothing.

    Raises:
        DatabaseError: the database fails; it may have written the batch nevertheless.

    """
    function = "vigilbase_record"
    configs = services or {}
    arguments = {
        "p_checks": json.dumps([_make_check_json(check) for check in checks], ensure_ascii=False),
        "p_transitions": json.dumps(
            [_make_transition_json(each, configs.get(each.service_name)) for each in transitions], ensure_ascii=False
        ),
    }
    before = utc_now()
    answer = await get_supabase_service_client().call(function, arguments)
    after = utc_now()
    try:
        recorded = _RecordJson.model_validate(answer)
    except ValueError as error:
        raise make_unexpected_answer_error(f"call {function}") from error
    log.debug("checks.recorded", count=len(checks))
    # What the database did, not what was asked: another runner may have recorded the transition first.
    for transition in recorded.transitions:
        _log_transition(transition)
    has_changed_alerts = any(each.opened or each.recovery for each in recorded.transitions)
    return RecordResult(read_clock(recorded.now, before, after), has_changed_alerts)


def drop_text(checks: Sequence[Check], transitions: Sequence[Transition]) -> tuple[list[Check], list[Transition]]:
    """The same without text from outside, for a database that can't hold it: status and alert matter more."""
    return (
        [replace(check, result=replace(check.result, error_message=None, probe_details=None)) for check in checks],
        [replace(transition, last_error=None) for transition in transitions],
    )


def _log_transition(transition: _TransitionJson) -> None:
    # From down to degraded there are both: one alert ends before the next opens.
    if alert := transition.recovery:
        log.info("alert.resolved", service_name=transition.service_name, message=alert.message, id=str(alert.id))
    if alert := transition.opened:
        log.warning("alert.opened", service_name=transition.service_name, message=alert.message, id=str(alert.id))


def _make_check_json(check: Check) -> Mapping[str, JSON]:
    result = check.result
    return {
        "id": str(result.id),
        "service_name": check.service_name,
        "status": result.status,
        "latency_ms": result.latency_ms,
        "checked_at": result.checked_at.isoformat(),
        "error_message": result.error_message,
        "probe_details": result.probe_details,
    }


def _make_transition_json(transition: Transition, service: ServiceConfig | None) -> Mapping[str, JSON]:
    return {
        "routes": _make_routes_json(transition, service),
        "tags": list(service.tags) if service else [],
        "service_name": transition.service_name,
        "to": transition.to_status,
        "opening": _make_text_json(make_opening_text(transition)),
        "recovery": _make_text_json(make_recovery_text(transition)),
    }


def _make_routes_json(transition: Transition, service: ServiceConfig | None) -> JSON:
    if service is None or transition.to_status == "healthy":
        return []
    return [
        {
            "channel": planned.channel,
            "after_s": planned.after_s,
            "unless_acknowledged": planned.unless_acknowledged,
            "send_resolved": planned.send_resolved,
        }
        for planned in plan_notifications(service.routes, transition.to_status)
    ]


def _make_text_json(text: AlertText | None) -> JSON:
    return None if text is None else {"message": text.message, "details": text.details}
