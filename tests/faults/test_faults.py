"""A few fault runs (`make faults` runs a thousand), and their preconditions."""

from tests.faults.runs import run_parallel
from tests.faults.scenario import make_scenario
from tests.support.server import Cluster
from vigilbase.notifications import attempt, outbox, worker


def test_fault_runs_with_outages_and_kills_violate_no_invariant(cluster: Cluster) -> None:
    counts = run_parallel(range(1, 16), 3, cluster)
    assert counts.violations == 0, "the output above names each violation and how to replay it"
    assert counts.runs == 15
    assert counts.outages > 0
    assert counts.kills > 0
    assert counts.restarts > 0
    assert counts.silences > 0


def test_scenario_same_seed_gives_same_scenario() -> None:
    assert [make_scenario(seed) for seed in range(50)] == [make_scenario(seed) for seed in range(50)]
    assert len({str(make_scenario(seed)) for seed in range(50)}) == 50


def test_notifications_room_does_not_import_wall_clock() -> None:
    for module in (worker, attempt, outbox):
        assert not {"utc_now", "time", "clock"} & vars(module).keys()
