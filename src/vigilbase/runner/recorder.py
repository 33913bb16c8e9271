"""From observations to rows: judge a batch, and record it with what it causes in one transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator

from vigilbase.alerts.judge import JudgedService, judge, rebuild
from vigilbase.alerts.routing import owed
from vigilbase.alerts.wording import Wording, opening, recovery
from vigilbase.clock import utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.values import parse_timestamp
from vigilbase.errors import DatabaseError
from vigilbase.logging import get_logger
from vigilbase.spec import ServiceSpec
from vigilbase.vocabulary import JSON, AlertType, Check, Observation, Policy, Status, Transition

log = get_logger(__name__)

States = Mapping[str, JudgedService]


Moment = Annotated[datetime, BeforeValidator(lambda value: parse_timestamp(str(value)))]


class _RecentCheck(BaseModel):
    id: UUID
    status: Status
    checked_at: Moment
    latency_ms: int | None
    error_message: str | None


class _Episode(BaseModel):
    alert_type: AlertType
    created_at: Moment
    details: dict[str, object] | None


class _ServiceHistory(BaseModel):
    service_name: str
    checks: list[_RecentCheck]
    alert: _Episode | None


class _WatchState(BaseModel):
    """What vigilbase_load_state answers."""

    now: AwareDatetime
    services: list[_ServiceHistory]


class _Alert(BaseModel):
    id: UUID
    message: str | None


class _Outcome(BaseModel):
    service_name: str
    opened: _Alert | None
    recovery: _Alert | None


class _RecordAnswer(BaseModel):
    """What vigilbase_record answers."""

    now: AwareDatetime
    transitions: list[_Outcome]


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How far the database's clock is ahead of ours, and how far off that may be."""

    difference: timedelta
    give_or_take: timedelta


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database's clock said as a batch was written, and whether alerts were opened or resolved by it."""

    clock: ClockReading
    alerts_changed: bool


@dataclass(frozen=True, slots=True)
class History:
    """Where every service stands by what is recorded."""

    states: States
    clock: ClockReading


async def load_history(specs: Sequence[ServiceSpec]) -> History:
    """Rebuild the state of the services from their last checks and alert events, in one call.

    Raises:
        DatabaseError: the database fails.

    """
    depth = max(max(spec.policy.failures, spec.policy.successes) for spec in specs)
    before = utc_now()
    answer = await get_supabase_service_client().call(
        "vigilbase_load_state",
        {"p_service_names": json.dumps([spec.name for spec in specs]), "p_checks": depth},
    )
    after = utc_now()
    try:
        watch_state = _WatchState.model_validate(answer)
        return History(_states(watch_state, specs), _read_clock(watch_state.now, before, after))
    except ValueError as error:
        raise DatabaseError("load the services' history: the database answered something unexpected") from error


def judge_batch(
    states: States, checks: Iterable[Check], policies: Mapping[str, Policy]
) -> tuple[States, list[Transition]]:
    """The states after a batch, and the transitions that it causes, in order."""
    after = dict(states)
    transitions = []
    for check in checks:
        name = check.service_name
        state = after.get(name, JudgedService(name))
        after[name], transition = judge(state, check.observation, policies[name])
        if transition:
            transitions.append(transition)
    return after, transitions


async def record(
    checks: Sequence[Check], transitions: Sequence[Transition], services: Mapping[str, ServiceSpec] | None = None
) -> Recorded:
    """Write checks, and open and resolve the alerts that they cause, in one transaction; log each transition.

    With the `services` that they are of, the messages that these owe are written with them. Recording the same batch
    again changes nothing.

    Raises:
        DatabaseError: the database fails; whether it wrote the batch is then not known.

    """
    before = utc_now()
    answer = await get_supabase_service_client().call(
        "vigilbase_record",
        {
            "p_checks": json.dumps([_check_json(check) for check in checks], ensure_ascii=False),
            "p_transitions": json.dumps(
                [_transition_json(one, (services or {}).get(one.service_name)) for one in transitions],
                ensure_ascii=False,
            ),
        },
    )
    after = utc_now()
    try:
        recorded = _RecordAnswer.model_validate(answer)
    except ValueError as error:
        raise DatabaseError("record checks: the database answered something unexpected") from error
    log.debug("checks.recorded", count=len(checks))
    for outcome in recorded.transitions:
        _log_outcome(outcome)
    changed = any(outcome.opened or outcome.recovery for outcome in recorded.transitions)
    return Recorded(_read_clock(recorded.now, before, after), changed)


