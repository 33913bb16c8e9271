"""From an outage to a receiver's socket: the runner, the outbox and a channel."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from tests.conftest import Backend
from tests.support.outbox import claim_one, enqueue_trigger
from tests.support.receiver import Receiver, Reply, Request, receiving, retry_after
from tests.support.server import PostgresServer
from tests.support.services import FakeService, make_config, run_config
from tests.support.waiting import wait_until_async
from tests.support.worker import list_accepted, make_webhook_channel, make_worker, send_all, summarize_body
from vigilbase import AlertEventModel, close_supabase_service_client
from vigilbase.alerts.routing import ROUTE_EVENTS, Route
from vigilbase.notifications.attempt import release
from vigilbase.notifications.backoff import Timings

EVERYTHING = frozenset(ROUTE_EVENTS)
OPS_ROUTES = (Route(("ops",), EVERYTHING),)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def test_runner_outage_and_recovery_send_triggered_and_resolved(
    each_backend: Backend, receiver: Receiver
) -> None:
    api = FakeService("api", routes=OPS_ROUTES)
    async with run_config(make_config([api], make_webhook_channel(receiver))):
        await wait_until_async(lambda: each_backend.execute("SELECT 1 FROM service_health_checks"))
        api.fail()
        await wait_until_async(lambda: list_accepted(receiver) == [("alert.triggered", ["api"])])
        api.recover()
        await wait_until_async(
            lambda: list_accepted(receiver) == [("alert.triggered", ["api"]), ("alert.resolved", ["api"])]
        )
    [down] = receiver.accepted[0].json()["data"]["alerts"]
    [resolved] = receiver.accepted[1].json()["data"]["alerts"]
    assert (down["status"], resolved["status"]) == ("active", "resolved")
    assert down["id"] == resolved["id"]
    assert resolved["alert_type"] == "service_down"


async def test_worker_failing_receiver_is_retried_with_same_id_and_body(backend: Backend, receiver: Receiver) -> None:
    receiver.reply_next(Reply(503), retry_after("1"))
    api = FakeService("api", routes=OPS_ROUTES)
    api.fail()
    timings = Timings(poll_s=0.05, first_delay_s=0.05)
    async with run_config(make_config([api], make_webhook_channel(receiver)), timings=timings):
        await wait_until_async(
            lambda: backend.execute("SELECT status FROM vigilbase.notifications") == [("delivered",)]
        )
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({json.dumps(request.json()) for request in receiver.requests}) == 1
    [(attempts, error)] = backend.execute("SELECT attempts, last_error FROM vigilbase.notifications")
    assert attempts == 3
    assert "429" in str(error)


async def test_worker_many_alerts_within_group_window_are_batched(backend: Backend, receiver: Receiver) -> None:
    services = [FakeService(f"s{number:03}", routes=OPS_ROUTES, interval_s=1) for number in range(200)]
    async with run_config(make_config(services, make_webhook_channel(receiver), group_window_s=1)):
        await wait_until_async(
            lambda: backend.execute("SELECT count(DISTINCT service_name) FROM service_health_checks") == [(200,)]
        )
        for service in services:
            service.fail()
        await wait_until_async(lambda: sum(len(names) for _, names in list_accepted(receiver)) == 200)
    assert len(receiver.accepted) < 10


async def test_runner_outage_during_database_downtime_sends_one_resolved_batch(
    server: PostgresServer, database: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    services = [FakeService(f"s{number:02}", routes=OPS_ROUTES) for number in range(40)]

    async def wait_for_probes(count: int) -> None:
        wanted = [service.probe_count + count for service in services]
        await wait_until_async(
            lambda: all(service.probe_count >= least for service, least in zip(services, wanted, strict=True))
        )

    async with run_config(make_config(services, make_webhook_channel(receiver), group_window_s=30)):
        await wait_for_probes(2)
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false", "postgres")
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'", "postgres"
        )
        for service in services:
            service.fail()
        await wait_for_probes(4)  # more than fit into one batch
        for service in services:
            service.recover()
        await wait_for_probes(4)
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true", "postgres")
        await wait_until_async(lambda: receiver.accepted)
    assert list_accepted(receiver) == [("alert.resolved", [service.config.name for service in services])]
    await close_supabase_service_client()


@pytest.mark.parametrize("bad", [(), (3,), (0, 8)], ids=["too large", "one rejected", "two rejected"])
async def test_worker_rejected_batch_is_split_and_only_rejected_alerts_fail(
    backend: Backend, receiver: Receiver, bad: tuple[int, ...]
) -> None:
    def answer(request: Request) -> Reply:
        names = summarize_body(request.json())[1]
        too_large = len(names) > 3 and not bad
        return Reply(413 if too_large else 400 if {f"s{number}" for number in bad} & set(names) else 200)

    receiver.answer = answer
    for number in range(9):
        await enqueue_trigger(backend, f"s{number}")
    channel = make_webhook_channel(receiver)
    worker = make_worker(channel, group_window_s=60)
    await send_all(worker, channel)
    accepted = sorted(name for _, names in list_accepted(receiver) for name in names)
    assert accepted == [f"s{number}" for number in range(9) if number not in bad]
    assert backend.execute("SELECT service_name FROM vigilbase.notifications WHERE status = 'failed' ORDER BY 1") == [
        (f"s{number}",) for number in bad
    ]
    assert backend.execute("SELECT count(*) FROM vigilbase.notifications WHERE status = 'pending'") == [(0,)]


async def test_worker_alert_that_cannot_be_read_fails_alone_and_stops_no_other(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    backend = Backend("postgres", database, server)
    for name in ("odd", "fine", "late"):
        await enqueue_trigger(backend, name)
    backend.execute("ALTER TABLE alert_events DROP CONSTRAINT alert_events_alert_type_check")
    backend.execute("UPDATE alert_events SET alert_type = 'meltdown' WHERE service_name = 'odd'")
    channel = make_webhook_channel(receiver)
    worker = make_worker(channel, group_window_s=1)
    await send_all(worker, channel)
    assert list_accepted(receiver) == [("alert.triggered", ["fine", "late"])]
    rows = backend.execute("SELECT service_name, status, last_error FROM vigilbase.notifications ORDER BY service_name")
    assert [row[:2] for row in rows] == [("fine", "delivered"), ("late", "delivered"), ("odd", "failed")]
    assert "alert_type is 'meltdown'" in str(rows[-1][2])
    await close_supabase_service_client()


async def test_release_batch_with_unreadable_alert_releases_all_of_it(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    backend = Backend("postgres", database, server)
    for name in ("odd", "fine"):
        await enqueue_trigger(backend, name)
    backend.execute("ALTER TABLE alert_events DROP CONSTRAINT alert_events_alert_type_check")
    backend.execute("UPDATE alert_events SET alert_type = 'meltdown' WHERE service_name = 'odd'")
    batch = await claim_one(window_s=1)
    assert (len(batch.notifications), len(batch.unreadable)) == (1, 1)
    await release(batch, 0, Timings())
    assert backend.execute("SELECT count(*) FROM vigilbase.notifications WHERE lease_id IS NOT NULL") == [(0,)]
    await close_supabase_service_client()


async def test_worker_hanging_channel_delays_neither_other_channels_nor_probes(
    backend: Backend, receiver: Receiver
) -> None:
    with receiving() as slow:
        slow.answer = Reply(fault="hang")
        api = FakeService("api", routes=[Route(("ops", "slow"), EVERYTHING)])
        api.fail()
        async with run_config(
            make_config([api], make_webhook_channel(receiver), make_webhook_channel(slow, "slow", timeout="1s"))
        ):
            await wait_until_async(lambda: list_accepted(receiver) == [("alert.triggered", ["api"])])
            api.recover()
            await wait_until_async(lambda: list_accepted(receiver)[1:] == [("alert.resolved", ["api"])])
            await wait_until_async(lambda: slow.requests)


async def test_worker_410_gone_disables_channel_and_notifies_other_channels(
    backend: Backend, receiver: Receiver
) -> None:
    with receiving() as gone:
        gone.answer = Reply(410)
        api = FakeService("api", routes=[Route(("gone",), EVERYTHING)])
        api.fail()
        async with run_config(make_config([api], make_webhook_channel(receiver), make_webhook_channel(gone, "gone"))):
            await wait_until_async(lambda: list_accepted(receiver) == [("alert.triggered", ["channel gone"])])
            await wait_until_async(lambda: len(gone.requests) == 1)
    [(reason,)] = backend.execute("SELECT disabled_reason FROM vigilbase.channels WHERE channel = 'gone'")
    assert "410" in str(reason)
    assert len(gone.requests) == 1


async def test_worker_acknowledgement_by_other_code_is_sent_and_stops_reminders(
    backend: Backend, receiver: Receiver
) -> None:
    api = FakeService("api", routes=OPS_ROUTES)
    api.fail()
    async with run_config(make_config([api], make_webhook_channel(receiver), remind_every_s=1)):
        await wait_until_async(lambda: ("alert.reminder", ["api"]) in list_accepted(receiver))
        [alert] = await AlertEventModel.find_open()
        await AlertEventModel.acknowledge(alert.id)
        await wait_until_async(lambda: ("alert.acknowledged", ["api"]) in list_accepted(receiver))
        api.recover()
        await wait_until_async(lambda: list_accepted(receiver)[-1] == ("alert.resolved", ["api"]))


async def test_runner_stop_waits_for_notification_in_flight(backend: Backend, receiver: Receiver) -> None:
    receiver.answer = Reply(delay_s=0.5)
    api = FakeService("api", routes=OPS_ROUTES)
    api.fail()
    async with run_config(make_config([api], make_webhook_channel(receiver))):
        await wait_until_async(lambda: receiver.requests)
    assert backend.execute("SELECT status FROM vigilbase.notifications") == [("delivered",)]


async def test_worker_too_little_lease_left_releases_notification_unsent(backend: Backend, receiver: Receiver) -> None:
    """Another worker could send the notification meanwhile, and even its resolution."""
    await enqueue_trigger(backend, "api")
    channel = make_webhook_channel(receiver)
    worker = make_worker(channel, timings=Timings(lease_s=1, send_within_s=1))
    claimed, _ = await worker.run_once(channel)
    assert claimed == 1
    assert receiver.requests == []
    assert backend.execute("SELECT attempts, leased_until FROM vigilbase.notifications") == [(0, None)]
    await make_worker(channel).run_once(channel)
    assert list_accepted(receiver) == [("alert.triggered", ["api"])]


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "10000-01-01"])
async def test_runner_out_of_range_alert_time_blocks_neither_probes_nor_notifications(
    backend: Backend, receiver: Receiver, moment: str
) -> None:
    """Other code may write such times."""
    await enqueue_trigger(backend, "odd")
    await enqueue_trigger(backend, "fine")
    backend.execute(
        f"UPDATE alert_events SET created_at = '{moment}', status = 'resolved', resolved_at = now() "
        "WHERE service_name = 'odd'"
    )
    api = FakeService("api", routes=OPS_ROUTES)
    async with run_config(make_config([api], make_webhook_channel(receiver))):
        await wait_until_async(
            lambda: sorted(list_accepted(receiver)) == [("alert.resolved", ["odd"]), ("alert.triggered", ["fine"])]
        )
        count = api.probe_count
        await wait_until_async(lambda: api.probe_count > count + 2)


async def test_worker_result_is_recorded_after_database_returns(
    server: PostgresServer, database: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a receiver that requested a pause of ten minutes gets the next attempt after one."""
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    await enqueue_trigger(Backend("postgres", database, server), "api")
    others = f"datname = '{database}' AND pid <> pg_backend_pid()"
    is_cut = threading.Event()

    def cut(_: Request) -> Reply:
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false", "postgres")
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}", "postgres")
        is_cut.set()
        return retry_after("600")

    receiver.answer = cut
    channel = make_webhook_channel(receiver)
    sending = asyncio.ensure_future(make_worker(channel, timings=Timings(poll_s=0.05)).run_once(channel))
    await wait_until_async(is_cut.is_set)
    server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true", "postgres")
    await sending
    [(wait_s, is_paused)] = server.execute(
        "SELECT extract(epoch FROM n.due_at - now())::float, c.paused_until > now() "
        "FROM vigilbase.notifications AS n JOIN vigilbase.channels AS c USING (channel)",
        database,
    )
    assert isinstance(wait_s, float)
    assert wait_s > 500
    assert is_paused
    await close_supabase_service_client()
