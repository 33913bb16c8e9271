"""Structured logging on the standard library: an event name and fields, never prose with values glued in.

A library user sees ordinary `logging` records of loggers below `vigilbase`, the event as the message and the fields in
`record.fields`; the command line formats them as one line of `event key=value …`.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOBase
from typing import TextIO

Field = str | int | float | bool | None


# A program that has set up no logging is not to be bothered with ours.
logging.getLogger("vigilbase").addHandler(logging.NullHandler())


class EventLogger:
    """Writes events of one part of the program: `log.info("alert.opened", service_name="api")`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Field) -> None:
        """Of interest when something is being looked into."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Field) -> None:
        """Something went as it should."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Field) -> None:
        """Something is wrong, and the program copes."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Field) -> None:
        """Something that was asked for was not done."""
        self._log(logging.ERROR, event, fields)

    def _log(self, level: int, event: str, fields: Mapping[str, Field]) -> None:
        self._logger.log(level, event, extra={"fields": fields})


def get_logger(name: str) -> EventLogger:
    """The event logger of a module; pass `__name__`."""
    return EventLogger(name)


class EventFormatter(logging.Formatter):
    """One line a record: time (UTC), level, event, `key=value` for each field, JSON-quoted where needed."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record. Fields can't break out of their line, whatever they hold."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields: Mapping[str, Field] = getattr(record, "fields", {})
        pairs = [f"{key}={_quoted(value)}" for key, value in fields.items() if value is not None]
        return " ".join([moment, record.levelname.lower().ljust(7), _quoted_message(record.getMessage()), *pairs])


def _quoted(value: Field) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = text.isprintable() and text and not set(text) & set(' "=\\')
    return text if plain else _in_quotes(text)


def _quoted_message(text: str) -> str:
    return text if text.isprintable() else _in_quotes(text)


def _in_quotes(text: str) -> str:
    """As a JSON string: letters of any language as they are, whatever a terminal would obey or reorder escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in quoted)


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up logging for a program of ours: our events from `level` on, other libraries' warnings."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("vigilbase").setLevel(level)


@contextmanager
def log_to(stream: TextIO | TextIOBase) -> Iterator[None]:
    """Write a program's events to another stream for a while."""
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)]
    previous = [handler.setStream(stream) for handler in handlers]
    try:
        yield
    finally:
        for handler, before in zip(handlers, previous, strict=True):
            if before is not None:
                handler.setStream(before)


def quiet_models() -> None:
    """Leave the models' own reports out, one for each statement; a program of ours says what they add up to."""
    logging.getLogger("vigilbase.models").setLevel(logging.CRITICAL)
