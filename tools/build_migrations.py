"""`make migrations`: build the numbered migrations from the sources in `src/vigilbase/models/sql`.

Until the first release, 013 and later are rebuilt in place. 012 is the contract, and no source of it exists. When a
file changes, all of them get the time of this build: other migrators go by the date, and a database holds all or none
of them.
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
class Built:
    """One numbered migration: whole topics, each with the sources that have to come first, and those that come last."""

    number: int
    name: str
    purpose: str
    topics: Sequence[str]
    first: Sequence[str] = ()
    last: Sequence[str] = ()


PLAN = (
    Built(13, "create_schema", "Creates all tables beside the two of 012, in a schema of their own.", ["schema"]),
    Built(14, "record_checks", "Services, their checks, and the runners that probe them.", ["services", "checks"]),
    Built(15, "keep_alerts", "Alerts: opened, acknowledged and resolved, with a timeline.", ["alerts"]),
    Built(
        16,
        "queue_notifications",
        "The outbox: queued with the alert, claimed, retried until accepted.",
        ["notifications"],
        first=["is_needed", "was_due_before", "window_ends_at", "claimable"],
    ),
    Built(17, "suppress_notifications", "Silences and maintenance windows.", ["suppressions"]),
    Built(
        18, "grant_privileges", "Who may do what, and how to find out.", ["access"], ["objects"], ["grant_privileges"]
    ),
)

_MADE = re.compile(r"^CREATE (?:OR REPLACE )?(TABLE|VIEW|FUNCTION)(?: IF NOT EXISTS)? ([a-z_.]+)", re.MULTILINE)
_IDENTITY = re.compile(
    r"^CREATE TABLE IF NOT EXISTS ([a-z_.]+) \([^;]*? (\w+) BIGINT GENERATED ALWAYS AS IDENTITY", re.MULTILINE
)
_CREATED = re.compile(r"^-- Created: .*$", re.MULTILINE)
_WIDTH = 118


def source_files(built: Built) -> list[Path]:
    """The sources of a migration, in the order in which they have to run: helpers before what clients call."""

    def rank(path: Path) -> tuple[bool, int, bool, str]:
        place = built.first.index(path.stem) if path.stem in built.first else len(built.first)
        return path.stem in built.last, place, path.stem.startswith("vigilbase_"), path.stem

    return [path for topic in built.topics for path in sorted((SOURCES / topic).glob("*.sql"), key=rank)]


def build_all(created: Mapping[int, str]) -> dict[Path, str]:
    """The text of every migration by its path; `created` says when each was built."""
    names = _names_by_kind()
    return {
        MIGRATIONS / f"{built.number:03}_{built.name}.sql": _build(built, created[built.number], names)
        for built in PLAN
    }


def _build(built: Built, created: str, names: Mapping[str, Sequence[str]]) -> str:
    header = f"-- {built.number:03}_{built.name}.sql\n-- Created: {created}\n--\n-- {built.purpose}\n"
    text = "\n".join([header, *(path.read_text(encoding="utf-8") for path in source_files(built))])
    for kind, made in names.items():
        text = text.replace(f"@{kind}@", _wrap(made))
    return text


def _names_by_kind() -> dict[str, list[str]]:
    text = "\n".join(path.read_text(encoding="utf-8") for built in PLAN for path in source_files(built))
    made = sorted({(kind, name) for kind, name in _MADE.findall(text)})
    return {
        "tables": ["vigilbase.migrations", *(name for kind, name in made if kind == "TABLE")],
        "views": [name for kind, name in made if kind == "VIEW"],
        "functions": [name for kind, name in made if kind == "FUNCTION"],
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
    """When each migration that is there was built."""
    return {number: line.removeprefix("-- Created: ") for number, line in _created_lines()}


def _created_lines() -> Iterator[tuple[int, str]]:
    for path in MIGRATIONS.glob("*.sql"):
        if found := _CREATED.search(path.read_text(encoding="utf-8")):
            yield int(path.name[:3]), found[0]


def main() -> None:
    """Write what has changed."""
    known = read_created()
    texts = build_all({built.number: known.get(built.number, "") for built in PLAN})
    old = {
        path: path.read_text(encoding="utf-8") for path in MIGRATIONS.glob("*.sql") if not path.name.startswith("012")
    }
    if texts == old:
        sys.stdout.write("The migrations are up to date.\n")
        return
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    for path in old.keys() - texts.keys():
        path.unlink()
    for path, text in build_all({built.number: now for built in PLAN}).items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.name}: {text.count(chr(10)):,} lines\n")


if __name__ == "__main__":
    main()
