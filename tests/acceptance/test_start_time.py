"""Stopping the program while it is starting."""

import signal
import socket
from pathlib import Path

import pytest

from tests.support.command import running


@pytest.mark.parametrize(("command", "number"), [("up", signal.SIGINT), ("run", signal.SIGTERM)])
def test_start_unresponsive_database_does_not_delay_stop(tmp_path: Path, command: str, number: signal.Signals) -> None:
    (tmp_path / "vigilbase.yaml").write_text("services:\n  - {name: itself, postgres: self}\n")
    with socket.create_server(("127.0.0.1", 0)) as unresponsive:
        unresponsive.settimeout(30)
        port = unresponsive.getsockname()[1]
        environ = {"DATABASE_URL": f"postgresql://a@127.0.0.1:{port}/b", "VIGILBASE_TIMEOUT": "60"}
        with running(command, cwd=tmp_path, environ=environ) as process:
            connection, _ = unresponsive.accept()  # the program waits for an answer, for a minute
            process.send_signal(number)
            assert process.wait(20) == 0  # not a minute later, at the time limit
            connection.close()
    assert "Traceback" not in (tmp_path / "events.log").read_text()
