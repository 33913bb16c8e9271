"""The migration files as texts: what may stand in one, read by the parser of Postgres itself and by a linter.

And that they are what their sources say, each of which is one function, view or table.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest
from pglast import ast
from pglast.enums import AlterTableType

from tests.support.sql_parser import SOURCES, name_of, nodes, plpgsql_bodies, relation_name, statements
from tools import build_migrations
from tools.build_migrations import PLAN, build_all, read_created, source_files
from vigilbase.database.migrate import Migration, discover

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "vigilbase" / "models" / "migrations"
LEDGER = ROOT / "src" / "vigilbase" / "database" / "ledger.sql"
PATHS = [*sorted(FOLDER.glob("*.sql")), LEDGER]  # the ledger is under the same rules as the files that it lists
LONGEST_SOURCE = 80

each_file = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
each_migration = pytest.mark.parametrize("migration", discover(), ids=lambda migration: str(migration.number))
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def squawk(*paths: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).parent / "squawk"
    command = [program, "--config", ROOT / ".squawk.toml", "--reporter", "gcc", *paths]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)


def test_the_linter_finds_nothing() -> None:
    result = squawk(*PATHS)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_linter_would_find_what_breaks_a_running_program(tmp_path: Path) -> None:
    """The configuration is read, and it leaves the rules that matter on."""
    bad = tmp_path / "bad.sql"
    bad.write_text("ALTER TABLE alert_events DROP COLUMN message;\nALTER TABLE alert_events ADD at TIMESTAMP;\n")
    result = squawk(bad)
    assert result.returncode == 1
    assert "ban-drop-column" in result.stdout
    assert "prefer-timestamp-tz" in result.stdout


def test_numbers_begin_at_012_and_leave_no_gap() -> None:
    numbers = [migration.number for migration in discover()]
    assert numbers == list(range(12, 12 + len(numbers)))
    assert len(numbers) >= 2  # the tables and their privileges


def test_every_file_of_the_folder_is_found() -> None:
    """A file with a name that the runner can't read would be left out without a word."""
    assert [f"{m.number:03}_{m.name}.sql" for m in discover()] == sorted(path.name for path in FOLDER.iterdir())


def test_the_files_are_found_as_a_part_of_the_installed_package() -> None:
    packaged = files("vigilbase.models").joinpath("migrations")
    for migration in discover():
        text = packaged.joinpath(f"{migration.number:03}_{migration.name}.sql").read_bytes()
        assert text == migration.sql.encode()
        assert b"\r" not in text  # the checksum would be another on another system


@each_migration
def test_the_header_says_what_and_when(migration: Migration) -> None:
    name, created, blank, purpose, *_ = migration.sql.splitlines()
    assert name == f"-- {migration.number:03}_{migration.name}.sql"
    dated = re.fullmatch(r"-- Created: (\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2})?)", created)
    assert dated
    datetime.fromisoformat(dated[1])
    assert blank == "--"
    assert re.match(r"-- [A-Z]\w*\W+\w+.*[.:]$", purpose)


def test_files_are_dated_in_the_order_of_their_numbers() -> None:
    """Other migrators sort by date first."""
    names = [migration.supabase_filename for migration in discover()]
    assert names == sorted(names)


def is_allowed(statement: ast.Node) -> bool:
    """DDL that adds, in a form that may run again.

    By a list of what may be, so that everything else is out: DROP, CREATE TYPE … ENUM, CREATE EXTENSION, DML, SET.
    """
    match statement:
        case ast.CreateStmt() | ast.IndexStmt():
            return bool(statement.if_not_exists)
        case ast.CreateFunctionStmt():
            return bool(statement.replace)
        case ast.ViewStmt():
            return bool(statement.replace) and is_security_invoker(statement)
        case ast.AlterTableStmt():
            return all(is_allowed_change(change) for change in statement.cmds or ())
        case ast.GrantStmt() | ast.DoStmt() | ast.CommentStmt():
            return True
    return False


def is_security_invoker(view: ast.ViewStmt) -> bool:
    return any(option.defname == "security_invoker" and option.arg.sval == "true" for option in view.options or ())


def is_allowed_change(change: ast.Node) -> bool:
    """Row-level security, or a column that older programs needn't know: with no constraint, not even NOT NULL."""
    if not isinstance(change, ast.AlterTableCmd):
        return False
    if change.subtype == AlterTableType.AT_AddColumn:
        return bool(change.missing_ok) and isinstance(change.def_, ast.ColumnDef) and not change.def_.constraints
    return change.subtype == AlterTableType.AT_EnableRowSecurity


