"""The migrations as files of a Supabase project: written once, never beside those of another build."""

import re
from pathlib import Path

import pytest

from vigilbase.database.migrate import discover
from vigilbase.database.supabase_files import Written, write_supabase_files
from vigilbase.errors import MigrationError

ALL = discover()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Supabase project, as far as one is told by its folder."""
    (tmp_path / "supabase").mkdir()
    return tmp_path


def content(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project / "supabase" / "migrations").iterdir()}


def test_files_sort_by_number_and_have_the_names_of_the_cli(project: Path) -> None:
    names = [path.name for path in write_supabase_files(project, ALL).written]
    assert names == sorted(names)
    # A project that has it already would run it once more under another name.
    assert names[0] == "20261124000012_vigilbase_012_create_monitoring_tables.sql"
    # The format of the Supabase CLI, which takes the 14 digits for a version: each is there once.
    shapes = [re.fullmatch(r"(\d{14})_vigilbase_(\d{3})_[a-z0-9_]+\.sql", name) for name in names]
    assert [int(shape[2]) for shape in shapes if shape] == [migration.number for migration in ALL]
    assert len({shape[1] for shape in shapes if shape}) == len(ALL)
    assert sorted(content(project)) == names


def test_a_file_with_the_same_text_is_kept_and_what_is_missing_is_written(project: Path) -> None:
    (first,) = write_supabase_files(project, ALL[:1]).written
    before = first.stat()
    done = write_supabase_files(project, ALL)
    assert done.kept == [first]
    assert [path.name for path in done.written] == [migration.supabase_filename for migration in ALL[1:]]
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    assert write_supabase_files(project, ALL) == Written([], [first, *done.written], [], [])


@pytest.mark.parametrize("stale", ["20261124101013_vigilbase_013_create_data_layer.sql", ALL[1].supabase_filename])
def test_a_file_of_another_build_is_refused_before_anything_is_written_and_replaced_if_told_so(
    project: Path, stale: str
) -> None:
    folder = project / "supabase" / "migrations"
    folder.mkdir()
    (folder / stale).write_text("-- an earlier build's")
    (folder / "20270101000000_create_vigilbase_orders.sql").write_text("-- the host's own")
    before = content(project)
    with pytest.raises(MigrationError, match=rf"{stale} differs .*`vigilbase migrate --supabase \S+ --rebuild`"):
        write_supabase_files(project, ALL)
    assert content(project) == before
    done = write_supabase_files(project, ALL, replace=True)
    assert done.removed == [folder / stale]
    assert [path.name for path in done.written] == [migration.supabase_filename for migration in ALL]
    # Where another file has the same version, the project's database needn't forget it.
    assert done.reverted == ([stale[:14]] if stale != ALL[1].supabase_filename else [])
    assert sorted(content(project)) == sorted(
        [*(path.name for path in done.written), "20270101000000_create_vigilbase_orders.sql"]
    )
    assert write_supabase_files(project, ALL).written == []


def test_a_folder_that_is_no_supabase_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="is no Supabase project"):
        write_supabase_files(tmp_path, ALL)
    assert list(tmp_path.iterdir()) == []


def test_a_project_that_can_not_be_written_is_refused(project: Path) -> None:
    (project / "supabase" / "migrations").write_text("a file where the folder should be")
    with pytest.raises(MigrationError, match="can't write into"):
        write_supabase_files(project, ALL)
