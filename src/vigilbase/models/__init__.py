"""Every model and its types."""

from vigilbase.models.alert_event import AlertEvent, AlertEventModel, CreateAlertEventData
from vigilbase.models.channel import ChannelModel, ChannelState
from vigilbase.models.health_check import CheckHistory, CreateHealthCheckData, HealthCheckModel, ServiceHealthCheck
from vigilbase.models.notification import Notification, NotificationModel
from vigilbase.models.recurrence import Recurrence
from vigilbase.models.suppression import CreateSuppressionData, Suppression, SuppressionModel
from vigilbase.models.timeline import TimelineEntry, TimelineModel

__all__ = [
    "AlertEvent",
    "AlertEventModel",
    "ChannelModel",
    "ChannelState",
    "CheckHistory",
    "CreateAlertEventData",
    "CreateHealthCheckData",
    "CreateSuppressionData",
    "HealthCheckModel",
    "Notification",
    "NotificationModel",
    "Recurrence",
    "ServiceHealthCheck",
    "Suppression",
    "SuppressionModel",
    "TimelineEntry",
    "TimelineModel",
]
