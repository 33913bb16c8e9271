"""How bad a message is, for receivers that show it by a colour or a sign. Pure."""

from typing import Literal

from vigilbase.alerts.message import Message

Tone = Literal["failure", "warning", "success", "info"]


def tone(message: Message) -> Tone:
    """Bad as long as something is down, good once it is over, and plain information that somebody is at it."""
    match message.kind:
        case "resolved":
            return "success"
        case "acknowledged":
            return "info"
        case _:
            return "failure" if any(alert.alert_type == "service_down" for alert in message.alerts) else "warning"
