"""Logs the failures of model methods."""

from collections.abc import Iterator
from contextlib import contextmanager

from vigilbase.errors import VigilbaseError
from vigilbase.logging import EventLogger, Field


@contextmanager
def log_failures(log: EventLogger, event: str, **fields: Field) -> Iterator[None]:
    """Log `{event}.failed` with the fields and the reason when the block raises, and raise the exception on.

    A cancellation is no failure.
    """
    failure = f"{event}.failed"
    try:
        yield
    except VigilbaseError as error:
        log.error(failure, **fields, reason=str(error))
        raise
    except Exception as error:
        # A bug. Only its type, since another library's message may hold anything, even a secret.
        log.error(failure, **fields, reason=f"unexpected {type(error).__name__}")
        raise
