"""The rules for migration files, checked with Postgres' own parser and a linter, and for the sources of these files."""

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

from tests.support.sql_parser import SOURCES, get_relation_name, join_name, parse_bodies, parse_statements, walk_nodes
from tools import build_migrations
from tools.build_migrations import PLAN, build_all, list_sources, read_created
from vigilbase.database.migrate import Migration, discover_migrations

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "vigilbase" / "models" / "migrations"
LEDGER = ROOT / "src" / "vigilbase" / "database" / "ledger.sql"
PATHS = [*sorted(FOLDER.glob("*.sql")), LEDGER]  # the ledger follows the same rules as the migrations
LONGEST_SOURCE = 80

each_file = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
each_migration = pytest.mark.parametrize(
    "migration", discover_migrations(), ids=lambda migration: str(migration.number)
)
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def run_squawk(*paths: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).parent / "squawk"
    command = [program, "--config", ROOT / ".squawk.toml", "--reporter", "gcc", *paths]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)


def test_migrations_pass_squawk() -> None:
    result = run_squawk(*PATHS)
    assert result.returncode == 0, result.stdout + result.stderr


def test_squawk_breaking_change_is_reported(tmp_path: Path) -> None:
    """The configuration is used, and leaves the important rules enabled."""
    bad = tmp_path / "bad.sql"
    bad.write_text("ALTER TABLE alert_events DROP COLUMN message;\nALTER TABLE alert_events ADD at TIMESTAMP;\n")
    result = run_squawk(bad)
    assert result.returncode == 1
    assert "ban-drop-column" in result.stdout
    assert "prefer-timestamp-tz" in result.stdout


def test_migration_numbers_start_at_012_without_gaps() -> None:
    numbers = [migration.number for migration in discover_migrations()]
    assert numbers == list(range(12, 12 + len(numbers)))
    assert len(numbers) >= 2  # the tables and their privileges


def test_discover_migrations_finds_every_file() -> None:
    """The runner would silently skip a file with another form of name."""
    assert [f"{m.number:03}_{m.name}.sql" for m in discover_migrations()] == sorted(
        path.name for path in FOLDER.iterdir()
    )


def test_discover_migrations_text_equals_packaged_files() -> None:
    packaged = files("vigilbase.models").joinpath("migrations")
    for migration in discover_migrations():
        text = packaged.joinpath(f"{migration.number:03}_{migration.name}.sql").read_bytes()
        assert text == migration.sql.encode()
        assert b"\r" not in text  # line endings would change the checksum


@each_migration
def test_migration_header_has_name_date_and_purpose(migration: Migration) -> None:
    name, created, blank, purpose, *_ = migration.sql.splitlines()
    assert name == f"-- {migration.number:03}_{migration.name}.sql"
    dated = re.fullmatch(r"-- Created: (\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2})?)", created)
    assert dated
    datetime.fromisoformat(dated[1])
    assert blank == "--"
    assert re.match(r"-- [A-Z]\w*\W+\w+.*[.:]$", purpose)


def test_migration_dates_follow_number_order() -> None:
    """Other migration tools sort by date first."""
    names = [migration.supabase_filename for migration in discover_migrations()]
    assert names == sorted(names)


