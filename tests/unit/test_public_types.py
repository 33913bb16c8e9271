"""Other libraries can read the types of the public dataclasses: `typing.get_type_hints`, pydantic, FastAPI."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import get_type_hints
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

import vigilbase
from vigilbase import (
    AlertEvent,
    ChannelState,
    CheckHistory,
    CreateAlertEventData,
    CreateHealthCheckData,
    CreateSuppressionData,
    Notification,
    ProbeResult,
    Recurrence,
    ServiceHealthCheck,
    Suppression,
    TimelineEntry,
)
from vigilbase.domain import JSON

ID = UUID("019abcde-0000-7000-8000-000000000001")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DETAILS: dict[str, JSON] = {"a": [1, 2.5, True, None, "x", {"b": []}], "c": {"d": {"e": [[1]]}}, "f": "12", "g": False}
CHECK = ServiceHealthCheck(ID, "api", "down", 3, NOON, "refused", DETAILS, NOON)
RECURRENCE = Recurrence("0 3 * * 0", 3600, "Europe/Berlin")
VALUES: Sequence[object] = (
    CHECK,
    CheckHistory([CHECK], {"healthy": 0, "degraded": 0, "down": 1}),
    CreateHealthCheckData("api", "down", 3, "refused", DETAILS, NOON),
    AlertEvent(ID, "api", "service_down", "active", "api is down", DETAILS, NOON, None, None),
    CreateAlertEventData("api", "service_down", "active", "api is down", DETAILS),
    TimelineEntry(1, ID, "api", NOON, "opened", "ada", "why", DETAILS),
    Suppression(ID, "maintenance", "api-*", None, NOON, None, RECURRENCE, "ada", "why", NOON),
    CreateSuppressionData("maintenance", "ada", "why", "api-*", recurrence=RECURRENCE),
    RECURRENCE,
    Notification(1, ID, "api", "ops", "triggered", "pending", 0, NOON, ID, None, None, None, NOON, None),
    ChannelState("ops", None, None, NOON, NOON, None, "busy", 0, 1, 2, 3),
    ProbeResult("down", "refused", DETAILS, 3, NOON, ID),
)
PUBLIC = [getattr(vigilbase, name) for name in vigilbase.__all__ if is_dataclass(getattr(vigilbase, name))]


def test_public_dataclasses_all_have_a_value_here() -> None:
    assert {type(value) for value in VALUES} == set(PUBLIC)


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_get_type_hints_public_dataclass_is_resolved(kind: type) -> None:
    hints = get_type_hints(kind)
    assert list(hints) == [field.name for field in fields(kind)]
    assert "ForwardRef" not in str(hints)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_type_adapter_public_dataclass_round_trips_through_json(value: object) -> None:
    adapter = TypeAdapter(type(value))
    assert adapter.json_schema()["properties"]
    assert adapter.validate_json(adapter.dump_json(value)) == value
    assert adapter.validate_python(adapter.dump_python(value)) == value


def test_type_adapter_details_that_json_lacks_are_rejected() -> None:
    with pytest.raises(ValidationError, match="probe_details"):
        TypeAdapter(CreateHealthCheckData).validate_python(
            {"service_name": "api", "status": "down", "probe_details": {"a": [object()]}}
        )


def test_type_adapter_json_alias_keeps_types() -> None:
    checked = TypeAdapter[JSON](JSON).validate_python(DETAILS)
    assert str(checked) == str(DETAILS)
