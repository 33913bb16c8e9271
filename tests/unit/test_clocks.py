"""When `vigilbase doctor` finds that two clocks don't agree."""

from datetime import UTC, datetime, timedelta

import pytest

from vigilbase.cli.examination import compare_clocks

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "found"),
    [
        (0, "ok", "0.0 s ahead of"),
        (1.9, "ok", "1.9 s ahead of"),
        (-2, "ok", "2.0 s behind"),
        (2.1, "warning", "2.1 s ahead of"),
        (-3600, "warning", "3600.0 s behind"),
    ],
)
def test_a_difference_of_more_than_two_seconds_is_a_warning(ahead_s: float, verdict: str, found: str) -> None:
    finding = compare_clocks(NOON, NOON + timedelta(seconds=ahead_s))
    assert finding.verdict == verdict
    assert finding.found == f"the database's is {found} this machine's"
    assert bool(finding.advice) == (verdict == "warning")
