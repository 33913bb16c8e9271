"""Which messages are withheld and until when: a table, the days on which clocks change, and a slow oracle."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigilbase import InvalidInputError, MaintenanceWindow, Recurrence, Silence
from vigilbase.alerts.silencing import (
    LOOK_AGAIN,
    MOST_IN_A_ROW,
    next_start,
    under_maintenance,
    withheld_throughout,
    withheld_until,
)
from vigilbase.models.recurrence import times_after, valid_cron, valid_time_zone

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)  # a Wednesday
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
ID = UUID(int=1)


def silence(
    start: timedelta = -HOUR, end: timedelta | None = HOUR, *, glob: str | None = "*", tag: str | None = None
) -> Silence:
    return Silence(ID, None if tag else glob, tag, NOW + start, None if end is None else NOW + end, "ada", "why", NOW)


def window(
    cron: str | None = None,
    *,
    minutes: int = 60,
    zone: str = "UTC",
    starts_at: datetime = NOW - 400 * 24 * HOUR,
    ends_at: datetime | None = None,
) -> MaintenanceWindow:
    recurrence = None if cron is None else Recurrence(cron, minutes * 60, zone)
    return MaintenanceWindow(ID, "*", None, starts_at, ends_at, recurrence, "ada", "why", NOW)


def held(
    *each: Silence | MaintenanceWindow, now: datetime = NOW, name: str = "api", tags: Sequence[str] = ()
) -> datetime | None:
    silences = [one for one in each if isinstance(one, Silence)]
    windows = [one for one in each if isinstance(one, MaintenanceWindow)]
    return withheld_until(name, tags, now, silences, windows, look_again=DAY)


@pytest.mark.parametrize(
    ("name", "glob", "is_meant"),
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
def test_a_pattern_means_names(name: str, glob: str, is_meant: bool) -> None:
    assert (held(silence(glob=glob), name=name) is not None) == is_meant


def test_a_tag_means_who_has_it_and_nobody_else() -> None:
    assert held(silence(tag="shop"), tags=["public", "shop"]) == NOW + HOUR
    assert held(silence(tag="shop"), tags=["shops"], name="shop") is None
    assert held(silence(tag="*"), tags=["shop"]) is None


def test_it_holds_at_its_start_and_no_longer_at_its_end() -> None:
    one = silence(timedelta(0), HOUR)
    assert held(one, now=NOW - timedelta(microseconds=1)) is None
    assert held(one, now=NOW) == NOW + HOUR
    assert held(one, now=NOW + HOUR - timedelta(microseconds=1)) == NOW + HOUR
    assert held(one, now=NOW + HOUR) is None


def test_one_that_was_taken_back_never_holds() -> None:
    assert held(silence(timedelta(0), timedelta(0))) is None


def test_what_overlaps_or_follows_at_once_is_one() -> None:
    first, next_to_it, over_both = silence(-HOUR, HOUR), silence(HOUR, 2 * HOUR), silence(HOUR / 2, 3 * HOUR / 2)
    assert held(next_to_it, first) == NOW + 2 * HOUR
    assert held(first, over_both, next_to_it) == NOW + 2 * HOUR
    assert held(first, silence(HOUR + SECOND, 2 * HOUR)) == NOW + HOUR
    # Only what means the same service.
    assert held(first, silence(HOUR, 2 * HOUR, glob="db")) == NOW + HOUR
    assert held(first, window(starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)) == NOW + 2 * HOUR


def test_what_has_no_end_or_one_far_away_is_looked_at_again_after_a_while() -> None:
    assert held(silence(-HOUR, None)) == NOW + DAY
    assert held(silence(-HOUR, 400 * DAY)) == NOW + DAY
    assert held(window("*/5 * * * *", minutes=5)) == NOW + DAY
    assert held(window("* * * * *", minutes=1)) == NOW + MOST_IN_A_ROW * MINUTE  # which takes long to find out
    assert withheld_until("api", [], NOW, [silence(-HOUR, None)], []) == NOW + LOOK_AGAIN


def test_nothing_is_withheld_where_there_is_nothing() -> None:
    assert held() is None


@pytest.mark.parametrize(
    ("cron", "minutes", "now", "until"),
    [
        ("0 12 * * *", 60, NOW, NOW + HOUR),
        ("0 12 * * *", 60, NOW - SECOND, None),
        ("0 12 * * *", 60, NOW + HOUR - SECOND, NOW + HOUR),
        ("0 12 * * *", 60, NOW + HOUR, None),
        ("0 12 * * SUN", 60, NOW, None),
        ("0 12 * * 3", 60, NOW, NOW + HOUR),
        ("0 12 * * *", 24 * 60, NOW + 5 * HOUR, NOW + 5 * HOUR + DAY),  # day after day without a gap
        ("0 * * * *", 59, NOW, NOW + 59 * MINUTE),
        ("0 * * * *", 60, NOW, NOW + DAY),
        ("0,30 12 * * *", 45, NOW, NOW + 75 * MINUTE),  # it comes again before it is over
        ("0 12 10 6 *", 31 * 24 * 60, NOW + 30 * 24 * HOUR, NOW + 31 * 24 * HOUR),
    ],
)
def test_what_comes_again_holds_for_its_duration(
    cron: str, minutes: int, now: datetime, until: datetime | None
) -> None:
    assert held(window(cron, minutes=minutes), now=now) == until


def test_what_comes_again_holds_only_within_its_bounds() -> None:
    daily = window("0 12 * * *", starts_at=NOW + 10 * MINUTE, ends_at=NOW + 50 * MINUTE)
    assert held(daily, now=NOW + 10 * MINUTE - SECOND) is None
    assert held(daily, now=NOW + 10 * MINUTE) == NOW + 50 * MINUTE
    assert held(daily, now=NOW + 50 * MINUTE) is None
    assert held(daily, now=NOW + 24 * HOUR + 20 * MINUTE) is None


def berlin(month: int, day: int, hour: int, minute: int = 0, *, fold: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("cron", "minutes", "start", "end"),
    [
        # On 29 March, 2:00 is followed by 3:00.
        ("30 1 29 3 *", 120, berlin(3, 29, 1, 30), berlin(3, 29, 4, 30)),
        ("30 2 29 3 *", 60, berlin(3, 29, 3), berlin(3, 29, 4)),
        ("0 3 29 3 *", 60, berlin(3, 29, 3), berlin(3, 29, 4)),
        # On 25 October, 2:00 to 3:00 is there twice.
        ("30 1 25 10 *", 120, berlin(10, 25, 1, 30), berlin(10, 25, 2, 30, fold=1)),
        ("30 2 25 10 *", 60, berlin(10, 25, 2, 30), berlin(10, 25, 2, 30, fold=1)),
        ("30 2 25 10 *", 30, berlin(10, 25, 2, 30), berlin(10, 25, 2, 0, fold=1)),
        ("0 3 25 10 *", 60, berlin(10, 25, 3), berlin(10, 25, 4)),
    ],
)
def test_on_the_days_on_which_clocks_change_it_holds_once_and_for_its_duration(
    cron: str, minutes: int, start: datetime, end: datetime
) -> None:
    one = window(cron, minutes=minutes, zone="Europe/Berlin")
    assert end - start == timedelta(minutes=minutes)
    for now in (start, start + (end - start) / 2, end - SECOND):
        assert held(one, now=now) == end
    day = start.replace(hour=0)
    outside = [day + n * MINUTE for n in range(-120, 30 * 60) if not start <= day + n * MINUTE < end]
    assert [now for now in outside if held(one, now=now)] == []


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


def comes(cron: str, zone: str, start: datetime) -> bool:
    """Whether a cron expression of a fixed time comes at a whole minute, asked of the clocks of a zone alone."""
    minute, hour, _, _, weekdays = cron.split()
    days = {"*": range(7), "0": [6], "1-6": range(6)}[weekdays]
    local = start.astimezone(ZoneInfo(zone))
    wanted = local.replace(hour=int(hour), minute=int(minute), fold=0)
    # What is skipped comes at the first minute that there is again.
    while wanted.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(fold=0) != wanted:
        wanted += MINUTE
    return local.weekday() in days and wanted.astimezone(UTC) == start


def slowly_held(windows: Sequence[MaintenanceWindow], now: datetime) -> bool:
    """Look at every minute that has been, whether a window began then and still holds."""

    def holds(one: MaintenanceWindow) -> bool:
        if now < one.starts_at or (one.ends_at is not None and now >= one.ends_at):
            return False
        if one.recurrence is None:
            return True
        again = one.recurrence
        minute = now.replace(second=0)
        return any(
            comes(again.cron, again.time_zone, minute - n * MINUTE)
            for n in range(again.duration_s // 60 + 1)
            if minute - n * MINUTE + timedelta(seconds=again.duration_s) > now
        )

    return any(map(holds, windows))


@st.composite
def windows_near(draw: st.DrawFn) -> tuple[list[MaintenanceWindow], datetime]:
    now = draw(moments)
    bounds = st.integers(-180, 180).map(lambda minutes: now + minutes * MINUTE)
    made = []
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted([draw(bounds), draw(bounds)])
        cron = draw(st.one_of(st.none(), fixed_times))
        is_endless = cron is not None and draw(st.booleans())
        made.append(
            window(
                cron,
                minutes=draw(st.integers(1, 200)),
                zone=draw(st.sampled_from(ZONES)),
                starts_at=start,
                ends_at=None if is_endless else end,
            )
        )
    return made, now


@given(windows_near())
def test_it_is_withheld_whenever_one_holds_as_a_slow_look_at_every_minute_finds(
    case: tuple[list[MaintenanceWindow], datetime],
) -> None:
    windows, now = case
    until = held(*windows, now=now)
    assert (until is not None) == slowly_held(windows, now)
    assert under_maintenance("api", [], now, windows) == (until is not None)
    if until is not None and until - now < 3 * HOUR:
        assert not slowly_held(windows, until)
        minute = now
        while minute < until:
            assert slowly_held(windows, minute)
            minute += 7 * MINUTE


@given(windows_near())
def test_what_does_not_hold_says_when_it_will(case: tuple[list[MaintenanceWindow], datetime]) -> None:
    for one in case[0]:
        start = next_start(one, case[1])
        assert start is None or not slowly_held([one], case[1])
        if start is not None and start - case[1] < 3 * HOUR:
            assert slowly_held([one], start)
            assert not slowly_held([one], start - SECOND)


@given(fixed_times, st.sampled_from(ZONES), moments)
@example("30 2 * * *", "Europe/Berlin", berlin(10, 25, 2, 15, fold=1))
def test_times_come_in_order_and_after_the_moment(cron: str, zone: str, moment: datetime) -> None:
    times = times_after(cron, zone, moment)
    found = [moment, *(next(times) for _ in range(5))]
    assert sorted(set(found)) == found


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ("", "five"),
        ("0 3 * *", "five"),
        ("0 0 3 * * *", "five"),
        ("61 3 * * *", "Bad minute"),
        ("0 3 * * Sunday", "Bad day-of-week"),
        ("0 3 30 2 *", "Bad day-of-month"),
        ("@daily", "five"),
        (None, "five"),
    ],
)
def test_what_is_no_cron_expression_is_refused_in_one_line(bad: object, rule: str) -> None:
    with pytest.raises(InvalidInputError, match=rule.replace("five", "5 fields")) as refusal:
        valid_cron(bad)
    assert "\n" not in str(refusal.value)
    assert refusal.value.field == "cron"


@pytest.mark.parametrize(
    "bad", ["", "Mars/Olympus", "/etc/passwd", "../etc", "Europe", "Europe/Berlin\n", "\x00", None, 1]
)
def test_what_is_no_time_zone_is_refused(bad: object) -> None:
    with pytest.raises(InvalidInputError, match="time_zone must be the IANA name"):
        valid_time_zone(bad)


def test_where_there_are_no_time_zones_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import zoneinfo

    zoneinfo.reset_tzpath([])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(InvalidInputError, match="install the package tzdata"):
            valid_time_zone("Europe/Berlin")
    finally:
        zoneinfo.reset_tzpath()
    assert valid_time_zone("Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize("again", [Recurrence("nonsense", 60, "UTC"), Recurrence("* * * * *", 60, "Mars/Olympus")])
def test_what_is_not_understood_withholds_nothing(again: Recurrence) -> None:
    """Anybody may write rows, and a message too many is better than one too few."""
    odd = MaintenanceWindow(ID, "*", None, NOW - HOUR, None, again, "ada", "why", NOW)
    assert held(odd) is None
    assert next_start(odd, NOW) is None
    assert held(odd, silence()) == NOW + HOUR


@pytest.mark.parametrize(
    ("silences", "is_withheld"),
    [
        ([(-2, 2)], True),
        ([(-2, 1)], False),  # half-open: over at the very moment
        ([(-2, 1.1)], True),
        ([(0, 2)], True),
        ([(0.1, 2)], False),
        ([(-2, 0.5), (0.5, 2)], True),  # what follows at once is one
        ([(-2, 0.4), (0.5, 2)], False),
        ([], False),
    ],
)
def test_what_came_and_went_is_withheld_if_it_was_all_the_time(
    silences: Sequence[tuple[float, float]], is_withheld: bool
) -> None:
    """From now to in an hour."""
    held = [silence(start * HOUR, end * HOUR) for start, end in silences]
    found = withheld_throughout("api", [], NOW, NOW + HOUR, silences=held, windows=[])
    assert (found is not None) == is_withheld


def test_a_length_of_days_is_looked_at_as_a_whole() -> None:
    found = withheld_throughout("api", [], NOW, NOW + 9 * DAY, silences=[silence(-HOUR, 10 * DAY)], windows=[])
    assert found is not None
    assert found.by == f"silence {str(ID)[:8]} of ada: why"
