"""The expectations of HTTP probes."""

import pytest

from vigilbase.probes.expectation import check_json, parse_status_ranges


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (1, 1.0),
        ({}, {"a": 1}),
        ({"a": {"b": [1, {"c": None}]}}, {"a": {"b": [1, {"c": None}], "d": 2}, "e": 3}),
        ("ok", "ok"),
        ([], []),
        (True, True),
    ],
)
def test_check_json_matching_value_passes(expected: object, got: object) -> None:
    assert check_json(expected, got) is None


@pytest.mark.parametrize(
    ("expected", "got", "message"),
    [
        (True, 1, "expected json true, got 1"),
        (0, False, "expected json 0, got false"),
        ([1], [True], "expected json [1], got [true]"),
        ([1], [1, 2], "expected json [1], got [1, 2]"),
        ([{"a": 1}], [{"a": 1, "b": 2}], 'expected json [{"a": 1}], got [{"a": 1, "b": 2}]'),
        ({}, [], "expected json {}, got []"),
        ({"a": None}, {}, "expected json a: null, got nothing"),
        ({"a": {"b": "x"}}, {"a": {"b": "y" * 200}}, f'expected json a.b: "x", got "{"y" * 78}…'),
        ({"a": 1, "b": 2}, {"a": 3, "b": 4}, "expected json a: 1, got 3"),
        ({"db": {"api_key": "x"}}, {"db": {"api_key": "y"}}, "expected json db.api_key: ****, got ****"),
    ],
)
def test_check_json_mismatch_is_reported_with_path(expected: object, got: object, message: str) -> None:
    assert check_json(expected, got) == message


@pytest.mark.parametrize(
    "text", ["", "200-", "-200", "300-200", "99", "600", "2xx", "200,,201", "²00", "200-250-299", "9" * 5000]
)
def test_parse_status_ranges_malformed_text_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="must be status codes such as"):
        parse_status_ranges(text)
