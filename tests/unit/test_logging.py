"""Formatting events as lines. No field can break out of its line."""

import io
import logging
from collections.abc import Iterator

import pytest

from vigilbase.logging import configure_logging, get_logger


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("vigilbase")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    configure_logging("INFO", stream)
    yield stream
    root.handlers[:], level, ours_level = before
    root.setLevel(level)
    ours.setLevel(ours_level)


def test_log_line_contains_event_name_and_fields(log_stream: io.StringIO) -> None:
    get_logger("vigilbase.x").info("alert.opened", service_name="api", n=3, new=True, nothing=None, text="a b")
    line = log_stream.getvalue()
    assert line.endswith('info    alert.opened service_name=api n=3 new=true text="a b"\n')
    assert line[:4].isdecimal()
    assert line.split()[0].endswith("Z")


@pytest.mark.parametrize("hostile", ["a\nfake event", "\x1b[31mred", 'a"b', "a=b", "", "\u2028", "\u202e"])
def test_log_line_hostile_field_is_escaped(log_stream: io.StringIO, hostile: str) -> None:
    get_logger("vigilbase.x").warning("probe.failed", service_name=hostile, last="end")
    text = log_stream.getvalue()
    assert text.count("\n") == 1
    assert text.isascii()
    assert "\x1b" not in text
    assert text.endswith(" last=end\n")


def test_log_line_non_ascii_letters_stay_readable(log_stream: io.StringIO) -> None:
    get_logger("vigilbase.x").info("alert.opened", service_name="日本語サービス", message="für dich")
    assert log_stream.getvalue().endswith('alert.opened service_name=日本語サービス message="für dich"\n')


def test_logger_event_below_level_is_not_written(log_stream: io.StringIO) -> None:
    get_logger("vigilbase.x").debug("quiet")
    assert log_stream.getvalue() == ""
