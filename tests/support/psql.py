"""The migrations as somebody applies them who has nothing but psql."""

import subprocess
from pathlib import Path

import vigilbase.database
import vigilbase.models
from vigilbase.database.programs import programs_folder

FILES = sorted((Path(vigilbase.models.__file__).parent / "migrations").glob("*.sql"))
LEDGER = Path(vigilbase.database.__file__).with_name("ledger.sql")
# In the order of the migrations runner: the ledger, and with it the schema, before anything that needs them.
SCRIPTS = [FILES[0], LEDGER, *FILES[1:]]


def psql(url: str, *paths: Path) -> None:
    """Run files as somebody does who has nothing but psql."""
    command = [str(programs_folder() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
    for path in paths:
        command += ["-f", str(path)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
