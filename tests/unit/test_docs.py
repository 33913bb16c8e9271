"""Every setting, command, event and public name is documented, links have targets, and examples are valid."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

import vigilbase
from vigilbase import models
from vigilbase.channels import CHANNELS
from vigilbase.cli.app import make_app
from vigilbase.cli.lazy_commands import COMMANDS, load_command
from vigilbase.configfile import STARTER, parse_config
from vigilbase.configfile.models import File, Service
from vigilbase.probes import PROBES
from vigilbase.settings import Settings

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
    """The module that examples of `python:` name."""
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "health.py").write_text("def queue_depth():\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)


def _collect_commands() -> dict[str, Any]:
    """Every command by its full name."""

    def flatten(command: Any, name: str) -> dict[str, Any]:
        children = getattr(command, "commands", {})
        commands = {name: command} if not children else {}
        for child in children:
            commands |= flatten(children[child], f"{name} {child}")
        return commands

    app: Any = typer.main.get_command(make_app())
    commands = {"vigilbase version": app.commands["version"]}
    for name in COMMANDS:
        commands |= flatten(load_command(name), f"vigilbase {name}")
    return commands


def test_docs_settings_page_lists_every_setting_with_help_text() -> None:
    page = (REFERENCE / "settings.md").read_text().replace("`", "")
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        for name in getattr(alias, "choices", [alias]):
            assert str(name) in page
        assert str(field.description).split(" Default:")[0].rstrip(".") in page


def test_docs_command_line_page_lists_every_command_and_option() -> None:
    page = (REFERENCE / "command-line.md").read_text()
    for name, command in _collect_commands().items():
        assert f"`{name}" in page
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.opts[0] in page, f"{name} {parameter.opts[0]}"


def test_cli_help_of_every_command_contains_example() -> None:
    for name, command in _collect_commands().items():
        assert f"Example: {name}" in command.help


def _list_fields(model: type[BaseModel], parent: str = "") -> Iterator[str]:
    """Every field as the file has it; instead of a mapping, its fields, such as `expect.status`."""
    for name, field in model.model_fields.items():
        path = f"{parent}{field.alias or name}"
        parts = [field.annotation, *get_args(field.annotation)]
        inner = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        for part in inner:
            yield from _list_fields(part, f"{path}.")
        if not inner:
            yield path


def test_docs_config_file_page_lists_every_field() -> None:
    page = (REFERENCE / "vigilbase-yaml.md").read_text()
    assert {"retention_days", "defaults.interval", "degraded_after"} <= {*_list_fields(File), *_list_fields(Service)}
    models: list[type[BaseModel]] = [File, Service, *(kind.target for kind in PROBES.values())]
    for model in models:
        for field in _list_fields(model):
            assert f"`{field.removeprefix('defaults.')}`" in page, field


@pytest.mark.parametrize("kind", CHANNELS)
def test_docs_channels_page_lists_every_kind_with_its_fields(kind: str) -> None:
    page = (REFERENCE / "channels.md").read_text()
    assert re.search(rf"^#+ `?{kind}`?$", page, re.MULTILINE)
    for field in _list_fields(CHANNELS[kind].config):
        assert field == "root" or f"`{field}`" in page, field


def test_public_names_are_documented_and_sorted() -> None:
    page = (REFERENCE / "models.md").read_text() + (DOCS / "architecture.md").read_text()
    for name in {*vigilbase.__all__, *models.__all__}:
        assert name in page
    assert sorted(vigilbase.__all__) == vigilbase.__all__


def test_docs_command_line_page_lists_every_log_event_above_debug() -> None:
    page = (REFERENCE / "command-line.md").read_text()
    source = ROOT / "src" / "vigilbase"
    rooms = ("runner", "notifications", "database")
    paths = [path for room in rooms for path in (source / room).glob("*.py")]
    events: set[str] = set()
    for path in [*paths, source / "cli" / "run.py"]:
        events |= set(re.findall(r'log\.(?:info|warning|error|exception)\(\s*"([a-z_.]+)"', path.read_text()))
    assert {"runner.started", "notification.delivered", "migration.applied", "config.created"} <= events
    for event in events:
        assert f"`{event}`" in page or f"`.{event.split('.')[1]}`" in page, event


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_docs_internal_link_resolves_to_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_docs_example_config_is_accepted(page: Path, health_module: None) -> None:
    for example in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        assert parse_config(example, dict.fromkeys(re.findall(r"\$\{(\w+)\}", example), "a") | ENVIRON).services


def test_starter_config_and_its_suggestions_are_accepted(health_module: None) -> None:
    assert [service.name for service in parse_config(STARTER, {}).services] == ["vigilbase database"]
    uncommented = re.sub(r"^(  )?# (?=- |  |\w+:)", r"\1", STARTER, flags=re.MULTILINE)
    config = parse_config(uncommented, ENVIRON)
    assert {service.kind for service in config.services} == PROBES.keys()
    routes = [route for service in config.services for route in service.routes]
    assert {channel for route in routes for channel in route.channels} == config.channels.keys()


def test_docs_decision_index_lists_every_decision() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    for decision in (DOCS / "decisions").glob("0*.md"):
        assert f"({decision.name})" in index


def test_changelog_contains_current_version() -> None:
    assert f"## {vigilbase.__version__}" in (ROOT / "CHANGELOG.md").read_text()
