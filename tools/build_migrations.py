"""`make migrations`: build the numbered migrations from the sources in `src/vigilbase/models/sql`.

Until the first release, 013 and later are rebuilt in place. 012 is the contract and has no source. When one file
changes, all get the time of this build, because other migration tools sort by date, and a database has all or none.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MODELS = Path(__file__).parents[1] / "src" / "vigilbase" / "models"
SOURCES = MODELS / "sql"
MIGRATIONS = MODELS / "migrations"


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """One numbered migration: the folders of its sources, and the sources that must come first and last."""

    number: int
    name: str
    purpose: str
    topics: Sequence[str]
    first: Sequence[str] = ()
    last: Sequence[str] = ()


PLAN = (
    MigrationPlan(
        13, "create_schema", "Creates all tables beside the two of 012, in a schema of their own.", ["schema"]
    ),
    MigrationPlan(
        14, "record_checks", "Services, their checks, and the runners that probe them.", ["services", "checks"]
    ),
    MigrationPlan(15, "keep_alerts", "Alerts: opened, acknowledged and resolved, with a timeline.", ["alerts"]),
    MigrationPlan(
        16,
        "queue_notifications",
        "The outbox: queued with the alert, claimed, retried until accepted.",
        ["notifications"],
        first=["is_needed", "was_due_before", "window_ends_at", "pending_notifications"],
    ),
    MigrationPlan(17, "suppress_notifications", "Silences and maintenance windows.", ["suppressions"]),
    MigrationPlan(
        18, "grant_privileges", "Who may do what, and how to find out.", ["access"], ["objects"], ["grant_privileges"]
    ),
)

_CREATE = re.compile(r"^CREATE (?:OR REPLACE )?(TABLE|VIEW|FUNCTION)(?: IF NOT EXISTS)? ([a-z_.]+)", re.MULTILINE)
_IDENTITY = re.compile(
    r"^CREATE TABLE IF NOT EXISTS ([a-z_.]+) \([^;]*? (\w+) BIGINT GENERATED ALWAYS AS IDENTITY", re.MULTILINE
)
_CREATED = re.compile(r"^-- Created: .*$", re.MULTILINE)
_WIDTH = 118


def list_sources(plan: MigrationPlan) -> list[Path]:
    """The sources of a migration in the order in which they run: helpers before the functions that clients call."""

    def rank(path: Path) -> tuple[bool, int, bool, str]:
        position = plan.first.index(path.stem) if path.stem in plan.first else len(plan.first)
        return path.stem in plan.last, position, path.stem.startswith("vigilbase_"), path.stem

    return [path for topic in plan.topics for path in sorted((SOURCES / topic).glob("*.sql"), key=rank)]


def build_all(created: Mapping[int, str]) -> dict[Path, str]:
    """The text of every migration by its path; `created`: the build time of each, by number."""
    names = _names_by_kind()
    return {
        MIGRATIONS / f"{plan.number:03}_{plan.name}.sql": _build(plan, created[plan.number], names) for plan in PLAN
    }


def _build(plan: MigrationPlan, created: str, names: Mapping[str, Sequence[str]]) -> str:
    header = f"-- {plan.number:03}_{plan.name}.sql\n-- Created: {created}\n--\n-- {plan.purpose}\n"
    text = "\n".join([header, *(path.read_text(encoding="utf-8") for path in list_sources(plan))])
    for kind, objects in names.items():
        text = text.replace(f"@{kind}@", _wrap(objects))
    return text


def _names_by_kind() -> dict[str, list[str]]:
    text = "\n".join(path.read_text(encoding="utf-8") for plan in PLAN for path in list_sources(plan))
    objects = sorted({(kind, name) for kind, name in _CREATE.findall(text)})
    return {
        "tables": ["vigilbase.migrations", *(name for kind, name in objects if kind == "TABLE")],
        "views": [name for kind, name in objects if kind == "VIEW"],
        "functions": [name for kind, name in objects if kind == "FUNCTION"],
        "sequences": [f"{table}_{column}_seq" for table, column in _IDENTITY.findall(text)],
    }


def _wrap(names: Sequence[str]) -> str:
    """A list of names over several lines."""
    lines = [""]
    for name in names:
        word = f"{name}, "
        if len(lines[-1]) + len(word) > _WIDTH - 8:
            lines.append("")
        lines[-1] += word
    return ("\n        ".join(line.rstrip() for line in lines)).removesuffix(",")


def read_created() -> dict[int, str]:
    """The build time of each existing migration, by number."""
    return {number: line.removeprefix("-- Created: ") for number, line in _created_lines()}


def _created_lines() -> Iterator[tuple[int, str]]:
    for path in MIGRATIONS.glob("*.sql"):
        if line := _CREATED.search(path.read_text(encoding="utf-8")):
            yield int(path.name[:3]), line[0]


def main() -> None:
    """Write the migrations if any has changed."""
    known = read_created()
    texts = build_all({plan.number: known.get(plan.number, "") for plan in PLAN})
    old = {
        path: path.read_text(encoding="utf-8") for path in MIGRATIONS.glob("*.sql") if not path.name.startswith("012")
    }
    if texts == old:
        sys.stdout.write("The migrations are up to date.\n")
        return
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    for path in old.keys() - texts.keys():
        path.unlink()
    for path, text in build_all({plan.number: now for plan in PLAN}).items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.name}: {text.count(chr(10)):,} lines\n")


if __name__ == "__main__":
    main()
