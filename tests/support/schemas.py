"""Validation of payloads for third-party services against the schemas in `tests/schemas`."""

import json
import re
from datetime import datetime
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker

SCHEMAS = Path(__file__).parents[1] / "schemas"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_formats = FormatChecker()


@_formats.checks("date-time", ValueError)
def _is_moment(value: object) -> bool:
    return isinstance(value, str) and bool(_RFC_3339.fullmatch(value)) and bool(datetime.fromisoformat(value))


def assert_matches(payload: object, name: str) -> None:
    """Fail if a payload violates the schema of that name."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    errors = Draft202012Validator(schema, format_checker=_formats).iter_errors(payload)
    assert not [f"{error.json_path}: {error.message}" for error in errors]