@each_file
def test_only_ddl_that_may_run_again(path: Path) -> None:
    found = statements(path.read_text())
    assert found
    assert [statement for statement in found if not is_allowed(statement)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE service_health_checks",
        "DROP FUNCTION public.vigilbase_role_info()",
        "DROP SCHEMA vigilbase",
        "CREATE SCHEMA again",
        "ALTER TABLE service_health_checks DROP COLUMN latency_ms",
        "ALTER TABLE service_health_checks ADD COLUMN again TEXT",
        "ALTER TABLE service_health_checks ADD COLUMN IF NOT EXISTS again TEXT NOT NULL",
        "ALTER TABLE service_health_checks DISABLE ROW LEVEL SECURITY",
        "CREATE TYPE status AS ENUM ('healthy', 'down')",
        "CREATE TABLE again (id uuid)",
        "CREATE INDEX again ON service_health_checks (id)",
        "CREATE FUNCTION again() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW again WITH (security_invoker = true) AS SELECT 1",
        "CREATE OR REPLACE VIEW again AS SELECT 1",
        "CREATE OR REPLACE VIEW again WITH (security_invoker = false) AS SELECT 1",
        "CREATE TRIGGER again AFTER INSERT ON alert_events EXECUTE FUNCTION again()",
        "CREATE POLICY everybody ON alert_events USING (true)",
        "CREATE EXTENSION pgcrypto",
        "DELETE FROM alert_events",
        "SET search_path = app",
    ],
)
def test_the_rule_about_statements_has_teeth(statement: str) -> None:
    assert [is_allowed(parsed) for parsed in statements(statement)] == [False]


def do_blocks(text: str) -> list[object]:
    """The parsed bodies of the DO statements."""
    return [body for maker, body in plpgsql_bodies(text) if isinstance(maker, ast.DoStmt)]


