"""Which extra brings a module, and what is said without it."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from vigilbase import extras
from vigilbase.errors import ConfigurationError, MissingExtraError
from vigilbase.extras import MODULES, LazyKinds, explain_missing_module, import_from_extra

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def _list_names(requirements: list[str]) -> set[str]:
    names = {requirement.split(">")[0].split("=")[0].split("[")[0].lower() for requirement in requirements}
    return names - {"vigilbase"}


@pytest.mark.parametrize("extra", MODULES)
def test_modules_are_those_of_the_extra(extra: str) -> None:
    distributions = packages_distributions()
    bringing = {distributions[module][0].lower().replace("_", "-") for module in MODULES[extra]}
    assert bringing == _list_names(PROJECT["optional-dependencies"][extra])


@pytest.mark.parametrize(
    ("module", "asked", "named"),
    [
        ("httpcore", "channels", "channels"),
        ("httpcore", "cli", "probes"),
        ("dns.name", "probes", "probes"),
        ("rich", "probes", "cli"),
        ("psutil", "all", "all"),
    ],
)
def test_missing_module_names_the_extra_that_brings_it(module: str, asked: str, named: str) -> None:
    error = explain_missing_module(ModuleNotFoundError(name=module), asked, "`vigilbase run`")
    assert isinstance(error, MissingExtraError)
    assert error.extra == named


def test_missing_module_of_every_installation_asks_to_install_again() -> None:
    error = explain_missing_module(ModuleNotFoundError(name="psycopg"), "cli", "`vigilbase status`")
    assert str(error) == "`vigilbase status`: the module psycopg is missing: install vigilbase again"
    assert not isinstance(error, MissingExtraError)
    assert isinstance(error, ConfigurationError)


def test_missing_module_of_ours_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_from_extra("vigilbase.nonsense", "cli", "nobody")


def test_channel_kind_needs_all_of_its_extra_although_it_imports_some_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODULES, "channels", {"json", "no_such_module"})
    kinds: LazyKinds[object] = LazyKinds(
        "vigilbase.channels", ["webhook"], extra="channels", noun="channels", needs_all=True
    )
    extras._require_all.cache_clear()
    with pytest.raises(MissingExtraError, match="webhook channels: the extra channels is not installed"):
        kinds["webhook"]
    assert "webhook" in kinds
    extras._require_all.cache_clear()
