"""The package without extras, installed from a wheel: the models work, and what needs an extra names it."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from tests.support.server import PostgresServer, in_ci
from tests.support.supabase_api import SupabaseApi
from vigilbase.database.file_locks import hold_exclusive

PROJECT = Path(__file__).parents[2]
MAX_PACKAGES = 25
MAX_BYTES = 60_000_000
PROGRAM = """
import asyncio
import vigilbase
from vigilbase import *

async def main():
    await HealthCheckModel.create(CreateHealthCheckData("job", "down"))
    print(*[(check.service_name, check.status) for check in await HealthCheckModel.find_latest()])
    await close_supabase_service_client()

asyncio.run(main())
"""
FILE = """
services:
  - {name: website, http: "http://127.0.0.1:1/"}
"""
CHANNELS = f"""{FILE}
channels:
  ops: {{webhook: {{url: "https://ops.example.com/hook"}}}}
"""


class Installation:
    """A virtual environment for the project's wheel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._python = folder / "venv" / "bin" / "python"

    def create(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder / "venv"], check=True)
        _run_pip("wheel", "--no-deps", "--wheel-dir", str(self.folder), str(PROJECT))

    def install(self, extras: str = "") -> None:
        [wheel] = self.folder.glob("vigilbase-*.whl")
        constraints = str(PROJECT / "constraints.txt")
        _run_pip("--python", str(self._python), "install", "--constraint", constraints, f"{wheel}{extras}")

    def copy_to(self, folder: Path) -> "Installation":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Installation(folder)

    def list_packages(self) -> list[Distribution]:
        [packages] = (self.folder / "venv").glob("lib/python*/site-packages")
        return list(distributions(path=[str(packages)]))

    def run(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run Python with these arguments."""
        return subprocess.run(
            [self._python, *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath, "HOME": str(self.folder), **environ},
            capture_output=True,
            text=True,
            check=False,
        )


def _run_pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode and not in_ci():
        pytest.skip(f"pip can't install here: {result.stderr.strip().splitlines()[-1]}")
    assert not result.returncode, result.stderr


@pytest.fixture(scope="session")
def bare(shared_folder: Path) -> Installation:
    """An installation that no test changes, made once for all workers."""
    folder = shared_folder / "bare"
    folder.mkdir(exist_ok=True)
    installation, is_complete = Installation(folder), folder / "complete"
    with hold_exclusive(folder / "lock", limit_s=300):
        if not is_complete.exists():
            installation.create()
            installation.install()
            is_complete.touch()
    return installation


def test_bare_install_is_small(bare: Installation) -> None:
    packages = bare.list_packages()
    assert "vigilbase" in {package.name for package in packages}
    assert len(packages) <= MAX_PACKAGES
    files = [Path(str(file.locate())) for package in packages for file in package.files or ()]
    assert sum(file.stat().st_size for file in files if file.exists()) <= MAX_BYTES


def test_bare_install_models_work_over_postgres(bare: Installation, server: PostgresServer, database: str) -> None:
    result = bare.run("-c", PROGRAM, DATABASE_URL=server.url(database))
    assert (result.stdout, result.stderr) == ("('job', 'down')\n", "")


def test_bare_install_models_work_over_supabase(bare: Installation, supabase_api: SupabaseApi) -> None:
    result = bare.run("-c", PROGRAM, SUPABASE_URL=supabase_api.url, SUPABASE_SECRET_KEY=supabase_api.secret_key)
    assert result.stderr == ""
    assert "('job', 'down')" in result.stdout


def test_bare_install_names_missing_extra(bare: Installation) -> None:
    program = "import asyncio, vigilbase; asyncio.run(vigilbase.HealthCheckModel.find_latest())"
    embedded = bare.run("-c", program)
    assert "MissingExtraError: the embedded Postgres: the extra embedded is not installed" in embedded.stderr
    command = bare.run("-m", "vigilbase", "--help")
    assert (command.returncode, command.stdout) == (2, "")
    assert command.stderr == (
        "vigilbase: the command line: the extra cli is not installed (there is no module typer): "
        "run `pip install 'vigilbase[cli]'`\n"
    )


def test_command_line_without_other_extras_reads_and_names_missing_extra(
    bare: Installation, tmp_path: Path, server: PostgresServer, database: str
) -> None:
    installed = bare.copy_to(tmp_path / "copy")
    installed.install("[cli]")
    (installed.folder / "vigilbase.yaml").write_text(FILE)
    (installed.folder / "channels.yaml").write_text(CHANNELS)
    environ = {"DATABASE_URL": server.url(database)}
    for arguments in (["status"], ["migrate", "--check"]):
        result = installed.run("-m", "vigilbase", *arguments, **environ)
        assert (arguments, result.returncode, result.stderr) == (arguments, 0, "")
    for extra, arguments, options in [
        ("probes", ["run"], environ),
        ("channels", ["run", "--config", "channels.yaml"], environ),
        ("channels", ["channels", "test", "ops", "--config", "channels.yaml"], environ),
        ("embedded", ["db", "psql"], environ),
        ("embedded", ["status"], {}),
    ]:
        result = installed.run("-m", "vigilbase", *arguments, **options)
        assert (arguments, result.returncode, len(result.stderr.splitlines())) == (arguments, 2, 1)
        assert f"pip install 'vigilbase[{extra}]'" in result.stderr
    doctor = installed.run("-m", "vigilbase", "doctor", **environ)
    assert doctor.returncode == 1
    assert "vigilbase[probes]" in doctor.stdout
