"""`SuppressionModel`, for silences and maintenance windows alike."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Backend
from vigilbase import CreateSuppressionData, InvalidInputError, Recurrence, Suppression, SuppressionModel
from vigilbase.alerts.suppression import MAX_LOOKAHEAD
from vigilbase.models.suppression import KINDS, SuppressionKind
from vigilbase.notifications.active_silences import load_active_silences

HOUR = timedelta(hours=1)
SUNDAYS = Recurrence("0 3 * * 0", 7200, "Europe/Berlin")

each_kind = pytest.mark.parametrize("kind", KINDS)


def make_data(kind: SuppressionKind, **fields: Any) -> CreateSuppressionData:
    return CreateSuppressionData(
        kind, **{"author": "ada", "comment": "deploy", "service_glob": "shop-*", "length_s": 3600, **fields}
    )


def in_one_hour() -> datetime:
    return datetime.now(UTC) + HOUR


async def end(suppression: Suppression) -> tuple[Suppression, bool]:
    answer = await SuppressionModel.end(suppression.kind, suppression.id)
    assert answer is not None
    return answer


def get_end(suppression: Suppression) -> datetime:
    assert suppression.ends_at is not None
    return suppression.ends_at


@each_kind
async def test_suppression_create_starts_now_and_is_returned_as_stored(
    each_backend: Backend, kind: SuppressionKind
) -> None:
    before = datetime.now(UTC)
    added = await SuppressionModel.create(make_data(kind, comment="  the new release "))
    assert isinstance(added.id, UUID)
    assert (added.service_glob, added.tag, added.author) == ("shop-*", None, "ada")
    assert added.comment == "the new release"
    assert added.starts_at.tzinfo is UTC
    assert abs(added.starts_at - before) < timedelta(minutes=1)
    assert added.ends_at == added.starts_at + HOUR
    assert each_backend.execute("SELECT id, starts_at, ends_at FROM vigilbase.suppressions") == [
        (added.id, added.starts_at, added.ends_at)
    ]


@each_kind
async def test_suppression_create_future_start_and_end_are_kept(each_backend: Backend, kind: SuppressionKind) -> None:
    start = in_one_hour()
    added = await SuppressionModel.create(
        make_data(kind, service_glob=None, tag="shop", starts_at=start, ends_at=start + HOUR, length_s=None)
    )
    assert (added.service_glob, added.tag) == (None, "shop")
    assert (added.starts_at, added.ends_at) == (start, start + HOUR)
    assert await SuppressionModel.find_current(kind) == [added]


async def test_suppression_create_only_one_off_maintenance_requires_end(each_backend: Backend) -> None:
    silence = await SuppressionModel.create(CreateSuppressionData("silence", "ada", "deploy", tag="shop"))
    assert silence.ends_at is None
    window = await SuppressionModel.create(
        CreateSuppressionData("maintenance", "ada", "backups", tag="shop", recurrence=SUNDAYS)
    )
    assert (window.ends_at, window.recurrence) == (None, SUNDAYS)
    assert await SuppressionModel.find_current("maintenance") == [window]
    with pytest.raises(InvalidInputError, match="ends_at must be set"):
        await SuppressionModel.create(CreateSuppressionData("maintenance", "ada", "backups", tag="shop"))


INVALID_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"tag": "shop"}, "service_glob must be set if tag isn't"),
    ({"service_glob": None}, "service_glob must be set if tag isn't"),
    ({"service_glob": " "}, "service_glob must not be empty"),
    ({"service_glob": "x" * 101}, "service_glob must have at most 100"),
    ({"service_glob": None, "tag": "a\x00"}, "tag must not contain a NUL"),
    ({"author": ""}, "author must not be empty"),
    ({"author": None}, "author must not be empty"),
    ({"comment": "\n"}, "comment must not be empty"),
    ({"comment": "x" * 2001}, "comment must have at most 2000"),
    ({"ends_at": in_one_hour()}, "ends_at must not be set if length_s is"),
    ({"length_s": 0}, "length_s must be a number of seconds"),
    ({"length_s": float("nan")}, "length_s must be a number of seconds"),
    ({"length_s": float("inf")}, "length_s must be a number of seconds"),
    ({"starts_at": datetime(2030, 1, 1)}, "starts_at must be a datetime with a time zone"),  # noqa: DTZ001
    ({"starts_at": datetime(2020, 1, 1, tzinfo=UTC)}, "starts_at must not be in the past"),
    ({"length_s": None, "ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "ends_at must be later than the start"),
]


async def test_suppression_create_invalid_field_is_rejected_and_not_written(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    for kind, (fields, rule) in itertools.product(KINDS, INVALID_FIELDS):
        with subtests.test(kind=kind, fields=fields), pytest.raises(InvalidInputError, match=rule):
            await SuppressionModel.create(make_data(kind, **fields))
    assert backend.execute("SELECT count(*) FROM vigilbase.suppressions") == [(0,)]


@each_kind
async def test_suppression_create_zero_length_is_rejected(backend: Backend, kind: SuppressionKind) -> None:
    start = in_one_hour()
    with pytest.raises(InvalidInputError, match="ends_at must be later than the start"):
        await SuppressionModel.create(make_data(kind, starts_at=start, ends_at=start, length_s=None))


INVALID_RECURRENCES: list[tuple[Any, str]] = [
    (replace(SUNDAYS, cron="0 3 * *"), "cron must have 5 fields"),
    (replace(SUNDAYS, cron="0 3 31 2 *"), "cron must be a cron expression .*Bad day-of-month"),
    (replace(SUNDAYS, duration_s=59), "duration_s must be a whole number from 60 to 2678400"),
    (replace(SUNDAYS, time_zone="Mars/Olympus"), "time_zone must be the IANA name"),
    ("0 3 * * 0", "recurrence must be a Recurrence, not a str"),
]


async def test_suppression_create_invalid_recurrence_is_rejected(backend: Backend, subtests: pytest.Subtests) -> None:
    for bad, rule in INVALID_RECURRENCES:
        with subtests.test(recurrence=bad), pytest.raises(InvalidInputError, match=rule):
            await SuppressionModel.create(
                CreateSuppressionData("maintenance", "ada", "backups", tag="shop", recurrence=bad)
            )
    assert await SuppressionModel.find_newest("maintenance") == []


@each_kind
async def test_suppression_end_sets_end_and_keeps_other_fields(each_backend: Backend, kind: SuppressionKind) -> None:
    added = await SuppressionModel.create(make_data(kind))
    ended, has_changed = await end(added)
    assert has_changed
    assert added.starts_at < get_end(ended) < get_end(added)
    assert replace(ended, ends_at=added.ends_at) == added
    assert await SuppressionModel.end(kind, str(added.id)) == (ended, False)
    assert await SuppressionModel.find_current(kind) == []
    assert await SuppressionModel.find_newest(kind) == [ended]


@each_kind
async def test_suppression_end_before_start_sets_end_to_start(backend: Backend, kind: SuppressionKind) -> None:
    added = await SuppressionModel.create(make_data(kind, starts_at=in_one_hour()))
    cancelled, has_changed = await end(added)
    assert has_changed
    assert cancelled.ends_at == added.starts_at
    assert await SuppressionModel.end(kind, added.id) == (cancelled, False)
    assert await SuppressionModel.find_current(kind) == []


async def test_suppression_end_recurring_maintenance_is_no_longer_current(backend: Backend) -> None:
    added = await SuppressionModel.create(
        CreateSuppressionData("maintenance", "ada", "backups", tag="shop", recurrence=SUNDAYS)
    )
    assert await SuppressionModel.end("maintenance", added.id) is not None
    assert await SuppressionModel.find_current("maintenance") == []


@each_kind
async def test_suppression_end_unknown_id_returns_none_and_invalid_id_is_rejected(
    backend: Backend, kind: SuppressionKind
) -> None:
    assert await SuppressionModel.end(kind, uuid4()) is None
    other = await SuppressionModel.create(make_data("silence" if kind == "maintenance" else "maintenance"))
    assert await SuppressionModel.end(kind, other.id) is None
    assert await SuppressionModel.find_current() == [other]
    with pytest.raises(InvalidInputError, match="id must be a UUID"):
        await SuppressionModel.end(kind, "42")


@each_kind
async def test_suppression_end_ten_concurrent_calls_change_once(backend: Backend, kind: SuppressionKind) -> None:
    added = await SuppressionModel.create(make_data(kind))
    answers = await asyncio.gather(*(end(added) for _ in range(10)))
    assert sorted(has_changed for _, has_changed in answers) == [False] * 9 + [True]
    assert len({each.ends_at for each, _ in answers}) == 1


@each_kind
async def test_suppression_find_current_returns_all_and_find_newest_respects_limit(
    each_backend: Backend, kind: SuppressionKind
) -> None:
    each_backend.execute(
        "INSERT INTO vigilbase.suppressions (kind, tag, starts_at, ends_at, author, comment, created_at) "
        f"SELECT '{kind}', 'shop', now(), now() + interval '1 hour', 'ada', n, now() - n * interval '1 second' "
        "FROM generate_series(1, 1500) n"
    )
    each_backend.execute(
        "INSERT INTO vigilbase.suppressions (kind, tag, starts_at, ends_at, author, comment, created_at) "
        f"VALUES ('{kind}', 'shop', now() - interval '2 hours', now() - interval '1 hour', 'ada', 'ended', now())"
    )
    assert [each.comment for each in await SuppressionModel.find_current(kind)] == [str(n) for n in range(1, 1501)]
    assert [each.comment for each in await SuppressionModel.find_newest(kind, limit=3)] == ["ended", "1", "2"]
    for limit in (0, True):
        with pytest.raises(InvalidInputError, match="limit"):
            await SuppressionModel.find_newest(kind, limit=limit)


@each_kind
async def test_suppression_find_by_id_prefix_returns_match(each_backend: Backend, kind: SuppressionKind) -> None:
    added = await SuppressionModel.create(make_data(kind))
    other = await SuppressionModel.create(make_data(kind))
    assert await SuppressionModel.find_by_id_prefix(kind, str(added.id)[:13]) == [added]
    assert await SuppressionModel.find_by_id_prefix(kind, str(other.id)) == [other]
    other_kind: SuppressionKind = "silence" if kind == "maintenance" else "maintenance"
    assert await SuppressionModel.find_by_id_prefix(other_kind, str(other.id)) == []
    with pytest.raises(InvalidInputError, match="id must be a UUID or at least its first"):
        await SuppressionModel.find_by_id_prefix(kind, "abc")


@each_kind
async def test_suppression_infinite_end_is_read_as_year_9999(each_backend: Backend, kind: SuppressionKind) -> None:
    each_backend.execute(
        "INSERT INTO vigilbase.suppressions (kind, tag, starts_at, ends_at, author, comment) "
        f"VALUES ('{kind}', 'shop', '-infinity', 'infinity', 'ada', 'why')"
    )
    [endless] = await SuppressionModel.find_current(kind)
    assert get_end(endless).year == 9999
    silences = await load_active_silences()
    now = datetime.now(UTC)
    suppression = silences.find("api", ["shop"], now)
    assert suppression is not None
    assert suppression.until == now + MAX_LOOKAHEAD


@each_kind
async def test_load_active_silences_includes_ended_ones_only_since_given_time(
    backend: Backend, kind: SuppressionKind
) -> None:
    added = await SuppressionModel.create(make_data(kind))
    now = added.starts_at
    suppression = (await load_active_silences()).find("shop-api", [], now)
    assert suppression == (added.ends_at, f"{kind} {str(added.id)[:8]} of {added.author}: {added.comment}")
    assert (await load_active_silences()).find("api", [], now) is None
    ended, _ = await end(added)
    assert (await load_active_silences()).find("shop-api", [], now) is None
    silences = await load_active_silences(now)
    moment = timedelta(microseconds=1)
    assert silences.find_throughout("shop-api", [], now, get_end(ended) - moment) is not None
    assert silences.find_throughout("shop-api", [], now, get_end(ended) + moment) is None
    assert (await load_active_silences(ended.ends_at)).find_throughout("shop-api", [], now, now) is None
