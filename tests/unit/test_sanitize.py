"""Details of any origin become a small JSON object that Postgres can store."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigilbase.net.redaction import redact_field
from vigilbase.sanitize import sanitize_details

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(st.characters()) | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.integers()),
)


class _BrokenStr:
    def __str__(self) -> str:
        raise RuntimeError("no")


@settings(max_examples=30)
@given(st.dictionaries(st.text(), _ANYTHING, max_size=5))
def test_sanitize_details_any_value_becomes_storable_json(details: dict[str, object]) -> None:
    text = json.dumps(sanitize_details(details, redact_field), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()


@pytest.mark.parametrize(
    ("value", "kept"),
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
        (_BrokenStr(), "_BrokenStr"),
        pytest.param(10**5000, "int", id="a number of 5000 digits"),
    ],
)
def test_sanitize_details_value_becomes_json_value(value: object, kept: object) -> None:
    assert sanitize_details({"value": value}, redact_field) == {"value": kept}


def _make_deep_dict() -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(10_000):
        value = {"a": value}
    return value


def _make_circular_dict() -> dict[str, object]:
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
        _make_deep_dict,
        _make_circular_dict,
    ],
)
def test_sanitize_details_oversized_input_is_cut_and_marked(make: Callable[[], dict[str, object]]) -> None:
    kept = sanitize_details(make(), redact_field)
    assert kept["cut"] is True
    assert len(json.dumps(kept, ensure_ascii=False).encode()) <= 8_000


def test_sanitize_details_oversized_input_keeps_first_entry() -> None:
    assert sanitize_details({"first": 1, "second": ["x" * 400] * 100}, redact_field)["first"] == 1


def test_sanitize_details_secrets_are_redacted_before_cut() -> None:
    kept = sanitize_details(
        {"hunter2": ["x" * 495 + "hunter2"], "password": "p", "tokens": 3, "key": 5},
        partial(redact_field, secrets=["hunter2"]),
    )
    assert kept == {"****": ["x" * 495 + "****"], "password": "****", "tokens": 3, "key": 5}
