"""Vigilbase: service-health monitoring that lives in your own Postgres or Supabase project."""

from importlib.metadata import version

from vigilbase.config.supabase import close_supabase_service_client, get_supabase_service_client
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
    AlertDelivery,
    AlertEvent,
    AlertEventModel,
    ChannelState,
    CheckHistory,
    CreateAlertEventData,
    CreateHealthCheckData,
    CreateMaintenanceData,
    CreateSilenceData,
    DeliveryModel,
    HealthCheckModel,
    MaintenanceModel,
    MaintenanceWindow,
    Recurrence,
    ServiceHealthCheck,
    Silence,
    SilenceModel,
    TimelineEntry,
    TimelineModel,
)
from vigilbase.vocabulary import Observation

__version__ = version("vigilbase")

__all__ = [
    "AccessRefusedError",
    "AlertDelivery",
    "AlertEvent",
    "AlertEventModel",
    "ChannelState",
    "CheckHistory",
    "ConfigurationError",
    "CreateAlertEventData",
    "CreateHealthCheckData",
    "CreateMaintenanceData",
    "CreateSilenceData",
    "DatabaseError",
    "DatabaseUnavailableError",
    "DeliveryModel",
    "EmbeddedPostgresError",
    "HealthCheckModel",
    "InvalidInputError",
    "InvalidTransitionError",
    "MaintenanceModel",
    "MaintenanceWindow",
    "MigrationError",
    "MissingSchemaError",
    "Observation",
    "Recurrence",
    "ServiceHealthCheck",
    "Silence",
    "SilenceModel",
    "TimelineEntry",
    "TimelineModel",
    "VigilbaseError",
    "close_supabase_service_client",
    "get_supabase_service_client",
]
