"""Rows of other code with values that Python can't hold, read as the nearest value, on every transport."""

import pytest

from tests.conftest import Backend
from vigilbase import AlertEventModel, HealthCheckModel
from vigilbase.clock import utc_now
from vigilbase.configfile import ServiceConfig
from vigilbase.database.time_range import EARLIEST, LATEST
from vigilbase.domain import Policy, ProbeResult
from vigilbase.runner.history import load_history


async def _fail_if_probed() -> ProbeResult:
    raise AssertionError("this test doesn't probe")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("infinity", LATEST),
        ("-infinity", EARLIEST),
        ("20000-01-01 00:00:00+00", LATEST),
        ("0044-03-15 00:00:00+00 BC", EARLIEST),
    ],
)
async def test_models_time_outside_python_range_is_read_as_nearest_time(
    each_backend: Backend, moment: str, expected: object
) -> None:
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) "
        f"VALUES ('odd', 'down', '{moment}'), ('fine', 'healthy', now())"
    )
    each_backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at, details) "
        f"""VALUES ('odd', 'service_down', 'active', '{moment}', '{{"source": "judge"}}')"""
    )
    latest = {check.service_name: check for check in await HealthCheckModel.find_latest()}
    assert latest["odd"].checked_at == expected
    assert latest["fine"].status == "healthy"
    [alert] = await AlertEventModel.find_open()
    assert alert.created_at == expected
    assert await AlertEventModel.find_by_id_prefix(str(alert.id)) == [alert]
    history = await load_history([ServiceConfig("odd", "tcp", 30, 5, Policy(3, 2), _fail_if_probed)])
    assert history.states["odd"].status == "down"


async def test_load_history_future_checks_are_excluded_from_streak(each_backend: Backend) -> None:
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) SELECT 'odd', s, t::timestamptz FROM "
        "(VALUES ('healthy', '9999-12-31'), ('down', 'yesterday'), ('down', 'infinity')) v (s, t)"
    )
    state = (await load_history([ServiceConfig("odd", "tcp", 30, 5, Policy(3, 2), _fail_if_probed)])).states["odd"]
    [result] = state.streak
    assert result.status == "down"
    assert result.checked_at < utc_now()


async def test_find_latest_unreadable_number_affects_only_its_check(each_backend: Backend) -> None:
    each_backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at, probe_details) "
        """VALUES ('odd', 'down', now(), '{"n": 1e5000}'), ('fine', 'healthy', now(), '{"n": 7}')"""
    )
    latest = {check.service_name: check for check in await HealthCheckModel.find_latest()}
    assert latest["fine"].probe_details == {"n": 7}
    details = latest["odd"].probe_details
    assert details
    if each_backend.transport != "supabase":  # the API of the tests changes numbers beyond 2^53
        assert details["n"] == "1" + "0" * 5000
