"""Every model and its types."""

from vigilbase.models.alert_event import AlertEvent, AlertEventModel, CreateAlertEventData
from vigilbase.models.health_check import CreateHealthCheckData, HealthCheckModel, ServiceHealthCheck

__all__ = [
    "AlertEvent",
    "AlertEventModel",
    "CreateAlertEventData",
    "CreateHealthCheckData",
    "HealthCheckModel",
    "ServiceHealthCheck",
]