def without_words(checks: Sequence[Check], transitions: Sequence[Transition]) -> tuple[list[Check], list[Transition]]:
    """The same without texts of the outside, for a database that can't hold them: status and alert matter more."""
    return (
        [
            replace(check, observation=replace(check.observation, error_message=None, probe_details=None))
            for check in checks
        ],
        [replace(transition, last_error=None) for transition in transitions],
    )


def steadied(current: timedelta, reading: ClockReading) -> timedelta:
    """The difference of the clocks to reckon with: the one known, unless the reading says that a clock was set."""
    settable = timedelta(seconds=1) + reading.give_or_take
    return reading.difference if abs(reading.difference - current) > settable else current


def _read_clock(database_now: datetime, before: datetime, after: datetime) -> ClockReading:
    """The database's clock as it was read somewhere between two moments of ours."""
    half = (after - before) / 2
    return ClockReading(database_now - (before + half), abs(half))


def _log_outcome(outcome: _Outcome) -> None:
    if alert := outcome.recovery:
        log.info("alert.resolved", service_name=outcome.service_name, message=alert.message, id=str(alert.id))
    if alert := outcome.opened:
        log.warning("alert.opened", service_name=outcome.service_name, message=alert.message, id=str(alert.id))


def _check_json(check: Check) -> Mapping[str, JSON]:
    seen = check.observation
    return {
        "id": str(seen.id),
        "service_name": check.service_name,
        "status": seen.status,
        "latency_ms": seen.latency_ms,
        "checked_at": seen.checked_at.isoformat(),
        "error_message": seen.error_message,
        "probe_details": seen.probe_details,
    }


def _transition_json(transition: Transition, service: ServiceSpec | None) -> Mapping[str, JSON]:
    return {
        "routes": _routes_json(transition, service),
        "tags": list(service.tags) if service else [],
        "service_name": transition.service_name,
        "to": transition.to,
        "opening": _wording_json(opening(transition)),
        "recovery": _wording_json(recovery(transition)),
    }


def _routes_json(transition: Transition, service: ServiceSpec | None) -> JSON:
    if service is None or transition.to == "healthy":
        return []
    return [
        {
            "channel": one.channel,
            "after_s": one.after_s,
            "unless_acknowledged": one.unless_acknowledged,
            "send_resolved": one.tells_recovery,
        }
        for one in owed(service.routes, transition.to)
    ]


def _wording_json(wording: Wording | None) -> JSON:
    return None if wording is None else {"message": wording.message, "details": wording.details}


def _states(watch_state: _WatchState, specs: Sequence[ServiceSpec]) -> States:
    policies = {spec.name: spec.policy for spec in specs}
    return {service.service_name: _state(service, policies[service.service_name]) for service in watch_state.services}


def _state(service: _ServiceHistory, policy: Policy) -> JudgedService:
    judged, since = _judged(service.alert)
    checks = [
        Observation(check.status, check.checked_at, check.latency_ms or 0, check.error_message, id=check.id)
        for check in reversed(service.checks)
    ]
    return rebuild(service.service_name, judged, since, checks, policy)


_JUDGED: Mapping[AlertType, Status] = {"service_down": "down", "service_degraded": "degraded", "recovery": "healthy"}


def _judged(episode: _Episode | None) -> tuple[Status, datetime | None]:
    """The judged status that the judge's newest word tells, and since when, if it isn't healthy."""
    judged = _JUDGED[episode.alert_type] if episode else "healthy"
    if episode is None or judged == "healthy":
        return "healthy", None
    since = (episode.details or {}).get(f"{judged}_since")
    return judged, parse_timestamp(since) if isinstance(since, str) else episode.created_at
