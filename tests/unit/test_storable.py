"""Details of any origin become a small JSON object that Postgres takes."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigilbase.probes.storable import storable

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(st.characters()) | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.integers()),
)


class _Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@settings(max_examples=30)
@given(st.dictionaries(st.text(), _ANYTHING, max_size=5))
def test_whatever_it_is_it_can_be_stored(details: dict[str, object]) -> None:
    text = json.dumps(storable(details), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        ("a\x00b", "ab"),
        ("\ud800", "?"),
        ("x" * 501, "x" * 499 + "…"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (1.5, 1.5),
        (True, True),
        (None, None),
        (2**70, str(2**70)),
        (-(2**62), -(2**62)),
        (b"a\xff", "a�"),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 11, 24, tzinfo=UTC), "2026-11-24 00:00:00+00:00"),
        ((1, {2: 3}), [1, {"2": 3}]),
        (_Unspeakable(), "_Unspeakable"),
        pytest.param(10**5000, "int", id="a number of 5000 digits"),
    ],
)
def test_a_value_is_kept_as_json_knows_it(given_value: object, kept: object) -> None:
    assert storable({"value": given_value}) == {"value": kept}


def _deep() -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(10_000):
        value = {"a": value}
    return value


def _circle() -> dict[str, object]:
    value: dict[str, object] = {}
    value["again"] = value
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"list": list(range(1_000_000))},
        lambda: {f"key {n}": "é" * 400 for n in range(100_000)},
        lambda: {"é" * 100_000: 1, "b": ["x" * 10_000_000] * 100},
        lambda: {"nested": [[[["x" * 100] * 100] * 100] * 100] * 100},
        _deep,
        _circle,
    ],
)
def test_what_is_too_much_is_cut_and_that_is_said(make: Callable[[], dict[str, object]]) -> None:
    kept = storable(make())
    assert kept["cut"] is True
    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= 8_000


def test_what_comes_first_is_kept() -> None:
    assert storable({"first": 1, "second": ["x" * 400] * 100})["first"] == 1


def test_secrets_are_masked_in_names_and_values_before_they_are_cut() -> None:
    kept = storable({"hunter2": ["x" * 495 + "hunter2"], "password": "p", "tokens": 3, "key": 5}, ["hunter2"])
    assert kept == {"****": ["x" * 495 + "****"], "password": "****", "tokens": 3, "key": 5}
