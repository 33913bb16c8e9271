"""The edges of each rule; the properties in tests/conformance cover what lies between."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest

from vigilbase import AlertEventModel, HealthCheckModel, InvalidInputError
from vigilbase.models import validation as v


def _nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"x": value}
    return value


def test_a_name_may_have_100_characters_of_any_script() -> None:
    assert v.valid_service_name("é" * 100) == "é" * 100
    assert v.valid_service_name("🦊" * 100) == "🦊" * 100
    with pytest.raises(InvalidInputError, match="service_name must have at most 100 characters, not 101"):
        v.valid_service_name("é" * 101)


@pytest.mark.parametrize("name", ["", "   ", "\u2003"])
def test_a_blank_name_is_told_from_one_with_outer_white_space(name: str) -> None:
    with pytest.raises(InvalidInputError, match="empty or blank"):
        v.valid_service_name(name)
    with pytest.raises(InvalidInputError, match="begin or end with white space"):
        v.valid_service_name("api\n")


def test_numbers_up_to_two_to_the_53_are_fine() -> None:
    numbers = {"a": 2**53, "b": -(2**53), "c": 2.0**53, "d": 0.1, "e": -0.0, "f": 5e-324}
    assert v.valid_details("details", numbers) == numbers
    for bad in (2**53 + 1, -(2**53) - 1, float("nan"), float("inf"), 1e300, 10**400):
        with pytest.raises(InvalidInputError, match="details must hold finite numbers"):
            v.valid_details("details", {"x": [bad]})


def test_nesting_is_counted_from_the_object_itself() -> None:
    assert v.valid_details("details", _nested(64)) == _nested(64)
    with pytest.raises(InvalidInputError, match="nested at most 64 levels"):
        v.valid_details("details", _nested(65))
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInputError, match="nested at most 64 levels"):
        v.valid_details("details", {"x": deep})


def test_the_size_is_that_of_compact_utf8() -> None:
    fits = {"x": "é" * ((65_536 - len('{"x":""}')) // 2)}
    assert v.valid_details("details", fits) == fits
    with pytest.raises(InvalidInputError, match="at most 65536 bytes as JSON, not 65537"):
        v.valid_details("details", {"x": "y" * (65_537 - len('{"x":""}'))})


def test_any_mapping_is_an_object_and_is_copied() -> None:
    inner = {"b": 1}

    class Lazy(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            return inner

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    details = v.valid_details("details", Lazy())
    inner["b"] = 2
    assert details == {"a": {"b": 1}}


@pytest.mark.parametrize("value", [{1}, (1,), b"x", object(), datetime(2026, 1, 1, tzinfo=UTC)])
def test_what_json_lacks_is_named_by_its_type(value: object) -> None:
    with pytest.raises(InvalidInputError, match=f"not a {type(value).__name__}"):
        v.valid_details("details", {"x": value})


def test_a_moment_must_exist_in_utc() -> None:
    assert v.valid_moment("checked_at", datetime(1, 1, 1, tzinfo=UTC)) == datetime(1, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidInputError, match="years 1 to 9999"):
        v.valid_moment("checked_at", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    with pytest.raises(InvalidInputError, match="with a time zone"):
        v.valid_moment("checked_at", datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("value", [-1, 36_501, 1.0, True, "7", None])
def test_days_are_a_whole_number_within_a_century(value: object) -> None:
    with pytest.raises(InvalidInputError, match="days must be a whole number from 0 to 36500"):
        v.valid_days(value)


@pytest.mark.parametrize("value", [0, -5, 1.0, True, "7", None])
def test_a_limit_is_a_whole_number_of_at_least_one(value: object) -> None:
    with pytest.raises(InvalidInputError, match="limit must be a whole number, 1 or more"):
        v.valid_limit(value)


async def test_a_dict_in_place_of_the_data_is_told() -> None:
    with pytest.raises(InvalidInputError, match="data must be a CreateHealthCheckData, not a dict"):
        await HealthCheckModel.create({"service_name": "api"})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="data must be a CreateAlertEventData, not a NoneType"):
        await AlertEventModel.raise_alert(None)  # type: ignore[arg-type]
