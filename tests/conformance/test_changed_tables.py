"""What the models do after a host changed a table, a trigger or a function: one error that says so, always logged."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.conftest import Backend
from tests.support.server import PostgresServer
from vigilbase import (
    AlertEventModel,
    ChannelModel,
    CreateAlertEventData,
    CreateHealthCheckData,
    CreateSuppressionData,
    DatabaseError,
    HealthCheckModel,
    InvalidInputError,
    NotificationModel,
    SuppressionModel,
    TimelineModel,
    close_supabase_service_client,
)

ID = UUID("00000000-0000-4000-8000-000000000001")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CHECK = CreateHealthCheckData("api", "healthy")
ALERT = CreateAlertEventData("api", "service_down")
SILENCE = CreateSuppressionData("silence", "ada", "why", service_glob="*")
SEED = f"""
    INSERT INTO service_health_checks (service_name, status, latency_ms) VALUES ('api', 'healthy', 1);
    INSERT INTO alert_events (id, service_name, alert_type, status, details)
    VALUES ('{ID}', 'api', 'service_down', 'active', '{{}}');
    INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event) VALUES ('api', '{ID}', 'opened');
    INSERT INTO vigilbase.suppressions (id, kind, tag, starts_at, author, comment)
    VALUES ('{ID}', 'silence', 'x', now(), 'ada', 'why');
    INSERT INTO vigilbase.channels (channel) VALUES ('ops');
    INSERT INTO vigilbase.notifications (alert_id, service_name, alert_type, alert_status, channel, kind, due_at)
    VALUES ('{ID}', 'api', 'service_down', 'active', 'ops', 'triggered', now());
