"""The part of `vigilbase.yaml` about messages: what it means, and one clear line for each mistake."""

from pathlib import Path

import pytest

from vigilbase import ConfigurationError
from vigilbase.alerts.channels import CHANNELS, Channel
from vigilbase.alerts.channels.apprise import AppriseConfig
from vigilbase.alerts.channels.email import EmailConfig
from vigilbase.alerts.routing import OCCASIONS, Route
from vigilbase.spec import Spec, parse_spec

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
ALERTS = """\
alerts:
  - {channels: [ops, team], on: [down, degraded, recovery]}
  - {channels: [boss], on: [down], after: 15m, unless: acknowledged}
"""
SERVICE = "services: [{name: a, tcp: 'h:1'}]\n"
ALL = frozenset(OCCASIONS)
EVERYTHING = (Route(("ops", "team", "boss", "chat"), ALL),)
FOR_ALL = (Route(("ops", "team"), ALL), Route(("boss",), frozenset({"down"}), 900, unless_acknowledged=True))


def _spec(text: str) -> Spec:
    return parse_spec(text, ENVIRON)


def test_a_channel_has_its_name_its_kind_and_what_the_file_says_about_it() -> None:
    channels = _spec(CHANNELS_TEXT + SERVICE).channels
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


def test_the_value_of_a_kind_may_be_no_mapping() -> None:
    chat = _spec("channels: {chat: {apprise: ['json://a', \"${CHAT_URL}\"]}}\n" + SERVICE).channels["chat"].config
    assert isinstance(chat, AppriseConfig)
    assert chat.urls == ["json://a", ENVIRON["CHAT_URL"]]


def test_no_secret_of_a_channel_is_shown() -> None:
    assert "hunter2" not in repr(_spec(CHANNELS_TEXT + SERVICE))


@pytest.mark.parametrize("text", ["", "channels:\n", "channels: {}\n", "alerts: []\n"])
def test_without_channels_there_are_no_messages(text: str) -> None:
    spec = _spec(text + SERVICE)
    assert spec.channels == {}
    assert spec.services[0].routes == ()


def test_without_alerts_every_channel_gets_everything() -> None:
    assert _spec(CHANNELS_TEXT + SERVICE).services[0].routes == EVERYTHING


def test_an_empty_list_of_alerts_sends_none() -> None:
    assert _spec(CHANNELS_TEXT + "alerts: []\n" + SERVICE).services[0].routes == ()


@pytest.mark.parametrize(
    ("of_all", "of_service", "routes"),
    [
        (ALERTS, "", FOR_ALL),
        (ALERTS, ", alerts: [{channels: [ops], on: [down]}]", (Route(("ops",), frozenset({"down"})),)),
        (ALERTS, ", alerts: []", ()),
        ("", ", alerts: [{channels: [chat]}]", (Route(("chat",), ALL),)),
        ("alerts: []\n", ", alerts: [{channels: [chat], after: 1.5m}]", (Route(("chat",), ALL, 90),)),
        ("", ", alerts: []", ()),
    ],
)
def test_the_alerts_of_a_service_take_the_place_of_those_of_all(
    of_all: str, of_service: str, routes: tuple[Route, ...]
) -> None:
    other, service = _spec(
        f"{CHANNELS_TEXT}{of_all}services: [{{name: a, tcp: 'h:1'}}, {{name: b, tcp: 'h:1'{of_service}}}]"
    ).services
    assert service.routes == routes
    assert other.routes == {ALERTS: FOR_ALL, "": EVERYTHING, "alerts: []\n": ()}[of_all]


def test_one_channel_may_be_told_at_once_and_again_later() -> None:
    text = "alerts: [{channels: [ops], on: [down]}, {channels: [ops], on: [down], after: 15m}]\n"
    assert _spec(CHANNELS_TEXT + text + SERVICE).services[0].routes == (
        Route(("ops",), frozenset({"down"})),
        Route(("ops",), frozenset({"down"}), 900),
    )


def test_the_name_of_a_channel_may_come_from_the_environment_where_it_is_used() -> None:
    text = CHANNELS_TEXT + 'alerts: [{channels: ["${WHO:-ops}"], on: ["${WHAT:-down}"]}]\n' + SERVICE
    assert _spec(text).services[0].routes == (Route(("ops",), frozenset({"down"})),)


@pytest.mark.parametrize(
    ("text", "remind_every_s", "group_window_s"),
    [
        ("", None, 30),
        ("remind_every: 4h\ngroup_window: 0s\n", 14_400, 0),
        ("remind_every: null\ngroup_window: 500ms\n", None, 0.5),
        ("remind_every: 1m\ngroup_window: 1h\n", 60, 3600),
    ],
)
def test_a_file_says_how_often_to_remind_and_how_long_to_gather(
    text: str, remind_every_s: float | None, group_window_s: float
) -> None:
    spec = _spec(text + SERVICE)
    assert (spec.remind_every_s, spec.group_window_s) == (remind_every_s, group_window_s)


