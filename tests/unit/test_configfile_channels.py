"""The channels and routes of `vigilbase.yaml`: their values, and one line for each error."""

from pathlib import Path

import pytest

from vigilbase import ConfigurationError
from vigilbase.alerts.routing import ROUTE_EVENTS, Route
from vigilbase.channels import CHANNELS, Channel
from vigilbase.channels.apprise import AppriseConfig
from vigilbase.channels.email import EmailConfig
from vigilbase.configfile import Config, parse_config

ENVIRON = {
    "OPS_URL": "https://example.com/alerts/hunter2",
    "OPS_SECRET": "hunter2-hunter2-hunter2-hunter2",
    "PAGERDUTY_KEY": "hunter20123456789hunter201234567",
    "CHAT_URL": "json://localhost/hunter2",
}
CHANNELS_TEXT = """\
channels:
  ops:  {webhook: {url: "${OPS_URL}", secret: "${OPS_SECRET}"}}
  team: {email: {to: [team@example.com], from: vigilbase@example.com, smtp: "smtp://localhost:25"}}
  boss: {pagerduty: {routing_key: "${PAGERDUTY_KEY}"}}
  chat: {apprise: "${CHAT_URL}"}
"""
ROUTES = """\
routes:
  - {channels: [ops, team], on: [down, degraded, recovery]}
  - {channels: [boss], on: [down], after: 15m, unless: acknowledged}
"""
SERVICE = "services: [{name: a, tcp: 'h:1'}]\n"
ALL = frozenset(ROUTE_EVENTS)
EVERYTHING = (Route(("ops", "team", "boss", "chat"), ALL),)
ROUTES_OF_FILE = (Route(("ops", "team"), ALL), Route(("boss",), frozenset({"down"}), 900, unless_acknowledged=True))


def _parse(text: str) -> Config:
    return parse_config(text, ENVIRON)


def test_parse_config_channel_has_name_kind_and_config() -> None:
    channels = _parse(CHANNELS_TEXT + SERVICE).channels
    assert [(name, channel.name, channel.kind) for name, channel in channels.items()] == [
        ("ops", "ops", "webhook"), ("team", "team", "email"), ("boss", "boss", "pagerduty"), ("chat", "chat", "apprise")
    ]  # fmt: skip
    for channel in channels.values():
        assert type(channel.config) is CHANNELS[channel.kind].config
    team, chat = channels["team"].config, channels["chat"].config
    assert isinstance(team, EmailConfig)
    assert (team.to, team.from_) == (("team@example.com",), "vigilbase@example.com")
    assert isinstance(chat, AppriseConfig)
    assert chat.urls == [ENVIRON["CHAT_URL"]]


def test_parse_config_channel_value_as_list_is_accepted() -> None:
    chat = _parse("channels: {chat: {apprise: ['json://a', \"${CHAT_URL}\"]}}\n" + SERVICE).channels["chat"].config
    assert isinstance(chat, AppriseConfig)
    assert chat.urls == ["json://a", ENVIRON["CHAT_URL"]]


def test_config_repr_hides_channel_secrets() -> None:
    assert "hunter2" not in repr(_parse(CHANNELS_TEXT + SERVICE))


@pytest.mark.parametrize("text", ["", "channels:\n", "channels: {}\n", "routes: []\n"])
def test_parse_config_without_channels_gives_no_routes(text: str) -> None:
    config = _parse(text + SERVICE)
    assert config.channels == {}
    assert config.services[0].routes == ()


def test_parse_config_without_routes_sends_all_events_to_all_channels() -> None:
    assert _parse(CHANNELS_TEXT + SERVICE).services[0].routes == EVERYTHING


def test_parse_config_empty_routes_gives_no_routes() -> None:
    assert _parse(CHANNELS_TEXT + "routes: []\n" + SERVICE).services[0].routes == ()


