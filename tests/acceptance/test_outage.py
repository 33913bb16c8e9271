"""The main job: a real website goes down and comes back."""

import json
import signal
from pathlib import Path

import pytest

from tests.conftest import Backend
from tests.support.command import run, running
from tests.support.services import run_config
from tests.support.waiting import wait_until, wait_until_async
from tests.support.website import Website
from vigilbase.configfile import load_config

EVENTS = "SELECT alert_type, status FROM alert_events WHERE service_name = 'website' ORDER BY created_at"
CHECKS = "SELECT status FROM service_health_checks WHERE service_name = 'website' ORDER BY checked_at"
OPEN = [("service_down", "active")]
RESOLVED = [("service_down", "resolved"), ("recovery", "resolved")]

Rows = list[tuple[object, ...]]


@pytest.fixture
def config_folder(tmp_path: Path, website: Website) -> Path:
    (tmp_path / "vigilbase.yaml").write_text(
        # The timeout is long so that a slow restart leaves no gap, which would end the streak.
        "defaults: {interval: 300ms, timeout: 30s, failure_threshold: 3, success_threshold: 2}\n"
        f"services:\n  - name: website\n    http: http://127.0.0.1:{website.port}/\n"
    )
    return tmp_path


def _read_status_letters(backend: Backend) -> str:
    return "".join(str(status)[0] for [status] in backend.execute(CHECKS))


# Other tests start `up` on the other transports.
@pytest.mark.parametrize("each_backend", ["supabase"], indirect=True)
def test_up_outage_opens_alert_after_three_failures_and_resolves_after_two(
    each_backend: Backend, website: Website, config_folder: Path
) -> None:
    with running("up", cwd=config_folder, environ={}) as up:
        wait_until(lambda: _read_status_letters(each_backend), lambda letters: "hh" in letters)
        website.stop()
        wait_until(lambda: each_backend.execute(EVENTS), lambda rows: rows == OPEN)
        status = json.loads(run("status", "--json", cwd=config_folder, environ={}).stdout)
        [service] = status["services"]
        assert (service["service_name"], service["status"]) == ("website", "down")
        assert (service["alert"]["alert_type"], service["alert"]["status"]) == ("service_down", "active")
        website.start()
        wait_until(lambda: each_backend.execute(EVENTS), lambda rows: rows == RESOLVED)
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    _require_one_complete_incident(each_backend)
    events = (config_folder / "events.log").read_text()
    assert events.count("alert.opened") == events.count("alert.resolved") == 1


async def test_up_killed_during_outage_resumes_streak_and_open_alert(
    backend: Backend, website: Website, config_folder: Path
) -> None:
    with running("up", cwd=config_folder, environ={}) as up:
        wait_until(lambda: _read_status_letters(backend), lambda letters: "hh" in letters)
        website.stop()
        # Killed between the first failure and the third, so the streak must be remembered …
        wait_until(lambda: _read_status_letters(backend), lambda letters: letters.endswith("d"))
        up.kill()
        up.wait()
    with running("up", cwd=config_folder, environ={}) as up:
        wait_until(lambda: backend.execute(EVENTS), lambda rows: rows == OPEN)
        # … and again while the alert is open, so the alert must be remembered.
        up.kill()
        up.wait()
    async with run_config(load_config(config_folder / "vigilbase.yaml")):
        await wait_until_async(lambda: _read_status_letters(backend), lambda letters: letters.count("d") >= 7)
        assert backend.execute(EVENTS) == OPEN
        website.start()
        await wait_until_async(lambda: backend.execute(EVENTS), lambda rows: rows == RESOLVED)
        await wait_until_async(lambda: _read_status_letters(backend), lambda letters: letters.endswith("hhhh"))
    _require_one_complete_incident(backend)


async def test_outage_unexpected_status_code_opens_alert(
    backend: Backend, website: Website, config_folder: Path
) -> None:
    website.code = 503
    async with run_config(load_config(config_folder / "vigilbase.yaml")):
        await wait_until_async(lambda: backend.execute(EVENTS), lambda rows: rows == OPEN)
    [(message, details)] = backend.execute("SELECT error_message, probe_details FROM service_health_checks LIMIT 1")
    assert message == "expected status 200-299, got 503"
    assert isinstance(details, dict)
    assert details["status_code"] == 503


def _require_one_complete_incident(backend: Backend) -> None:
    """The rows are one incident: one trigger, one recovery that resolves it, and a downtime that fits the checks."""
    assert backend.execute(EVENTS) == RESOLVED
    # An alert is recorded in one transaction with the last check that caused it, so no later check is counted.
    count_until_alert = (
        "SELECT count(*) FROM service_health_checks WHERE status = '{}' "
        "AND created_at <= (SELECT created_at FROM alert_events WHERE alert_type = '{}')"
    )
    assert backend.execute(count_until_alert.format("down", "service_down")) == [(3,)]
    since_last_failure = " AND created_at > (SELECT max(created_at) FROM service_health_checks WHERE status = 'down')"
    assert backend.execute(count_until_alert.format("healthy", "recovery") + since_last_failure) == [(2,)]
    [(trigger_id, resolved)] = backend.execute(
        "SELECT id::text, resolved_at >= created_at FROM alert_events WHERE alert_type = 'service_down'"
    )
    assert resolved is True
    [(details, is_moment)] = backend.execute(
        "SELECT details, resolved_at = created_at FROM alert_events WHERE alert_type = 'recovery'"
    )
    assert is_moment is True
    assert isinstance(details, dict)
    assert details["resolves"] == trigger_id
    [(downtime,)] = backend.execute(
        "SELECT extract(epoch FROM (SELECT min(checked_at) FROM service_health_checks WHERE status = 'healthy' "
        "AND checked_at > (SELECT min(checked_at) FROM service_health_checks WHERE status = 'down')) "
        "- (SELECT min(checked_at) FROM service_health_checks WHERE status = 'down'))::float"
    )
    assert isinstance(downtime, float)
    assert details["downtime_s"] == pytest.approx(downtime, abs=0.002)
