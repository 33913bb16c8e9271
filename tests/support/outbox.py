"""Alerts with notifications in the outbox, and what a worker does with them."""

import json
from collections.abc import Sequence
from uuid import UUID, uuid4

from tests.conftest import Backend
from vigilbase import AlertEvent, AlertEventModel, CreateAlertEventData, get_supabase_service_client
from vigilbase.notifications.outbox import Claim, ClaimedBatch, claim_batches, record_result

OPS = {"channel": "ops", "after_s": 0, "unless_acknowledged": False, "send_resolved": True}
TIMELINE = "SELECT event, details ->> 'channel' FROM vigilbase.alert_timeline ORDER BY id"
ROWS = "SELECT channel, kind, status FROM vigilbase.notifications ORDER BY id"
SUPPRESSED_BY = "silence 1 of ana: why"


async def record_transition(service: str, to: str, routes: Sequence[dict[str, object]] = (OPS,)) -> None:
    """Record a change of status, as the runner does."""
    text = {"message": f"{service} is {to}", "details": {"reason": "3 consecutive checks"}}
    transition = {
        "service_name": service,
        "to": to,
        "opening": text if to != "healthy" else None,
        "recovery": text if to != "down" else None,
        "routes": list(routes),
        "tags": ["shop"],
    }
    await get_supabase_service_client().call(
        "vigilbase_record", {"p_checks": "[]", "p_transitions": json.dumps([transition])}
    )


def enqueue(backend: Backend, alert: AlertEvent, routes: Sequence[dict[str, object]] = (OPS,)) -> None:
    """Enqueue notifications about an alert that the judge didn't open."""
    backend.execute(
        f"SELECT vigilbase.enqueue_alert(vigilbase.read_alert('{alert.service_name}', '{alert.id}'), "
        f"'{json.dumps(list(routes))}', '[]')"
    )


async def claim_due(channel: str = "ops", *, window_s: float = 0, lease: UUID | None = None, limit: int = 10) -> Claim:
    return await claim_batches(channel, window_s=window_s, lease_id=lease or uuid4(), limit=limit)


async def claim_one(channel: str = "ops", window_s: float = 0) -> ClaimedBatch:
    """Claim what is due, which must be one batch."""
    [batch] = (await claim_due(channel, window_s=window_s)).batches
    return batch


def list_ids(batch: ClaimedBatch) -> list[int]:
    return [notification.id for notification in batch.notifications]


def list_services(batch: ClaimedBatch) -> list[str]:
    return sorted(notification.alert.service_name for notification in batch.notifications)


def make_due(backend: Backend) -> None:
    backend.execute("UPDATE vigilbase.notifications SET due_at = now() - interval '1 s' WHERE status = 'pending'")


def end_leases(backend: Backend) -> None:
    backend.execute(
        "UPDATE vigilbase.notifications SET leased_until = now() - interval '1 s' WHERE leased_until IS NOT NULL"
    )


async def suppress(batch: ClaimedBatch, *, delay_s: float = 300) -> None:
    """Record that a silence suppresses a whole batch."""
    await record_result(batch, "deferred", ids=list_ids(batch), delay_s=delay_s, suppressed_by=SUPPRESSED_BY)


async def enqueue_trigger(backend: Backend, service_name: str) -> None:
    """Raise an alert and enqueue its trigger for the channel `ops`."""
    alert, _ = await AlertEventModel.raise_alert(CreateAlertEventData(service_name, "service_down", message="it broke"))
    enqueue(backend, alert)
