"""Recording: how a transition changes the alert events, whichever exist already."""

from datetime import datetime, timedelta

import pytest

from tests.conftest import Backend
from vigilbase import AlertEventModel, CreateAlertEventData, HealthCheckModel
from vigilbase.alerts.judge import ServiceState
from vigilbase.clock import utc_now
from vigilbase.configfile import ServiceConfig
from vigilbase.domain import Check, Policy, ProbeResult, Status
from vigilbase.runner.history import States, load_history
from vigilbase.runner.recorder import judge_batch, record
from vigilbase.runner.retention import delete_expired

LETTERS: dict[str, Status] = {"h": "healthy", "d": "down", "g": "degraded"}
POLICY = Policy(3, 2)
EVENTS = "SELECT alert_type, status FROM alert_events ORDER BY created_at, id"


async def _fail_if_probed() -> ProbeResult:
    raise AssertionError("this test doesn't probe")


API = ServiceConfig("api", "tcp", 30, 5, POLICY, _fail_if_probed)


def _make_checks(letters: str, first: datetime | None = None) -> list[Check]:
    start = first or utc_now() - timedelta(minutes=5)
    errors = {"d": "connection refused", "g": "took 2 s"}
    return [
        Check("api", ProbeResult(LETTERS[letter], errors.get(letter), None, 5, start + timedelta(seconds=place)))
        for place, letter in enumerate(letters)
    ]


async def _judge_and_record(letters: str, states: States | None = None, policy: Policy = POLICY) -> list[Check]:
    """Judge and record checks one by one, as a runner does after its start."""
    checks = _make_checks(letters)
    current: States = states or (await load_history([API])).states
    for check in checks:
        current, transitions = judge_batch(current, [check], {"api": policy})
        await record([check], transitions)
    return checks


def _list_events(backend: Backend) -> list[tuple[object, ...]]:
    return backend.execute(EVENTS)


async def _load_state() -> ServiceState:
    return (await load_history([API])).states["api"]


@pytest.mark.parametrize(
    ("letters", "expected", "status"),
    [
        ("hhhh", [], "healthy"),
        ("ddd", [("service_down", "active")], "down"),
        ("ggg", [("service_degraded", "active")], "degraded"),
        ("gggddd", [("service_degraded", "resolved"), ("service_down", "active")], "down"),
        ("ggghh", [("service_degraded", "resolved"), ("recovery", "resolved")], "healthy"),
        ("dddhh", [("service_down", "resolved"), ("recovery", "resolved")], "healthy"),
        (
            "dddgg",
            [("service_down", "resolved"), ("recovery", "resolved"), ("service_degraded", "active")],
            "degraded",
        ),
        (
            "dddgghh",
            [
                ("service_down", "resolved"),
                ("recovery", "resolved"),
                ("service_degraded", "resolved"),
                ("recovery", "resolved"),
            ],
            "healthy",
        ),
    ],
)
async def test_record_check_sequence_gives_expected_alert_events(
    backend: Backend, letters: str, expected: list[tuple[str, str]], status: str
) -> None:
    await _judge_and_record(letters)
    assert _list_events(backend) == expected
    state = await _load_state()
    assert state.status == status
    assert (state.since is None) == (status == "healthy")


async def test_record_degraded_to_down_links_superseded_alert(backend: Backend) -> None:
    await _judge_and_record("gggddd")
    [(superseded_by, down)] = backend.execute(
        "SELECT (SELECT details ->> 'superseded_by' FROM alert_events WHERE alert_type = 'service_degraded'), "
        "(SELECT id::text FROM alert_events WHERE alert_type = 'service_down')"
    )
    assert superseded_by == down


async def test_record_alert_details_name_recorded_check_ids(backend: Backend) -> None:
    checks = await _judge_and_record("hdddhh")
    [alert] = [alert for alert in await AlertEventModel.find_newest() if alert.alert_type == "service_down"]
    assert alert.details
    assert alert.details["check_ids"] == [str(check.result.id) for check in checks[1:4]]
    assert alert.details["reason"] == "3 consecutive checks were down"
    recorded = {str(check.id) for check in await HealthCheckModel.find_all(service_name="api")}
    assert recorded == {str(check.result.id) for check in checks}


