"""The schedule: no drift, no herd, no bursts."""

from hypothesis import given
from hypothesis import strategies as st

from vigilbase.runner.schedule import compute_next_due, compute_phase, count_missed_ticks

NAMES = st.text(min_size=1, max_size=100)
INTERVALS = st.floats(0.1, 86_400)
MOMENTS = st.floats(0, 1e7)


@given(name=NAMES, interval_s=INTERVALS, after=MOMENTS)
def test_compute_next_due_is_later_by_at_most_one_interval(name: str, interval_s: float, after: float) -> None:
    due = compute_next_due(name, interval_s, after)
    assert after < due <= after + interval_s * 1.000001


@given(name=NAMES, after=st.floats(0, 1e6), late=st.lists(st.floats(0, 20), max_size=30))
def test_compute_next_due_late_probe_stays_on_grid(name: str, after: float, late: list[float]) -> None:
    offset = compute_phase(name, 30)
    for delay in late:
        due = compute_next_due(name, 30, after)
        ticks = (due - offset) / 30
        assert abs(ticks - round(ticks)) < 1e-6
        after = due + delay


def test_compute_phase_spreads_services_over_interval() -> None:
    tenths = [int(compute_phase(f"service {number}", 30) // 3) for number in range(1000)]
    assert all(60 <= tenths.count(tenth) <= 140 for tenth in range(10))


def test_compute_phase_of_name_is_constant() -> None:
    # On every machine and in every version, a service is due at the same point of its interval.
    assert round(compute_phase("website", 30), 6) == 13.649853


def test_count_missed_ticks_counts_skipped_ticks() -> None:
    assert count_missed_ticks(100, 130, 30) == 0
    assert count_missed_ticks(100, 220, 30) == 3
