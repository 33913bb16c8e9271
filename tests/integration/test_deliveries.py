"""From an outage to a receiver's socket: the runner, the outbox and a channel, on every transport."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Backend
from tests.support.outbox import enqueue
from tests.support.receiver import Receiver, Reply, Request, receiving, retry_after
from tests.support.server import PostgresServer
from vigilbase import (
    AlertEventModel,
    CreateAlertEventData,
    CreateSilenceData,
    SilenceModel,
    close_supabase_service_client,
)
from vigilbase.alerts.channels import Channel
from vigilbase.alerts.channels.webhook import WebhookConfig
from vigilbase.alerts.routing import OCCASIONS, Route
from vigilbase.errors import DatabaseUnavailableError
from vigilbase.probes import Finding
from vigilbase.runner.deliveries import Deliverer, Pace
from vigilbase.runner.loop import Runner
from vigilbase.runner.outbox import claim
from vigilbase.runner.silencing import Silencing, load_silencing
from vigilbase.spec import ServiceSpec, Spec
from vigilbase.vocabulary import Policy

EVERYTHING = frozenset(OCCASIONS)


class Service:
    """A service that is what the test says."""

    def __init__(self, name: str, *routes: Route) -> None:
        self.looks = 0
        self.finding = Finding()
        self.spec = ServiceSpec(
            name, "tcp", 0.1, 5, Policy(1, 1), self._probe, tags=(), routes=routes or (Route(("ops",), EVERYTHING),)
        )

    async def _probe(self) -> Finding:
        self.looks += 1
        return self.finding

    def fail(self) -> None:
        self.finding = Finding("down", "it broke")

    def recover(self) -> None:
        self.finding = Finding()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def _channel(receiver: Receiver, name: str = "ops", **config: object) -> Channel:
    return Channel(name, "webhook", WebhookConfig.model_validate({"url": receiver.url, **config}))


@asynccontextmanager
async def _running(
    services: list[Service], *channels: Channel, group_window_s: float = 0, remind_every_s: float | None = None
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    spec = Spec(
        [service.spec for service in services],
        channels={channel.name: channel for channel in channels},
        group_window_s=group_window_s,
        remind_every_s=remind_every_s,
    )
    task = asyncio.ensure_future(Runner(spec).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _until(wanted: Callable[[], object], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not wanted():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def _told(receiver: Receiver) -> list[tuple[str, list[str]]]:
    """What was taken: its type, and the services."""
    return [_said(request.json()) for request in receiver.taken]


def _said(body: Any) -> tuple[str, list[str]]:
    return body["type"], sorted(alert["service_name"] for alert in body["data"]["alerts"])


async def test_an_outage_is_told_and_so_is_its_end(backend: Backend, receiver: Receiver) -> None:
    api = Service("api")
    async with _running([api], _channel(receiver)):
        await _until(lambda: backend.execute("SELECT 1 FROM service_health_checks"))
        api.fail()
        await _until(lambda: _told(receiver) == [("alert.triggered", ["api"])])
        api.recover()
        await _until(lambda: _told(receiver) == [("alert.triggered", ["api"]), ("alert.resolved", ["api"])])
    [down] = receiver.taken[0].json()["data"]["alerts"]
    [over] = receiver.taken[1].json()["data"]["alerts"]
    assert (down["status"], over["status"]) == ("active", "resolved")
    assert down["id"] == over["id"]
    assert over["alert_type"] == "service_down"


async def test_a_receiver_that_fails_is_tried_again_under_the_same_id(backend: Backend, receiver: Receiver) -> None:
    receiver.reply_next(Reply(503), retry_after("1"))
    api = Service("api")
    api.fail()
    async with _running([api], _channel(receiver)):
        await _until(lambda: len(receiver.requests) == 1)
        backend.execute("UPDATE vigilbase.notifications SET due_at = now() WHERE status = 'pending'")
        await _until(lambda: len(receiver.requests) == 2)
        backend.execute("UPDATE vigilbase.notifications SET due_at = now() WHERE status = 'pending'")
        await _until(lambda: backend.execute("SELECT status FROM vigilbase.notifications") == [("delivered",)])
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({json.dumps(request.json()) for request in receiver.requests}) == 1
    [(attempts, error)] = backend.execute("SELECT attempts, last_error FROM vigilbase.notifications")
    assert attempts == 3
    assert "429" in str(error)


async def test_a_storm_is_a_handful_of_messages(backend: Backend, receiver: Receiver) -> None:
    services = [Service(f"s{number:03}") for number in range(200)]
    async with _running(services, _channel(receiver), group_window_s=1):
        await _until(
            lambda: backend.execute("SELECT count(DISTINCT service_name) FROM service_health_checks") == [(200,)]
        )
        for service in services:
            service.fail()
        await _until(lambda: sum(len(names) for _, names in _told(receiver)) == 200)
    assert len(receiver.taken) < 10


async def test_what_opened_and_closed_while_the_database_was_away_is_one_message(
    server: PostgresServer, database: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    services = [Service(f"s{number:02}") for number in range(40)]

    async def all_looked(times: int) -> None:
        looks = [service.looks for service in services]
        await _until(
            lambda: all(service.looks >= before + times for service, before in zip(services, looks, strict=True))
        )

    async with _running(services, _channel(receiver), group_window_s=30):
        await all_looked(2)
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false", "postgres")
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'", "postgres"
        )
        for service in services:
            service.fail()
        await all_looked(4)  # more than fit into one batch
        for service in services:
            service.recover()
        await all_looked(4)
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true", "postgres")
        await _until(lambda: receiver.taken)
    assert _told(receiver) == [("alert.resolved", [service.spec.name for service in services])]
    await close_supabase_service_client()


@pytest.mark.parametrize("bad", [(), (3,), (0, 8)], ids=["too large", "one is refused", "two are refused"])
async def test_of_a_message_that_is_refused_all_goes_out_but_what_is_refused_alone(
    backend: Backend, receiver: Receiver, bad: tuple[int, ...]
) -> None:
    def answer(request: Request) -> Reply:
        names = _said(request.json())[1]
        too_large = len(names) > 3 and not bad
        return Reply(413 if too_large else 400 if {f"s{number}" for number in bad} & set(names) else 200)

    receiver.answer = answer
    for number in range(9):
        await _owe_trigger(backend, f"s{number}")
    channel = _channel(receiver)
    deliverer = Deliverer({"ops": channel}, group_window_s=60, remind_every_s=None)
    while (await deliverer.run_once(channel))[0]:
        pass
    told = sorted(name for _, names in _told(receiver) for name in names)
    assert told == [f"s{number}" for number in range(9) if number not in bad]
    assert backend.execute("SELECT service_name FROM vigilbase.notifications WHERE status = 'failed' ORDER BY 1") == [
        (f"s{number}",) for number in bad
    ]
    assert backend.execute("SELECT count(*) FROM vigilbase.notifications WHERE status = 'pending'") == [(0,)]


async def test_a_slow_channel_holds_up_neither_another_nor_the_probes(backend: Backend, receiver: Receiver) -> None:
    with receiving() as slow:
        slow.answer = Reply(fault="hang")
        api = Service("api", Route(("ops", "slow"), EVERYTHING))
        api.fail()
        async with _running([api], _channel(receiver), _channel(slow, "slow", timeout="1s")):
            await _until(lambda: _told(receiver) == [("alert.triggered", ["api"])])
            api.recover()
            await _until(lambda: _told(receiver)[1:] == [("alert.resolved", ["api"])])
            await _until(lambda: slow.requests)


async def test_a_channel_that_is_gone_is_switched_off_and_the_others_are_told(
    backend: Backend, receiver: Receiver
) -> None:
    with receiving() as gone:
        gone.answer = Reply(410)
        api = Service("api", Route(("gone",), EVERYTHING))
        api.fail()
        async with _running([api], _channel(receiver), _channel(gone, "gone")):
            await _until(lambda: _told(receiver) == [("alert.triggered", ["channel gone"])])
            await _until(lambda: len(gone.requests) == 1)
    [(reason,)] = backend.execute("SELECT disabled_reason FROM vigilbase.channels WHERE channel = 'gone'")
    assert "410" in str(reason)
    assert len(gone.requests) == 1


async def test_what_is_acknowledged_by_other_code_is_told_and_not_repeated(
    backend: Backend, receiver: Receiver
) -> None:
    api = Service("api")
    api.fail()
    async with _running([api], _channel(receiver), remind_every_s=1):
        await _until(lambda: ("alert.reminder", ["api"]) in _told(receiver))
        [alert] = await AlertEventModel.find_open()
        await AlertEventModel.acknowledge(alert.id)
        await _until(lambda: ("alert.acknowledged", ["api"]) in _told(receiver))
        api.recover()
        await _until(lambda: _told(receiver)[-1] == ("alert.resolved", ["api"]))


async def test_a_message_that_is_on_its_way_at_the_stop_still_arrives(backend: Backend, receiver: Receiver) -> None:
    receiver.answer = Reply(delay_s=0.5)
    api = Service("api")
    api.fail()
    async with _running([api], _channel(receiver)):
        await _until(lambda: receiver.requests)
    assert backend.execute("SELECT status FROM vigilbase.notifications") == [("delivered",)]


async def test_a_try_begins_only_while_it_can_end_within_the_lease(backend: Backend, receiver: Receiver) -> None:
    """Otherwise another might have sent the message meanwhile, and even its resolution."""
    await _owe_trigger(backend, "api")
    channel = _channel(receiver)
    held_up = Deliverer({"ops": channel}, group_window_s=0, remind_every_s=None, pace=Pace(lease_s=1, send_within_s=1))
    claimed, _ = await held_up.run_once(channel)
    assert claimed == 1
    assert receiver.requests == []
    assert backend.execute("SELECT attempts, leased_until FROM vigilbase.notifications") == [(0, None)]
    await Deliverer({"ops": channel}, group_window_s=0, remind_every_s=None).run_once(channel)
    assert _told(receiver) == [("alert.triggered", ["api"])]


async def test_what_could_not_be_looked_up_or_whose_sender_died_is_silenced_all_the_same(
    backend: Backend, receiver: Receiver
) -> None:
    channel = _channel(receiver)

    async def unknown(since: datetime | None = None) -> Silencing:
        raise DatabaseUnavailableError("the silences can't be read just now")

    async def claim_and_die() -> None:
        await claim("ops", window_s=0, lease_id=uuid4(), limit=10)
        backend.execute("UPDATE vigilbase.notifications SET leased_until = now() - interval '1 s'")

    async def run_once(silencing: Callable[[datetime | None], Awaitable[Silencing]]) -> None:
        await Deliverer({"ops": channel}, group_window_s=0, remind_every_s=None, silencing=silencing).run_once(channel)

    rows = "SELECT attempts, batch_id IS NULL, due_at > now() FROM vigilbase.notifications"
    await _owe_trigger(backend, "api")
    await SilenceModel.add(CreateSilenceData("ana", "a deployment", service_glob="*"))
    with pytest.raises(DatabaseUnavailableError):
        await run_once(unknown)
    assert backend.execute(rows) == [(0, True, True)]  # it is given back as it was
    backend.execute("UPDATE vigilbase.notifications SET due_at = now()")
    await claim_and_die()
    await run_once(load_silencing)
    assert backend.execute(rows) == [(1, False, True)]  # it may have arrived, and keeps its id
    assert receiver.requests == []


async def test_the_tags_of_the_file_are_those_of_today(backend: Backend, receiver: Receiver) -> None:
    channel = _channel(receiver)
    await _owe_trigger(backend, "api")
    await SilenceModel.add(CreateSilenceData("ana", "a deployment", tag="new"))
    today = {"api": ["new"]}
    deliverer = Deliverer({"ops": channel}, group_window_s=0, remind_every_s=None, silencing=load_silencing, tags=today)
    await deliverer.run_once(channel)
    assert receiver.requests == []


async def _owe_trigger(backend: Backend, service_name: str) -> None:
    """An alert, owed to the channel `ops`."""
    alert, _ = await AlertEventModel.raise_alert(CreateAlertEventData(service_name, "service_down", message="it broke"))
    enqueue(backend, alert)


async def test_what_is_silenced_is_told_when_the_silence_ends_if_it_still_lasts(
    backend: Backend, receiver: Receiver
) -> None:
    silence = await SilenceModel.add(CreateSilenceData("ana", "a deployment", service_glob="a*"))
    api, other = Service("api"), Service("other")
    for service in (api, other):
        service.fail()
    async with _running([api, other], _channel(receiver)):
        await _until(lambda: ("alert.triggered", ["other"]) in _told(receiver))
        pending = "SELECT service_name FROM vigilbase.notifications WHERE status = 'pending' AND due_at > now()"
        await _until(lambda: backend.execute(pending) == [("api",)])
        await SilenceModel.end(silence.id)
        await _until(lambda: ("alert.triggered", ["api"]) in _told(receiver))
        # What was told is ended, whatever is silenced by then.
        await SilenceModel.add(CreateSilenceData("ana", "once more", service_glob="*"))
        api.recover()
        await _until(lambda: ("alert.resolved", ["api"]) in _told(receiver))


async def test_what_began_and_ended_in_a_silence_is_not_told_later_either_and_what_began_before_it_is(
    backend: Backend, receiver: Receiver
) -> None:
    """As by a channel that was switched off meanwhile."""
    early, api = Service("early"), Service("api")
    async with _running([early, api]):  # nobody sends
        early.fail()
        await _until(lambda: backend.execute("SELECT 1 FROM vigilbase.notifications"))
        silence = await SilenceModel.add(CreateSilenceData("ana", "a deployment", service_glob="*"))
        api.fail()
        await _until(lambda: backend.execute("SELECT count(*) FROM vigilbase.notifications") == [(2,)])
        for service in (early, api):
            service.recover()
        over = "SELECT count(*) FROM vigilbase.notifications WHERE kind = 'resolved'"
        await _until(lambda: backend.execute(over) == [(2,)])
        await SilenceModel.end(silence.id)
    channel = _channel(receiver)
    deliverer = Deliverer({"ops": channel}, group_window_s=0, remind_every_s=None, silencing=load_silencing)
    while (await deliverer.run_once(channel))[0]:
        pass
    assert _told(receiver) == [("alert.resolved", ["early"])]
    ended = (
        "SELECT service_name, status, suppressed_by IS NOT NULL FROM vigilbase.notifications "
        "WHERE kind = 'resolved' ORDER BY 1"
    )
    assert backend.execute(ended) == [("api", "cancelled", True), ("early", "delivered", False)]


async def test_what_begins_and_ends_in_a_silence_is_not_told(backend: Backend, receiver: Receiver) -> None:
    await SilenceModel.add(CreateSilenceData("ana", "a deployment", service_glob="*"))
    api = Service("api")
    api.fail()
    async with _running([api], _channel(receiver)):
        await _until(lambda: backend.execute("SELECT 1 FROM vigilbase.notifications WHERE due_at > now()"))
        api.recover()
        over = [("triggered", "cancelled"), ("resolved", "cancelled")]
        await _until(lambda: backend.execute("SELECT kind, status FROM vigilbase.notifications ORDER BY id") == over)
    assert receiver.requests == []


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "10000-01-01"])
async def test_a_time_that_no_calendar_has_ends_no_runner_and_keeps_no_message(
    backend: Backend, receiver: Receiver, moment: str
) -> None:
    """Other code may write any."""
    await _owe_trigger(backend, "odd")
    await _owe_trigger(backend, "fine")
    backend.execute(
        f"UPDATE alert_events SET created_at = '{moment}', status = 'resolved', resolved_at = now() "
        "WHERE service_name = 'odd'"
    )
    api = Service("api")
    async with _running([api], _channel(receiver)):
        await _until(lambda: sorted(_told(receiver)) == [("alert.resolved", ["odd"]), ("alert.triggered", ["fine"])])
        looks = api.looks
        await _until(lambda: api.looks > looks + 2)


async def test_a_message_that_can_not_be_handled_costs_no_other(backend: Backend, receiver: Receiver) -> None:
    await _owe_trigger(backend, "odd")
    await _owe_trigger(backend, "fine")

    class Unforeseen(Silencing):
        def withheld(self, service_name: str, tags: Sequence[str], now: datetime) -> None:
            if service_name == "odd":
                raise OverflowError

    async def load(since: datetime | None) -> Silencing:
        return Unforeseen()

    channel = _channel(receiver)
    await Deliverer({"ops": channel}, group_window_s=0, remind_every_s=None, silencing=load).run_once(channel)
    assert _told(receiver) == [("alert.triggered", ["fine"])]
    assert backend.execute("SELECT last_error FROM vigilbase.notifications WHERE status = 'pending'") == [
        ("failed with OverflowError",)
    ]


async def test_what_was_tried_comes_up_again_as_a_whole_when_the_first_silence_over_it_ends(
    backend: Backend, receiver: Receiver
) -> None:
    channel = _channel(receiver)
    deliverer = Deliverer({"ops": channel}, group_window_s=60, remind_every_s=None, silencing=load_silencing)
    for name in ("a", "b"):
        await _owe_trigger(backend, name)
    receiver.reply_next(Reply(503))
    await deliverer.run_once(channel)
    await SilenceModel.add(CreateSilenceData("ana", "a deployment", service_glob="a", length_s=60))
    await SilenceModel.add(CreateSilenceData("ana", "a deployment", service_glob="b", length_s=3600))
    backend.execute("UPDATE vigilbase.notifications SET due_at = now()")
    await deliverer.run_once(channel)
    assert receiver.taken == []
    [(apart_s, latest_s)] = backend.execute(
        "SELECT extract(epoch FROM max(due_at) - min(due_at))::float, extract(epoch FROM max(due_at) - now())::float "
        "FROM vigilbase.notifications WHERE suppressed_by IS NOT NULL"
    )
    assert isinstance(apart_s, float)
    assert isinstance(latest_s, float)
    assert apart_s < 1
    assert latest_s < 61


async def test_what_became_of_a_message_is_written_down_when_the_database_is_back(
    server: PostgresServer, database: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a receiver that asked for ten minutes would be asked again in one."""
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    await _owe_trigger(Backend("postgres", database, server), "api")
    others = f"datname = '{database}' AND pid <> pg_backend_pid()"
    is_cut = threading.Event()

    def cut(_: Request) -> Reply:
        server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false", "postgres")
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}", "postgres")
        is_cut.set()
        return retry_after("600")

    receiver.answer = cut
    channel = _channel(receiver)
    pace = Pace(poll_s=0.05)
    sending = asyncio.ensure_future(
        Deliverer({"ops": channel}, group_window_s=0, remind_every_s=None, pace=pace).run_once(channel)
    )
    await _until(is_cut.is_set)
    server.execute(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true", "postgres")
    await sending
    [(wait_s, paused)] = server.execute(
        "SELECT extract(epoch FROM d.due_at - now())::float, c.paused_until > now() "
        "FROM vigilbase.notifications AS d JOIN vigilbase.channels AS c USING (channel)",
        database,
    )
    assert isinstance(wait_s, float)
    assert wait_s > 500
    assert paused
    await close_supabase_service_client()
