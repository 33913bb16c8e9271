"""What of a model's failures is logged."""

import asyncio
import logging

import pytest

from vigilbase.errors import DatabaseError
from vigilbase.logging import get_logger
from vigilbase.models.instrumentation import log_failures

log = get_logger("tests.instrumentation")  # commands mute the models' loggers


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DatabaseError("select: no answer"), "select: no answer"),
        (KeyError("password=secret"), "unexpected KeyError"),
        (AssertionError(), "unexpected AssertionError"),
    ],
)
def test_log_failures_any_exception_is_logged_and_raised_unchanged(
    caplog: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    with pytest.raises(type(error)) as caught, log_failures(log, "thing.find", id="7"):
        raise error
    assert caught.value is error
    [record] = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "thing.find.failed")
    assert record.__dict__["fields"] == {"id": "7", "reason": reason}


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
def test_log_failures_end_of_task_or_program_is_not_logged(
    caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    with pytest.raises(type(error)), log_failures(log, "thing.find"):
        raise error
    assert caplog.records == []
