"""The installed command in a pseudo-terminal: the live table of `vigilbase up` and the colours of `check`."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.server import PostgresServer, free_port
from tests.support.terminal import CTRL_C, Terminal, terminal
from tests.support.website import Website

SHOW_CURSOR, HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


@pytest.fixture
def environ(server: PostgresServer, database: str) -> dict[str, str]:
    """The environment for a migrated database of an application, in which `up` asks nothing."""
    server.execute("CREATE TABLE users (id integer)", database)
    return {"DATABASE_URL": server.url(database)}


@contextmanager
def _run_up(folder: Path, environ: dict[str, str], services: str, lines: int = 30) -> Iterator[Terminal]:
    defaults = "{interval: 200ms, timeout: 30s, failure_threshold: 3, success_threshold: 2}"
    (folder / "vigilbase.yaml").write_text(f"defaults: {defaults}\nservices:\n{services}")
    with terminal(["up"], cwd=folder, environ=environ, lines=lines) as shown:
        yield shown


def _find_row(text: str, name: str) -> str:
    """The service's last line in the table."""
    return next((line for line in reversed(text.splitlines()) if line.strip().startswith(name)), "")


def test_up_first_start_in_terminal_creates_config_and_shows_table(tmp_path: Path, environ: dict[str, str]) -> None:
    with terminal(["up"], cwd=tmp_path, environ=environ) as shown:
        shown.wait_for(lambda text: "healthy" in _find_row(text, "vigilbase database"))
        shown.wait_for(lambda text: re.search(r"recorded: [1-9]", text))
        assert (tmp_path / "vigilbase.yaml").is_file()
        shown.type(CTRL_C)
        assert shown.exit_code() == 0
        text = shown.text()
    assert "config.created file=vigilbase.yaml" in text
    assert "runner.stopped" in text
    assert "dropped=0" in text
    assert "Traceback" not in text
    # The last table stays on the screen, once.
    assert len(re.findall(r"^vigilbase database", text, re.MULTILINE)) == 1


def test_up_table_is_redrawn_in_place_with_outage_and_recovery(
    tmp_path: Path, environ: dict[str, str], website: Website
) -> None:
    services = f"  - {{name: website, http: 'http://127.0.0.1:{website.port}/'}}\n"
    with _run_up(tmp_path, environ, services) as shown:
        shown.wait_for(lambda text: "healthy" in _find_row(text, "website"))
        website.stop()
        text = shown.wait_for(
            lambda text: re.search(r"down .*for \d+s: connection refused", _find_row(text, "website"))
        )
        assert "█" in _find_row(text, "website")
        shown.wait_for(lambda text: "alert.opened service_name=website" in text)
        website.start()
        shown.wait_for(lambda text: "healthy" in _find_row(text, "website") and "alert.resolved" in text)
        assert "▂" in _find_row(shown.text(), "website")
        assert HIDE_CURSOR in shown.raw
        assert len(re.findall(r"^website", shown.text(), re.MULTILINE)) == 1
        shown.send(signal.SIGTERM)
        assert shown.exit_code() == 0
        assert shown.raw.rindex(SHOW_CURSOR) > shown.raw.rindex(HIDE_CURSOR)


def test_up_table_too_few_lines_shows_failures_first_and_text_as_it_is(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "odd.py").write_text("def probe():\n    raise ValueError('[red]\\x1b[2J\\x07gone')\n")
    services = "".join(f"  - {{name: fine {number}, postgres: self}}\n" for number in range(40))
    services += '  - {name: "[bold]loud[/bold]", python: "odd:probe"}\n'
    with _run_up(tmp_path, environ, services, lines=20) as shown:
        shown.wait_for(lambda text: "down" in _find_row(text, "[bold]loud[/bold]"))
        shown.wait_for(lambda _: re.search(r"… and \d+ more healthy", shown.visible()))
        rows = [line for line in shown.visible().splitlines() if re.match(r"(fine \d+|\[bold\]loud\[/bold\]) ", line)]
        assert rows[0].startswith("[bold]loud[/bold]")
        shown.resize(70, 12)
        shown.wait_for(lambda _: "… and" in shown.visible() and "[bold]loud[/bold]" in shown.visible())
        shown.resize(160, 30)
        shown.wait_for(lambda text: "[red]\\x1b[2J\\x07gone" in _find_row(text, "[bold]loud[/bold]"))
        assert b"\x1b[2J" not in shown.raw
        assert b"\x07" not in shown.raw


def test_run_in_terminal_writes_events_without_table(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services:\n  - {name: itself, postgres: self}\n")
    with terminal(["run"], cwd=tmp_path, environ=environ) as shown:
        shown.wait_for(lambda text: "runner.started services=1" in text)
        shown.type(CTRL_C)
        assert shown.exit_code() == 0
        text = shown.text()
    assert "last checks" not in text
    assert "runner.stopped" in text


def test_up_dumb_terminal_gets_events_without_control_sequences(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services:\n  - {name: itself, postgres: self}\n")
    with terminal(["up"], cwd=tmp_path, environ={**environ, "TERM": "dumb"}) as shown:
        shown.wait_for(lambda text: "runner.started" in text)
        shown.type(CTRL_C)
        assert shown.exit_code() == 0
        assert b"\x1b[" not in shown.raw


def test_check_table_in_terminal_is_coloured(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "vigilbase.yaml").write_text(
        f"services:\n  - {{name: gone, tcp: '127.0.0.1:{free_port()}'}}\n  - {{name: itself, postgres: self}}\n"
    )
    with terminal(["check"], cwd=tmp_path, environ=environ) as shown:
        assert shown.exit_code() == 1
        text = shown.text()
        assert "connection refused" in _find_row(text, "gone")
        assert "healthy" in _find_row(text, "itself")
        assert b"\x1b[1;31mdown" in shown.raw
