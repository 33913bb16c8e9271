"""Every model and its types."""

from vigilbase.models.alert_event import AlertEvent, AlertEventModel, CreateAlertEventData
from vigilbase.models.delivery import AlertDelivery, ChannelState, DeliveryModel
from vigilbase.models.health_check import CheckHistory, CreateHealthCheckData, HealthCheckModel, ServiceHealthCheck
from vigilbase.models.maintenance import CreateMaintenanceData, MaintenanceModel, MaintenanceWindow, Recurrence
from vigilbase.models.silence import CreateSilenceData, Silence, SilenceModel
from vigilbase.models.timeline import TimelineEntry, TimelineModel

__all__ = [
    "AlertDelivery",
    "AlertEvent",
    "AlertEventModel",
    "ChannelState",
    "CheckHistory",
    "CreateAlertEventData",
    "CreateHealthCheckData",
    "CreateMaintenanceData",
    "CreateSilenceData",
    "DeliveryModel",
    "HealthCheckModel",
    "MaintenanceModel",
    "MaintenanceWindow",
    "Recurrence",
    "ServiceHealthCheck",
    "Silence",
    "SilenceModel",
    "TimelineEntry",
    "TimelineModel",
]