def test_a_service_may_have_tags() -> None:
    services = f"services: [{{name: a, tcp: 'h:1', tags: [shop, 'zwei Wörter', {'t' * 50}]}}, {{name: b, tcp: 'h:1'}}]"
    assert [service.tags for service in _spec(services).services] == [("shop", "zwei Wörter", "t" * 50), ()]


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("json://localhost/hunter2\n")
    spec = parse_spec('channels: {chat: {apprise: "${URL}"}}\n' + SERVICE, {"URL_FILE": str(tmp_path / "url")})
    chat = spec.channels["chat"].config
    assert isinstance(chat, AppriseConfig)
    assert chat.urls == ["json://localhost/hunter2"]


def test_a_channel_is_what_the_registry_says() -> None:
    assert _spec("channels: {a_B-9: {apprise: 'json://h'}}\n" + SERVICE).channels == {
        "a_B-9": Channel("a_B-9", "apprise", CHANNELS["apprise"].config.model_validate("json://h"))
    }


KINDS = ", ".join(CHANNELS)
MAIL = "channels: {team: {email: {to: [team@example.com], from: v@example.com, smtp: 'smtp://h'}}}\n"
NAME = "must be named with 1 to 50 letters, digits, - and _"


def _route(text: str) -> str:
    return f"{MAIL}alerts: [{{channels: [team], {text}}}]"


