"""Every function that clients call answers on every transport as in SQL."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import psycopg
import pytest

from tests.conftest import Backend
from tests.support.server import TEMPLATE, PostgresServer
from vigilbase import get_supabase_service_client
from vigilbase.database.client import Value
from vigilbase.domain import JSON

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RUNNER, LEASE = UUID(int=1), UUID(int=2)
CHECK = {
    "service_name": "api",
    "status": "down",
    "latency_ms": 7,
    "error_message": "refused: „ü☃“",
    "probe_details": {},
}
ROUTE = {"channel": "ops", "after_s": 0, "unless_acknowledged": False, "send_resolved": True}
TRANSITION = {
    "service_name": "api",
    "to": "down",
    "opening": {"message": "api is down", "details": {"reason": "☃", "n": [1, 2.5, None, True]}},
    "recovery": None,
    "routes": [ROUTE],
    "tags": ["größe"],
}
MOMENT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:\d\d)?)"
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
VARYING = {"next_in_s", "role", "exposed"}  # @supabase/lite exposes objects that it grants to every role

Call = Callable[..., Awaitable[JSON]]


@pytest.fixture
def other_database(server: PostgresServer) -> Iterator[str]:
    """The name of a second migrated database."""
    name = server.create_database(TEMPLATE)
    yield name
    server.drop_database(name)


async def test_every_function_answers_on_each_transport_as_in_sql(each_backend: Backend, other_database: str) -> None:
    client = get_supabase_service_client()
    answers: dict[str, list[JSON]] = {}
    expected: dict[str, list[JSON]] = {}

    async def call(name: str, **arguments: Value) -> JSON:
        answer = await client.call(f"vigilbase_{name}", {f"p_{key}": value for key, value in arguments.items()})
        answers.setdefault(f"vigilbase_{name}", []).append(normalize(answer or None))
        return answer

    with psycopg.connect(each_backend.server.url(other_database), autocommit=True) as connection:

        async def call_in_sql(name: str, **arguments: Value) -> JSON:
            named = ", ".join(f"p_{key} => %({key})s" for key in arguments)
            row = connection.execute(f"SELECT public.vigilbase_{name}({named})".encode(), arguments).fetchone()
            answer = cast("JSON", row and row[0])
            expected.setdefault(f"vigilbase_{name}", []).append(normalize(answer or None))
            return answer

        await play(call)
        await play(call_in_sql)
    for function, answer in expected.items():
        assert answers[function] == answer, function
    functions = (
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'vigilbase%'"
    )
    assert answers.keys() == {name for (name,) in each_backend.execute(functions)}


async def play(call: Call) -> None:
    """Call every function, each with an answer that isn't empty."""
    for name in ("role_info", "test_write", "list_migrations", "list_privileges"):
        await call(name)
    await call("save_runner", runner_id=RUNNER, host="box", pid=7)
    service = {"service_name": "api", "kind": "tcp", "interval_s": 30, "timeout_s": 5, "tags": ["größe"]}
    await call("save_services", services=json.dumps([service]), source="file", owner="/etc/vigilbase.yaml")
    await call("save_targets", targets=json.dumps({"api": {"remote_address": "192.0.2.1:443"}}))
    await call("create_health_check", check=json.dumps({**CHECK, "checked_at": NOON.isoformat()}))
    await call("create_health_checks", checks=json.dumps([CHECK, CHECK]))
    await call("find_latest_health_checks")
    await call("find_latest_health_check", service_name="api")
    await call("find_check_history", service_name="api", since=NOON, limit=10)
    await call("record", checks="[]", transitions=json.dumps([TRANSITION]))
    await call("load_state", service_names=json.dumps(["api"]), checks=10)
    await call("list_alerts", statuses=json.dumps(["active"]))
    await send_notifications(call)
    await call("disable_channel", channel="ops", reason="410 Gone", message="ops is disabled", routes="[]")
    await call("enable_channel", channel="ops")
    created = await call("create_alert", **make_alert("web"), status="active")
    await call("acknowledge_alert", id=find_text(created, "id"), author="ana", comment="on it")
    await call("resolve_alert", id=find_text(created, "id"), author="ana")
    await call("list_timeline", alert_id=find_text(created, "id"))
    await call("raise_alert", **make_alert("db"), within_minutes=5)
    await call("find_recent_alert", service_name="db", alert_type="service_down", within_minutes=5)
    await suppress(call)
    await call("enqueue_missing_resolutions")
    future = {"days": 0, "limit": 100, "before": datetime(9999, 1, 1, tzinfo=UTC)}
    for name in ("delete_notifications", "delete_health_checks", "delete_alerts"):
        await call(name, **future)
    await call("end_runner", runner_id=RUNNER)


async def send_notifications(call: Call) -> None:
    claimed = await call("claim_notifications", channel="ops", window_s=0.0, lease_id=LEASE, lease_s=60, limit=10)
    number = find_number(claimed, "id")
    result = {"lease_id": str(LEASE), "ids": [number], "result": "failed", "error": "503", "delay_s": 0}
    await call("record_results", results=json.dumps([result]))
    await call("list_notifications", statuses=json.dumps(["failed"]), limit=10)
    await call("retry_notification", id=number, author="ana")
    await call("discard_notification", id=number)
    await call("list_channels")


async def suppress(call: Call) -> None:
    data = {"kind": "silence", "service_glob": "*", "tag": None, "starts_at": None, "ends_at": None}
    added = await call("add_suppression", **data, length_s=3600.0, author="ana", comment="größer")
    id_ = UUID(find_text(added, "id"))
    await call("find_suppressions", kind="silence", first_id=id_, last_id=id_, limit=10)
    await call("list_suppressions", kind="silence")
    await call("end_suppression", kind="silence", id=id_)


def make_alert(service_name: str) -> dict[str, Value]:
    return {
        "service_name": service_name,
        "alert_type": "service_down",
        "message": "down: „ü☃“",
        "details": json.dumps({"n": [1, 2.5, None, True]}),
    }


def find_text(answer: JSON, key: str) -> str:
    value = find_value(answer, key)
    assert isinstance(value, str)
    return value


def find_number(answer: JSON, key: str) -> int:
    value = find_value(answer, key)
    assert isinstance(value, int)
    return value


def find_value(answer: JSON, key: str) -> JSON:
    """The first value of a key, outermost first."""
    level = [answer]
    while level:
        for item in level:
            if isinstance(item, Mapping) and key in item:
                return item[key]
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, Mapping) else item if isinstance(item, list) else ())
        ]
    raise AssertionError(f"no {key} in {answer}")


def normalize(value: JSON) -> JSON:
    """The answer without what differs between two calls: ids, times and durations."""
    if isinstance(value, Mapping):
        return {key: "…" if key in VARYING else normalize(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [normalize(inner) for inner in value]
    if isinstance(value, str):
        return re.sub(ID, "ID", re.sub(MOMENT, "TIME", value))
    return value
