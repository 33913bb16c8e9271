"""The schedule: no drift, no herd, no bursts."""

from hypothesis import given
from hypothesis import strategies as st

from vigilbase.runner.schedule import missed, next_due, phase

NAMES = st.text(min_size=1, max_size=100)
INTERVALS = st.floats(0.1, 86_400)
MOMENTS = st.floats(0, 1e7)


@given(name=NAMES, every=INTERVALS, after=MOMENTS)
def test_a_service_is_due_within_one_interval_and_always_later(name: str, every: float, after: float) -> None:
    due = next_due(name, every, after)
    assert after < due <= after + every * 1.000001


@given(name=NAMES, after=st.floats(0, 1e6), late=st.lists(st.floats(0, 20), max_size=30))
def test_however_late_a_probe_is_the_next_is_on_the_grid(name: str, after: float, late: list[float]) -> None:
    offset = phase(name, 30)
    for delay in late:
        due = next_due(name, 30, after)
        turns = (due - offset) / 30
        assert abs(turns - round(turns)) < 1e-6
        after = due + delay


def test_a_thousand_services_are_spread_over_the_interval() -> None:
    tenths = [int(phase(f"service {number}", 30) // 3) for number in range(1000)]
    assert all(60 <= tenths.count(tenth) <= 140 for tenth in range(10))


def test_the_phase_of_a_name_never_changes() -> None:
    # Another version, another machine: the same service is due at the same place in its interval.
    assert round(phase("website", 30), 6) == 13.649853


def test_ticks_that_passed_unused_are_counted() -> None:
    assert missed(100, 130, 30) == 0
    assert missed(100, 220, 30) == 3
