"""Suppression: tables, days on which clocks change, and a slow reference implementation."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigilbase import InvalidInputError, Recurrence, Suppression
from vigilbase.alerts.suppression import (
    MAX_CHAIN,
    MAX_LOOKAHEAD,
    find_next_start,
    find_suppressed_until,
    find_suppression,
    find_suppression_throughout,
)
from vigilbase.models.recurrence import list_times_after, validate_cron, validate_time_zone

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)  # a Wednesday
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
ID = UUID(int=1)


def make_silence(
    start: timedelta = -HOUR, end: timedelta | None = HOUR, *, glob: str | None = "*", tag: str | None = None
) -> Suppression:
    ends_at = None if end is None else NOW + end
    return Suppression(ID, "silence", None if tag else glob, tag, NOW + start, ends_at, None, "ada", "why", NOW)


def make_window(
    cron: str | None = None,
    *,
    minutes: int = 60,
    zone: str = "UTC",
    starts_at: datetime = NOW - 400 * DAY,
    ends_at: datetime | None = None,
) -> Suppression:
    recurrence = None if cron is None else Recurrence(cron, minutes * 60, zone)
    return Suppression(ID, "maintenance", "*", None, starts_at, ends_at, recurrence, "ada", "why", NOW)


def find_until(
    *suppressions: Suppression, now: datetime = NOW, name: str = "api", tags: Sequence[str] = ()
) -> datetime | None:
    return find_suppressed_until(name, tags, now, suppressions, lookahead=DAY)


@pytest.mark.parametrize(
    ("name", "glob", "is_match"),
    [
        ("api", "api", True),
        ("api", "ap", False),
        ("api", "API", False),
        ("shop api", "shop *", True),
        ("shop", "shop *", False),
        ("api-1", "api-?", True),
        ("api-10", "api-?", False),
        ("api-1", "api-[12]", True),
        ("api-3", "api-[12]", False),
        ("api-3", "api-[!12]", True),
        ("a.i", "a.i", True),
        ("axi", "a.i", False),
        ("50%", "5_%", False),
        ("[x]", "[[]x]", True),
    ],
)
def test_silence_glob_matches_service_name(name: str, glob: str, is_match: bool) -> None:
    assert (find_until(make_silence(glob=glob), name=name) is not None) == is_match


def test_silence_tag_matches_only_services_with_tag() -> None:
    assert find_until(make_silence(tag="shop"), tags=["public", "shop"]) == NOW + HOUR
    assert find_until(make_silence(tag="shop"), tags=["shops"], name="shop") is None
    assert find_until(make_silence(tag="*"), tags=["shop"]) is None


def test_silence_includes_start_and_excludes_end() -> None:
    hour = make_silence(timedelta(0), HOUR)
    assert find_until(hour, now=NOW - timedelta(microseconds=1)) is None
    assert find_until(hour, now=NOW) == NOW + HOUR
    assert find_until(hour, now=NOW + HOUR - timedelta(microseconds=1)) == NOW + HOUR
    assert find_until(hour, now=NOW + HOUR) is None


def test_silence_of_zero_length_suppresses_nothing() -> None:
    assert find_until(make_silence(timedelta(0), timedelta(0))) is None


def test_find_suppressed_until_joins_overlapping_and_adjacent_suppressions() -> None:
    first, adjacent, overlapping = (
        make_silence(-HOUR, HOUR),
        make_silence(HOUR, 2 * HOUR),
        make_silence(HOUR / 2, 3 * HOUR / 2),
    )
    assert find_until(adjacent, first) == NOW + 2 * HOUR
    assert find_until(first, overlapping, adjacent) == NOW + 2 * HOUR
    assert find_until(first, make_silence(HOUR + SECOND, 2 * HOUR)) == NOW + HOUR
    assert find_until(first, make_silence(HOUR, 2 * HOUR, glob="db")) == NOW + HOUR
    assert find_until(first, make_window(starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)) == NOW + 2 * HOUR


def test_find_suppressed_until_distant_or_missing_end_is_capped() -> None:
    assert find_until(make_silence(-HOUR, None)) == NOW + DAY
    assert find_until(make_silence(-HOUR, 400 * DAY)) == NOW + DAY
    assert find_until(make_window("*/5 * * * *", minutes=5)) == NOW + DAY
    assert find_until(make_window("* * * * *", minutes=1)) == NOW + MAX_CHAIN * MINUTE  # more would take too long
    assert find_suppressed_until("api", [], NOW, [make_silence(-HOUR, None)]) == NOW + MAX_LOOKAHEAD


def test_find_suppressed_until_without_suppressions_is_none() -> None:
    assert find_until() is None


@pytest.mark.parametrize(
    ("cron", "minutes", "now", "until"),
    [
        ("0 12 * * *", 60, NOW, NOW + HOUR),
        ("0 12 * * *", 60, NOW - SECOND, None),
        ("0 12 * * *", 60, NOW + HOUR - SECOND, NOW + HOUR),
        ("0 12 * * *", 60, NOW + HOUR, None),
        ("0 12 * * SUN", 60, NOW, None),
        ("0 12 * * 3", 60, NOW, NOW + HOUR),
        ("0 12 * * *", 24 * 60, NOW + 5 * HOUR, NOW + 5 * HOUR + DAY),  # adjacent days
        ("0 * * * *", 59, NOW, NOW + 59 * MINUTE),
        ("0 * * * *", 60, NOW, NOW + DAY),
        ("0,30 12 * * *", 45, NOW, NOW + 75 * MINUTE),  # recurs before it ends
        ("0 12 10 6 *", 31 * 24 * 60, NOW + 30 * 24 * HOUR, NOW + 31 * 24 * HOUR),
    ],
)
def test_recurring_window_suppresses_for_its_duration(
    cron: str, minutes: int, now: datetime, until: datetime | None
) -> None:
    assert find_until(make_window(cron, minutes=minutes), now=now) == until


def test_recurring_window_suppresses_only_within_its_bounds() -> None:
    daily = make_window("0 12 * * *", starts_at=NOW + 10 * MINUTE, ends_at=NOW + 50 * MINUTE)
    assert find_until(daily, now=NOW + 10 * MINUTE - SECOND) is None
    assert find_until(daily, now=NOW + 10 * MINUTE) == NOW + 50 * MINUTE
    assert find_until(daily, now=NOW + 50 * MINUTE) is None
    assert find_until(daily, now=NOW + 24 * HOUR + 20 * MINUTE) is None


def in_berlin(month: int, day: int, hour: int, minute: int = 0, *, fold: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("cron", "minutes", "start", "end"),
    [
        # On 29 March, clocks go from 2:00 to 3:00.
        ("30 1 29 3 *", 120, in_berlin(3, 29, 1, 30), in_berlin(3, 29, 4, 30)),
        ("30 2 29 3 *", 60, in_berlin(3, 29, 3), in_berlin(3, 29, 4)),
        ("0 3 29 3 *", 60, in_berlin(3, 29, 3), in_berlin(3, 29, 4)),
        # On 25 October, the hour from 2:00 occurs twice.
        ("30 1 25 10 *", 120, in_berlin(10, 25, 1, 30), in_berlin(10, 25, 2, 30, fold=1)),
        ("30 2 25 10 *", 60, in_berlin(10, 25, 2, 30), in_berlin(10, 25, 2, 30, fold=1)),
        ("30 2 25 10 *", 30, in_berlin(10, 25, 2, 30), in_berlin(10, 25, 2, 0, fold=1)),
        ("0 3 25 10 *", 60, in_berlin(10, 25, 3), in_berlin(10, 25, 4)),
    ],
)
def test_recurring_window_clock_change_suppresses_once_for_its_duration(
    cron: str, minutes: int, start: datetime, end: datetime
) -> None:
    recurring = make_window(cron, minutes=minutes, zone="Europe/Berlin")
    assert end - start == timedelta(minutes=minutes)
    for now in (start, start + (end - start) / 2, end - SECOND):
        assert find_until(recurring, now=now) == end
    day = start.replace(hour=0)
    outside = [day + n * MINUTE for n in range(-120, 30 * 60) if not start <= day + n * MINUTE < end]
    assert [now for now in outside if find_until(recurring, now=now)] == []


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Havana")
DAYS = [datetime(2026, *day, tzinfo=UTC) for day in [(3, 8), (3, 29), (4, 4), (6, 10), (10, 25), (11, 1)]]

fixed_times = st.builds(
    "{} {} * * {}".format, st.integers(0, 59), st.integers(0, 23), st.sampled_from(["*", "0", "1-6"])
)
moments = st.builds(
    lambda day, minutes, seconds: day + timedelta(minutes=minutes, seconds=seconds),
    st.sampled_from(DAYS),
    st.integers(-60 * 24, 60 * 24),
    st.sampled_from([0, 0, 1, 59]),
)


def recurs_at(cron: str, zone: str, start: datetime) -> bool:
    """Whether a cron expression with a fixed time recurs at a whole minute, computed from the zone's clock alone."""
    minute, hour, _, _, weekdays = cron.split()
    days = {"*": range(7), "0": [6], "1-6": range(6)}[weekdays]
    local = start.astimezone(ZoneInfo(zone))
    expected = local.replace(hour=int(hour), minute=int(minute), fold=0)
    # A time that the clock skips recurs at the first minute after the change.
    while expected.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(fold=0) != expected:
        expected += MINUTE
    return local.weekday() in days and expected.astimezone(UTC) == start


