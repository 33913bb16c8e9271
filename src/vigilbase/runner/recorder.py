"""From observations to rows: judge a batch, and record it with what it causes in one transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel

from vigilbase.alerts.judge import JudgedService, judge, rebuild
from vigilbase.clock import utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.values import parse_timestamp
from vigilbase.errors import DatabaseError
from vigilbase.logging import get_logger
from vigilbase.spec import ServiceSpec
from vigilbase.vocabulary import JSON, AlertType, Check, Policy, Status, Transition

log = get_logger(__name__)

States = Mapping[str, JudgedService]


class _RecentCheck(BaseModel):
    status: Status
    checked_at: AwareDatetime | None


class _Episode(BaseModel):
    alert_type: AlertType
    created_at: AwareDatetime
    details: dict[str, object] | None


class _ServiceHistory(BaseModel):
    service_name: str
    checks: list[_RecentCheck]
    episode: _Episode | None


class _WatchState(BaseModel):
    """What vigilbase_watch_state_v1 answers (migration 014)."""

    now: AwareDatetime
    services: list[_ServiceHistory]


@dataclass(frozen=True, slots=True)
class History:
    """Where every service stands by what is recorded, and how far the database's clock is ahead of ours."""

    states: States
    clock_difference: timedelta


async def load_history(specs: Sequence[ServiceSpec]) -> History:
    """Rebuild the state of the services from their last checks and alert events, in one call.

    Raises:
        DatabaseError: the database fails.

    """
    depth = max(max(spec.policy.failures, spec.policy.successes) for spec in specs)
    before = utc_now()
    answer = await get_supabase_service_client().call(
        "vigilbase_watch_state_v1",
        {"p_service_names": json.dumps([spec.name for spec in specs]), "p_checks": depth},
    )
    after = utc_now()
    try:
        return _history(answer, midpoint=before + (after - before) / 2)
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


async def record(checks: Sequence[Check], transitions: Sequence[Transition]) -> None:
    """Write checks, and open and resolve the alerts that they cause, in one transaction; log each transition.

    Recording the same batch again changes nothing.

    Raises:
        DatabaseError: the database fails; whether it wrote the batch is then not known.

    """
    answer = await get_supabase_service_client().call(
        "vigilbase_record_v1",
        {
            "p_checks": json.dumps([_check_json(check) for check in checks], ensure_ascii=False),
            "p_transitions": json.dumps([_transition_json(transition) for transition in transitions]),
        },
    )
    log.debug("checks.recorded", count=len(checks))
    for outcome in answer if isinstance(answer, list) else []:
        _log_outcome(outcome)


def _log_outcome(outcome: JSON) -> None:
    if not isinstance(outcome, Mapping) or not isinstance(alert := outcome["alert"], Mapping):
        return
    fields = {"service_name": str(outcome["service_name"]), "message": str(alert["message"]), "id": str(alert["id"])}
    if outcome["outcome"] == "opened":
        log.warning("alert.opened", **fields)
    elif outcome["outcome"] == "recovered":
        log.info("alert.resolved", **fields)


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


def _transition_json(transition: Transition) -> Mapping[str, JSON]:
    return {
        "service_name": transition.service_name,
        "to": transition.to,
        "message": transition.message,
        "details": transition.details,
    }


def _history(answer: JSON, midpoint: datetime) -> History:
    watch_state = _WatchState.model_validate(answer)
    states = {
        service.service_name: rebuild(
            service.service_name,
            [(check.status, check.checked_at) for check in service.checks if check.checked_at],
            _down_since(service.episode),
        )
        for service in watch_state.services
    }
    return History(states, watch_state.now - midpoint)


def _down_since(episode: _Episode | None) -> datetime | None:
    """Since when the service is judged down by the judge's newest alert event, if that is what it says."""
    if episode is None or episode.alert_type != "service_down":
        return None
    since = (episode.details or {}).get("down_since")
    return parse_timestamp(since) if isinstance(since, str) else episode.created_at
