"""Events as lines: whatever a field holds, it stays within its line."""

import io
import logging
from collections.abc import Iterator

import pytest

from vigilbase.logging import configure_logging, get_logger


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("vigilbase")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    configure_logging("INFO", stream)
    yield stream
    root.handlers[:], level, ours_level = before
    root.setLevel(level)
    ours.setLevel(ours_level)


def test_an_event_is_a_line_of_its_name_and_fields(lines: io.StringIO) -> None:
    get_logger("vigilbase.x").info("alert.opened", service_name="api", n=3, new=True, nothing=None, text="a b")
    line = lines.getvalue()
    assert line.endswith('info    alert.opened service_name=api n=3 new=true text="a b"\n')
    assert line[:4].isdecimal()
    assert line.split()[0].endswith("Z")


@pytest.mark.parametrize("hostile", ["a\nfake event", "\x1b[31mred", 'a"b', "a=b", "", "\u2028", "\u202e"])
def test_a_field_cannot_break_out_of_its_line(lines: io.StringIO, hostile: str) -> None:
    get_logger("vigilbase.x").warning("probe.failed", service_name=hostile, last="end")
    text = lines.getvalue()
    assert text.count("\n") == 1
    assert text.isascii()
    assert "\x1b" not in text
    assert text.endswith(" last=end\n")


def test_letters_of_any_language_stay_readable(lines: io.StringIO) -> None:
    get_logger("vigilbase.x").info("alert.opened", service_name="日本語サービス", message="für dich")
    assert lines.getvalue().endswith('alert.opened service_name=日本語サービス message="für dich"\n')


def test_events_below_the_level_are_left_out(lines: io.StringIO) -> None:
    get_logger("vigilbase.x").debug("quiet")
    assert lines.getvalue() == ""