def _service(text: str) -> str:
    return f"{MAIL}services: [{{name: a, tcp: 'h:1', {text}}}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # channels
        ("channels: []", "1: channels: must be a mapping"),
        ("channels: {ops: hunter2}", f"1: channels.ops: must be a mapping with one of {KINDS}"),
        ("channels:\n  ops: {}", f"2: channels.ops: must have exactly one of {KINDS}"),
        ("channels: {ops: {emial: {}}}", f"1: channels.ops: must have exactly one of {KINDS}; did you mean email?"),
        ("channels: {ops: {apprise: 'json://h', email: {}}}", f"1: channels.ops: must have exactly one of {KINDS}"),
        (
            "channels:\n  ops:\n    apprise: json://h\n    color: red",
            "4: channels.ops.color: unknown field; there is only apprise",
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
            "1: channels.ops.email.frm: unknown field; there are to, from, smtp, ca_file; did you mean from?",
        ),
        (
            "channels: {ops: {email: {to: [a@b.c, hunter2], from: a@b.c, smtp: 'smtp://h'}}}",
            "1: channels.ops.email.to[1]: must be an address such as team@example.com",
        ),
        ("channels: {ops: {apprise: hunter2}}", "1: channels.ops.apprise: is no address that Apprise knows"),
        ("channels: {ops: {apprise: ['json://h', hunter2]}}", "1: channels.ops.apprise[1]: is no address"),
        (
            "channels: {ops: {apprise: '${UNSET}'}}",
            "1: channels.ops.apprise: the environment variable UNSET is not set; set it",
        ),
        ("channels: {a b: {}}", f"1: channels.a b: {NAME}"),
        ("channels: {'': {}}", f"1: channels.…: {NAME}"),
        (f"channels: {{{'a' * 51}: {{}}}}", f"1: channels.{'a' * 51}: {NAME}"),
        ("channels: {chät: {}}", f"1: channels.chät: {NAME}"),
        ("channels: {'https://h/hunter2': {}}", f"1: channels.…: {NAME}"),
        ("channels:\n  a: {apprise: 'json://h'}\n  a: {}", "3: channels.a: is there twice, first in line 2"),
        # in a mapping without a value, a secret is a key
        ("channels: {ops: {email: {hunter2hunter2}}}", "1: channels.ops.email.…: unknown field; there are to"),
        ("channels: {ops: {apprise: 'json://h', hunter2}}", "1: channels.ops.…: unknown field; there is only apprise"),
        # alerts
        ("alerts:", "1: alerts: must be a list"),
        ("alerts: {channels: [ops]}", "1: alerts: must be a list"),
        ("alerts: [ops]", "1: alerts[0]: must be a mapping"),
        ("alerts: [{on: [down]}]", "1: alerts[0].channels: is missing"),
        ("alerts: [{channels: []}]", "1: alerts[0].channels: must not be empty"),
        ("alerts: [{channels: ops}]", "1: alerts[0].channels: must be a list"),
        ("alerts: [{channels: [1]}]", "1: alerts[0].channels[0]: must be text; write it in quotes"),
        ("alerts: [{channels: [ops, ops]}]", "1: alerts[0].channels: must not have the same entry twice"),
        ("alerts: [{channels: [hunter2]}]", "1: alerts[0].channels[0]: unknown channel; there is none"),
        (
            CHANNELS_TEXT + "alerts:\n  - channels:\n      - ops\n      - taem",
            "9: alerts[0].channels[1]: unknown channel; there are ops, team, boss, chat; did you mean team?",
        ),
        (
            CHANNELS_TEXT + "alerts: [{channels: [hunter2]}]",
            "6: alerts[0].channels[0]: unknown channel; there are ops, team, boss, chat",
        ),
        (_route("chanels: [a]"), "2: alerts[0].chanels: unknown field; there are channels, on, after, unless; did you"),
        (_route("on: down"), "2: alerts[0].on: must be a list"),
        (_route("on: []"), "2: alerts[0].on: must not be empty"),
        (_route("on: [up]"), "2: alerts[0].on[0]: must be down, degraded or recovery"),
        (_route("on: [down, down]"), "2: alerts[0].on: must not have the same entry twice"),
        (_route("on: [recovery]"), "2: alerts[0].on: must have down or degraded as well; a recovery is the end of one"),
        (_route("after: 0s"), "2: alerts[0].after: must be a duration from 1s to 30d, such as 30s, 5m or 1h"),
        (_route("after: 31d"), "2: alerts[0].after: must be a duration from 1s to 30d, such as 30s, 5m or 1h"),
        (_route("after: 15"), "2: alerts[0].after: must be a duration from 1s to 30d, such as 30s, 5m or 1h"),
        (_route("after: 15, unless: acknowledged"), "2: alerts[0].after: must be a duration from 1s to 30d"),
        (_route("unless: acknowledged"), "2: alerts[0].unless: is possible only with `after`"),
        (_route("after: 15m, unless: resolved"), "2: alerts[0].unless: must be acknowledged"),
        # of a service
        (_service("alerts:"), "2: services[0] (a).alerts: must be a list"),
        (
            _service("alerts: [{channels: [team]}, {channels: [tem]}]"),
            "2: services[0] (a).alerts[1].channels[0]: unknown channel; there is only team",
        ),
        (_service("alerts: [{channels: [team], after: 1y}]"), "2: services[0] (a).alerts[0].after: must be a duration"),
        (_service("remind_every: 4h"), "2: services[0] (a).remind_every: unknown field; there are name,"),
        (_service("tags: shop"), "2: services[0] (a).tags: must be a list"),
        (_service("tags: [shop, public, shop]"), "2: services[0] (a).tags: must not have the same entry twice"),
        (_service("tags: ['']"), "2: services[0] (a).tags[0]: must not be empty"),
        (_service(f"tags: [{'t' * 51}]"), "2: services[0] (a).tags[0]: must have at most 50 characters"),
        (_service("tags: [' shop']"), "2: services[0] (a).tags[0]: must not begin or end with white space"),
        (_service('tags: ["a\\0b"]'), "2: services[0] (a).tags[0]: must not contain a NUL character"),
        (_service("tags: [1]"), "2: services[0] (a).tags[0]: must be text; write it in quotes"),
        # the rest
        (
            "remind_every: 4h\nchannels: {am: {alertmanager: {url: 'http://am:9093', expires_after: 4h}}}",
            "2: channels.am.alertmanager.expires_after: must be longer than remind_every, or Alertmanager takes open",
        ),
        (
            "remind_every: 8d\nchannels: {am: {alertmanager: {url: 'http://am:9093'}}}",
            "2: channels.am.alertmanager.expires_after: must be longer than remind_every",
        ),
        ("remind_every: 59s", "1: remind_every: must be a duration from 1m to 30d, such as 5m or 1h"),
        ("remind_every: 0s", "1: remind_every: must be a duration from 1m to 30d, such as 5m or 1h"),
        ("group_window: 61m", "1: group_window: must be a duration from 0s to 1h, such as 500ms, 30s, 5m or 1h"),
        ("group_window: 0", "1: group_window: must be a duration from 0s to 1h, such as 500ms, 30s, 5m or 1h"),
        ("group_window:", "1: group_window: must be a duration from 0s to 1h, such as 500ms, 30s, 5m or 1h"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place_and_shows_no_secret(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _spec(text if "services:" in text else f"{text}\n{SERVICE}")
    told = str(caught.value)
    assert told.startswith(f"line {said}")
    assert "hunter2" not in told


def test_a_channel_that_is_wrong_is_told_and_not_the_alerts_that_go_there() -> None:
    text = "services: [{name: a, tcp: 'h:1'}]\nalerts: [{channels: [ops]}]\nchannels: {ops: {apprise: nowhere}}\n"
    with pytest.raises(ConfigurationError, match=r"^line 3: channels\.ops\.apprise: is no address"):
        _spec(text)
