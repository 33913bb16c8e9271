"""The README's services: a website, a Redis, a Postgres and a function, stopped and started during monitoring."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.command import run, running
from tests.support.redis import RedisServer, run_redis
from tests.support.server import Cluster, PostgresServer, home_folder, start_server
from tests.support.waiting import wait_until
from tests.support.website import Website

NAMES = ("cache", "orders database", "queue depth", "website")
INCIDENTS = (
    "SELECT service_name, string_agg(alert_type || ' ' || status, ', ' ORDER BY created_at, id) "
    "FROM alert_events GROUP BY service_name ORDER BY service_name"
)
HEALTHY = "SELECT service_name FROM service_health_checks WHERE status = 'healthy' GROUP BY 1 ORDER BY 1"
MESSAGES = "SELECT service_name, message FROM alert_events"


def _run_query(environ: dict[str, str], statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(environ["DATABASE_URL"]) as connection:
        return list(connection.execute(statement.encode()).fetchall())


@pytest.fixture
def cache() -> Iterator[RedisServer]:
    with run_redis(password="cache-password-1") as redis:
        yield redis


@pytest.fixture
def environ(server: PostgresServer, database: str, cache: RedisServer, orders: PostgresServer) -> dict[str, str]:
    return {"DATABASE_URL": server.url(database), "ORDERS_URL": orders.url(), "CACHE_URL": cache.url}


@pytest.fixture
def orders(cluster: Cluster) -> Iterator[PostgresServer]:
    with home_folder() as home:
        server = start_server(home, cluster)
        yield server
        server.embedded.stop()


def _write_files(folder: Path, website: Website) -> None:
    (folder / "myapp").mkdir()
    (folder / "myapp" / "health.py").write_text(
        "from pathlib import Path\n"
        "from vigilbase import ProbeResult\n"
        "async def queue_depth():\n"
        "    depth = int(Path('depth').read_text())\n"
        "    if depth > 100:\n"
        "        return ProbeResult('degraded', error_message=f'{depth} waiting', probe_details={'depth': depth})\n"
    )
    (folder / "depth").write_text("3")
    (folder / "vigilbase.yaml").write_text(
        "defaults: {interval: 300ms, timeout: 30s, failure_threshold: 3, success_threshold: 2}\n"
        "services:\n"
        "  - name: website\n"
        f"    http: http://127.0.0.1:{website.port}/\n"
        "    expect: {status: 200-299, body_contains: ok}\n"
        "    degraded_after: 20s\n"
        "  - {name: orders database, postgres: '${ORDERS_URL}'}\n"
        "  - {name: cache, redis: '${CACHE_URL}'}\n"
        "  - {name: queue depth, python: 'myapp.health:queue_depth'}\n"
    )


def test_up_stopped_and_restarted_services_open_and_resolve_alerts(
    environ: dict[str, str], website: Website, cache: RedisServer, orders: PostgresServer, tmp_path: Path
) -> None:
    _write_files(tmp_path, website)

    with running("up", cwd=tmp_path, environ=environ) as up:
        wait_until(lambda: _run_query(environ, HEALTHY), lambda rows: rows == [(name,) for name in NAMES])
        website.stop()
        cache.stop()
        orders.embedded.stop()
        (tmp_path / "depth").write_text("4211")
        wait_until(
            lambda: _run_query(environ, INCIDENTS),
            lambda rows: (
                rows == [(name, f"service_{'degraded' if name == 'queue depth' else 'down'} active") for name in NAMES]
            ),
        )
        messages = {str(name): message for name, message in _run_query(environ, MESSAGES)}
        assert messages["website"] == "website is down: connection refused"
        assert messages["cache"] == "cache is down: connection refused"
        assert messages["orders database"] == "orders database is down: connection refused"
        assert messages["queue depth"] == "queue depth is degraded: 4211 waiting"

        listed = json.loads(run("alerts", "list", "--json", cwd=tmp_path, environ=environ).stdout)
        assert sorted(alert["service_name"] for alert in listed["alerts"]) == list(NAMES)
        result = run("check", "--json", cwd=tmp_path, environ=environ)
        assert result.returncode == 1
        assert [check["status"] for check in json.loads(result.stdout)["checks"]] == ["down"] * 3 + ["degraded"]

        website.start()
        cache.start()
        orders.embedded.start()
        (tmp_path / "depth").write_text("0")
        wait_until(
            lambda: _run_query(environ, INCIDENTS),
            lambda rows: (
                rows
                == [
                    (name, f"service_{'degraded' if name == 'queue depth' else 'down'} resolved, recovery resolved")
                    for name in NAMES
                ]
            ),
        )
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    events = (tmp_path / "events.log").read_text()
    assert "cache-password-1" not in events
    assert orders.password not in events
    recorded = str(_run_query(environ, "SELECT * FROM service_health_checks"))
    assert "cache-password-1" not in recorded
    assert orders.password not in recorded
