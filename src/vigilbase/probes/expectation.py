"""What an answer over HTTP has to be: its status code, what its body has in it, and how long its certificate lasts."""

import codecs
import json
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from vigilbase.probes.masking import MASK, is_secret_key

_MAX_SHOWN = 80
_STATUS_CODES = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_CODE_OR_RANGE = r" *[1-5] *[0-9] *[0-9] *(- *[1-5] *[0-9] *[0-9] *)?"
_NOTHING = object()
_OF_PYTHON = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined")
"""Encodings that Python has for its own ends, and that no body is in; reading a long one as Punycode takes minutes."""


class HttpExpectation(BaseModel):
    """`expect:` of an http service. `status` is codes and ranges of them, as in `200-299` or `200,301-302`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    status: str = Field(
        "200-299",
        description="Status codes and ranges of them, such as 200,301-302.",
        json_schema_extra={
            "type": ["string", "integer"],
            "pattern": f"^{_CODE_OR_RANGE}(,{_CODE_OR_RANGE})*$",
            "minimum": 100,
            "maximum": 599,
        },
    )
    body_contains: str | None = Field(None, min_length=1, description="A text that must be in the body.")
    json_value: JsonValue = Field(None, alias="json", description="What must be in the body, which must be JSON.")
    certificate_days: int | None = Field(
        None, ge=0, le=3650, description="Degraded if the certificate lasts fewer days."
    )

    @field_validator("status", mode="before")
    @classmethod
    def _codes(cls, value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and value in range(1000):
            value = str(value)  # Python writes no number of thousands of digits
        text = value.replace(" ", "") if isinstance(value, str) else ""
        status_ranges(text)
        return text

    @property
    def of_json(self) -> bool:
        """Whether the body has to be JSON."""
        return "json_value" in self.model_fields_set

    @property
    def of_body(self) -> bool:
        """Whether anything is expected of the body."""
        return self.body_contains is not None or self.of_json


def status_ranges(text: str) -> list[range]:
    """The status codes that a text such as `200-299` or `200,301-302` names.

    Raises:
        ValueError: the text is no such thing.

    """
    ranges = []
    for part in text.split(","):
        match = _STATUS_CODES.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError("must be status codes such as 200, 200-299 or 200,301-302")
        ranges.append(range(first, last + 1))
    return ranges


def status_unmet(expect: HttpExpectation, code: int) -> str | None:
    """That the status code is none of those that are expected."""
    if any(code in codes for codes in status_ranges(expect.status)):
        return None
    return f"expected status {expect.status}, got {code}"


def body_unmet(expect: HttpExpectation, body: bytes, charset: str, truncated: bool) -> str | None:
    """What the body (in a text encoding, and perhaps not all of it) lacks of what is expected."""
    if expect.body_contains is not None and expect.body_contains not in _decoded(body, charset):
        where = f" in its first {len(body):,} bytes" if truncated else ""
        return f"expected a body that contains {_shown(expect.body_contains)}{where}"
    if not expect.of_json:
        return None
    if truncated:
        return f"expected json, got a body of more than {len(body):,} bytes"
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "expected json, got text that is none" if body else "expected json, got an empty body"
    return json_unmet(expect.json_value, document)


def json_unmet(expected: object, got: object, path: str = "") -> str | None:
    """Where a JSON value lacks what is expected of it: mappings may have more keys, all else has to be equal."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        unmet = (
            json_unmet(value, got.get(key, _NOTHING), f"{path}.{key}" if path else str(key))
            for key, value in expected.items()
        )
        return next((reason for reason in unmet if reason), None)
    if not isinstance(expected, Mapping) and _same(expected, got):
        return None
    secret = is_secret_key(path.rpartition(".")[2])
    wanted, found = (MASK, MASK) if secret else (_shown(expected), _shown(got))
    return f"expected json {path}: {wanted}, got {found}" if path else f"expected json {wanted}, got {found}"


def _same(expected: object, got: object) -> bool:
    """Equality as JSON has it: true is not 1, but 1 is 1.0."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(_same, expected, got))
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return expected.keys() == got.keys() and all(_same(value, got[key]) for key, value in expected.items())
    return expected == got


def _shown(value: object) -> str:
    if value is _NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _decoded(body: bytes, charset: str) -> str:
    try:
        known = codecs.lookup(charset).name not in _OF_PYTHON
        return body.decode(charset if known else "utf-8", errors="replace")
    except (LookupError, ValueError):  # an encoding that nobody knows, or that is none of text
        return body.decode(errors="replace")
