"""Vigilbase: service-health monitoring that lives in your own Postgres or Supabase project."""

from importlib.metadata import version

from vigilbase.config.supabase import close_supabase_service_client, get_supabase_service_client
from vigilbase.domain import ProbeResult
from vigilbase.errors import (
    AccessRefusedError,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailableError,
    EmbeddedPostgresError,
    InvalidInputError,
    InvalidTransitionError,
    MigrationError,
    MissingSchemaError,
    VigilbaseError,
)
from vigilbase.models import (
    AlertEvent,
    AlertEventModel,
    ChannelModel,
    ChannelState,
    CheckHistory,
    CreateAlertEventData,
    CreateHealthCheckData,
    CreateSuppressionData,
    HealthCheckModel,
    Notification,
    NotificationModel,
    Recurrence,
    ServiceHealthCheck,
    Suppression,
    SuppressionModel,
    TimelineEntry,
    TimelineModel,
)

__version__ = version("vigilbase")

__all__ = [
    "AccessRefusedError",
    "AlertEvent",
    "AlertEventModel",
    "ChannelModel",
    "ChannelState",
    "CheckHistory",
    "ConfigurationError",
    "CreateAlertEventData",
    "CreateHealthCheckData",
    "CreateSuppressionData",
    "DatabaseError",
    "DatabaseUnavailableError",
    "EmbeddedPostgresError",
    "HealthCheckModel",
    "InvalidInputError",
    "InvalidTransitionError",
    "MigrationError",
    "MissingSchemaError",
    "Notification",
    "NotificationModel",
    "ProbeResult",
    "Recurrence",
    "ServiceHealthCheck",
    "Suppression",
    "SuppressionModel",
    "TimelineEntry",
    "TimelineModel",
    "VigilbaseError",
    "close_supabase_service_client",
    "get_supabase_service_client",
]
