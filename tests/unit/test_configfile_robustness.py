"""Any text gives either a config or a one-line error."""

import random
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vigilbase import ConfigurationError
from vigilbase.channels import CHANNELS
from vigilbase.configfile import Config, parse_config
from vigilbase.probes import PROBES

ENVIRON = {"DATABASE_URL": "self", "N": "3", "SECRET": "hunter2\n", "SECRET_PART": "hunter2"}
VALID = """\
defaults: &d {interval: 30s, timeout: 5s, failure_threshold: 3, success_threshold: 2}
retention_days: 0x1F
channels:
  team: {email: {to: [team@example.com], from: vigilbase@example.com, smtp: "smtp://u:${SECRET_PART}@localhost"}}
  chat: {apprise: ["json://localhost/hunter2"]}
routes:
  - {channels: [team, chat], on: [down, degraded, recovery]}
  - {channels: [chat], on: [down], after: 15m, unless: acknowledged}
remind_every: 4h
group_window: 0s
services:
  - name: website
    http: https://example.com/
    expect: {status: 200-299, json: {a: [1, 2.5, null]}}
    degraded_after: 800ms
    <<: *d
  - {name: "d\\u0041", postgres: "${DATABASE_URL}", failure_threshold: "${N:-3}"}
  - name: |-
      cache
    redis: !!str redis://:$$ecret@localhost:6379
    interval: 1.5s
    tags: [shop]
    routes: [{channels: [team], on: [down]}]
"""
TOKENS = [
    "${N}", "${SECRET}", "${UNSET}", "${", "$$", "*d", "&d", "<<: *d", "!!int ", "!!float ", "!!bool ", "!!null ",
    "!!binary ", "!!set ", "!!timestamp ", "\ud800", "\x00", "\u2028", "---", "...", "2026-01-01", ".inf", ".nan",
    "null", "yes", '"\\UFFFFFFFF"', "1.0e+400", "0b", "9" * 5000, "- ", "? ", "name", "tcp: h:1", "\n  ", "%YAML 3.0\n",
    "=", "<<", "expect: ",
]  # fmt: skip
FRAGMENTS = [*" \n\t:-{}[],&*!|>%@`'\"#?<~$.0123456789eE_", *TOKENS]


def _try_parse(text: str) -> Config | None:
    try:
        return parse_config(text, ENVIRON)
    except ConfigurationError as error:
        message = str(error)
        assert re.match(r"line [1-9][0-9]*: .", message)
        assert message.isprintable()
        assert "hunter2" not in message
        return None


def test_parse_config_valid_sample_is_accepted() -> None:
    config = _try_parse(VALID)
    assert config
    assert [service.name for service in config.services] == ["website", "dA", "cache"]
    assert config.retention_days == 31
    assert [*config.channels] == ["team", "chat"]


@given(st.text())
def test_parse_config_any_text_gives_config_or_error(text: str) -> None:
    _try_parse(text)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*FRAGMENTS, "services", "a", ": "]), max_size=20).map("".join))
def test_parse_config_any_yaml_fragments_give_config_or_error(text: str) -> None:
    _try_parse(text)


KEYS = [
    "defaults",
    "services",
    "retention_days",
    "name",
    "interval",
    "expect",
    "status",
    "failure_threshold",
    "headers",
    "<<",
    "channels",
    "routes",
    "on",
    "after",
    "unless",
    "tags",
    "a",
    *PROBES,
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.sampled_from(TOKENS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner), max_leaves=10
)
SERVICES = st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), min_size=1, max_size=3)


@settings(max_examples=300)
@given(VALUES | st.builds(lambda services: {"services": services}, SERVICES))
def test_parse_config_any_yaml_value_gives_config_or_error(value: object) -> None:
    _try_parse(yaml.safe_dump(value, allow_unicode=True))


@pytest.mark.parametrize("kind", PROBES)
@settings(max_examples=50)
@given(value=VALUES, expect=VALUES)
def test_parse_config_any_probe_value_gives_config_or_error(kind: str, value: object, expect: object) -> None:
    _try_parse(yaml.safe_dump({"services": [{"name": "a", kind: value, "expect": expect}]}))


FIELDS = ["url", "headers", "secret", "template", "to", "from", "smtp", "routing_key", "severity", "timeout", "ca_file"]


@pytest.mark.parametrize("kind", CHANNELS)
@settings(max_examples=50)
@given(value=VALUES | st.dictionaries(st.sampled_from(FIELDS), VALUES), routes=VALUES)
def test_parse_config_any_channel_value_gives_config_or_error(kind: str, value: object, routes: object) -> None:
    service = {"name": "a", "tcp": "h:1", "routes": routes}
    _try_parse(yaml.safe_dump({"services": [service], "channels": {"a": {kind: value}}}))


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_parse_config_corrupted_sample_gives_config_or_error(rng: random.Random) -> None:
    text = VALID
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        begin = rng.randrange(len(text) + 1)
        text = text[:begin] + rng.choice(FRAGMENTS) + text[begin + rng.choice([0, 0, 1, 3, 10]) :]
    _try_parse(text)
