"""The message for a value that a model rejects."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from vigilbase.configfile.document import read_document
from vigilbase.configfile.validation import validate


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(3, ge=1)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=0, le=5000)] | None = None
    share: float = Field(0.5, gt=0, lt=1)
    limited: int = Field(1, le=9)
    plain: int = 1
    flag: bool = False
    word: Literal["red", "green", "blue"] = "red"
    text: str = Field("abc", min_length=2, max_length=4)
    line: str = Field("a", min_length=1)
    numbers: tuple[int, ...] = Field((), max_length=2)
    converted: tuple[int, ...] = ()
    inner: Inner = Inner()
    inners: list[Inner] = Field([])
    table: dict[str, str] = Field({}, alias="map")

    @field_validator("converted", mode="before")
    @classmethod
    def _wrap_number(cls, value: object) -> object:
        return [value] if isinstance(value, int) else value


@pytest.mark.parametrize(
    ("text", "path", "rule"),
    [
        ("count: 5001", "count", "must be a whole number from 0 to 5,000"),
        ("count: x", "count", "must be a whole number from 0 to 5,000"),
        ("share: 0", "share", "must be a number above 0 and below 1"),
        ("share: '0.5'", "share", "must be a number above 0 and below 1"),
        ("limited: 10", "limited", "must be a whole number of at most 9"),
        ("plain: 1.5", "plain", "must be a whole number"),
        ("flag: 1", "flag", "must be true or false"),
        ("word: pink", "word", "must be red, green or blue"),
        ("text: a", "text", "must have at least 2 characters"),
        ("text: abcde", "text", "must have at most 4 characters"),
        ("line: ''", "line", "must not be empty"),
        ("numbers: [1, 2, 3]", "numbers", "must have at most 2 entries"),
        ("numbers: 1", "numbers", "must be a list"),
        ("numbers: [1, x]", "numbers.1", "must be a whole number"),
        ("converted: x", "converted", "must be a list"),
        ("converted: [x]", "converted.0", "must be a whole number"),
        ("inner: 3", "inner", "must be a mapping"),
        ("inner: {size: 0}", "inner.size", "must be a whole number of at least 1"),
        ("inner: {sise: 0}", "inner.sise", "unknown field; did you mean size?"),
        ("inners: {}", "inners", "must be a list"),
        ("inners: [{size: 1}, {size: 0}]", "inners.1.size", "must be a whole number of at least 1"),
        ("inners: [{color: 1}]", "inners.0.color", "unknown field; the only field is size"),
        ("map: {a: 1}", "map.a", "must be text; write it in quotes"),
    ],
)
def test_validate_invalid_value_is_reported_with_requirement(text: str, path: str, rule: str) -> None:
    document = read_document(text, {})
    assert validate(Model, document, ()) is None
    assert [(".".join(map(str, fault.path)), fault.message) for fault in document.faults] == [(path, rule)]


def test_validate_list_becomes_tuple_after_custom_validator() -> None:
    document = read_document("numbers: [1, 2]\nconverted: [3]", {})
    model = validate(Model, document, ())
    assert model
    assert (model.numbers, model.converted) == ((1, 2), (3,))


def test_validate_values_from_environment_are_converted() -> None:
    document = read_document(
        "numbers: ['${N}', 2]\nshare: ${SHARE}\nflag: ${FLAG}\nline: ${N}", {"N": "7", "SHARE": "0.25", "FLAG": "true"}
    )
    model = validate(Model, document, ())
    assert model
    assert (model.numbers, model.share, model.flag, model.line) == ((7, 2), 0.25, True, "7")