"""

MethodCall = Callable[[], Awaitable[object]]
CHECK_METHODS: Mapping[str, MethodCall] = {
    "health_check.create": lambda: HealthCheckModel.create(CHECK),
    "health_check.create_many": lambda: HealthCheckModel.create_many([CHECK]),
    "health_check.find_latest_by_service": lambda: HealthCheckModel.find_latest_by_service("api"),
    "health_check.find_latest": HealthCheckModel.find_latest,
    "health_check.find_all": HealthCheckModel.find_all,
    "health_check.find_history": lambda: HealthCheckModel.find_history("api", since=LONG_AGO),
}
ALERT_METHODS: Mapping[str, MethodCall] = {
    "alert_event.create": lambda: AlertEventModel.create(ALERT),
    "alert_event.find_active": AlertEventModel.find_active,
    "alert_event.find_open": AlertEventModel.find_open,
    "alert_event.find_newest": AlertEventModel.find_newest,
    "alert_event.find_by_id_prefix": lambda: AlertEventModel.find_by_id_prefix(str(ID)),
    "alert_event.find_recent_by_service": lambda: AlertEventModel.find_recent_by_service("api", "service_down", 5),
    "alert_event.raise": lambda: AlertEventModel.raise_alert(ALERT),
    "alert_event.acknowledge": lambda: AlertEventModel.acknowledge(ID),
    "alert_event.resolve": lambda: AlertEventModel.resolve(ID),
}
TIMELINE_METHODS: Mapping[str, MethodCall] = {"timeline.find_by_alert": lambda: TimelineModel.find_by_alert(ID)}
SUPPRESSION_METHODS: Mapping[str, MethodCall] = {
    "suppression.create": lambda: SuppressionModel.create(SILENCE),
    "suppression.find": SuppressionModel.find_current,
    "suppression.find_by_id_prefix": lambda: SuppressionModel.find_by_id_prefix("silence", str(ID)),
    "suppression.end": lambda: SuppressionModel.end("silence", ID),
}
NOTIFICATION_METHODS: Mapping[str, MethodCall] = {
    "notification.find": NotificationModel.find,
    "notification.retry": lambda: NotificationModel.retry(1),
    "notification.discard": lambda: NotificationModel.discard(1),
}
CHANNEL_METHODS: Mapping[str, MethodCall] = {"channel.find_all": ChannelModel.find_all}
# What a host does, how it is undone, and the methods that can't work then.
CHANGES: Mapping[str, tuple[str, str, Mapping[str, MethodCall]]] = {
    "check_column_renamed": (
        "ALTER TABLE service_health_checks RENAME error_message TO odd",
        "ALTER TABLE service_health_checks RENAME odd TO error_message",
        CHECK_METHODS,
    ),
    "check_column_of_other_type": (
        "ALTER TABLE service_health_checks ALTER latency_ms TYPE text",
        "ALTER TABLE service_health_checks ALTER latency_ms TYPE integer USING latency_ms::integer",
        {name: call for name, call in CHECK_METHODS.items() if "create" not in name},
    ),
    "check_flag_instead_of_number": (
        "ALTER TABLE service_health_checks ALTER latency_ms TYPE boolean USING true",
        "ALTER TABLE service_health_checks ALTER latency_ms TYPE integer USING 1",
        {name: call for name, call in CHECK_METHODS.items() if "create" not in name},
    ),
    "check_id_of_other_type": (
        "ALTER TABLE service_health_checks ALTER id DROP DEFAULT, ALTER id TYPE text USING 'check ' || id",
        """ALTER TABLE service_health_checks ALTER id TYPE uuid USING right(id, 36)::uuid,
        ALTER id SET DEFAULT gen_random_uuid()""",
        {name: call for name, call in CHECK_METHODS.items() if "create" not in name},
    ),
    "alert_column_renamed": (
        "ALTER TABLE alert_events RENAME message TO odd",
        "ALTER TABLE alert_events RENAME odd TO message",
        ALERT_METHODS,
    ),
    "alert_time_without_zone": (
        "ALTER TABLE alert_events ALTER acknowledged_at TYPE timestamp USING now()",
        "ALTER TABLE alert_events ALTER acknowledged_at TYPE timestamptz USING NULL",
        {name: call for name, call in ALERT_METHODS.items() if "create" not in name},
    ),
    "timeline_column_renamed": (
        "ALTER TABLE vigilbase.alert_timeline RENAME comment TO odd",
        "ALTER TABLE vigilbase.alert_timeline RENAME odd TO comment",
        TIMELINE_METHODS,
    ),
    "suppression_column_renamed": (
        "ALTER TABLE vigilbase.suppressions RENAME author TO odd",
        "ALTER TABLE vigilbase.suppressions RENAME odd TO author",
        SUPPRESSION_METHODS,
    ),
    "notification_column_renamed": (
        "ALTER TABLE vigilbase.notifications RENAME answer TO odd",
        "ALTER TABLE vigilbase.notifications RENAME odd TO answer",
        NOTIFICATION_METHODS,
    ),
    "channel_column_renamed": (
        "ALTER TABLE vigilbase.channels RENAME disabled_reason TO odd",
        "ALTER TABLE vigilbase.channels RENAME odd TO disabled_reason",
        CHANNEL_METHODS,
    ),
}


@pytest.fixture(autouse=True)
def _unmuted(caplog: pytest.LogCaptureFixture) -> None:
    """Another test may have run a command, which mutes the models."""
    caplog.set_level(logging.WARNING, "vigilbase.models")


@contextmanager
def changed(backend: Backend, change: str, undo: str) -> Iterator[None]:
    """A change of the schema, which several tests share, inside the block."""
    backend.execute(change)
    try:
        yield
    finally:
        backend.execute("TRUNCATE service_health_checks, alert_events")
        backend.execute(undo)


def find_events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.message) for record in caplog.records]


def find_notification_id(backend: Backend) -> int:
    [(number,)] = backend.execute("SELECT id FROM vigilbase.notifications")
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("change", CHANGES)
async def test_model_method_changed_column_raises_database_error_and_logs(
    each_backend: Backend, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    do, undo, methods = CHANGES[change]
    each_backend.execute(SEED)
    calls = dict(methods)
    if "notification.retry" in calls:
        number = find_notification_id(each_backend)
        calls["notification.retry"] = lambda: NotificationModel.retry(number)
        calls["notification.discard"] = lambda: NotificationModel.discard(number)
    with changed(each_backend, do, undo):
        # The pool's connections know the old table.
        await close_supabase_service_client()
        for event, call in calls.items():
            caplog.clear()
            with pytest.raises(DatabaseError) as caught:
                await call()
            assert "`vigilbase doctor`" in str(caught.value) or caught.value.__cause__ is not None, event
            [(level, message)] = find_events(caplog)
            assert (level, message.endswith(".failed")) == ("ERROR", True), event


async def test_model_method_own_columns_of_host_are_ignored(each_backend: Backend) -> None:
    """Also those whose names end as ours do, with texts that are neither UUIDs nor times."""
    add = "ADD ticket_id text DEFAULT 'A-1', ADD seen_at text DEFAULT 'noon', ADD day_at date DEFAULT now()"
    drop = "DROP ticket_id, DROP seen_at, DROP day_at"
    checks, alerts = "ALTER TABLE service_health_checks", "ALTER TABLE alert_events"
    with changed(each_backend, f"{checks} {add}; {alerts} {add}", f"{checks} {drop}; {alerts} {drop}"):
        check = await HealthCheckModel.create(CHECK)
        assert await HealthCheckModel.find_latest() == await HealthCheckModel.find_all() == [check]
        alert, _ = await AlertEventModel.raise_alert(ALERT)
        assert await AlertEventModel.find_active() == await AlertEventModel.find_open() == [alert]


@pytest.mark.parametrize("verb", ["INSERT", "UPDATE"])
async def test_model_method_trigger_that_discards_rows_raises_database_error(
    each_backend: Backend, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    each_backend.execute(SEED)
    calls: Mapping[str, Sequence[MethodCall]] = {
        "INSERT": [
            lambda: HealthCheckModel.create(CHECK),
            lambda: AlertEventModel.create(ALERT),
            lambda: AlertEventModel.raise_alert(CreateAlertEventData("web", "service_down")),
        ],
        "UPDATE": [lambda: AlertEventModel.acknowledge(ID), lambda: AlertEventModel.resolve(ID)],
    }
    change = f"""
        CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER discard BEFORE {verb} ON service_health_checks FOR EACH ROW EXECUTE FUNCTION discard();
        CREATE TRIGGER discard BEFORE {verb} ON alert_events FOR EACH ROW EXECUTE FUNCTION discard()
    """
    with changed(each_backend, change, "DROP FUNCTION discard CASCADE"):
        for call in calls[verb]:
            caplog.clear()
            with pytest.raises(DatabaseError, match="trigger"):
                await call()
            [(level, _)] = find_events(caplog)
            assert level == "ERROR"
        if verb == "INSERT":
            assert await HealthCheckModel.create_many([CHECK, CHECK]) == 0


# The functions that the methods call, and whether null is a proper answer.
FUNCTIONS: Mapping[str, tuple[str, MethodCall, bool]] = {
    "create check": ("vigilbase_create_health_check", lambda: HealthCheckModel.create(CHECK), False),
    "create checks": ("vigilbase_create_health_checks", lambda: HealthCheckModel.create_many([CHECK]), False),
    "find_latest": ("vigilbase_find_latest_health_checks", HealthCheckModel.find_latest, False),
    "find_latest_by_service": (
        "vigilbase_find_latest_health_check",
        lambda: HealthCheckModel.find_latest_by_service("api"),
        False,
    ),
    "find_history": (
        "vigilbase_find_check_history",
        lambda: HealthCheckModel.find_history("api", since=LONG_AGO),
        False,
    ),
    "delete checks": ("vigilbase_delete_health_checks", lambda: HealthCheckModel.delete_older_than(1), False),
    "create alert": ("vigilbase_create_alert", lambda: AlertEventModel.create(ALERT), False),
    "find_open": ("vigilbase_list_alerts", AlertEventModel.find_open, False),
    "find_recent": (
        "vigilbase_find_recent_alert",
        lambda: AlertEventModel.find_recent_by_service("api", "recovery", 5),
        True,
    ),
    "raise_alert": ("vigilbase_raise_alert", lambda: AlertEventModel.raise_alert(ALERT), False),
    "acknowledge": ("vigilbase_acknowledge_alert", lambda: AlertEventModel.acknowledge(ID), True),
    "resolve": ("vigilbase_resolve_alert", lambda: AlertEventModel.resolve(ID), True),
    "delete alerts": ("vigilbase_delete_alerts", lambda: AlertEventModel.delete_older_than(1), False),
    "timeline": ("vigilbase_list_timeline", lambda: TimelineModel.find_by_alert(ID), False),
    "create suppression": ("vigilbase_add_suppression", lambda: SuppressionModel.create(SILENCE), False),
    "find suppressions": ("vigilbase_list_suppressions", SuppressionModel.find_current, False),
    "find suppressions by id": (
        "vigilbase_find_suppressions",
        lambda: SuppressionModel.find_by_id_prefix("silence", str(ID)),
        False,
    ),
    "end suppression": ("vigilbase_end_suppression", lambda: SuppressionModel.end("silence", ID), True),
    "find notifications": ("vigilbase_list_notifications", NotificationModel.find, False),
    "retry": ("vigilbase_retry_notification", lambda: NotificationModel.retry(1), True),
    "discard": ("vigilbase_discard_notification", lambda: NotificationModel.discard(1), True),
    "delete notifications": ("vigilbase_delete_notifications", lambda: NotificationModel.delete_older_than(1), False),
    "list channels": ("vigilbase_list_channels", ChannelModel.find_all, False),
    "enable channel": ("vigilbase_enable_channel", lambda: ChannelModel.enable("ops"), False),
}


@pytest.fixture
async def own_backend(server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
    """A database that no other test uses, over one transport: what it answers is read alike on all."""
    monkeypatch.setenv("DATABASE_URL", server.url(database))
    yield Backend("postgres", database, server)
    await close_supabase_service_client()


ROW = f'{{"id": "{ID}"}}'
ANSWERS = (
    "null",
    "5.5",
    '"text"',
    "{}",
    '{"alert": null}',
    f'{{"alert": {ROW}, "notification": {ROW}, "suppression": {ROW}, "deleted": "1", "before": 1}}',
    '{"deleted": 1}',
    '{"checks": [], "counts": {"down": "1"}}',
    '{"checks": 1, "counts": {}}',
    "[5]",
    "[[5]]",
    f"[{ROW}]",
    f"[[{ROW}]]",
)


@pytest.mark.parametrize("answer", ANSWERS)
async def test_model_method_unexpected_answer_raises_database_error_and_logs(
    own_backend: Backend, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    for function, _, _ in FUNCTIONS.values():
        [(arguments,)] = own_backend.execute(
            f"SELECT pg_get_function_arguments(oid) FROM pg_proc WHERE proname = '{function}'"
        )
        own_backend.execute(
            f"DROP FUNCTION {function}; CREATE FUNCTION {function}({arguments}) RETURNS json LANGUAGE sql "
            f"AS $$ SELECT '{answer}'::json $$"
        )
    for name, (_, call, may_be_null) in FUNCTIONS.items():
        caplog.clear()
        if answer == "null" and may_be_null:
            assert await call() is None
            continue
        with pytest.raises(DatabaseError, match="`vigilbase doctor`"):
            await call()
        [(level, message)] = find_events(caplog)
        assert (level, message.endswith(".failed")) == ("ERROR", True), name


async def test_model_method_bug_is_logged_and_raised_unchanged(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """A value of a type that no rule expects, deep inside a call."""

    class Broken(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("password=secret")

        __hash__ = str.__hash__

    with pytest.raises(RuntimeError, match="secret"):
        await NotificationModel.find(statuses=[Broken("pending")])  # type: ignore[list-item]
    [record] = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "notification.find.failed")
    assert record.__dict__["fields"] == {"reason": "unexpected RuntimeError"}


@pytest.mark.parametrize("channel", ["", " ", "a\x00b", "x" * 51, None, 5])
async def test_channel_enable_invalid_name_is_rejected(backend: Backend, channel: object) -> None:
    with pytest.raises(InvalidInputError, match="channel"):
        await ChannelModel.enable(channel)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("statuses", 5),
        ("statuses", "pending"),
        ("statuses", ["open"]),
        ("windows", [1]),
        ("windows", {"ops": "1"}),
        ("windows", {"ops": True}),
        ("windows", {"ops": float("nan")}),
        ("windows", {5: 1}),
    ],
)
async def test_notification_find_invalid_argument_is_rejected(backend: Backend, field: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=field):
        await NotificationModel.find(**{field: value})  # type: ignore[arg-type]
