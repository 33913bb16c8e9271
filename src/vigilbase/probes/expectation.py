"""The expectations of an HTTP probe: status code, content of the body, and days until the certificate expires."""

import codecs
import json
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from vigilbase.net.redaction import REDACTED, is_secret_key

_MAX_SHOWN = 80
_STATUS_CODES = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_CODE_OR_RANGE = r" *[1-5] *[0-9] *[0-9] *(- *[1-5] *[0-9] *[0-9] *)?"
_MISSING = object()
_PYTHON_ENCODINGS = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined")
"""Encodings that no body uses, or that are unsafe to decode: a long text takes Punycode minutes."""


class HttpExpectation(BaseModel):
    """`expect:` of an http service. `status` is a list of codes and ranges, such as `200-299` or `200,301-302`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    status: str = Field(
        "200-299",
        description="Accepted status codes and ranges, such as 200,301-302.",
        json_schema_extra={
            "type": ["string", "integer"],
            "pattern": f"^{_CODE_OR_RANGE}(,{_CODE_OR_RANGE})*$",
            "minimum": 100,
            "maximum": 599,
        },
    )
    body_contains: str | None = Field(None, min_length=1, description="A text that the body must contain.")
    json_value: JsonValue = Field(None, alias="json", description="Values that the body must contain as JSON.")
    certificate_days: int | None = Field(
        None, ge=0, le=3650, description="Degraded if the certificate expires in fewer days."
    )

    @field_validator("status", mode="before")
    @classmethod
    def _require_status_ranges(cls, value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and value in range(1000):
            value = str(value)  # fails for a number of thousands of digits, hence the range
        text = value.replace(" ", "") if isinstance(value, str) else ""
        parse_status_ranges(text)
        return text

    @property
    def has_json_rule(self) -> bool:
        """Whether the body must be JSON."""
        return "json_value" in self.model_fields_set

    @property
    def has_body_rule(self) -> bool:
        """Whether the body must meet any expectation."""
        return self.body_contains is not None or self.has_json_rule


def parse_status_ranges(text: str) -> list[range]:
    """Parse status codes and ranges, such as `200-299` or `200,301-302`.

    Raises:
        ValueError: the text is malformed, or a code is outside 100 to 599.

    """
    ranges = []
    for part in text.split(","):
        match = _STATUS_CODES.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError("must be status codes such as 200, 200-299 or 200,301-302")
        ranges.append(range(first, last + 1))
    return ranges


def check_status(expect: HttpExpectation, code: int) -> str | None:
    """The error message for an unexpected status code, or None."""
    if any(code in codes for codes in parse_status_ranges(expect.status)):
        return None
    return f"expected status {expect.status}, got {code}"


def check_body(expect: HttpExpectation, body: bytes, charset: str, is_truncated: bool) -> str | None:
    """The error message for a body that doesn't meet the expectations, or None."""
    if expect.body_contains is not None and expect.body_contains not in _decode(body, charset):
        where = f" in its first {len(body):,} bytes" if is_truncated else ""
        return f"expected a body that contains {_shorten(expect.body_contains)}{where}"
    if not expect.has_json_rule:
        return None
    if is_truncated:
        return f"expected json, got a body of more than {len(body):,} bytes"
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "expected json, got text that is not JSON" if body else "expected json, got an empty body"
    return check_json(expect.json_value, document)


def check_json(expected: object, got: object, path: str = "") -> str | None:
    """The error message for the first difference, or None. Mappings may have more keys; all else must be equal."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        reasons = (
            check_json(value, got.get(key, _MISSING), f"{path}.{key}" if path else str(key))
            for key, value in expected.items()
        )
        return next((reason for reason in reasons if reason), None)
    if not isinstance(expected, Mapping) and _is_equal_json(expected, got):
        return None
    is_secret = is_secret_key(path.rpartition(".")[2])
    wanted, actual = (REDACTED, REDACTED) if is_secret else (_shorten(expected), _shorten(got))
    return f"expected json {path}: {wanted}, got {actual}" if path else f"expected json {wanted}, got {actual}"


def _is_equal_json(expected: object, got: object) -> bool:
    """Equality by the rules of JSON: true is not 1, but 1 is 1.0."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(_is_equal_json, expected, got))
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return expected.keys() == got.keys() and all(_is_equal_json(value, got[key]) for key, value in expected.items())
    return expected == got


def _shorten(value: object) -> str:
    if value is _MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _decode(body: bytes, charset: str) -> str:
    try:
        is_text_encoding = codecs.lookup(charset).name not in _PYTHON_ENCODINGS
        return body.decode(charset if is_text_encoding else "utf-8", errors="replace")
    except (LookupError, ValueError):  # unknown, or not an encoding of text
        return body.decode(errors="replace")
