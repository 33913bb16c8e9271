"""The notification worker under silences."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.outbox import enqueue_trigger
from tests.support.receiver import Receiver, Reply, receiving
from tests.support.services import FakeService, make_config, run_config
from tests.support.waiting import wait_until_async
from tests.support.worker import list_accepted, make_webhook_channel, make_worker, send_all
from vigilbase import CreateSuppressionData, SuppressionModel
from vigilbase.alerts.routing import ROUTE_EVENTS, Route
from vigilbase.errors import DatabaseUnavailableError
from vigilbase.notifications.active_silences import ActiveSilences, load_active_silences
from vigilbase.notifications.outbox import claim_batches

OPS_ROUTES = (Route(("ops",), frozenset(ROUTE_EVENTS)),)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def test_worker_unreadable_silences_or_expired_lease_never_sends_suppressed(
    backend: Backend, receiver: Receiver
) -> None:
    channel = make_webhook_channel(receiver)

    async def fail_to_load(since: datetime | None = None) -> ActiveSilences:
        raise DatabaseUnavailableError("the database is away")

    async def claim_and_crash() -> None:
        await claim_batches("ops", window_s=0, lease_id=uuid4(), limit=10)
        backend.execute("UPDATE vigilbase.notifications SET leased_until = now() - interval '1 s'")

    async def run_once(load_silences: Callable[[datetime | None], Awaitable[ActiveSilences]]) -> None:
        await make_worker(channel, load_silences=load_silences).run_once(channel)

    rows = "SELECT attempts, batch_id IS NULL, due_at > now() FROM vigilbase.notifications"
    await enqueue_trigger(backend, "api")
    await SuppressionModel.create(CreateSuppressionData("silence", "ana", "a deployment", service_glob="*"))
    with pytest.raises(DatabaseUnavailableError):
        await run_once(fail_to_load)
    assert backend.execute(rows) == [(0, True, True)]  # released unchanged
    backend.execute("UPDATE vigilbase.notifications SET due_at = now()")
    await claim_and_crash()
    await run_once(load_active_silences)
    assert backend.execute(rows) == [(1, False, True)]  # it may have arrived, so it keeps its id
    assert receiver.requests == []


async def test_worker_silence_by_tag_uses_current_tags_of_config(backend: Backend, receiver: Receiver) -> None:
    channel = make_webhook_channel(receiver)
    await enqueue_trigger(backend, "api")
    await SuppressionModel.create(CreateSuppressionData("silence", "ana", "a deployment", tag="new"))
    worker = make_worker(channel, load_silences=load_active_silences, tags={"api": ["new"]})
    await worker.run_once(channel)
    assert receiver.requests == []


async def test_worker_suppressed_trigger_is_sent_after_silence_ends_if_alert_is_open(
    backend: Backend, receiver: Receiver
) -> None:
    silence = await SuppressionModel.create(CreateSuppressionData("silence", "ana", "a deployment", service_glob="a*"))
    api, other = FakeService("api", routes=OPS_ROUTES), FakeService("other", routes=OPS_ROUTES)
    for service in (api, other):
        service.fail()
    async with run_config(make_config([api, other], make_webhook_channel(receiver))):
        await wait_until_async(lambda: ("alert.triggered", ["other"]) in list_accepted(receiver))
        pending = "SELECT service_name FROM vigilbase.notifications WHERE status = 'pending' AND due_at > now()"
        await wait_until_async(lambda: backend.execute(pending) == [("api",)])
        await SuppressionModel.end("silence", silence.id)
        await wait_until_async(lambda: ("alert.triggered", ["api"]) in list_accepted(receiver))
        # The resolution of a sent trigger is sent even during a silence.
        await SuppressionModel.create(CreateSuppressionData("silence", "ana", "another deployment", service_glob="*"))
        api.recover()
        await wait_until_async(lambda: ("alert.resolved", ["api"]) in list_accepted(receiver))


async def test_worker_past_silence_cancels_only_alerts_within_it(backend: Backend, receiver: Receiver) -> None:
    """As with a channel that was disabled meanwhile."""
    early, api = FakeService("early", routes=OPS_ROUTES), FakeService("api", routes=OPS_ROUTES)
    async with run_config(make_config([early, api])):  # nothing is sent without a channel
        early.fail()
        await wait_until_async(lambda: backend.execute("SELECT 1 FROM vigilbase.notifications"))
        silence = await SuppressionModel.create(
            CreateSuppressionData("silence", "ana", "a deployment", service_glob="*")
        )
        api.fail()
        await wait_until_async(lambda: backend.execute("SELECT count(*) FROM vigilbase.notifications") == [(2,)])
        for service in (early, api):
            service.recover()
        resolutions = "SELECT count(*) FROM vigilbase.notifications WHERE kind = 'resolved'"
        await wait_until_async(lambda: backend.execute(resolutions) == [(2,)])
        await SuppressionModel.end("silence", silence.id)
    channel = make_webhook_channel(receiver)
    worker = make_worker(channel, load_silences=load_active_silences)
    await send_all(worker, channel)
    assert list_accepted(receiver) == [("alert.resolved", ["early"])]
    results = (
        "SELECT service_name, status, suppressed_by IS NOT NULL FROM vigilbase.notifications "
        "WHERE kind = 'resolved' ORDER BY 1"
    )
    assert backend.execute(results) == [("api", "cancelled", True), ("early", "delivered", False)]


async def test_worker_alert_opened_and_resolved_during_silence_is_cancelled(
    backend: Backend, receiver: Receiver
) -> None:
    await SuppressionModel.create(CreateSuppressionData("silence", "ana", "a deployment", service_glob="*"))
    api = FakeService("api", routes=OPS_ROUTES)
    api.fail()
    async with run_config(make_config([api], make_webhook_channel(receiver))):
        await wait_until_async(lambda: backend.execute("SELECT 1 FROM vigilbase.notifications WHERE due_at > now()"))
        api.recover()
        cancelled = [("triggered", "cancelled"), ("resolved", "cancelled")]
        await wait_until_async(
            lambda: backend.execute("SELECT kind, status FROM vigilbase.notifications ORDER BY id") == cancelled
        )
    assert receiver.requests == []


async def test_worker_unexpected_error_on_one_notification_delivers_others(
    backend: Backend, receiver: Receiver
) -> None:
    await enqueue_trigger(backend, "odd")
    await enqueue_trigger(backend, "fine")

    class FailingSilences(ActiveSilences):
        def find(self, service_name: str, tags: Sequence[str], now: datetime) -> None:
            if service_name == "odd":
                raise OverflowError

    async def load(since: datetime | None) -> ActiveSilences:
        return FailingSilences()

    channel = make_webhook_channel(receiver)
    await make_worker(channel, load_silences=load).run_once(channel)
    assert list_accepted(receiver) == [("alert.triggered", ["fine"])]
    assert backend.execute("SELECT last_error FROM vigilbase.notifications WHERE status = 'pending'") == [
        ("failed with OverflowError",)
    ]


async def test_worker_attempted_batch_is_due_when_earliest_silence_ends(backend: Backend, receiver: Receiver) -> None:
    channel = make_webhook_channel(receiver)
    worker = make_worker(channel, group_window_s=60, load_silences=load_active_silences)
    for name in ("a", "b"):
        await enqueue_trigger(backend, name)
    receiver.reply_next(Reply(503))
    await worker.run_once(channel)
    await SuppressionModel.create(
        CreateSuppressionData("silence", "ana", "a deployment", service_glob="a", length_s=60)
    )
    await SuppressionModel.create(
        CreateSuppressionData("silence", "ana", "a deployment", service_glob="b", length_s=3600)
    )
    backend.execute("UPDATE vigilbase.notifications SET due_at = now()")
    await worker.run_once(channel)
    assert receiver.accepted == []
    [(apart_s, latest_s)] = backend.execute(
        "SELECT extract(epoch FROM max(due_at) - min(due_at))::float, extract(epoch FROM max(due_at) - now())::float "
        "FROM vigilbase.notifications WHERE suppressed_by IS NOT NULL"
    )
    assert isinstance(apart_s, float)
    assert isinstance(latest_s, float)
    assert apart_s < 600
    assert latest_s < 600  # of a minute and an hour, the minute
