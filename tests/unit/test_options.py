"""Options that several commands have."""

import pytest

from vigilbase.cli.options import parse_limit
from vigilbase.errors import InvalidInputError


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("2147483647", 2**31 - 1)])
def test_parse_limit_whole_number_is_accepted(text: str, number: int) -> None:
    assert parse_limit(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "1.5", " 1", "1_0", "2147483648", "9" * 5000, "٥", "１２", "²", "x"]
)
def test_parse_limit_anything_else_is_rejected(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--limit must be a whole number from 1 to 2147483647"):
        parse_limit(text)