async def test_load_history_after_restart_restores_streak_and_incident_start(each_backend: Backend) -> None:
    first = utc_now() - timedelta(minutes=1)
    checks = _make_checks("hdddh", first)
    states, transitions = judge_batch({}, checks, {"api": POLICY})
    await record(checks, transitions)
    assert await _load_state() == states["api"]
    assert states["api"].since == checks[1].result.checked_at


@pytest.mark.parametrize("letters", ["dh", "dhd", "dgh", "gdh"])
async def test_record_repeated_batch_with_several_transitions_counts_once(backend: Backend, letters: str) -> None:
    checks = _make_checks(letters)
    _, transitions = judge_batch({}, checks, {"api": Policy(1, 1)})
    assert len(transitions) == len(letters)
    await record(checks, transitions)
    once = _list_events(backend)
    await record(checks, transitions)
    assert _list_events(backend) == once
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(len(letters),)]


async def test_record_conflicting_runners_leave_one_open_alert(backend: Backend) -> None:
    for checks in (_make_checks("ddd"), _make_checks("ggg")):
        _, transitions = judge_batch({}, checks, {"api": POLICY})
        await record(checks, transitions)
    # The second runner reports healthy to degraded, but the service is down by now.
    assert _list_events(backend) == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
        ("service_degraded", "active"),
    ]
    for _ in range(2):
        recovering = _make_checks("hh")
        states = {"api": ServiceState("api", "down", utc_now() - timedelta(minutes=1))}
        await record(recovering, judge_batch(states, recovering, {"api": POLICY})[1])
    assert _list_events(backend)[2:] == [("service_degraded", "resolved"), ("recovery", "resolved")]


async def test_record_alert_raised_by_other_code_is_adopted_across_restart(
    backend: Backend,
) -> None:
    raised, _ = await AlertEventModel.raise_alert(
        CreateAlertEventData("api", "service_down", message="a customer called")
    )
    await _judge_and_record("ddd")
    [alert] = await AlertEventModel.find_open()
    assert (alert.id, alert.message) == (raised.id, "a customer called")
    assert alert.details
    assert alert.details["last_error"] == "connection refused"
    assert (await _load_state()).status == "down"
    await _judge_and_record("hh")
    assert _list_events(backend) == [("service_down", "resolved"), ("recovery", "resolved")]


async def test_load_history_clock_set_back_uses_newest_transition(backend: Backend) -> None:
    await _judge_and_record("ddd")
    backend.execute("UPDATE alert_events SET created_at = now() + interval '1 hour'")
    await _judge_and_record("hh")
    assert _list_events(backend) == [("service_down", "resolved"), ("recovery", "resolved")]
    assert (await _load_state()).status == "healthy"


async def test_record_future_checked_at_is_set_to_now_and_kept_in_details(backend: Backend) -> None:
    future = utc_now() + timedelta(days=400)
    await record(_make_checks("h", future), [])
    [(is_past, checked_at_was)] = backend.execute(
        "SELECT checked_at <= now(), probe_details ->> 'checked_at_was' FROM service_health_checks"
    )
    assert is_past is True
    assert datetime.fromisoformat(str(checked_at_was)) == future


async def test_delete_expired_deletes_old_checks_and_only_resolved_alerts(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at, created_at) "
        "SELECT 'api', 'healthy', t, t FROM (VALUES (now() - interval '31 days'), (now() - interval '29 days')) v (t)"
    )
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at) "
        "SELECT 'api', 'service_down', s, now() - d * interval '1 day' "
        "FROM (VALUES ('resolved', 31), ('active', 31), ('acknowledged', 400), ('resolved', 29)) v (s, d)"
    )
    assert await delete_expired(30) == (1, 1)
    assert await delete_expired(30) == (0, 0)
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(1,)]
    assert backend.execute("SELECT status FROM alert_events ORDER BY created_at") == [
        ("acknowledged",),
        ("active",),
        ("resolved",),
    ]