def other_than_privileges(block: object) -> list[str]:
    """Whatever a DO block does besides granting, revoking, making our schema, and refusing to go on."""
    control = {
        "PLpgSQL_stmt_block",
        "PLpgSQL_stmt_if",
        "PLpgSQL_stmt_foreach_a",
        "PLpgSQL_stmt_exit",
        "PLpgSQL_stmt_return",
        "PLpgSQL_stmt_raise",
    }
    runs_sql = {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_execsql"}
    found = []
    for name, value in nodes(block):
        if name.startswith("PLpgSQL_stmt_") and name not in control:
            # The statement as it stands, or the expression that makes it.
            query = next((text for key, text in nodes(value) if key == "query" and isinstance(text, str)), "")
            allowed = r"(format\(')?(GRANT|REVOKE) |CREATE SCHEMA vigilbase$"
            if name not in runs_sql or not re.match(allowed, query):
                found.append(f"{name}: {query}")
    return found


@each_file
def test_do_blocks_grant_and_revoke_and_do_nothing_else(path: Path) -> None:
    assert [other for block in do_blocks(path.read_text()) for other in other_than_privileges(block)] == []


@pytest.mark.parametrize(
    "body",
    [
        "DELETE FROM alert_events;",
        "EXECUTE 'DELETE FROM alert_events';",
        "EXECUTE format('DROP TABLE %I', 'alert_events');",
        "IF true THEN UPDATE alert_events SET status = 'resolved'; END IF;",
        "PERFORM vigilbase_delete_alerts(0, 1000);",
        "CREATE SCHEMA vigilbase CREATE TABLE again (id integer);",
        "CREATE SCHEMA again;",
    ],
)
def test_the_rule_about_do_blocks_has_teeth(body: str) -> None:
    (block,) = do_blocks(f"DO $$ BEGIN {body} END; $$")
    assert len(other_than_privileges(block)) == 1


def is_well_named(function: str) -> bool:
    """What clients call is public and has our name, with a version from the second on; helpers have neither."""
    client = r"public\.vigilbase(_[a-z]+)+(_v([2-9]|[1-9][0-9]+))?"
    helper = r"vigilbase\.(?!vigilbase_)[a-z]+(_[a-z]+)*"
    return bool(re.fullmatch(f"{client}|{helper}", function))


@each_migration
def test_functions_carry_their_schema_and_a_version_from_the_second_on(migration: Migration) -> None:
    made = [found for found in statements(migration.sql) if isinstance(found, ast.CreateFunctionStmt)]
    assert [name for name in (name_of(function.funcname) for function in made) if not is_well_named(name)] == []


@pytest.mark.parametrize(
    ("name", "is_good"),
    [
        ("public.vigilbase_record", True),
        ("public.vigilbase_record_v2", True),
        ("public.vigilbase_record_v1", False),
        ("public.record", False),
        ("vigilbase_record", False),
        ("vigilbase.is_needed", True),
        ("vigilbase.is_needed_v2", False),
        ("vigilbase.vigilbase_record", False),
    ],
)
def test_the_rule_about_names_has_teeth(name: str, is_good: bool) -> None:
    assert is_well_named(name) == is_good


def test_sources_and_files_agree() -> None:
    """If not, run `make migrations`."""
    made = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.sql") if not path.name.startswith("012_")}
    assert build_all(read_created()) == made


def test_a_changed_source_would_be_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = build_all(read_created())
    shutil.copytree(build_migrations.SOURCES, tmp_path / "sql")
    with (tmp_path / "sql" / "notifications" / "is_needed.sql").open("a") as source:
        source.write("-- again\n")
    monkeypatch.setattr(build_migrations, "SOURCES", tmp_path / "sql")
    after = build_all(read_created())
    assert [path.name for path in before if before[path] != after[path]] == ["016_queue_notifications.sql"]


def test_every_source_is_part_of_a_file() -> None:
    planned = [path for built in PLAN for path in source_files(built)]
    assert sorted(planned) == SOURCES
    assert len(SOURCES) > 70


def made_by(text: str) -> list[str]:
    """The names of the functions, views and tables that a text makes."""
    return [name for name in map(made_name, statements(text)) if name]


def made_name(statement: ast.Node) -> str:
    match statement:
        case ast.CreateFunctionStmt():
            return name_of(statement.funcname)
        case ast.ViewStmt():
            return relation_name(statement.view)
        case ast.CreateStmt():
            return relation_name(statement.relation)
    return ""


def more_than_once(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def test_everything_is_made_once() -> None:
    assert more_than_once(name for migration in discover() for name in made_by(migration.sql)) == []
    assert more_than_once(name for path in SOURCES for name in made_by(path.read_text())) == []


def test_the_rule_that_everything_is_made_once_has_teeth() -> None:
    one = "CREATE OR REPLACE FUNCTION vigilbase.one(a {}) RETURNS void LANGUAGE sql AS '';"
    assert more_than_once(made_by(one.format("integer") + one.format("text"))) == ["vigilbase.one"]


def source_faults(name: str, text: str) -> list[str]:
    """What is wrong with the form of a source, whose file has a name."""
    faults = []
    made = [found.rpartition(".")[2] for found in made_by(text)]
    if made and made != [name]:
        faults.append(f"makes {made}")
    if not made and len(statements(text)) != 1:
        faults.append("is neither one thing nor one statement")
    if not re.match(r"(?:-- +\S.*\n)+(?:CREATE|DO)\b", text):
        faults.append("has no comment above")
    if text.count("\n") > LONGEST_SOURCE:
        faults.append("is too long")
    if not text.endswith("\n") or text.endswith("\n\n"):
        faults.append("doesn't end with its last line")
    return faults


@each_source
def test_a_source_makes_one_thing_and_says_above_what_it_is(path: Path) -> None:
    assert source_faults(path.stem, path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-- One.\nCREATE VIEW vigilbase.two AS SELECT 1;\n", "makes ['two']"),
        (
            "-- One.\nCREATE VIEW vigilbase.one AS SELECT 1;\nCREATE TABLE vigilbase.two ();\n",
            "makes ['one', 'two']",
        ),
        ("-- One.\nDO ''; DO '';\n", "is neither one thing nor one statement"),
        ("CREATE VIEW vigilbase.one AS SELECT 1;\n", "has no comment above"),
        ("-- One.\n\nCREATE VIEW vigilbase.one AS SELECT 1;\n", "has no comment above"),
        ("--\nCREATE VIEW vigilbase.one AS SELECT 1;\n", "has no comment above"),
        (f"-- One.\nCREATE VIEW vigilbase.one AS{chr(10) * LONGEST_SOURCE}SELECT 1;\n", "is too long"),
        ("-- One.\nCREATE VIEW vigilbase.one AS SELECT 1;", "doesn't end with its last line"),
    ],
)
def test_the_rule_about_sources_has_teeth(text: str, fault: str) -> None:
    assert source_faults("one", text) == [fault]


@each_file
def test_a_file_is_ascii_so_that_a_database_of_any_encoding_takes_it(path: Path) -> None:
    assert path.read_text(encoding="utf-8").isascii()
