"""The migrations as files of a Supabase project: written once, and never next to those of another build."""

import re
from pathlib import Path

import pytest

from vigilbase.database.migrate import discover_migrations
from vigilbase.database.supabase_files import FileChanges, write_supabase_files
from vigilbase.errors import MigrationError

ALL = discover_migrations()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that looks like a Supabase project."""
    (tmp_path / "supabase").mkdir()
    return tmp_path


def read_files(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project / "supabase" / "migrations").iterdir()}


def test_write_files_names_sort_by_number_and_match_cli_format(project: Path) -> None:
    names = [path.name for path in write_supabase_files(project, ALL).written]
    assert names == sorted(names)
    # A project that already has this file would run it again under another name.
    assert names[0] == "20261124000012_vigilbase_012_create_monitoring_tables.sql"
    # The format of the Supabase CLI, which requires unique versions of 14 digits.
    shapes = [re.fullmatch(r"(\d{14})_vigilbase_(\d{3})_[a-z0-9_]+\.sql", name) for name in names]
    assert [int(shape[2]) for shape in shapes if shape] == [migration.number for migration in ALL]
    assert len({shape[1] for shape in shapes if shape}) == len(ALL)
    assert sorted(read_files(project)) == names


def test_write_files_same_text_is_kept_and_missing_file_is_written(project: Path) -> None:
    (first,) = write_supabase_files(project, ALL[:1]).written
    before = first.stat()
    changes = write_supabase_files(project, ALL)
    assert changes.kept == [first]
    assert [path.name for path in changes.written] == [migration.supabase_filename for migration in ALL[1:]]
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert write_supabase_files(project, ALL) == FileChanges([], [first, *changes.written], [], [])


@pytest.mark.parametrize("stale", ["20261124101013_vigilbase_013_create_data_layer.sql", ALL[1].supabase_filename])
def test_write_files_other_build_is_replaced_only_on_request(project: Path, stale: str) -> None:
    folder = project / "supabase" / "migrations"
    folder.mkdir()
    (folder / stale).write_text("-- an earlier build's")
    (folder / "20270101000000_create_vigilbase_orders.sql").write_text("-- the host's own")
    before = read_files(project)
    with pytest.raises(MigrationError, match=rf"{stale} differs .*`vigilbase migrate --supabase \S+ --rebuild`"):
        write_supabase_files(project, ALL)
    assert read_files(project) == before
    changes = write_supabase_files(project, ALL, replace=True)
    assert changes.removed == [folder / stale]
    assert [path.name for path in changes.written] == [migration.supabase_filename for migration in ALL]
    # If a new file has the same version, the project's database must keep it.
    assert changes.reverted == ([stale[:14]] if stale != ALL[1].supabase_filename else [])
    assert sorted(read_files(project)) == sorted(
        [*(path.name for path in changes.written), "20270101000000_create_vigilbase_orders.sql"]
    )
    assert write_supabase_files(project, ALL).written == []


def test_write_files_other_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="is not a Supabase project"):
        write_supabase_files(tmp_path, ALL)
    assert list(tmp_path.iterdir()) == []


def test_write_files_unwritable_project_is_rejected(project: Path) -> None:
    (project / "supabase" / "migrations").write_text("a file where the folder should be")
    with pytest.raises(MigrationError, match="can't write to"):
        write_supabase_files(project, ALL)
