"""Version 7 UUIDs: their layout, and an order that no clock can upset."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest

from vigilbase import ids
from vigilbase.ids import uuid7

NOON_NS = 1_795_608_000_000_000_000  # 2026-11-25T12:00:00Z


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_stamps", ids._Stamps())


def _ms(made: UUID) -> int:
    return made.int >> 80


def _fraction(made: UUID) -> int:
    return made.int >> 64 & 0xFFF


def test_uuid7_any_has_version_and_variant() -> None:
    for made in (uuid7() for _ in range(1000)):
        assert (made.version, made.variant) == (7, RFC_4122)


def test_uuid7_example_of_the_rfc_has_the_same_timestamp() -> None:
    assert str(uuid7(1_645_557_742_000 * 10**6)).startswith("017f22e2-79b0-7000-")  # RFC 9562, A.6


@pytest.mark.parametrize(
    ("nanoseconds", "ms", "fraction"),
    [(0, 0, 0), (243, 0, 0), (245, 0, 1), (500_000, 0, 2048), (999_999, 0, 4095), (1_000_000, 1, 0)],
)
def test_uuid7_given_time_is_read_back(nanoseconds: int, ms: int, fraction: int) -> None:
    made = uuid7(NOON_NS + nanoseconds)
    assert (_ms(made), _fraction(made)) == (NOON_NS // 10**6 + ms, fraction)


def test_uuid7_clock_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOON_NS)
    assert _ms(uuid7()) == NOON_NS // 10**6


def test_uuid7_one_after_the_other_sort_strictly() -> None:
    made = [uuid7() for _ in range(100_000)]
    texts = [str(one) for one in made]
    assert all(one < following for one, following in pairwise(made))
    assert texts == sorted(texts)


def test_uuid7_clock_stands_still_carries_into_the_millisecond() -> None:
    made = [uuid7(NOON_NS) for _ in range(4097)]
    assert made == sorted(made)
    assert (_ms(made[-1]), _fraction(made[-1])) == (_ms(made[0]) + 1, 0)


def test_uuid7_clock_set_back_goes_on_until_it_has_caught_up() -> None:
    times = [NOON_NS, NOON_NS - 3600 * 10**9, 0, NOON_NS - 1, NOON_NS + 10**6]
    made = [uuid7(unix_ns) for unix_ns in times]
    assert made == sorted(made)
    assert [_ms(one) - NOON_NS // 10**6 for one in made] == [0, 0, 0, 0, 1]
    assert [_fraction(one) for one in made] == [0, 1, 2, 3, 0]


def test_uuid7_same_time_in_two_processes_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    made = set()
    for _ in range(1000):
        monkeypatch.setattr(ids, "_stamps", ids._Stamps())
        made.add(uuid7(NOON_NS))
    assert len(made) == 1000
    assert len({one.int >> 64 for one in made}) == 1


def test_uuid7_threads_get_unique_ids_each_in_order() -> None:
    def several(_: int) -> list[UUID]:
        return [uuid7(NOON_NS) for _ in range(2000)]

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(several, range(8)))
    assert all(run == sorted(run) for run in runs)
    assert len({one.int >> 64 for run in runs for one in run}) == 16_000
