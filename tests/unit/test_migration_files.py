"""The migration files as texts: what may stand in one, read by the parser of Postgres itself and by a linter."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from pglast import ast, parse_plpgsql, parse_sql
from pglast.enums import AlterTableType

from vigilbase.database.migrate import Migration, discover

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "vigilbase" / "models" / "migrations"
LEDGER = ROOT / "src" / "vigilbase" / "database" / "ledger.sql"
PATHS = [*sorted(FOLDER.glob("*.sql")), LEDGER]  # the ledger is under the same rules as the files that it lists

each_file = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
each_migration = pytest.mark.parametrize("migration", discover(), ids=lambda migration: str(migration.number))


def squawk(*paths: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).parent / "squawk"
    command = [program, "--config", ROOT / ".squawk.toml", "--reporter", "gcc", *paths]
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)


def statements(text: str) -> list[ast.Node]:
    return [raw.stmt for raw in parse_sql(text) if raw.stmt is not None]


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
    dated = re.fullmatch(r"-- Created: (\d{4}-\d{2}-\d{2})", created)
    assert dated
    date.fromisoformat(dated[1])
    assert blank == "--"
    assert re.match(r"-- \w+ \w+", purpose)


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
        case ast.AlterTableStmt():
            return all(is_allowed_change(change) for change in statement.cmds or ())
        case ast.GrantStmt() | ast.DoStmt() | ast.CommentStmt():
            return True
    return False


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
        "DROP FUNCTION vigilbase_access_v1()",
        "ALTER TABLE service_health_checks DROP COLUMN latency_ms",
        "ALTER TABLE service_health_checks ADD COLUMN again TEXT",
        "ALTER TABLE service_health_checks ADD COLUMN IF NOT EXISTS again TEXT NOT NULL",
        "ALTER TABLE service_health_checks DISABLE ROW LEVEL SECURITY",
        "CREATE TYPE status AS ENUM ('healthy', 'down')",
        "CREATE TABLE again (id uuid)",
        "CREATE INDEX again ON service_health_checks (id)",
        "CREATE FUNCTION again() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE POLICY everybody ON alert_events USING (true)",
        "CREATE EXTENSION pgcrypto",
        "DELETE FROM alert_events",
        "SET search_path = app",
    ],
)
def test_the_rule_about_statements_has_teeth(statement: str) -> None:
    assert [is_allowed(parsed) for parsed in statements(statement)] == [False]


def nodes(tree: object) -> Iterator[tuple[str, object]]:
    """Every named node of a parsed PL/pgSQL body, depth first."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield name, value
            yield from nodes(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from nodes(item)


def do_blocks(text: str) -> list[object]:
    """The parsed bodies of the DO statements; the parser returns those of functions along with them, in order."""
    makers = [found for found in statements(text) if isinstance(found, ast.CreateFunctionStmt | ast.DoStmt)]
    pairs = zip(makers, parse_plpgsql(text), strict=True)
    return [body for maker, body in pairs if isinstance(maker, ast.DoStmt)]


def other_than_privileges(block: object) -> list[str]:
    """Whatever a DO block does besides granting and revoking, and deciding about that."""
    control = {"PLpgSQL_stmt_block", "PLpgSQL_stmt_if", "PLpgSQL_stmt_foreach_a", "PLpgSQL_stmt_return"}
    runs_sql = {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_execsql"}
    found = []
    for name, value in nodes(block):
        if name.startswith("PLpgSQL_stmt_") and name not in control:
            # The statement as it stands, or the expression that makes it.
            query = next((text for key, text in nodes(value) if key == "query" and isinstance(text, str)), "")
            if name not in runs_sql or not re.match(r"(format\(')?(GRANT|REVOKE) ", query):
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
        "PERFORM vigilbase_delete_alerts_v1(0, 1000);",
    ],
)
def test_the_rule_about_do_blocks_has_teeth(body: str) -> None:
    (block,) = do_blocks(f"DO $$ BEGIN {body} END; $$")
    assert len(other_than_privileges(block)) == 1


@each_migration
def test_functions_carry_their_schema_and_a_version_in_their_names(migration: Migration) -> None:
    for function in statements(migration.sql):
        if isinstance(function, ast.CreateFunctionStmt):
            schema, name = (str(getattr(part, "sval", part)) for part in function.funcname or ())
            assert schema == "public"
            assert re.fullmatch(r"vigilbase_[a-z_]+_v\d+", name)
