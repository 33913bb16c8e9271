"""The limits of each rule; the properties in tests/conformance cover the values between them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from vigilbase import AlertEventModel, HealthCheckModel, InvalidInputError
from vigilbase.models import validation as v


def _make_nested_dict(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"x": value}
    return value


def test_validate_service_name_over_100_characters_is_rejected() -> None:
    assert v.validate_service_name("é" * 100) == "é" * 100
    assert v.validate_service_name("🦊" * 100) == "🦊" * 100
    with pytest.raises(InvalidInputError, match="service_name must have at most 100 characters, not 101"):
        v.validate_service_name("é" * 101)


@pytest.mark.parametrize("name", ["", "   ", "\u2003"])
def test_validate_service_name_blank_and_padded_names_have_different_errors(name: str) -> None:
    with pytest.raises(InvalidInputError, match="empty or blank"):
        v.validate_service_name(name)
    with pytest.raises(InvalidInputError, match="begin or end with whitespace"):
        v.validate_service_name("api\n")


def test_validate_details_numbers_beyond_2_power_53_are_rejected() -> None:
    numbers = {"a": 2**53, "b": -(2**53), "c": 2.0**53, "d": 0.1, "e": -0.0, "f": 5e-324}
    assert v.validate_details("details", numbers) == numbers
    for bad in (2**53 + 1, -(2**53) - 1, float("nan"), float("inf"), 1e300, 10**400):
        with pytest.raises(InvalidInputError, match="details must hold finite numbers"):
            v.validate_details("details", {"x": [bad]})


def test_validate_details_nesting_over_64_levels_is_rejected() -> None:
    assert v.validate_details("details", _make_nested_dict(64)) == _make_nested_dict(64)
    with pytest.raises(InvalidInputError, match="nested at most 64 levels"):
        v.validate_details("details", _make_nested_dict(65))
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInputError, match="nested at most 64 levels"):
        v.validate_details("details", {"x": deep})


def test_validate_details_size_is_counted_as_compact_utf8() -> None:
    fits = {"x": "é" * ((65_536 - len('{"x":""}')) // 2)}
    assert v.validate_details("details", fits) == fits
    with pytest.raises(InvalidInputError, match="at most 65536 bytes as JSON, not 65537"):
        v.validate_details("details", {"x": "y" * (65_537 - len('{"x":""}'))})


def test_validate_details_any_mapping_is_copied() -> None:
    inner = {"b": 1}

    class Lazy(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            return inner

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    details = v.validate_details("details", Lazy())
    inner["b"] = 2
    assert details == {"a": {"b": 1}}


@pytest.mark.parametrize("value", [{1}, (1,), b"x", object(), datetime(2026, 1, 1, tzinfo=UTC)])
def test_validate_details_non_json_value_is_rejected_with_its_type(value: object) -> None:
    with pytest.raises(InvalidInputError, match=f"not a {type(value).__name__}"):
        v.validate_details("details", {"x": value})


def test_validate_moment_naive_or_outside_utc_range_is_rejected() -> None:
    assert v.validate_moment("checked_at", datetime(1, 1, 1, tzinfo=UTC)) == datetime(1, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidInputError, match="years 1 to 9999"):
        v.validate_moment("checked_at", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    with pytest.raises(InvalidInputError, match="with a time zone"):
        v.validate_moment("checked_at", datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("value", [-1, 36_501, 1.0, True, "7", None])
def test_validate_days_other_than_0_to_36500_is_rejected(value: object) -> None:
    with pytest.raises(InvalidInputError, match="days must be a whole number from 0 to 36500"):
        v.validate_days(value)


@pytest.mark.parametrize("value", [0, -5, 1.0, True, "7", None])
def test_validate_limit_other_than_positive_integer_is_rejected(value: object) -> None:
    with pytest.raises(InvalidInputError, match="limit must be a whole number, 1 or more"):
        v.validate_limit(value)


async def test_models_data_of_wrong_type_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="data must be a CreateHealthCheckData, not a dict"):
        await HealthCheckModel.create({"service_name": "api"})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="data must be a CreateAlertEventData, not a NoneType"):
        await AlertEventModel.raise_alert(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        "019abcde-0000-7000-8000-00000000000",
        "019abcde-0000-7000-8000-0000000000011",
        "٠١٩abcde-0000-7000-8000-000000000001",
        "019abcde-0000-7000-8000-00000000_001",
        "{019abcde-0000-7000-8000-000000000001}",
        "urn:uuid:019abcde-0000-7000-8000-000000000001",
        " 019abcde-0000-7000-8000-000000000001",
        "",
        b"019abcde-0000-7000-8000-000000000001",
        1,
        None,
    ],
)
def test_validate_id_anything_but_hexadecimal_digits_is_rejected(value: object) -> None:
    with pytest.raises(InvalidInputError, match="id must be a UUID or its string"):
        v.validate_id(value)


@pytest.mark.parametrize("text", ["019abcde-0000-7000-8000-00000000000a", "019ABCDE0000700080000000000000" + "0A"])
def test_validate_id_digits_with_or_without_dashes_are_accepted(text: str) -> None:
    assert v.validate_id(text) == v.validate_id(UUID(text)) == UUID(text)


@pytest.mark.parametrize("text", ["٣٤٥٦", "１２３４", "12_34", "abc"])
def test_parse_id_prefix_digits_of_other_scripts_are_rejected(text: str) -> None:
    with pytest.raises(InvalidInputError, match="first 4 digits"):
        v.parse_id_prefix(text)
