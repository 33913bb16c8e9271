"""What is said about a value that doesn't fit its model, whichever model that is."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from vigilbase.spec.document import read_document
from vigilbase.spec.validation import validated


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(3, ge=1)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=0, le=5000)] | None = None
    share: float = Field(0.5, gt=0, lt=1)
    most: int = Field(1, le=9)
    plain: int = 1
    sure: bool = False
    word: Literal["red", "green", "blue"] = "red"
    text: str = Field("abc", min_length=2, max_length=4)
    line: str = Field("a", min_length=1)
    several: tuple[int, ...] = Field((), max_length=2)
    made: tuple[int, ...] = ()
    inner: Inner = Inner()
    inners: list[Inner] = Field([])
    table: dict[str, str] = Field({}, alias="map")

    @field_validator("made", mode="before")
    @classmethod
    def _made(cls, value: object) -> object:
        return [value] if isinstance(value, int) else value


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("count: 5001", "count", "must be a whole number from 0 to 5,000"),
        ("count: x", "count", "must be a whole number from 0 to 5,000"),
        ("share: 0", "share", "must be a number above 0 and below 1"),
        ("share: '0.5'", "share", "must be a number above 0 and below 1"),
        ("most: 10", "most", "must be a whole number of at most 9"),
        ("plain: 1.5", "plain", "must be a whole number"),
        ("sure: 1", "sure", "must be true or false"),
        ("word: pink", "word", "must be red, green or blue"),
        ("text: a", "text", "must have at least 2 characters"),
        ("text: abcde", "text", "must have at most 4 characters"),
        ("line: ''", "line", "must not be empty"),
        ("several: [1, 2, 3]", "several", "must have at most 2 entries"),
        ("several: 1", "several", "must be a list"),
        ("several: [1, x]", "several.1", "must be a whole number"),
        ("made: x", "made", "must be a list"),
        ("made: [x]", "made.0", "must be a whole number"),
        ("inner: 3", "inner", "must be a mapping"),
        ("inner: {size: 0}", "inner.size", "must be a whole number of at least 1"),
        ("inner: {sise: 0}", "inner.sise", "unknown field; there is only size"),
        ("inners: {}", "inners", "must be a list"),
        ("inners: [{size: 1}, {size: 0}]", "inners.1.size", "must be a whole number of at least 1"),
        ("inners: [{color: 1}]", "inners.0.color", "unknown field; there is only size"),
        ("map: {a: 1}", "map.a", "must be text; write it in quotes"),
    ],
)
def test_a_value_that_does_not_fit_is_told_what_it_must_be(text: str, place: str, said: str) -> None:
    document = read_document(text, {})
    assert validated(Model, document, ()) is None
    assert [(".".join(map(str, fault.path)), fault.said) for fault in document.faults] == [(place, said)]


def test_a_list_may_become_a_tuple_even_after_a_validator_of_the_models_own() -> None:
    document = read_document("several: [1, 2]\nmade: [3]", {})
    model = validated(Model, document, ())
    assert model
    assert (model.several, model.made) == ((1, 2), (3,))


def test_numbers_in_lists_may_come_from_the_environment() -> None:
    document = read_document(
        "several: ['${N}', 2]\nshare: ${SHARE}\nsure: ${SURE}\nline: ${N}", {"N": "7", "SHARE": "0.25", "SURE": "true"}
    )
    model = validated(Model, document, ())
    assert model
    assert (model.several, model.share, model.sure, model.line) == ((7, 2), 0.25, True, "7")
