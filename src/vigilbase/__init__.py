"""Vigilbase: service-health monitoring that lives in your own Postgres or Supabase project."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        MissingExtraError,
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

    __version__: str

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
    "MissingExtraError",
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

_MODULES = ("vigilbase.errors", "vigilbase.domain", "vigilbase.models", "vigilbase.config.supabase")


def _import_export(name: str) -> object:
    """Import a name when it is first used (PEP 562), because the command line needs none of them to start."""
    if name == "__version__":
        value = import_module("importlib.metadata").version("vigilbase")
    elif f"vigilbase.{name}" in _MODULES:
        value = import_module(f"vigilbase.{name}")
    elif name in __all__:
        modules = (import_module(module) for module in _MODULES)
        value = next(getattr(module, name) for module in modules if hasattr(module, name))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # otherwise, a type checker would take any name for an export
    __getattr__ = _import_export


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
