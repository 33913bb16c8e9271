"""Recording on every transport: what a transition does to the alert events, whatever was there before."""

from datetime import datetime, timedelta

import pytest

from tests.conftest import Backend
from vigilbase import AlertEventModel, CreateAlertEventData, HealthCheckModel
from vigilbase.alerts.judge import JudgedService
from vigilbase.clock import utc_now
from vigilbase.probes import Finding
from vigilbase.runner.recorder import States, judge_batch, load_history, record
from vigilbase.runner.retention import delete_old
from vigilbase.spec import ServiceSpec
from vigilbase.vocabulary import Check, Observation, Policy, Status

LETTERS: dict[str, Status] = {"h": "healthy", "d": "down", "g": "degraded"}
POLICY = Policy(3, 2)
EVENTS = "SELECT alert_type, status FROM alert_events ORDER BY created_at, id"


async def _never() -> Finding:
    raise AssertionError("nothing is probed here")


API = ServiceSpec("api", "tcp", 30, 5, POLICY, _never)


def _checks(letters: str, first: datetime | None = None) -> list[Check]:
    start = first or utc_now() - timedelta(minutes=5)
    errors = {"d": "connection refused", "g": "took 2 s"}
    return [
        Check("api", Observation(LETTERS[letter], start + timedelta(seconds=place), 5, errors.get(letter)))
        for place, letter in enumerate(letters)
    ]


async def _watch(letters: str, states: States | None = None, policy: Policy = POLICY) -> list[Check]:
    """Judge and record some checks, in one batch each, as a runner that has just been started would."""
    checks = _checks(letters)
    judged: States = states or (await load_history([API])).states
    for check in checks:
        judged, transitions = judge_batch(judged, [check], {"api": policy})
        await record([check], transitions)
    return checks


def _events(backend: Backend) -> list[tuple[object, ...]]:
    return backend.execute(EVENTS)


async def _judged() -> JudgedService:
    return (await load_history([API])).states["api"]


@pytest.mark.parametrize(
    ("letters", "expected", "judged"),
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
async def test_the_alert_events_are_those_of_the_table(
    backend: Backend, letters: str, expected: list[tuple[str, str]], judged: str
) -> None:
    await _watch(letters)
    assert _events(backend) == expected
    state = await _judged()
    assert state.judged == judged
    assert (state.since is None) == (judged == "healthy")


async def test_what_degraded_became_down_is_linked_and_leaves_no_recovery(backend: Backend) -> None:
    await _watch("gggddd")
    [(superseded_by, down)] = backend.execute(
        "SELECT (SELECT details ->> 'superseded_by' FROM alert_events WHERE alert_type = 'service_degraded'), "
        "(SELECT id::text FROM alert_events WHERE alert_type = 'service_down')"
    )
    assert superseded_by == down


async def test_an_alert_names_the_checks_that_caused_it_and_they_are_there(backend: Backend) -> None:
    checks = await _watch("hdddhh")
    [alert] = [alert for alert in await AlertEventModel.find_newest() if alert.alert_type == "service_down"]
    assert alert.details
    assert alert.details["check_ids"] == [str(check.observation.id) for check in checks[1:4]]
    assert alert.details["reason"] == "3 checks in a row were down"
    recorded = {str(check.id) for check in await HealthCheckModel.find_all(service_name="api")}
    assert recorded == {str(check.observation.id) for check in checks}


async def test_the_streak_and_the_start_of_an_episode_survive_a_restart(backend: Backend) -> None:
    first = utc_now() - timedelta(minutes=1)
    checks = _checks("hdddh", first)
    states, transitions = judge_batch({}, checks, {"api": POLICY})
    await record(checks, transitions)
    assert await _judged() == states["api"]
    assert states["api"].since == checks[1].observation.checked_at


@pytest.mark.parametrize("letters", ["dh", "dhd", "dgh", "gdh"])
async def test_a_batch_with_several_transitions_that_is_sent_twice_counts_once(backend: Backend, letters: str) -> None:
    checks = _checks(letters)
    _, transitions = judge_batch({}, checks, {"api": Policy(1, 1)})
    assert len(transitions) == len(letters)
    await record(checks, transitions)
    once = _events(backend)
    await record(checks, transitions)
    assert _events(backend) == once
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(len(letters),)]


async def test_two_runners_that_come_to_different_ends_leave_one_open_alert(backend: Backend) -> None:
    one, other = _checks("ddd"), _checks("ggg")
    for checks in (one, other):
        _, transitions = judge_batch({}, checks, {"api": POLICY})
        await record(checks, transitions)
    # The second one, that saw it degraded, speaks of a service that was healthy; it is down by now.
    assert _events(backend) == [
        ("service_down", "resolved"),
        ("recovery", "resolved"),
        ("service_degraded", "active"),
    ]
    for _ in range(2):
        recovering = _checks("hh")
        states = {"api": JudgedService("api", "down", utc_now() - timedelta(minutes=1))}
        await record(recovering, judge_batch(states, recovering, {"api": POLICY})[1])
    assert _events(backend)[2:] == [("service_degraded", "resolved"), ("recovery", "resolved")]


async def test_an_alert_raised_by_other_code_becomes_the_judges_own_and_stays_so_after_a_restart(
    backend: Backend,
) -> None:
    raised, _ = await AlertEventModel.raise_alert(
        CreateAlertEventData("api", "service_down", message="a customer says")
    )
    await _watch("ddd")
    [alert] = await AlertEventModel.find_open()
    assert (alert.id, alert.message) == (raised.id, "a customer says")
    assert alert.details
    assert alert.details["last_error"] == "connection refused"
    assert (await _judged()).judged == "down"
    await _watch("hh")
    assert _events(backend) == [("service_down", "resolved"), ("recovery", "resolved")]


async def test_the_clock_that_was_set_back_does_not_hide_the_newest_word(backend: Backend) -> None:
    await _watch("ddd")
    backend.execute("UPDATE alert_events SET created_at = now() + interval '1 hour'")
    await _watch("hh")
    assert _events(backend) == [("service_down", "resolved"), ("recovery", "resolved")]
    assert (await _judged()).judged == "healthy"


async def test_a_check_from_the_future_is_set_back_to_now_and_says_so(backend: Backend) -> None:
    future = utc_now() + timedelta(days=400)
    await record(_checks("h", future), [])
    [(in_time, noted)] = backend.execute(
        "SELECT checked_at <= now(), probe_details ->> 'checked_at_was' FROM service_health_checks"
    )
    assert in_time is True
    assert datetime.fromisoformat(str(noted)) == future


async def test_retention_deletes_old_checks_and_old_resolved_alerts_and_keeps_open_ones(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at, created_at) "
        "SELECT 'api', 'healthy', t, t FROM (VALUES (now() - interval '31 days'), (now() - interval '29 days')) v (t)"
    )
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at) "
        "SELECT 'api', 'service_down', s, now() - d * interval '1 day' "
        "FROM (VALUES ('resolved', 31), ('active', 31), ('acknowledged', 400), ('resolved', 29)) v (s, d)"
    )
    assert await delete_old(30) == (1, 1)
    assert await delete_old(30) == (0, 0)
    assert backend.execute("SELECT count(*) FROM service_health_checks") == [(1,)]
    assert backend.execute("SELECT status FROM alert_events ORDER BY created_at") == [
        ("acknowledged",),
        ("active",),
        ("resolved",),
    ]
