"""smoke"""
from tests.conftest import Backend
from vigilbase import CreateHealthCheckData, HealthCheckModel


async def test_a_check_comes_back_as_it_was_written(backend: Backend) -> None:
    check = await HealthCheckModel.create(CreateHealthCheckData("api", "healthy", 12, probe_details={"a": [1, 2.5, None]}))
    assert await HealthCheckModel.find_all() == [check]
    assert await HealthCheckModel.find_latest() == [check]
    assert await HealthCheckModel.find_latest_by_service("api") == check
    assert backend.execute("SELECT service_name, latency_ms FROM service_health_checks") == [("api", 12)]
