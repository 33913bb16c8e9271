"""Durations in the JSON schema of the configuration file."""

from pydantic import WithJsonSchema

from vigilbase.durations import DURATION_PATTERN

DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
"""What editors accept as a duration."""