@pytest.mark.parametrize(
    ("file_routes", "service_routes", "routes"),
    [
        (ROUTES, "", ROUTES_OF_FILE),
        (ROUTES, ", routes: [{channels: [ops], on: [down]}]", (Route(("ops",), frozenset({"down"})),)),
        (ROUTES, ", routes: []", ()),
        ("", ", routes: [{channels: [chat]}]", (Route(("chat",), ALL),)),
        ("routes: []\n", ", routes: [{channels: [chat], after: 1.5m}]", (Route(("chat",), ALL, 90),)),
        ("", ", routes: []", ()),
    ],
)
def test_parse_config_service_routes_replace_global_routes(
    file_routes: str, service_routes: str, routes: tuple[Route, ...]
) -> None:
    other, service = _parse(
        f"{CHANNELS_TEXT}{file_routes}services: [{{name: a, tcp: 'h:1'}}, {{name: b, tcp: 'h:1'{service_routes}}}]"
    ).services
    assert service.routes == routes
    assert other.routes == {ROUTES: ROUTES_OF_FILE, "": EVERYTHING, "routes: []\n": ()}[file_routes]


def test_parse_config_channel_with_immediate_and_delayed_route_keeps_both() -> None:
    text = "routes: [{channels: [ops], on: [down]}, {channels: [ops], on: [down], after: 15m}]\n"
    assert _parse(CHANNELS_TEXT + text + SERVICE).services[0].routes == (
        Route(("ops",), frozenset({"down"})),
        Route(("ops",), frozenset({"down"}), 900),
    )


def test_parse_config_route_values_are_read_from_environment() -> None:
    text = CHANNELS_TEXT + 'routes: [{channels: ["${CHANNEL:-ops}"], on: ["${EVENT:-down}"]}]\n' + SERVICE
    assert _parse(text).services[0].routes == (Route(("ops",), frozenset({"down"})),)


@pytest.mark.parametrize(
    ("text", "remind_every_s", "group_window_s"),
    [
        ("", None, 30),
        ("remind_every: 4h\ngroup_window: 0s\n", 14_400, 0),
        ("remind_every: null\ngroup_window: 500ms\n", None, 0.5),
        ("remind_every: 1m\ngroup_window: 1h\n", 60, 3600),
    ],
)
def test_parse_config_remind_every_and_group_window_are_read(
    text: str, remind_every_s: float | None, group_window_s: float
) -> None:
    config = _parse(text + SERVICE)
    assert (config.remind_every_s, config.group_window_s) == (remind_every_s, group_window_s)


def test_parse_config_service_tags_are_read() -> None:
    services = f"services: [{{name: a, tcp: 'h:1', tags: [shop, 'zwei Wörter', {'t' * 50}]}}, {{name: b, tcp: 'h:1'}}]"
    assert [service.tags for service in _parse(services).services] == [("shop", "zwei Wörter", "t" * 50), ()]


def test_parse_config_channel_secret_is_read_from_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("json://localhost/hunter2\n")
    config = parse_config('channels: {chat: {apprise: "${URL}"}}\n' + SERVICE, {"URL_FILE": str(tmp_path / "url")})
    chat = config.channels["chat"].config
    assert isinstance(chat, AppriseConfig)
    assert chat.urls == ["json://localhost/hunter2"]


def test_parse_config_channel_uses_config_model_of_registry() -> None:
    assert _parse("channels: {a_B-9: {apprise: 'json://h'}}\n" + SERVICE).channels == {
        "a_B-9": Channel("a_B-9", "apprise", CHANNELS["apprise"].config.model_validate("json://h"))
    }


KINDS = ", ".join(CHANNELS)
MAIL = "channels: {team: {email: {to: [team@example.com], from: v@example.com, smtp: 'smtp://h'}}}\n"
NAME = "must have a name of 1 to 50 letters"


def _write_route(text: str) -> str:
    return f"{MAIL}routes: [{{channels: [team], {text}}}]"


