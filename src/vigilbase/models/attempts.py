"""How every model method reports its failures: logged under the event's name, then raised on."""

from collections.abc import Iterator
from contextlib import contextmanager

from vigilbase.errors import VigilbaseError
from vigilbase.logging import EventLogger, Field


@contextmanager
def reported(log: EventLogger, event: str, **fields: Field) -> Iterator[None]:
    """Log `event` as failed, with these fields and the reason, when the body raises one of our errors."""
    try:
        yield
    except VigilbaseError as error:
        failure = f"{event}.failed"
        log.error(failure, **fields, reason=str(error))
        raise
