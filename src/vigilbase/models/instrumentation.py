"""Logs the failures of model methods."""

from collections.abc import Iterator
from contextlib import contextmanager

from vigilbase.errors import VigilbaseError
from vigilbase.logging import EventLogger, Field


@contextmanager
def log_failures(log: EventLogger, event: str, **fields: Field) -> Iterator[None]:
    """Log `{event}.failed` with the fields and the reason when the block raises one of our errors, and raise it on."""
    try:
        yield
    except VigilbaseError as error:
        failure = f"{event}.failed"
        log.error(failure, **fields, reason=str(error))
        raise
