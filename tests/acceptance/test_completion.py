"""The shell's completion: its scripts, and the protocol that they speak with the command."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.watched import VIGILBASE, run

SERVICES = """
services:
  - {name: website, http: "https://example.com"}
  - {name: web shop, tcp: "localhost:1"}
  - {name: "$(reboot)", tcp: "localhost:1"}
  - {name: database, postgres: self}
"""


def bare(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The command in an environment with next to nothing in it, as in a container's build."""
    environ = {"PATH": os.defpath, "HOME": str(folder), **environ}
    return subprocess.run(
        [VIGILBASE, *arguments], cwd=folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def completed(folder: Path, line: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = line.split(" ")
    result = bare(
        folder, _VIGILBASE_COMPLETE="complete_bash", COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1)
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split("\n")[:-1] if result.stdout.strip() else []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_that_is_named_is_printed_anywhere(shell: str, tmp_path: Path) -> None:
    result = bare(tmp_path, "--show-completion", shell)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"_VIGILBASE_COMPLETE=complete_{shell}" in result.stdout


def test_the_script_of_a_shell_that_is_named_is_installed_at_home(tmp_path: Path) -> None:
    assert bare(tmp_path, "--install-completion", "bash").returncode == 0
    assert "complete -o default" in (tmp_path / ".bash_completions" / "vigilbase.sh").read_text()


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert completed(tmp_path, "vigilbase al") == ["alerts"]
    assert completed(tmp_path, "vigilbase alerts ") == ["list", "show", "ack", "resolve"]
    assert completed(tmp_path, "vigilbase history --la") == ["--last"]


LARGE = "services: [{name: ok}]\n#" + "x" * 5_000_000


def test_services_of_the_file_are_completed(tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text(SERVICES)
    # What a shell might take for more than a name is left out.
    assert completed(tmp_path, "vigilbase history ") == ["website", "web\\ shop", "database"]
    assert completed(tmp_path, "vigilbase alerts list --service d") == ["database"]
    zsh = bare(tmp_path, _VIGILBASE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="vigilbase history web")
    assert (zsh.stdout, zsh.stderr) == ('_arguments \'*: :(("website"\n"web shop"))\'\n', "")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "services: [",
        "services: 7",
        "[]",
        "",
        "services: [{name: ok}, 3]",
        "\x00",
        pytest.param(LARGE, id="large"),
    ],
)
def test_without_a_file_that_can_be_read_no_service_is_offered(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "vigilbase.yaml").write_text(text)
    assert completed(tmp_path, "vigilbase history ") == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("web", ["website", "web\\ shop"]),
        ("web\\ ", ["web\\ shop"]),
        ("web\\ s", ["web\\ shop"]),
        ('"web', ["website", "web shop"]),
        ('"web s', ["web shop"]),
        ("'web ", ["web shop"]),
        ('"nope', []),
    ],
)
def test_what_bash_makes_of_it_is_one_word(typed: str, offered: list[str], tmp_path: Path) -> None:
    """Through bash itself, with the script that is printed, and the word as readline hands it over."""
    (tmp_path / "vigilbase.yaml").write_text(SERVICES)
    script = run("--show-completion", "bash", cwd=tmp_path, environ={}).stdout
    probe = (
        f"{script}\nCOMP_WORDS=(vigilbase history {shlex.quote(typed)}); COMP_CWORD=2\n"
        "_vigilbase_completion vigilbase; printf '%s|' \"${COMPREPLY[@]}\"\n"
    )
    path = f"{Path(VIGILBASE).parent}:{os.defpath}"
    done = subprocess.run(
        ["bash", "--norc", "-c", probe], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("|".join([*offered, ""]) or "|", "")
