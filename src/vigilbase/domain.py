"""The product's vocabulary as types and frozen values. No I/O."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from vigilbase.clock import utc_now
from vigilbase.ids import uuid7

if sys.version_info >= (3, 12):
    from typing import TypeAliasType
else:
    from typing_extensions import TypeAliasType

# Neither `typing.get_type_hints` nor pydantic could resolve a recursive alias without a name of its own.
JSON = TypeAliasType("JSON", "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None")

Status = Literal["healthy", "degraded", "down"]
AlertType = Literal["service_down", "service_degraded", "recovery"]
AlertStatus = Literal["active", "acknowledged", "resolved"]

NotificationKind = Literal["triggered", "acknowledged", "resolved", "reminder"]
"""The event that a notification is about."""

NotificationStatus = Literal["pending", "delivered", "failed", "cancelled"]
"""`failed` is final, after the last attempt; a `cancelled` notification is not needed any more."""

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
"""`taken_over`: the judge adopted an alert that other code opened. The last five are about a notification."""

STATUSES: tuple[Status, ...] = get_args(Status)
ALERT_TYPES: tuple[AlertType, ...] = get_args(AlertType)
ALERT_STATUSES: tuple[AlertStatus, ...] = get_args(AlertStatus)
NOTIFICATION_KINDS: tuple[NotificationKind, ...] = get_args(NotificationKind)
NOTIFICATION_STATUSES: tuple[NotificationStatus, ...] = get_args(NotificationStatus)
TIMELINE_EVENTS: tuple[TimelineEvent, ...] = get_args(TimelineEvent)

MAX_INTEGER = 2**31 - 1
"""The largest Postgres integer."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe found, before it is recorded.

    `checked_at` is when the probe began (aware, UTC) and `latency_ms` how long it took, to the millisecond: both are
    measured around the probe, which need not set them. The recorded check keeps the `id`, so recording it twice is
    harmless.
    """

    status: Status = "healthy"
    error_message: str | None = None
    probe_details: Mapping[str, JSON] | None = None
    latency_ms: int = 0
    checked_at: datetime = field(default_factory=utc_now)
    id: UUID = field(default_factory=uuid7)


@dataclass(frozen=True, slots=True)
class Check:
    """A service's probe result on its way to the database."""

    service_name: str
    result: ProbeResult


@dataclass(frozen=True, slots=True)
class Policy:
    """How many consecutive checks make a service's status worse, and how many make it better.

    Checks with more than `max_gap` between them are not consecutive.
    """

    failure_threshold: int
    success_threshold: int
    max_gap: timedelta = timedelta.max


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a service's current status, and the consecutive checks that caused it.

    `since` and `at` are when the first and the last of these checks ran. `previous_since` is since when the service had
    its previous status; None if that was healthy. `last_error` is the newest error message among the checks.
    """

    service_name: str
    from_status: Status
    to_status: Status
    at: datetime
    since: datetime
    previous_since: datetime | None
    reason: str
    check_ids: tuple[UUID, ...]
    last_error: str | None
