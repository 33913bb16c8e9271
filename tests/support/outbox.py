"""Alerts that are owed to channels, and what a sender does with that."""

import json
from collections.abc import Sequence
from uuid import UUID, uuid4

from tests.conftest import Backend
from vigilbase import AlertEvent, get_supabase_service_client
from vigilbase.runner.outbox import Claim, ClaimedMessage, claim

OPS = {"channel": "ops", "after_s": 0, "unless_acknowledged": False, "send_resolved": True}
ROWS = "SELECT channel, kind, status FROM vigilbase.notifications ORDER BY id"


async def transition(service: str, to: str, owed: Sequence[dict[str, object]] = (OPS,)) -> None:
    wording = {"message": f"{service} is {to}", "details": {"reason": "3 checks in a row"}}
    transition = {
        "service_name": service,
        "to": to,
        "opening": wording if to != "healthy" else None,
        "recovery": wording if to != "down" else None,
        "routes": list(owed),
        "tags": ["shop"],
    }
    await get_supabase_service_client().call(
        "vigilbase_record", {"p_checks": "[]", "p_transitions": json.dumps([transition])}
    )


def enqueue(backend: Backend, alert: AlertEvent, routes: Sequence[dict[str, object]] = (OPS,)) -> None:
    """Queue notifications about an alert that the judge didn't open."""
    backend.execute(
        f"SELECT vigilbase.enqueue_alert(vigilbase.read_alert('{alert.service_name}', '{alert.id}'), "
        f"'{json.dumps(list(routes))}', '[]')"
    )


async def claim_due(channel: str = "ops", *, window_s: float = 0, lease: UUID | None = None, limit: int = 10) -> Claim:
    return await claim(channel, window_s=window_s, lease_id=lease or uuid4(), limit=limit)


async def only(channel: str = "ops", window_s: float = 0) -> ClaimedMessage:
    [message] = (await claim_due(channel, window_s=window_s)).messages
    return message


def make_due(backend: Backend) -> None:
    backend.execute("UPDATE vigilbase.notifications SET due_at = now() - interval '1 s' WHERE status = 'pending'")


def end_leases(backend: Backend) -> None:
    backend.execute(
        "UPDATE vigilbase.notifications SET leased_until = now() - interval '1 s' WHERE leased_until IS NOT NULL"
    )
