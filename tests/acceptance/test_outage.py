"""The main job, by the installed command: a real website goes down and comes back, on every transport."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SETTINGS, Backend
from tests.support.server import free_port
from tests.support.watched import Website, eventually, run, running

EVENTS = "SELECT alert_type, status FROM alert_events WHERE service_name = 'website' ORDER BY created_at"
CHECKS = "SELECT status FROM service_health_checks WHERE service_name = 'website' ORDER BY checked_at"
OPEN = [("service_down", "active")]
OVER = [("service_down", "resolved"), ("recovery", "resolved")]

Rows = list[tuple[object, ...]]


@pytest.fixture
def website() -> Iterator[Website]:
    site = Website(free_port())
    site.start()
    yield site
    site.stop()


@pytest.fixture
def folder(tmp_path: Path, website: Website) -> Path:
    (tmp_path / "vigilbase.yaml").write_text(
        # The timeout is long so that a restart, on a machine that is slow today, is no gap that breaks a row.
        "defaults: {every: 300ms, timeout: 30s, failures: 3, successes: 2}\n"
        f"services:\n  - name: website\n    http: http://127.0.0.1:{website.port}/\n"
    )
    return tmp_path


@pytest.fixture
def environ(backend: Backend) -> dict[str, str]:
    """The environment that leads to the backend's database."""
    return {name: value for name in SETTINGS if (value := os.environ.get(name))}


def _statuses(backend: Backend) -> str:
    return "".join(str(status)[0] for [status] in backend.execute(CHECKS))


def test_an_alert_opens_after_three_failures_and_resolves_after_two_successes(
    backend: Backend, website: Website, folder: Path, environ: dict[str, str]
) -> None:
    with running("up", cwd=folder, environ=environ) as up:
        eventually(lambda: _statuses(backend), lambda seen: "hh" in seen)
        website.stop()
        eventually(lambda: backend.execute(EVENTS), lambda seen: seen == OPEN)
        status = json.loads(run("status", "--json", cwd=folder, environ=environ).stdout)
        [service] = status["services"]
        assert (service["service_name"], service["status"]) == ("website", "down")
        assert (service["alert"]["alert_type"], service["alert"]["status"]) == ("service_down", "active")
        website.start()
        eventually(lambda: backend.execute(EVENTS), lambda seen: seen == OVER)
        up.send_signal(signal.SIGTERM)
        assert up.wait(10) == 0
    _require_one_whole_episode(backend)
    events = (folder / "events.log").read_text()
    assert events.count("alert.opened") == events.count("alert.resolved") == 1


def test_a_runner_killed_in_an_outage_neither_forgets_nor_repeats_when_it_is_started_again(
    backend: Backend, website: Website, folder: Path, environ: dict[str, str]
) -> None:
    with running("up", cwd=folder, environ=environ) as up:
        eventually(lambda: _statuses(backend), lambda seen: "hh" in seen)
        website.stop()
        # Killed between the first failure and the third, so that the streak itself has to be remembered …
        eventually(lambda: _statuses(backend), lambda seen: seen.endswith("d"))
        up.kill()
        up.wait()
    with running("up", cwd=folder, environ=environ) as up:
        eventually(lambda: backend.execute(EVENTS), lambda seen: seen == OPEN)
        # … and again while the alert is open, so that the alert is.
        up.kill()
        up.wait()
    with running("up", cwd=folder, environ=environ) as up:
        eventually(lambda: _statuses(backend), lambda seen: seen.count("d") >= 7)
        assert backend.execute(EVENTS) == OPEN
        website.start()
        eventually(lambda: backend.execute(EVENTS), lambda seen: seen == OVER)
        eventually(lambda: _statuses(backend), lambda seen: seen.endswith("hhhh"))
        up.send_signal(signal.SIGINT)
        assert up.wait(10) == 0
    _require_one_whole_episode(backend)


def test_a_wrong_status_code_is_an_outage_too(
    backend: Backend, website: Website, folder: Path, environ: dict[str, str]
) -> None:
    website.code = 503
    with running("up", cwd=folder, environ=environ):
        eventually(lambda: backend.execute(EVENTS), lambda seen: seen == OPEN)
    [(message, details)] = backend.execute("SELECT error_message, probe_details FROM service_health_checks LIMIT 1")
    assert message == "expected status 200-299, got 503"
    assert isinstance(details, dict)
    assert details["status_code"] == 503


def _require_one_whole_episode(backend: Backend) -> None:
    """The rows tell the episode: one trigger, one recovery that resolves it, and a downtime that fits the checks."""
    assert backend.execute(EVENTS) == OVER
    # Recorded in one transaction with the check that tipped it, so no later check is among these.
    written = (
        "SELECT count(*) FROM service_health_checks WHERE status = '{}' "
        "AND created_at <= (SELECT created_at FROM alert_events WHERE alert_type = '{}')"
    )
    assert backend.execute(written.format("down", "service_down")) == [(3,)]
    since_the_last_failure = (
        " AND created_at > (SELECT max(created_at) FROM service_health_checks WHERE status = 'down')"
    )
    assert backend.execute(written.format("healthy", "recovery") + since_the_last_failure) == [(2,)]
    [(trigger_id, resolved)] = backend.execute(
        "SELECT id::text, resolved_at >= created_at FROM alert_events WHERE alert_type = 'service_down'"
    )
    assert resolved is True
    [(details, at_once)] = backend.execute(
        "SELECT details, resolved_at = created_at FROM alert_events WHERE alert_type = 'recovery'"
    )
    assert at_once is True
    assert isinstance(details, dict)
    assert details["resolves"] == trigger_id
    [(downtime,)] = backend.execute(
        "SELECT extract(epoch FROM (SELECT min(checked_at) FROM service_health_checks WHERE status = 'healthy' "
        "AND checked_at > (SELECT min(checked_at) FROM service_health_checks WHERE status = 'down')) "
        "- (SELECT min(checked_at) FROM service_health_checks WHERE status = 'down'))::float"
    )
    assert isinstance(downtime, float)
    assert details["downtime_s"] == pytest.approx(downtime, abs=0.002)
