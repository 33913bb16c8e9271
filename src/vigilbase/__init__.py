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
    AlertEvent,
    AlertEventModel,
    CheckHistory,
    CreateAlertEventData,
    CreateHealthCheckData,
    HealthCheckModel,
    ServiceHealthCheck,
)
from vigilbase.vocabulary import Observation

__version__ = version("vigilbase")

__all__ = [
    "AccessRefusedError",
    "AlertEvent",
    "AlertEventModel",
    "CheckHistory",
    "ConfigurationError",
    "CreateAlertEventData",
    "CreateHealthCheckData",
    "DatabaseError",
    "DatabaseUnavailableError",
    "EmbeddedPostgresError",
    "HealthCheckModel",
    "InvalidInputError",
    "InvalidTransitionError",
    "MigrationError",
    "MissingSchemaError",
    "Observation",
    "ServiceHealthCheck",
    "VigilbaseError",
    "close_supabase_service_client",
    "get_supabase_service_client",
]
