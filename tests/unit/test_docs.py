"""Every setting, command, event and public name is documented, links lead somewhere, and examples are true."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

import vigilbase
from vigilbase import models
from vigilbase.alerts.channels import CHANNELS
from vigilbase.cli.main import make_app
from vigilbase.probes import KINDS
from vigilbase.settings import Settings
from vigilbase.spec import STARTER, parse_spec
from vigilbase.spec.fields import File, Service

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "bench").glob("*.md")])


ENVIRON = {
    "DATABASE_URL": "postgresql://monitor:secret@db.example.com:5432/orders",
    "OPS_URL": "https://example.com/alerts",
    "OPS_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
    "PAGERDUTY_KEY": "0123456789abcdef0123456789abcdef",
    "CHAT_URL": "ntfy://vigilbase",
}


@pytest.fixture
def health_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module that the examples of `python:` name."""
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "health.py").write_text("def queue_depth():\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)


def _commands() -> dict[str, Any]:
    """Every command by its full name."""

    def flat(command: Any, name: str) -> dict[str, Any]:
        children = getattr(command, "commands", {})
        found = {name: command} if not children else {}
        for child in children:
            found |= flat(children[child], f"{name} {child}")
        return found

    return flat(typer.main.get_command(make_app()), "vigilbase")


def test_every_setting_is_documented_with_its_help_text() -> None:
    page = (REFERENCE / "settings.md").read_text().replace("`", "")
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        for name in getattr(alias, "choices", [alias]):
            assert str(name) in page
        assert str(field.description).split(" Default:")[0].rstrip(".") in page


def test_every_command_and_option_is_documented() -> None:
    page = (REFERENCE / "command-line.md").read_text()
    for name, command in _commands().items():
        assert f"`{name}" in page
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.opts[0] in page, f"{name} {parameter.opts[0]}"


def test_every_command_has_a_help_text_with_an_example() -> None:
    for name, command in _commands().items():
        assert f"Example: {name}" in command.help


def _fields(model: type[BaseModel], within: str = "") -> Iterator[str]:
    """Every field as it is written; of one that is a mapping, what is in it, as `expect.status`."""
    for name, field in model.model_fields.items():
        written = f"{within}{field.alias or name}"
        parts = [field.annotation, *get_args(field.annotation)]
        inner = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        for part in inner:
            yield from _fields(part, f"{written}.")
        if not inner:
            yield written


def test_every_field_of_the_file_is_documented() -> None:
    page = (REFERENCE / "vigilbase-yaml.md").read_text()
    assert {"retention_days", "defaults.every", "degraded_after"} <= {*_fields(File), *_fields(Service)}
    models: list[type[BaseModel]] = [File, Service, *(kind.target for kind in KINDS.values())]
    for model in models:
        for field in _fields(model):
            assert f"`{field.removeprefix('defaults.')}`" in page, field


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_kind_of_channel_is_documented_with_its_fields(kind: str) -> None:
    page = (REFERENCE / "channels.md").read_text()
    assert re.search(rf"^#+ `?{kind}`?$", page, re.MULTILINE)
    for field in _fields(CHANNELS[kind].config):
        assert field == "root" or f"`{field}`" in page, field


def test_every_public_name_is_documented() -> None:
    page = (REFERENCE / "models.md").read_text() + (DOCS / "architecture.md").read_text()
    for name in {*vigilbase.__all__, *models.__all__}:
        assert name in page
    assert sorted(vigilbase.__all__) == vigilbase.__all__


def test_every_event_of_a_running_program_is_documented() -> None:
    page = (REFERENCE / "command-line.md").read_text()
    source = ROOT / "src" / "vigilbase"
    for path in [*(source / "runner").glob("*.py"), *(source / "database").glob("*.py"), source / "cli" / "watch.py"]:
        for level, event in re.findall(r'log\.(debug|info|warning|error)\("([a-z_.]+)"', path.read_text()):
            assert level == "debug" or event in page or f"`.{event.split('.')[1]}`" in page, event


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_within_the_project_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_example_file_is_one_that_the_program_accepts(page: Path, health_module: None) -> None:
    for example in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        assert parse_spec(example, dict.fromkeys(re.findall(r"\$\{(\w+)\}", example), "a") | ENVIRON).services


def test_the_starter_and_everything_that_it_suggests_are_accepted(health_module: None) -> None:
    assert [spec.name for spec in parse_spec(STARTER, {}).services] == ["vigilbase database"]
    uncommented = re.sub(r"^(  )?# (?=- |  |\w+:)", r"\1", STARTER, flags=re.MULTILINE)
    spec = parse_spec(uncommented, ENVIRON)
    assert {service.kind for service in spec.services} == KINDS.keys()
    routes = [route for service in spec.services for route in service.routes]
    assert {channel for route in routes for channel in route.channels} == spec.channels.keys()


def test_every_decision_is_listed() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    for note in (DOCS / "decisions").glob("0*.md"):
        assert f"({note.name})" in index


def test_the_changelog_knows_the_version() -> None:
    assert f"## {vigilbase.__version__}" in (ROOT / "CHANGELOG.md").read_text()
