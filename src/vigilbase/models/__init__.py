"""Every model and its types."""

from vigilbase.models.alert_event import AlertEvent, AlertEventModel, CreateAlertEventData
from vigilbase.models.health_check import CheckHistory, CreateHealthCheckData, HealthCheckModel, ServiceHealthCheck

__all__ = [
    "AlertEvent",
    "AlertEventModel",
    "CheckHistory",
    "CreateAlertEventData",
    "CreateHealthCheckData",
    "HealthCheckModel",
    "ServiceHealthCheck",
]