def is_suppressed_by_reference(windows: Sequence[Suppression], now: datetime) -> bool:
    """Check for every past minute whether a window began then and is still active."""

    def is_active(window: Suppression) -> bool:
        if now < window.starts_at or (window.ends_at is not None and now >= window.ends_at):
            return False
        if window.recurrence is None:
            return True
        recurrence = window.recurrence
        minute = now.replace(second=0)
        return any(
            recurs_at(recurrence.cron, recurrence.time_zone, minute - n * MINUTE)
            for n in range(recurrence.duration_s // 60 + 1)
            if minute - n * MINUTE + timedelta(seconds=recurrence.duration_s) > now
        )

    return any(map(is_active, windows))


@st.composite
def draw_windows_near(draw: st.DrawFn) -> tuple[list[Suppression], datetime]:
    now = draw(moments)
    bounds = st.integers(-180, 180).map(lambda minutes: now + minutes * MINUTE)
    windows = []
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted([draw(bounds), draw(bounds)])
        cron = draw(st.one_of(st.none(), fixed_times))
        is_endless = cron is not None and draw(st.booleans())
        windows.append(
            make_window(
                cron,
                minutes=draw(st.integers(1, 200)),
                zone=draw(st.sampled_from(ZONES)),
                starts_at=start,
                ends_at=None if is_endless else end,
            )
        )
    return windows, now


@given(draw_windows_near())
def test_find_suppressed_until_matches_minute_by_minute_reference(
    case: tuple[list[Suppression], datetime],
) -> None:
    windows, now = case
    until = find_until(*windows, now=now)
    assert (until is not None) == is_suppressed_by_reference(windows, now)
    assert (find_suppression("api", [], now, windows) is not None) == (until is not None)
    if until is not None and until - now < 3 * HOUR:
        assert not is_suppressed_by_reference(windows, until)
        minute = now
        while minute < until:
            assert is_suppressed_by_reference(windows, minute)
            minute += 7 * MINUTE


@given(draw_windows_near())
def test_find_next_start_matches_minute_by_minute_reference(case: tuple[list[Suppression], datetime]) -> None:
    windows, now = case
    for each in windows:
        start = find_next_start(each, now)
        assert start is None or not is_suppressed_by_reference([each], now)
        if start is not None and start - now < 3 * HOUR:
            assert is_suppressed_by_reference([each], start)
            assert not is_suppressed_by_reference([each], start - SECOND)


@given(fixed_times, st.sampled_from(ZONES), moments)
@example("30 2 * * *", "Europe/Berlin", in_berlin(10, 25, 2, 15, fold=1))
def test_list_times_after_gives_ascending_later_times(cron: str, zone: str, moment: datetime) -> None:
    times = list_times_after(cron, zone, moment)
    series = [moment, *(next(times) for _ in range(5))]
    assert sorted(set(series)) == series


@pytest.mark.parametrize(
    ("cron", "rule"),
    [
        ("", "5 fields"),
        ("0 3 * *", "5 fields"),
        ("0 0 3 * * *", "5 fields"),
        ("61 3 * * *", "Bad minute"),
        ("0 3 * * Sunday", "Bad day-of-week"),
        ("0 3 30 2 *", "Bad day-of-month"),
        ("@daily", "5 fields"),
        (None, "5 fields"),
    ],
)
def test_validate_cron_invalid_expression_is_rejected_in_one_line(cron: object, rule: str) -> None:
    with pytest.raises(InvalidInputError, match=rule) as rejection:
        validate_cron(cron)
    assert "\n" not in str(rejection.value)
    assert rejection.value.field == "cron"


@pytest.mark.parametrize(
    "time_zone", ["", "Mars/Olympus", "/etc/passwd", "../etc", "Europe", "Europe/Berlin\n", "\x00", None, 1]
)
def test_validate_time_zone_invalid_name_is_rejected(time_zone: object) -> None:
    with pytest.raises(InvalidInputError, match="time_zone must be the IANA name"):
        validate_time_zone(time_zone)


def test_validate_time_zone_missing_tzdata_advises_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    import zoneinfo

    zoneinfo.reset_tzpath([])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(InvalidInputError, match="install the package tzdata"):
            validate_time_zone("Europe/Berlin")
    finally:
        zoneinfo.reset_tzpath()
    assert validate_time_zone("Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize("recurrence", [Recurrence("nonsense", 60, "UTC"), Recurrence("* * * * *", 60, "Mars/Olympus")])
def test_recurring_window_invalid_recurrence_suppresses_nothing(recurrence: Recurrence) -> None:
    """Other programs may write rows, and one notification too many is better than one too few."""
    invalid = Suppression(ID, "maintenance", "*", None, NOW - HOUR, None, recurrence, "ada", "why", NOW)
    assert find_until(invalid) is None
    assert find_next_start(invalid, NOW) is None
    assert find_until(invalid, make_silence()) == NOW + HOUR


@pytest.mark.parametrize(
    ("silences", "is_suppressed"),
    [
        ([(-2, 2)], True),
        ([(-2, 1)], False),  # half-open: not active at the end
        ([(-2, 1.1)], True),
        ([(0, 2)], True),
        ([(0.1, 2)], False),
        ([(-2, 0.5), (0.5, 2)], True),  # adjacent
        ([(-2, 0.4), (0.5, 2)], False),
        ([], False),
    ],
)
def test_find_suppression_throughout_requires_unbroken_cover(
    silences: Sequence[tuple[float, float]], is_suppressed: bool
) -> None:
    suppressions = [make_silence(start * HOUR, end * HOUR) for start, end in silences]
    suppression = find_suppression_throughout("api", [], NOW, NOW + HOUR, suppressions)
    assert (suppression is not None) == is_suppressed


def test_find_suppression_names_the_one_that_ends_last() -> None:
    longest = replace(make_silence(-HOUR, 2 * DAY), id=UUID(int=2**127), comment="the new release")
    suppression = find_suppression("api", [], NOW, [make_silence(), longest, make_window("0 12 * * *")])
    assert suppression is not None
    assert suppression.by == "silence 80000000 of ada: the new release"


def test_find_suppression_silence_without_end_outlasts_long_window() -> None:
    endless = replace(make_silence(), ends_at=None, id=UUID(int=2**127), comment="until ended")
    suppression = find_suppression("api", [], NOW, [make_silence(-HOUR, 2 * HOUR), endless])
    assert suppression is not None
    assert suppression.by == "silence 80000000 of ada: until ended"


def test_find_suppression_throughout_several_days_finds_silence() -> None:
    suppression = find_suppression_throughout("api", [], NOW, NOW + 9 * DAY, [make_silence(-HOUR, 10 * DAY)])
    assert suppression is not None
    assert suppression.by == f"silence {str(ID)[:8]} of ada: why"
