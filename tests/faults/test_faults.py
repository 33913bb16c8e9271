"""A few of the runs that `make faults` makes a thousand of, and whether a run could fail at all."""

from tests.faults.runs import in_lanes
from tests.faults.scenario import scenario
from vigilbase.runner import deliveries, outbox


def test_nothing_is_lost_nor_told_twice_without_need_whatever_befalls_the_senders() -> None:
    counts = in_lanes(range(1, 16), jobs=3)
    assert counts.violations == 0, "see above which, and how to replay it"
    assert counts.runs == 15
    assert counts.outages > 0
    assert counts.kills > 0
    assert counts.restarts > 0
    assert counts.silences > 0


def test_a_seed_is_always_the_same_run() -> None:
    assert [scenario(seed) for seed in range(50)] == [scenario(seed) for seed in range(50)]
    assert len({str(scenario(seed)) for seed in range(50)}) == 50


def test_no_decision_about_a_delivery_reads_the_wall_clock_of_its_sender() -> None:
    for module in (deliveries, outbox):
        assert not {"utc_now", "time", "clock"} & vars(module).keys()
