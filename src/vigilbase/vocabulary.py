"""The words of the house as types and frozen values. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from vigilbase.clock import utc_now
from vigilbase.ids import uuid7

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
"""Whatever JSON can say."""

Status = Literal["healthy", "degraded", "down"]
"""What a health check found."""

AlertType = Literal["service_down", "service_degraded", "recovery"]
"""What an alert event is about."""

AlertStatus = Literal["active", "acknowledged", "resolved"]
"""How far an alert event has come."""

DeliveryKind = Literal["triggered", "acknowledged", "resolved", "reminder"]
"""What a message says about an alert event."""

DeliveryStatus = Literal["pending", "delivered", "failed", "cancelled"]
"""How far a delivery has come: `failed` is final, `cancelled` is not needed any more."""

TimelineEvent = Literal[
    "opened",
    "taken_over",
    "acknowledged",
    "resolved",
    "commented",
    "delivered",
    "attempt_failed",
    "failed",
    "cancelled",
    "requeued",
]
"""What happened to an alert event: `taken_over` is one of somebody else's that became the judge's.

The last five are about a notification: `failed` is final, after attempts that failed.
"""

STATUSES: tuple[Status, ...] = ("healthy", "degraded", "down")
ALERT_TYPES: tuple[AlertType, ...] = ("service_down", "service_degraded", "recovery")
ALERT_STATUSES: tuple[AlertStatus, ...] = ("active", "acknowledged", "resolved")
DELIVERY_KINDS: tuple[DeliveryKind, ...] = ("triggered", "acknowledged", "resolved", "reminder")
DELIVERY_STATUSES: tuple[DeliveryStatus, ...] = ("pending", "delivered", "failed", "cancelled")
TIMELINE_EVENTS: tuple[TimelineEvent, ...] = get_args(TimelineEvent)


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of one probe, before it is recorded.

    `checked_at` is when the probe began (aware, UTC); `latency_ms` how long it took, to the millisecond. The `id` is
    the one that the recorded check will have, so that recording it twice is harmless.
    """

    status: Status
    checked_at: datetime = field(default_factory=utc_now)
    latency_ms: int = 0
    error_message: str | None = None
    probe_details: Mapping[str, JSON] | None = None
    id: UUID = field(default_factory=uuid7)


@dataclass(frozen=True, slots=True)
class Check:
    """An observation of a service on its way to the database."""

    service_name: str
    observation: Observation


@dataclass(frozen=True, slots=True)
class Policy:
    """How many checks in a row it takes to call a service down, and to call it healthy again.

    Checks with more than `max_gap` between them are not in a row.
    """

    failures: int
    successes: int
    max_gap: timedelta = timedelta.max


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a service's judged status, and the checks in a row that caused it.

    `since` and `at` are when the first and the last of these ran; `was_since`, for a service that was not healthy, when
    it began to be what it was. `last_error` is the newest error message among them.
    """

    service_name: str
    was: Status
    to: Status
    at: datetime
    since: datetime
    was_since: datetime | None
    reason: str
    check_ids: tuple[UUID, ...]
    last_error: str | None