def _write_service(text: str) -> str:
    return f"{MAIL}services: [{{name: a, tcp: 'h:1', {text}}}]"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        # channels
        ("channels: []", "1: channels: must be a mapping"),
        ("channels: {ops: hunter2}", f"1: channels.ops: must be a mapping with one of {KINDS}"),
        ("channels:\n  ops: {}", f"2: channels.ops: must have exactly one of {KINDS}"),
        ("channels: {ops: {emial: {}}}", f"1: channels.ops: must have exactly one of {KINDS}; did you mean email?"),
        ("channels: {ops: {apprise: 'json://h', email: {}}}", f"1: channels.ops: must have exactly one of {KINDS}"),
        (
            "channels:\n  ops:\n    apprise: json://h\n    color: red",
            "4: channels.ops.color: unknown field; the only field is apprise",
        ),
        ("channels: {ops: {email: }}", "1: channels.ops.email: must be a mapping"),
        (
            "channels:\n  ops:\n    email:\n      smtp: smtp://h\n      to: [a@b.c]",
            "3: channels.ops.email.from: is missing",
        ),
        (
            "channels:\n  ops:\n    email: {from: a@b.c, smtp: 'smtp://h',\n      to: a@b.c}",
            "4: channels.ops.email.to: must be a list",
        ),
        (
            "channels: {ops: {email: {to: [a@b.c], frm: a@b.c}}}",
            "1: channels.ops.email.frm: unknown field; did you mean from?",
        ),
        (
            "channels: {ops: {email: {to: [a@b.c, hunter2], from: a@b.c, smtp: 'smtp://h'}}}",
            "1: channels.ops.email.to[1]: must be an address",
        ),
        ("channels: {ops: {apprise: hunter2}}", "1: channels.ops.apprise: must be an address"),
        ("channels: {ops: {apprise: ['json://h', hunter2]}}", "1: channels.ops.apprise[1]: must be an address"),
        (
            "channels: {ops: {apprise: '${UNSET}'}}",
            "1: channels.ops.apprise: the environment variable UNSET is not set",
        ),
        ("channels: {a b: {}}", f"1: channels.a b: {NAME}"),
        ("channels: {'': {}}", f"1: channels.…: {NAME}"),
        (f"channels: {{{'a' * 51}: {{}}}}", f"1: channels.{'a' * 51}: {NAME}"),
        ("channels: {chät: {}}", f"1: channels.chät: {NAME}"),
        ("channels: {'https://h/hunter2': {}}", f"1: channels.…: {NAME}"),
        ("channels:\n  a: {apprise: 'json://h'}\n  a: {}", "3: channels.a: is a duplicate of the key on line 2"),
        # in a mapping without a value, a secret is a key
        ("channels: {ops: {email: {hunter2hunter2}}}", "1: channels.ops.email.…: unknown field; the fields are to"),
        (
            "channels: {ops: {apprise: 'json://h', hunter2}}",
            "1: channels.ops.…: unknown field; the only field is apprise",
        ),
        # routes
        ("routes:", "1: routes: must be a list"),
        ("routes: {channels: [ops]}", "1: routes: must be a list"),
        ("routes: [ops]", "1: routes[0]: must be a mapping"),
        ("routes: [{on: [down]}]", "1: routes[0].channels: is missing"),
        ("routes: [{channels: []}]", "1: routes[0].channels: must not be empty"),
        ("routes: [{channels: ops}]", "1: routes[0].channels: must be a list"),
        ("routes: [{channels: [1]}]", "1: routes[0].channels[0]: must be text; write it in quotes"),
        ("routes: [{channels: [ops, ops]}]", "1: routes[0].channels: must not contain duplicates"),
        ("routes: [{channels: [hunter2]}]", "1: routes[0].channels[0]: unknown channel; no channels are defined"),
        (
            CHANNELS_TEXT + "routes:\n  - channels:\n      - ops\n      - taem",
            "9: routes[0].channels[1]: unknown channel; did you mean team?",
        ),
        (
            CHANNELS_TEXT + "routes: [{channels: [hunter2]}]",
            "6: routes[0].channels[0]: unknown channel; the channels are ops, team, boss, chat",
        ),
        (_write_route("chanels: [a]"), "2: routes[0].chanels: unknown field; did you mean channels?"),
        (_write_route("on: down"), "2: routes[0].on: must be a list"),
        (_write_route("on: []"), "2: routes[0].on: must not be empty"),
        (_write_route("on: [up]"), "2: routes[0].on[0]: must be down, degraded or recovery"),
        (_write_route("on: [down, down]"), "2: routes[0].on: must not contain duplicates"),
        (_write_route("on: [recovery]"), "2: routes[0].on: must also contain down or degraded"),
        (_write_route("after: 0s"), "2: routes[0].after: must be a duration from 1s to 30d"),
        (_write_route("after: 31d"), "2: routes[0].after: must be a duration from 1s to 30d"),
        (_write_route("after: 15"), "2: routes[0].after: must be a duration from 1s to 30d"),
        (_write_route("after: 15, unless: acknowledged"), "2: routes[0].after: must be a duration from 1s to 30d"),
        (_write_route("unless: acknowledged"), "2: routes[0].unless: requires `after`"),
        (_write_route("after: 15m, unless: resolved"), "2: routes[0].unless: must be acknowledged"),
        # of a service
        (_write_service("routes:"), "2: services[0] (a).routes: must be a list"),
        (
            _write_service("routes: [{channels: [team]}, {channels: [tem]}]"),
            "2: services[0] (a).routes[1].channels[0]: unknown channel; did you mean team?",
        ),
        (
            _write_service("routes: [{channels: [team], after: 1y}]"),
            "2: services[0] (a).routes[0].after: must be a duration",
        ),
        (_write_service("remind_every: 4h"), "2: services[0] (a).remind_every: unknown field; the fields are name,"),
        (_write_service("tags: shop"), "2: services[0] (a).tags: must be a list"),
        (_write_service("tags: [shop, public, shop]"), "2: services[0] (a).tags: must not contain duplicates"),
        (_write_service("tags: ['']"), "2: services[0] (a).tags[0]: must not be empty"),
        (_write_service(f"tags: [{'t' * 51}]"), "2: services[0] (a).tags[0]: must have at most 50 characters"),
        (_write_service("tags: [' shop']"), "2: services[0] (a).tags[0]: must not begin or end with"),
        (_write_service('tags: ["a\\0b"]'), "2: services[0] (a).tags[0]: must not contain a NUL"),
        (_write_service("tags: [1]"), "2: services[0] (a).tags[0]: must be text; write it in quotes"),
        # the rest
        (
            "remind_every: 4h\nchannels: {am: {alertmanager: {url: 'http://am:9093', expires_after: 4h}}}",
            "2: channels.am.alertmanager.expires_after: must be longer than remind_every; otherwise Alertmanager",
        ),
        (
            "remind_every: 8d\nchannels: {am: {alertmanager: {url: 'http://am:9093'}}}",
            "2: channels.am.alertmanager.expires_after: must be longer than remind_every",
        ),
        ("remind_every: 59s", "1: remind_every: must be a duration from 1m to 30d"),
        ("remind_every: 0s", "1: remind_every: must be a duration from 1m to 30d"),
        ("group_window: 61m", "1: group_window: must be a duration from 0s to 1h"),
        ("group_window: 0", "1: group_window: must be a duration from 0s to 1h"),
        ("group_window:", "1: group_window: must be a duration from 0s to 1h"),
    ],
)
def test_parse_config_invalid_channel_or_route_is_reported_with_path_and_no_secret(text: str, error: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _parse(text if "services:" in text else f"{text}\n{SERVICE}")
    message = str(caught.value)
    assert message.startswith(f"line {error}")
    assert "hunter2" not in message


def test_parse_config_invalid_channel_is_reported_instead_of_its_routes() -> None:
    text = "services: [{name: a, tcp: 'h:1'}]\nroutes: [{channels: [ops]}]\nchannels: {ops: {apprise: nowhere}}\n"
    with pytest.raises(ConfigurationError, match=r"^line 3: channels\.ops\.apprise: must be an address"):
        _parse(text)
