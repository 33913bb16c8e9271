"""When `vigilbase doctor` warns that two clocks disagree."""

from datetime import UTC, datetime, timedelta

import pytest

from vigilbase.cli.doctor_checks import compare_clocks

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead_s", "status", "difference"),
    [
        (0, "ok", "0.0 s ahead of"),
        (1.9, "ok", "1.9 s ahead of"),
        (-2, "ok", "2.0 s behind"),
        (2.1, "warning", "2.1 s ahead of"),
        (-3600, "warning", "3600.0 s behind"),
    ],
)
def test_compare_clocks_difference_over_two_seconds_is_warning(ahead_s: float, status: str, difference: str) -> None:
    finding = compare_clocks(NOON, NOON + timedelta(seconds=ahead_s))
    assert finding.status == status
    assert finding.message == f"the database's is {difference} this machine's"
    assert bool(finding.advice) == (status == "warning")
