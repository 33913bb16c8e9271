"""`SilenceModel` and `MaintenanceModel` on every transport; what both do alike is asked of both."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Backend
from vigilbase import (
    CreateMaintenanceData,
    CreateSilenceData,
    InvalidInputError,
    MaintenanceModel,
    MaintenanceWindow,
    Recurrence,
    Silence,
    SilenceModel,
)
from vigilbase.alerts.silencing import LOOK_AGAIN
from vigilbase.runner.silencing import load_silencing

HOUR = timedelta(hours=1)
SUNDAYS = Recurrence("0 3 * * 0", 7200, "Europe/Berlin")


@dataclass(frozen=True)
class Kind:
    model: Any
    data: Callable[..., Any]
    name: str


KINDS = [
    Kind(SilenceModel, CreateSilenceData, "silence"),
    Kind(MaintenanceModel, CreateMaintenanceData, "maintenance"),
]
both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def data(kind: Kind, **fields: object) -> Any:
    return kind.data(**{"author": "ada", "comment": "deploy", "service_glob": "shop-*", "length_s": 3600, **fields})


def soon() -> datetime:
    return datetime.now(UTC) + HOUR


@both
async def test_one_that_is_added_begins_now_and_is_returned_as_it_is_stored(backend: Backend, kind: Kind) -> None:
    before = datetime.now(UTC)
    added = await kind.model.add(data(kind, comment="  the new release "))
    assert isinstance(added.id, UUID)
    assert (added.service_glob, added.tag, added.author) == ("shop-*", None, "ada")
    assert added.comment == "the new release"
    assert added.starts_at.tzinfo is UTC
    assert abs(added.starts_at - before) < timedelta(minutes=1)
    assert added.ends_at == added.starts_at + HOUR
    assert backend.execute("SELECT id, starts_at, ends_at FROM vigilbase.suppressions") == [
        (added.id, added.starts_at, added.ends_at)
    ]


@both
async def test_one_may_begin_and_end_at_times_to_come(backend: Backend, kind: Kind) -> None:
    start = soon()
    added = await kind.model.add(
        data(kind, service_glob=None, tag="shop", starts_at=start, ends_at=start + HOUR, length_s=None)
    )
    assert (added.service_glob, added.tag) == (None, "shop")
    assert (added.starts_at, added.ends_at) == (start, start + HOUR)
    assert await kind.model.find_current() == [added]


async def test_a_silence_may_have_no_end_and_a_window_that_comes_again_too(backend: Backend) -> None:
    silence = await SilenceModel.add(CreateSilenceData("ada", "deploy", tag="shop"))
    assert silence.ends_at is None
    window = await MaintenanceModel.add(CreateMaintenanceData("ada", "backups", tag="shop", recurrence=SUNDAYS))
    assert (window.ends_at, window.recurrence) == (None, SUNDAYS)
    assert await MaintenanceModel.find_current() == [window]
    with pytest.raises(InvalidInputError, match="ends_at must be given for what comes once"):
        await MaintenanceModel.add(CreateMaintenanceData("ada", "backups", tag="shop"))


@both
@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"tag": "shop"}, "service_glob or tag must be given, and not both"),
        ({"service_glob": None}, "service_glob or tag must be given, and not both"),
        ({"service_glob": " "}, "service_glob must not be empty"),
        ({"service_glob": "x" * 101}, "service_glob must have at most 100"),
        ({"service_glob": None, "tag": "a\x00"}, "tag must not contain a NUL"),
        ({"author": ""}, "author must not be empty"),
        ({"author": None}, "author must not be empty"),
        ({"comment": "\n"}, "comment must not be empty"),
        ({"comment": "x" * 2001}, "comment must have at most 2000"),
        ({"ends_at": soon()}, "ends_at and length_s must not both be given"),
        ({"length_s": 0}, "length_s must be a number of seconds"),
        ({"length_s": float("nan")}, "length_s must be a number of seconds"),
        ({"length_s": float("inf")}, "length_s must be a number of seconds"),
        ({"starts_at": datetime(2030, 1, 1)}, "starts_at must be a datetime with a time zone"),  # noqa: DTZ001
        ({"starts_at": datetime(2020, 1, 1, tzinfo=UTC)}, "starts_at must not be in the past"),
        ({"length_s": None, "ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "ends_at must be later than the start"),
    ],
)
async def test_what_breaks_a_rule_is_refused_and_nothing_is_written(
    backend: Backend, kind: Kind, fields: dict[str, object], rule: str
) -> None:
    with pytest.raises(InvalidInputError, match=rule):
        await kind.model.add(data(kind, **fields))
    assert backend.execute("SELECT count(*) FROM vigilbase.suppressions") == [(0,)]


@both
async def test_an_interval_is_half_open_so_one_without_length_is_refused(backend: Backend, kind: Kind) -> None:
    start = soon()
    with pytest.raises(InvalidInputError, match="ends_at must be later than the start"):
        await kind.model.add(data(kind, starts_at=start, ends_at=start, length_s=None))


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (replace(SUNDAYS, cron="0 3 * *"), "cron must have 5 fields"),
        (replace(SUNDAYS, cron="0 3 31 2 *"), "cron must be a cron expression .*Bad day-of-month"),
        (replace(SUNDAYS, duration_s=59), "duration_s must be a whole number from 60 to 2678400"),
        (replace(SUNDAYS, time_zone="Mars/Olympus"), "time_zone must be the IANA name"),
        ("0 3 * * 0", "recurrence must be a Recurrence, not a str"),
    ],
)
async def test_a_recurrence_that_breaks_a_rule_is_refused(backend: Backend, bad: Recurrence, rule: str) -> None:
    with pytest.raises(InvalidInputError, match=rule):
        await MaintenanceModel.add(CreateMaintenanceData("ada", "backups", tag="shop", recurrence=bad))
    assert await MaintenanceModel.find_newest() == []


@both
async def test_ending_one_sets_its_end_and_leaves_the_past_as_it_was(backend: Backend, kind: Kind) -> None:
    added = await kind.model.add(data(kind))
    ended, changed = await kind.model.end(str(added.id))
    assert changed
    assert added.starts_at < ended.ends_at < added.ends_at
    assert replace(ended, ends_at=added.ends_at) == added
    assert await kind.model.end(added.id) == (ended, False)
    assert await kind.model.find_current() == []
    assert await kind.model.find_newest() == [ended]


@both
async def test_one_that_has_not_begun_is_taken_back(backend: Backend, kind: Kind) -> None:
    added = await kind.model.add(data(kind, starts_at=soon()))
    taken_back, changed = await kind.model.end(added.id)
    assert changed
    assert taken_back.ends_at == added.starts_at
    assert await kind.model.end(added.id) == (taken_back, False)
    assert await kind.model.find_current() == []


async def test_a_window_that_comes_again_is_ended_for_good(backend: Backend) -> None:
    added = await MaintenanceModel.add(CreateMaintenanceData("ada", "backups", tag="shop", recurrence=SUNDAYS))
    assert await MaintenanceModel.end(added.id) is not None
    assert await MaintenanceModel.find_current() == []


@both
async def test_an_unknown_id_is_none_and_what_is_no_id_is_refused(backend: Backend, kind: Kind) -> None:
    assert await kind.model.end(uuid4()) is None
    with pytest.raises(InvalidInputError, match="id must be a UUID"):
        await kind.model.end("42")


@both
async def test_of_ten_who_end_one_at_once_one_does(backend: Backend, kind: Kind) -> None:
    added = await kind.model.add(data(kind))
    answers = await asyncio.gather(*(kind.model.end(added.id) for _ in range(10)))
    assert sorted(changed for _, changed in answers) == [False] * 9 + [True]
    assert len({each.ends_at for each, _ in answers}) == 1


@both
async def test_current_ones_are_complete_and_others_come_newest_first_and_at_most_so_many(
    backend: Backend, kind: Kind
) -> None:
    backend.execute(
        "INSERT INTO vigilbase.suppressions (kind, tag, starts_at, ends_at, author, comment, created_at) "
        f"SELECT '{kind.name}', 'shop', now(), now() + interval '1 hour', 'ada', n, now() - n * interval '1 second' "
        "FROM generate_series(1, 1500) n"
    )
    backend.execute(
        "INSERT INTO vigilbase.suppressions (kind, tag, starts_at, ends_at, author, comment, created_at) "
        f"VALUES ('{kind.name}', 'shop', now() - interval '2 hours', now() - interval '1 hour', 'ada', 'over', now())"
    )
    assert [each.comment for each in await kind.model.find_current()] == [str(n) for n in range(1, 1501)]
    assert [each.comment for each in await kind.model.find_newest(limit=3)] == ["over", "1", "2"]
    for limit in (0, True):
        with pytest.raises(InvalidInputError, match="limit"):
            await kind.model.find_newest(limit=limit)


@both
async def test_one_is_found_by_the_beginning_of_its_id(backend: Backend, kind: Kind) -> None:
    added = await kind.model.add(data(kind))
    other = await kind.model.add(data(kind))
    assert await kind.model.find_by_id_prefix(str(added.id)[:13]) == [added]
    assert await kind.model.find_by_id_prefix(str(other.id)) == [other]
    with pytest.raises(InvalidInputError, match="id must be a UUID or its first digits"):
        await kind.model.find_by_id_prefix("abc")


@both
async def test_a_time_that_python_lacks_is_an_end_far_away(backend: Backend, kind: Kind) -> None:
    backend.execute(
        "INSERT INTO vigilbase.suppressions (kind, tag, starts_at, ends_at, author, comment) "
        f"VALUES ('{kind.name}', 'shop', '-infinity', 'infinity', 'ada', 'why')"
    )
    [found] = await kind.model.find_current()
    assert found.ends_at.year == 9999
    silencing = await load_silencing()
    now = datetime.now(UTC)
    withheld = silencing.withheld("api", ["shop"], now)
    assert withheld is not None
    assert withheld.until == now + LOOK_AGAIN


@both
async def test_the_delivery_pass_sees_what_holds_and_no_longer_what_was_ended(backend: Backend, kind: Kind) -> None:
    added: Silence | MaintenanceWindow = await kind.model.add(data(kind))
    now = added.starts_at
    named = "silence" if kind.model is SilenceModel else "maintenance"
    withheld = (await load_silencing()).withheld("shop-api", [], now)
    assert withheld == (added.ends_at, f"{named} {str(added.id)[:8]} of {added.author}: {added.comment}")
    assert (await load_silencing()).withheld("api", [], now) is None
    ended, _ = await kind.model.end(added.id)
    assert (await load_silencing()).withheld("shop-api", [], now) is None
    # Of what came and went meanwhile it still knows what withheld it.
    silencing = await load_silencing(now)
    assert silencing.throughout("shop-api", [], now, ended.ends_at - timedelta(microseconds=1)) is not None
    assert silencing.throughout("shop-api", [], now, ended.ends_at + timedelta(microseconds=1)) is None
    assert (await load_silencing(ended.ends_at)).throughout("shop-api", [], now, now) is None
