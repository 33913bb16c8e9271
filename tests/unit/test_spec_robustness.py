"""Whatever a text says, it is either a spec or one line that says what is wrong."""

import random
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vigilbase import ConfigurationError
from vigilbase.alerts.channels import CHANNELS
from vigilbase.probes import KINDS
from vigilbase.spec import Spec, parse_spec

ENVIRON = {"DATABASE_URL": "self", "N": "3", "SECRET": "hunter2\n", "SECRET_PART": "hunter2"}
VALID = """\
defaults: &d {every: 30s, timeout: 5s, failures: 3, successes: 2}
retention_days: 0x1F
channels:
  team: {email: {to: [team@example.com], from: vigilbase@example.com, smtp: "smtp://u:${SECRET_PART}@localhost"}}
  chat: {apprise: ["json://localhost/hunter2"]}
alerts:
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
  - {name: "d\\u0041", postgres: "${DATABASE_URL}", failures: "${N:-3}"}
  - name: |-
      cache
    redis: !!str redis://:$$ecret@localhost:6379
    every: 1.5s
    tags: [shop]
    alerts: [{channels: [team], on: [down]}]
"""
WORDS = [
    "${N}", "${SECRET}", "${UNSET}", "${", "$$", "*d", "&d", "<<: *d", "!!int ", "!!float ", "!!bool ", "!!null ",
    "!!binary ", "!!set ", "!!timestamp ", "\ud800", "\x00", "\u2028", "---", "...", "2026-01-01", ".inf", ".nan",
    "null", "yes", '"\\UFFFFFFFF"', "1.0e+400", "0b", "9" * 5000, "- ", "? ", "name", "tcp: h:1", "\n  ", "%YAML 3.0\n",
    "=", "<<", "expect: ",
]  # fmt: skip
BITS = [*" \n\t:-{}[],&*!|>%@`'\"#?<~$.0123456789eE_", *WORDS]


def _read(text: str) -> Spec | None:
    try:
        return parse_spec(text, ENVIRON)
    except ConfigurationError as error:
        said = str(error)
        assert re.match(r"line [1-9][0-9]*: .", said)
        assert said.isprintable()
        assert "hunter2" not in said
        return None


def test_the_valid_text_is_valid() -> None:
    spec = _read(VALID)
    assert spec
    assert [service.name for service in spec.services] == ["website", "dA", "cache"]
    assert spec.retention_days == 31
    assert [*spec.channels] == ["team", "chat"]


@given(st.text())
def test_any_text(text: str) -> None:
    _read(text)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*BITS, "services", "a", ": "]), max_size=20).map("".join))
def test_any_pieces_of_yaml(text: str) -> None:
    _read(text)


KEYS = [
    "defaults",
    "services",
    "retention_days",
    "name",
    "every",
    "expect",
    "status",
    "failures",
    "headers",
    "<<",
    "channels",
    "alerts",
    "on",
    "after",
    "unless",
    "tags",
    "a",
    *KINDS,
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.sampled_from(WORDS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner), max_leaves=10
)
SERVICES = st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), min_size=1, max_size=3)


@settings(max_examples=300)
@given(VALUES | st.builds(lambda services: {"services": services}, SERVICES))
def test_any_value_written_as_yaml(value: object) -> None:
    _read(yaml.safe_dump(value, allow_unicode=True))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(value=VALUES, expect=VALUES)
def test_any_value_of_every_kind(kind: str, value: object, expect: object) -> None:
    _read(yaml.safe_dump({"services": [{"name": "a", kind: value, "expect": expect}]}))


FIELDS = ["url", "headers", "secret", "template", "to", "from", "smtp", "routing_key", "severity", "timeout", "ca_file"]


@pytest.mark.parametrize("kind", CHANNELS)
@settings(max_examples=50)
@given(value=VALUES | st.dictionaries(st.sampled_from(FIELDS), VALUES), routes=VALUES)
def test_any_value_of_every_kind_of_channel(kind: str, value: object, routes: object) -> None:
    service = {"name": "a", "tcp": "h:1", "alerts": routes}
    _read(yaml.safe_dump({"services": [service], "channels": {"a": {kind: value}}}))


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_a_valid_text_with_accidents(chance: random.Random) -> None:
    text = VALID
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        begin = chance.randrange(len(text) + 1)
        text = text[:begin] + chance.choice(BITS) + text[begin + chance.choice([0, 0, 1, 3, 10]) :]
    _read(text)
