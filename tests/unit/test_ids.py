"""Version 7 UUIDs: their layout, and their order even if the clock is set back."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest

from vigilbase import ids
from vigilbase.ids import uuid7

NOON_NS = 1_795_608_000_000_000_000  # 2026-11-25T12:00:00Z


@pytest.fixture(autouse=True)
def _reset_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_stamps", ids._Stamps())


def _get_ms(uuid: UUID) -> int:
    return uuid.int >> 80


def _get_fraction(uuid: UUID) -> int:
    return uuid.int >> 64 & 0xFFF


def test_uuid7_has_version_and_variant() -> None:
    for uuid in (uuid7() for _ in range(1000)):
        assert (uuid.version, uuid.variant) == (7, RFC_4122)


def test_uuid7_rfc_example_time_gives_same_timestamp() -> None:
    assert str(uuid7(1_645_557_742_000 * 10**6)).startswith("017f22e2-79b0-7000-")  # RFC 9562, A.6


@pytest.mark.parametrize(
    ("nanoseconds", "ms", "fraction"),
    [(0, 0, 0), (243, 0, 0), (245, 0, 1), (500_000, 0, 2048), (999_999, 0, 4095), (1_000_000, 1, 0)],
)
def test_uuid7_given_time_is_encoded(nanoseconds: int, ms: int, fraction: int) -> None:
    uuid = uuid7(NOON_NS + nanoseconds)
    assert (_get_ms(uuid), _get_fraction(uuid)) == (NOON_NS // 10**6 + ms, fraction)


def test_uuid7_without_time_encodes_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOON_NS)
    assert _get_ms(uuid7()) == NOON_NS // 10**6


def test_uuid7_consecutive_ids_sort_strictly() -> None:
    uuids = [uuid7() for _ in range(100_000)]
    texts = [str(uuid) for uuid in uuids]
    assert all(earlier < later for earlier, later in pairwise(uuids))
    assert texts == sorted(texts)


def test_uuid7_fraction_overflow_carries_into_millisecond() -> None:
    uuids = [uuid7(NOON_NS) for _ in range(4097)]
    assert uuids == sorted(uuids)
    assert (_get_ms(uuids[-1]), _get_fraction(uuids[-1])) == (_get_ms(uuids[0]) + 1, 0)


def test_uuid7_clock_set_back_keeps_ids_ascending() -> None:
    times = [NOON_NS, NOON_NS - 3600 * 10**9, 0, NOON_NS - 1, NOON_NS + 10**6]
    uuids = [uuid7(unix_ns) for unix_ns in times]
    assert uuids == sorted(uuids)
    assert [_get_ms(uuid) - NOON_NS // 10**6 for uuid in uuids] == [0, 0, 0, 0, 1]
    assert [_get_fraction(uuid) for uuid in uuids] == [0, 1, 2, 3, 0]


def test_uuid7_same_time_in_two_processes_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    uuids = set()
    for _ in range(1000):
        monkeypatch.setattr(ids, "_stamps", ids._Stamps())
        uuids.add(uuid7(NOON_NS))
    assert len(uuids) == 1000
    assert len({uuid.int >> 64 for uuid in uuids}) == 1


def test_uuid7_concurrent_threads_get_unique_ascending_ids() -> None:
    def make_ids(_: int) -> list[UUID]:
        return [uuid7(NOON_NS) for _ in range(2000)]

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(make_ids, range(8)))
    assert all(run == sorted(run) for run in runs)
    assert len({uuid.int >> 64 for run in runs for uuid in run}) == 16_000
