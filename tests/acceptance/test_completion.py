"""Completion in the shell: its scripts, and their protocol with the command."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.command import VIGILBASE, run, run_with_only

SERVICES = """
services:
  - {name: website, http: "https://example.com"}
  - {name: web shop, tcp: "localhost:1"}
  - {name: "$(reboot)", tcp: "localhost:1"}
  - {name: database, postgres: self}
"""


def run_in_minimal_environment(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The command with almost no environment variables, as in a container's build."""
    return run_with_only({"PATH": os.defpath, "HOME": str(folder), **environ}, *arguments, cwd=folder)


def complete_line(folder: Path, line: str) -> list[str]:
    """The completions that bash is offered for the last word of a line."""
    return complete_words(folder, *line.split(" "))


def complete_words(folder: Path, *words: str) -> list[str]:
    result = run_in_minimal_environment(
        folder, _VIGILBASE_COMPLETE="complete_bash", COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1)
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split("\n")[:-1] if result.stdout.strip() else []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_show_completion_named_shell_prints_script(shell: str, tmp_path: Path) -> None:
    result = run_in_minimal_environment(tmp_path, "--show-completion", shell)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"_VIGILBASE_COMPLETE=complete_{shell}" in result.stdout


def test_install_completion_named_shell_writes_script_to_home(tmp_path: Path) -> None:
    assert run_in_minimal_environment(tmp_path, "--install-completion", "bash").returncode == 0
    assert "complete -o default" in (tmp_path / ".bash_completions" / "vigilbase.sh").read_text()


def test_completion_offers_commands_and_options(tmp_path: Path) -> None:
    assert complete_line(tmp_path, "vigilbase al") == ["alerts"]
    assert complete_line(tmp_path, "vigilbase alerts ") == ["list", "show", "ack", "resolve"]
    assert complete_line(tmp_path, "vigilbase history --la") == ["--last"]


LARGE = "services: [{name: ok}]\n#" + "x" * 5_000_000


def test_completion_offers_services_of_config(tmp_path: Path) -> None:
    (tmp_path / "vigilbase.yaml").write_text(SERVICES)
    # A name that a shell would expand is left out.
    assert complete_line(tmp_path, "vigilbase history ") == ["website", "web\\ shop", "database"]
    assert complete_line(tmp_path, "vigilbase alerts list --service d") == ["database"]
    zsh = run_in_minimal_environment(
        tmp_path, _VIGILBASE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="vigilbase history web"
    )
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
def test_completion_missing_or_invalid_config_offers_no_service(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "vigilbase.yaml").write_text(text)
    assert complete_line(tmp_path, "vigilbase history ") == []


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
def test_completion_quoted_or_escaped_word_is_completed_as_one_word(
    typed: str, offered: list[str], tmp_path: Path
) -> None:
    """The word as readline passes it to bash."""
    (tmp_path / "vigilbase.yaml").write_text(SERVICES)
    assert complete_words(tmp_path, "vigilbase", "history", typed) == offered


def test_bash_script_passes_words_and_offers_whole_names(tmp_path: Path) -> None:
    """Runs bash with the printed script."""
    typed, offered = '"web', ["website", "web shop"]
    (tmp_path / "vigilbase.yaml").write_text(SERVICES)
    script = run("--show-completion", "bash", cwd=tmp_path, environ={}).stdout
    probe = (
        f"{script}\nCOMP_WORDS=(vigilbase history {shlex.quote(typed)}); COMP_CWORD=2\n"
        "_vigilbase_completion vigilbase; printf '%s|' \"${COMPREPLY[@]}\"\n"
    )
    path = f"{Path(VIGILBASE).parent}:{os.defpath}"
    result = subprocess.run(
        ["bash", "--norc", "-c", probe], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("|".join([*offered, ""]), "")
