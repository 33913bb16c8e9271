"""The migrations, and psql to apply them without Vigilbase."""

import subprocess
from pathlib import Path

import vigilbase.database
import vigilbase.models
from vigilbase.database.binaries import find_binaries

FILES = sorted((Path(vigilbase.models.__file__).parent / "migrations").glob("*.sql"))
LEDGER = Path(vigilbase.database.__file__).with_name("ledger.sql")
# In the order of the migrations runner: the ledger creates the schema, which 013 and later need.
SCRIPTS = [FILES[0], LEDGER, *FILES[1:]]


def run_psql(url: str, *paths: Path) -> None:
    command = [str(find_binaries() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
    for path in paths:
        command += ["-f", str(path)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
