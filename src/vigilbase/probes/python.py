"""The probe `python`: a function of the user's, plain or async, says how the service is.

It runs in a thread of its own, so that one that blocks stalls nothing else. Its module is imported there too, at the
first probe and not when the file is read, as it may need what is down at that moment.
"""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, PrivateAttr, field_validator

from vigilbase.probes.finding import Finding
from vigilbase.probes.words import ProbeFailure
from vigilbase.probes.worker import Worker
from vigilbase.vocabulary import JSON, STATUSES, Observation, Status

_EXPECTED = "expected None, a status or an Observation"


class PythonTarget(BaseModel):
    """What a python service says about its probe: MODULE:FUNCTION."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    python: str
    _worker: Worker = PrivateAttr(default_factory=Worker)

    @field_validator("python")
    @classmethod
    def _module_and_function(cls, value: str) -> str:
        module, _, function = value.partition(":")
        if not _is_dotted_name(module) or not _is_dotted_name(function):
            raise ValueError("must be MODULE:FUNCTION, such as myapp.health:check_orders")
        if module.endswith(".py"):
            raise ValueError(f"must be MODULE:FUNCTION; write {module.removesuffix('.py')}:{function}")
        _make_current_folder_importable()
        package = module.partition(".")[0]
        if not _is_there(package):
            raise ValueError(f"there is no module {package} in the current folder or among the installed packages")
        return value


async def probe_python(target: PythonTarget, timeout: float) -> Finding:
    """Call the function and look at what it returns; raising is down."""
    worker = target._worker  # noqa: SLF001 (its own)
    busy = worker.busy_for()
    if busy is not None:
        return Finding("down", f"still busy with an earlier check, for {busy:.1f} s")
    outcome = await worker.run(partial(_call, target.python))
    if outcome.error is not None:
        return Finding("down", _raised(outcome.error))
    return _finding(outcome.value)


def _call(path: str) -> object:
    return _function(path)()


def _function(path: str) -> Callable[[], object]:
    module, _, names = path.partition(":")
    try:
        found: object = import_module(module)
    except BaseException as error:  # noqa: BLE001 (a module may do anything while it is imported)
        raise ProbeFailure(f"can't import {module}: {_raised(error)}") from None
    for name in names.split("."):
        if not hasattr(found, name):
            raise ProbeFailure(f"{module} has no {names}")
        found = getattr(found, name)
    if not callable(found):
        raise ProbeFailure(f"{path} is no function, but a {type(found).__name__}")
    return cast("Callable[[], object]", found)


def _raised(error: BaseException) -> str:
    """An exception as who wrote the function knows it: its own words, whatever caused it."""
    if isinstance(error, ProbeFailure):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_raised, error.exceptions))
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _finding(returned: object) -> Finding:
    """What a function that didn't raise has found."""
    if returned is None:
        return Finding()
    if isinstance(returned, Observation):
        return _from_observation(returned)
    if (status := _status(returned)) is None:
        return Finding("down", f"returned {_shown(returned)}; {_EXPECTED}")
    return Finding(status, None if status == "healthy" else f"the function returned {status}")


def _from_observation(seen: Observation) -> Finding:
    """Its times are left alone: how long the function took is measured."""
    status = _status(seen.status)
    if status is None:
        return Finding("down", f"returned an Observation with the status {_shown(seen.status)}; {_EXPECTED}")
    message: object = seen.error_message
    if message is not None and not isinstance(message, str):
        return Finding("down", f"returned an Observation whose error_message is a {type(message).__name__}, not text")
    try:
        details = _plain_details(seen.probe_details)
    except (TypeError, ValueError, RecursionError) as error:
        return Finding("down", f"returned an Observation whose probe_details are not JSON: {error}")
    return Finding(status, message, details)


def _status(value: object) -> Status | None:
    return next((status for status in STATUSES if isinstance(value, str) and value == status), None)


def _plain_details(details: object) -> Mapping[str, JSON] | None:
    """A copy as JSON holds it.

    Raises:
        TypeError, ValueError, RecursionError: JSON can't hold it.

    """
    if details is None:
        return None
    if not isinstance(details, Mapping):
        raise TypeError("they are no mapping")
    return cast("Mapping[str, JSON]", json.loads(json.dumps(dict(details), allow_nan=False)))


def _shown(value: object) -> str:
    """A small value as it is; of a large one, which may hold secrets, what it is."""
    small = isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= 20)
    return repr(value) if small else f"a {type(value).__name__}"


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _make_current_folder_importable() -> None:
    """As `python -m` does, but last: a folder of the user's that is called like a library is not to take its place."""
    folder = str(Path.cwd())
    if "" not in sys.path and folder not in sys.path:
        sys.path.append(folder)
