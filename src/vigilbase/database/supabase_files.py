"""The migrations as files of a Supabase project, whose CLI applies each once, in the order of their timestamps."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vigilbase.database.migrate import Migration
from vigilbase.database.script import render_with_ledger_entry
from vigilbase.errors import MigrationError

_OURS = re.compile(r"(\d{14})_vigilbase_\d{3}_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class FileChanges:
    """The files written, kept and removed; `reverted`: the timestamps of removed files that no new file has."""

    written: Sequence[Path] = ()
    kept: Sequence[Path] = ()
    removed: Sequence[Path] = ()
    reverted: Sequence[str] = ()


def write_supabase_files(project: Path, migrations: Sequence[Migration], *, replace: bool = False) -> FileChanges:
    """Write the files into a project's `supabase/migrations/`; keep those that already have the same text.

    `replace`: remove different files of ours first.

    Raises:
        MigrationError: the folder is not a Supabase project or can't be written to, or, without `replace`, it contains
            files of another build.

    """
    if not (project / "supabase").is_dir():
        raise MigrationError(
            f"{project} is not a Supabase project (it has no folder supabase/): run `supabase init` there"
        )
    folder = project / "supabase" / "migrations"
    wanted = {folder / migration.supabase_filename: render_with_ledger_entry(migration) for migration in migrations}
    try:
        folder.mkdir(exist_ok=True)
        ours = sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name))
        kept = [path for path, text in wanted.items() if path in ours and path.read_bytes() == text.encode()]
        stale = [path for path in ours if path not in kept]
        if stale and not replace:
            raise MigrationError(
                f"{_name_files(stale)} differ{'s' if len(stale) == 1 else ''} from what this vigilbase would write: "
                f"`vigilbase migrate --supabase {project} --rebuild` replaces {'it' if len(stale) == 1 else 'them'}"
            )
        for path in stale:
            path.unlink()
        written = [path for path in wanted if path not in kept]
        for path in written:
            path.write_text(wanted[path], encoding="utf-8", newline="\n")
    except OSError as error:
        raise MigrationError(f"can't write to {folder}: {error.strerror}") from error
    versions = {path.name[:14] for path in wanted}
    return FileChanges(written, kept, stale, [path.name[:14] for path in stale if path.name[:14] not in versions])


def _name_files(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} files of Vigilbase, including {paths[0].name},"
