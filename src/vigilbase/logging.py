"""Structured logging on top of `logging`: an event name and fields instead of prose.

Library users see ordinary records of loggers below `vigilbase`, with the event as the message and the fields in
`record.fields`. The command line formats each as one line of `event key=value …`.
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


# Without this, a program that hasn't configured logging would print our warnings.
logging.getLogger("vigilbase").addHandler(logging.NullHandler())


class EventLogger:
    """Logs events, such as `log.info("alert.opened", service_name="api")`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Field) -> None:
        """Log a detail that helps to investigate a problem."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Field) -> None:
        """Log that something happened as expected."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Field) -> None:
        """Log a problem that the program can handle."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Field) -> None:
        """Log that a requested action failed."""
        self._log(logging.ERROR, event, fields)

    def _log(self, level: int, event: str, fields: Mapping[str, Field]) -> None:
        self._logger.log(level, event, extra={"fields": fields})


def get_logger(name: str) -> EventLogger:
    """The event logger for a module's `__name__`."""
    return EventLogger(name)


class EventFormatter(logging.Formatter):
    """Formats a record as one line: time (UTC), level, event, and `key=value` for each field, JSON-quoted if needed."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record. Line breaks and control characters in fields are escaped."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields: Mapping[str, Field] = getattr(record, "fields", {})
        pairs = [f"{key}={_quote_field(value)}" for key, value in fields.items() if value is not None]
        return " ".join([moment, record.levelname.lower().ljust(7), _quote_message(record.getMessage()), *pairs])


def _quote_field(value: Field) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    needs_no_quotes = text.isprintable() and text and not set(text) & set(' "=\\')
    return text if needs_no_quotes else _quote_json(text)


def _quote_message(text: str) -> str:
    return text if text.isprintable() else _quote_json(text)


def _quote_json(text: str) -> str:
    """A JSON string that escapes only unprintable characters, which a terminal could obey or reorder."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in quoted)


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Configure logging for the command line: our events from `level` up, and other libraries' warnings."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("vigilbase").setLevel(level)


@contextmanager
def redirect_log(stream: TextIO | TextIOBase) -> Iterator[None]:
    """Write log lines to another stream inside the block."""
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)]
    previous = [handler.setStream(stream) for handler in handlers]
    try:
        yield
    finally:
        for handler, original in zip(handlers, previous, strict=True):
            if original is not None:
                handler.setStream(original)


def mute_models() -> None:
    """Hide the models' events, one per statement; the command line reports the outcome itself."""
    logging.getLogger("vigilbase.models").setLevel(logging.CRITICAL)