def is_allowed(statement: ast.Node) -> bool:
    """Whether a statement is repeatable DDL that only adds.

    This is an allowlist, so it excludes DROP, CREATE TYPE … ENUM, CREATE EXTENSION, DML, SET and everything else.
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
    """Whether a change enables row-level security, or adds a column without constraints, not even NOT NULL."""
    if not isinstance(change, ast.AlterTableCmd):
        return False
    if change.subtype == AlterTableType.AT_AddColumn:
        return bool(change.missing_ok) and isinstance(change.def_, ast.ColumnDef) and not change.def_.constraints
    return change.subtype == AlterTableType.AT_EnableRowSecurity


@each_file
def test_migration_contains_only_repeatable_ddl(path: Path) -> None:
    parsed = parse_statements(path.read_text())
    assert parsed
    assert [statement for statement in parsed if not is_allowed(statement)] == []


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
def test_statement_rule_disallowed_statement_is_rejected(statement: str) -> None:
    assert [is_allowed(parsed) for parsed in parse_statements(statement)] == [False]


def parse_do_blocks(text: str) -> list[object]:
    """The parsed bodies of all DO statements."""
    return [body for maker, body in parse_bodies(text) if isinstance(maker, ast.DoStmt)]


def find_disallowed_statements(block: object) -> list[str]:
    """The statements of a DO block other than control flow, GRANT, REVOKE, and CREATE SCHEMA vigilbase."""
    control = {
        "PLpgSQL_stmt_block",
        "PLpgSQL_stmt_if",
        "PLpgSQL_stmt_foreach_a",
        "PLpgSQL_stmt_exit",
        "PLpgSQL_stmt_return",
        "PLpgSQL_stmt_raise",
    }
    runs_sql = {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_execsql"}
    disallowed = []
    for name, value in walk_nodes(block):
        if name.startswith("PLpgSQL_stmt_") and name not in control:
            # The statement itself, or the expression that builds it.
            query = next((text for key, text in walk_nodes(value) if key == "query" and isinstance(text, str)), "")
            allowed = r"(format\(')?(GRANT|REVOKE) |CREATE SCHEMA vigilbase$"
            if name not in runs_sql or not re.match(allowed, query):
                disallowed.append(f"{name}: {query}")
    return disallowed


@each_file
def test_migration_do_blocks_only_grant_and_revoke(path: Path) -> None:
    assert [other for block in parse_do_blocks(path.read_text()) for other in find_disallowed_statements(block)] == []


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
def test_do_block_rule_disallowed_statement_is_reported(body: str) -> None:
    (block,) = parse_do_blocks(f"DO $$ BEGIN {body} END; $$")
    assert len(find_disallowed_statements(block)) == 1


def is_well_named(function: str) -> bool:
    """Whether a client function is in public with our prefix and a version from 2 on, and a helper has neither."""
    client = r"public\.vigilbase(_[a-z]+)+(_v([2-9]|[1-9][0-9]+))?"
    helper = r"vigilbase\.(?!vigilbase_)[a-z]+(_[a-z]+)*"
    return bool(re.fullmatch(f"{client}|{helper}", function))


@each_migration
def test_migration_function_names_have_schema_and_version(migration: Migration) -> None:
    functions = [each for each in parse_statements(migration.sql) if isinstance(each, ast.CreateFunctionStmt)]
    assert [name for name in (join_name(function.funcname) for function in functions) if not is_well_named(name)] == []


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
def test_function_name_rule_separates_valid_from_invalid_names(name: str, is_good: bool) -> None:
    assert is_well_named(name) == is_good


def test_build_migrations_output_equals_committed_files() -> None:
    """If not, run `make migrations`."""
    committed = {
        path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.sql") if not path.name.startswith("012_")
    }
    assert build_all(read_created()) == committed


def test_build_migrations_changed_source_changes_its_migration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = build_all(read_created())
    shutil.copytree(build_migrations.SOURCES, tmp_path / "sql")
    with (tmp_path / "sql" / "notifications" / "is_needed.sql").open("a") as source:
        source.write("-- again\n")
    monkeypatch.setattr(build_migrations, "SOURCES", tmp_path / "sql")
    after = build_all(read_created())
    assert [path.name for path in before if before[path] != after[path]] == ["016_queue_notifications.sql"]


def test_build_migrations_plan_includes_every_source() -> None:
    planned = [path for plan in PLAN for path in list_sources(plan)]
    assert sorted(planned) == SOURCES
    assert len(SOURCES) > 70


def list_created_names(text: str) -> list[str]:
    """The names of the functions, views and tables that a text creates."""
    return [name for name in map(get_created_name, parse_statements(text)) if name]


def get_created_name(statement: ast.Node) -> str:
    match statement:
        case ast.CreateFunctionStmt():
            return join_name(statement.funcname)
        case ast.ViewStmt():
            return get_relation_name(statement.view)
        case ast.CreateStmt():
            return get_relation_name(statement.relation)
    return ""


def find_duplicates(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def test_migrations_and_sources_define_each_object_once() -> None:
    assert (
        find_duplicates(name for migration in discover_migrations() for name in list_created_names(migration.sql)) == []
    )
    assert find_duplicates(name for path in SOURCES for name in list_created_names(path.read_text())) == []


def test_define_once_rule_overload_is_reported() -> None:
    function = "CREATE OR REPLACE FUNCTION vigilbase.one(a {}) RETURNS void LANGUAGE sql AS '';"
    assert find_duplicates(list_created_names(function.format("integer") + function.format("text"))) == [
        "vigilbase.one"
    ]


def find_source_faults(name: str, text: str) -> list[str]:
    """The faults in the form of a source; `name` is that of its file."""
    faults = []
    created = [each.rpartition(".")[2] for each in list_created_names(text)]
    if created and created != [name]:
        faults.append(f"creates {created}")
    if not created and len(parse_statements(text)) != 1:
        faults.append("is neither one object nor one statement")
    if not re.match(r"(?:-- +\S.*\n)+(?:CREATE|DO)\b", text):
        faults.append("has no comment above")
    if text.count("\n") > LONGEST_SOURCE:
        faults.append("is too long")
    if not text.endswith("\n") or text.endswith("\n\n"):
        faults.append("doesn't end with its last line")
    return faults


@each_source
def test_sql_source_defines_one_object_below_comment(path: Path) -> None:
    assert find_source_faults(path.stem, path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("-- One.\nCREATE VIEW vigilbase.two AS SELECT 1;\n", "creates ['two']"),
        (
            "-- One.\nCREATE VIEW vigilbase.one AS SELECT 1;\nCREATE TABLE vigilbase.two ();\n",
            "creates ['one', 'two']",
        ),
        ("-- One.\nDO ''; DO '';\n", "is neither one object nor one statement"),
        ("CREATE VIEW vigilbase.one AS SELECT 1;\n", "has no comment above"),
        ("-- One.\n\nCREATE VIEW vigilbase.one AS SELECT 1;\n", "has no comment above"),
        ("--\nCREATE VIEW vigilbase.one AS SELECT 1;\n", "has no comment above"),
        (f"-- One.\nCREATE VIEW vigilbase.one AS{chr(10) * LONGEST_SOURCE}SELECT 1;\n", "is too long"),
        ("-- One.\nCREATE VIEW vigilbase.one AS SELECT 1;", "doesn't end with its last line"),
    ],
)
def test_sql_source_rule_fault_is_reported(text: str, fault: str) -> None:
    assert find_source_faults("one", text) == [fault]


@each_file
def test_migration_file_is_ascii(path: Path) -> None:
    assert path.read_text(encoding="utf-8").isascii()
