"""The probe `python`: call the user's function, which may be async.

It runs in its own thread, so that a blocking function delays nothing else. Its module is also imported there, at the
first probe rather than when the file is read, because the import may need a service that is down.
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

from vigilbase.domain import JSON, STATUSES, ProbeResult, Status
from vigilbase.net.error_text import ProbeFailure
from vigilbase.probes.kind import make_kind
from vigilbase.probes.worker import ProbeThread

_EXPECTED = "expected None, a status or a ProbeResult"


class PythonTarget(BaseModel):
    """The fields of a python service: MODULE:FUNCTION."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    python: str
    _worker: ProbeThread = PrivateAttr(default_factory=ProbeThread)

    @field_validator("python")
    @classmethod
    def _require_module_and_function(cls, value: str) -> str:
        module, _, function = value.partition(":")
        if not _is_dotted_name(module) or not _is_dotted_name(function):
            raise ValueError("must be MODULE:FUNCTION, such as myapp.health:check_orders")
        if module.endswith(".py"):
            raise ValueError(f"must be MODULE:FUNCTION; write {module.removesuffix('.py')}:{function}")
        _make_current_folder_importable()
        # Not the whole name: `find_spec` would import the parents of a submodule.
        package = module.partition(".")[0]
        if not _can_be_imported(package):
            raise ValueError(f"can't find the module {package} in the current folder or among the installed packages")
        return value


async def probe_python(target: PythonTarget, timeout: float) -> ProbeResult:
    """Call the function and interpret what it returns or raises."""
    worker = target._worker  # noqa: SLF001 (private to this module)
    busy_s = worker.measure_busy_time()
    if busy_s is not None:
        return ProbeResult("down", f"an earlier check is still running after {busy_s:.1f} s")
    result = await worker.run(partial(_call, target.python))
    if result.error is not None:
        return ProbeResult("down", _describe_exception(result.error))
    return _interpret(result.value)


def _call(path: str) -> object:
    return _import_function(path)()


def _import_function(path: str) -> Callable[[], object]:
    module, _, names = path.partition(":")
    try:
        value: object = import_module(module)
    except BaseException as error:  # noqa: BLE001 (an import may raise anything)
        raise ProbeFailure(f"can't import {module}: {_describe_exception(error)}") from None
    for name in names.split("."):
        if not hasattr(value, name):
            raise ProbeFailure(f"{module} has no {names}")
        value = getattr(value, name)
    if not callable(value):
        raise ProbeFailure(f"{path} is not a function (type: {type(value).__name__})")
    return cast("Callable[[], object]", value)


def _describe_exception(error: BaseException) -> str:
    """The exception's own type and message, which the function's author knows, rather than those of its cause."""
    if isinstance(error, ProbeFailure):
        return str(error)
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_describe_exception, error.exceptions))
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _interpret(returned: object) -> ProbeResult:
    if returned is None:
        return ProbeResult()
    if isinstance(returned, ProbeResult):
        return _interpret_result(returned)
    if (status := _parse_status(returned)) is None:
        return ProbeResult("down", f"returned {_shorten(returned)}; {_EXPECTED}")
    return ProbeResult(status, None if status == "healthy" else f"the function returned {status}")


def _interpret_result(result: ProbeResult) -> ProbeResult:
    """Validate a returned `ProbeResult`. Its times are ignored, because `run_probe` measures them."""
    status = _parse_status(result.status)
    if status is None:
        expected = ", ".join(STATUSES)
        return ProbeResult("down", f"returned a ProbeResult with status {_shorten(result.status)}; expected {expected}")
    message: object = result.error_message
    if message is not None and not isinstance(message, str):
        type_name = type(message).__name__
        return ProbeResult("down", f"returned a ProbeResult whose error_message is not a text (type: {type_name})")
    try:
        details = _copy_as_json(result.probe_details)
    except (TypeError, ValueError, RecursionError) as error:
        return ProbeResult("down", f"returned a ProbeResult whose probe_details are not JSON: {error}")
    return ProbeResult(status, message, details)


def _parse_status(value: object) -> Status | None:
    return next((status for status in STATUSES if isinstance(value, str) and value == status), None)


def _copy_as_json(details: object) -> Mapping[str, JSON] | None:
    """Copy the details by way of JSON.

    Raises:
        TypeError, ValueError, RecursionError: JSON can't represent them.

    """
    if details is None:
        return None
    if not isinstance(details, Mapping):
        raise TypeError("they are not a mapping")
    # Python would write NaN and Infinity as words, which are not JSON.
    return cast("Mapping[str, JSON]", json.loads(json.dumps(dict(details), allow_nan=False)))


def _shorten(value: object) -> str:
    """A small value as it is, or the type of a large one, which may contain secrets."""
    is_small = isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= 20)
    return repr(value) if is_small else f"a {type(value).__name__}"


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _can_be_imported(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _make_current_folder_importable() -> None:
    """Append the folder to the path; first, as `python -m` puts it, a folder in it could shadow a library."""
    folder = str(Path.cwd())
    if "" not in sys.path and folder not in sys.path:
        sys.path.append(folder)


KIND = make_kind(PythonTarget, probe_python)
