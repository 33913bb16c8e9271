"""Rows that others wrote and that Python can't hold as they are: read as the nearest, on every transport."""

import pytest

from tests.conftest import Backend
from vigilbase import AlertEventModel, HealthCheckModel
from vigilbase.clock import utc_now
from vigilbase.database.tolerance import EARLIEST, LATEST
from vigilbase.probes import Finding
from vigilbase.runner.recorder import load_history
from vigilbase.spec import ServiceSpec
from vigilbase.vocabulary import Policy


async def _never() -> Finding:
    raise AssertionError("nothing is probed here")


@pytest.mark.parametrize(
    ("moment", "read"),
    [
        ("infinity", LATEST),
        ("-infinity", EARLIEST),
        ("20000-01-01 00:00:00+00", LATEST),
        ("0044-03-15 00:00:00+00 BC", EARLIEST),
    ],
)
async def test_a_time_that_python_lacks_is_the_nearest_that_it_has(backend: Backend, moment: str, read: object) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) "
        f"VALUES ('odd', 'down', '{moment}'), ('fine', 'healthy', now())"
    )
    backend.execute(
        "INSERT INTO alert_events (service_name, alert_type, status, created_at, details) "
        f"""VALUES ('odd', 'service_down', 'active', '{moment}', '{{"source": "judge"}}')"""
    )
    latest = {check.service_name: check for check in await HealthCheckModel.find_latest()}
    assert latest["odd"].checked_at == read
    assert latest["fine"].status == "healthy"
    [alert] = await AlertEventModel.find_open()
    assert alert.created_at == read
    assert await AlertEventModel.find_by_id_prefix(str(alert.id)) == [alert]
    history = await load_history([ServiceSpec("odd", "tcp", 30, 5, Policy(3, 2), _never)])
    assert history.states["odd"].judged == "down"


async def test_a_check_from_the_future_is_not_what_the_judge_goes_by(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at) SELECT 'odd', s, t::timestamptz FROM "
        "(VALUES ('healthy', '9999-12-31'), ('down', 'yesterday'), ('down', 'infinity')) v (s, t)"
    )
    state = (await load_history([ServiceSpec("odd", "tcp", 30, 5, Policy(3, 2), _never)])).states["odd"]
    [seen] = state.recent
    assert seen.status == "down"
    assert seen.checked_at < utc_now()


async def test_a_number_that_nobody_can_read_hides_nothing_but_itself(backend: Backend) -> None:
    backend.execute(
        "INSERT INTO service_health_checks (service_name, status, checked_at, probe_details) "
        """VALUES ('odd', 'down', now(), '{"n": 1e5000}'), ('fine', 'healthy', now(), '{"n": 7}')"""
    )
    latest = {check.service_name: check for check in await HealthCheckModel.find_latest()}
    assert latest["fine"].probe_details == {"n": 7}
    details = latest["odd"].probe_details
    assert details
    if backend.transport != "supabase":  # the API under test changes numbers beyond 2^53 by itself
        assert details["n"] == "1" + "0" * 5000
