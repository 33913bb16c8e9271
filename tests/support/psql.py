"""The migrations as somebody applies them who has nothing but psql."""

import subprocess
from pathlib import Path

import vigilbase.models
from vigilbase.database.programs import programs_folder

FILES = sorted((Path(vigilbase.models.__file__).parent / "migrations").glob("*.sql"))


def psql(url: str, *paths: Path) -> None:
    """Run files as somebody does who has nothing but psql."""
    command = [str(programs_folder() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
    for path in paths:
        command += ["-f", str(path)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
