"""The channel `apprise` against real HTTP receivers: requests, failures, and services that hang."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.batches import make_alert, make_batch
from tests.support.loopback import http_answer, serving, silent
from tests.support.server import free_port
from vigilbase.channels import CHANNELS, Channel, apprise, send_batch
from vigilbase.channels.apprise import AppriseConfig, send_apprise
from vigilbase.channels.errors import TemporaryDeliveryError
from vigilbase.threads import MAX_THREADS, DaemonThreads

TOKEN = "hunter2-hunter2"


@pytest.fixture
async def daemon_threads() -> None:
    """The executor of the command line, so that no test waits for a thread that hangs."""
    asyncio.get_running_loop().set_default_executor(DaemonThreads())


@pytest.fixture
def log_stream() -> Iterator[StringIO]:
    """The log of a program at debug level; `caplog` would also show loggers that don't propagate."""
    root, handler = logging.getLogger(), logging.StreamHandler(stream := StringIO())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def make_config(*urls: str) -> AppriseConfig:
    return AppriseConfig.model_validate(urls[0] if len(urls) == 1 else list(urls))


def parse_body(request: bytes) -> dict[str, str]:
    body = json.loads(request.partition(b"\r\n\r\n")[2])
    assert isinstance(body, dict)
    return body


@pytest.mark.usefixtures("daemon_threads")
async def test_send_apprise_request_has_title_lines_and_severity() -> None:
    heard: list[bytes] = []
    async with serving(http_answer("200 OK", heard=heard)) as port:
        channel = Channel("chat", "apprise", make_config(f"json://127.0.0.1:{port}/{TOKEN}"))
        assert await send_batch(channel, make_batch(make_alert("a<b", "x & y"), make_alert("c"))) == "sent: json"
        await send_batch(channel, make_batch(kind="resolved"))
    body = parse_body(heard[0])
    assert (body["title"], body["type"]) == ("2 services are down", "failure")
    assert [line.split(" (")[0] for line in body["message"].splitlines()] == [
        "a<b is down: x & y",
        "c is down: connection refused",
    ]
    assert parse_body(heard[1])["type"] == "success"
    assert b"user-agent: vigilbase" in heard[0].lower()
    assert CHANNELS["apprise"].can_batch
    assert CHANNELS["apprise"].describe(channel.config) == "json"
    assert TOKEN not in repr(channel)


@pytest.mark.usefixtures("daemon_threads")
async def test_send_apprise_failure_has_reason_and_no_secret_is_logged(log_stream: StringIO, tmp_path: Path) -> None:
    async with serving(http_answer("401 Unauthorized")) as port:
        url = f"json://user:{TOKEN}@127.0.0.1:{port}/{TOKEN}?-key={TOKEN}"
        with pytest.raises(TemporaryDeliveryError, match=r"^json: Failed to send JSON POST .*error=401\.$"):
            await send_apprise(make_config(url), make_batch())
    with pytest.raises(TemporaryDeliveryError, match=r"^json: A Connection error occurred") as failure:
        await send_apprise(make_config(f"json://{TOKEN}.localhost:{free_port()}/"), make_batch())
    assert TOKEN not in str(failure.value) + log_stream.getvalue()
    assert list(tmp_path.rglob("*")) == []  # the home directory of the test


@pytest.mark.usefixtures("daemon_threads")
async def test_send_apprise_retry_goes_only_to_failed_addresses() -> None:
    first: list[bytes] = []
    second: list[bytes] = []
    batch = make_batch()
    async with serving(http_answer("200 OK", heard=first)) as port:
        answers = ["503 Service Unavailable", "200 OK"]

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await http_answer(answers[len(second)], heard=second)(reader, writer)

        async with serving(answer) as other:
            both = make_config(f"json://127.0.0.1:{port}", f"xml://127.0.0.1:{other}")
            with pytest.raises(TemporaryDeliveryError, match=r"^xml: .*503"):
                await send_apprise(both, batch)
            assert await send_apprise(both, batch) == "sent: json, xml"
    assert (len(first), len(second)) == (1, 2)


@pytest.mark.usefixtures("daemon_threads")
async def test_send_apprise_hanging_service_delays_no_other_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "TIME_LIMIT_S", 3)
    heard: list[bytes] = []
    async with serving(silent) as hanging, serving(http_answer("200 OK", heard=heard)) as port:
        slow = make_config(*(f"json://127.0.0.1:{hanging}/{number}?rto=60" for number in range(10)))
        sending = asyncio.create_task(send_apprise(slow, make_batch()))
        assert await send_apprise(make_config(f"json://127.0.0.1:{port}"), make_batch()) == "sent: json"
        with pytest.raises(TemporaryDeliveryError, match=r"^json: no answer within 3 s; json: no"):
            await sending
    assert len(heard) == 1


async def test_send_apprise_hanging_service_does_not_delay_exit() -> None:
    program = (
        "import sys\n"
        "from tests.support.batches import make_batch\n"
        "from vigilbase.channels import apprise\n"
        "from vigilbase.cli.session import run_command\n"
        "apprise.TIME_LIMIT_S = 0.3\n"
        "config = apprise.AppriseConfig.model_validate(sys.argv[1])\n"
        "run_command(apprise.send_apprise(config, make_batch()))\n"
    )
    async with serving(silent) as port:
        command = [sys.executable, "-c", program, f"json://127.0.0.1:{port}?rto=600&cto=600"]
        # With the threads of Python's pool, or of Apprise, this would take ten minutes.
        ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    assert "TemporaryDeliveryError: json: no answer within 0.3 s" in ended.stderr


@pytest.mark.usefixtures("daemon_threads")
async def test_send_apprise_starts_no_non_daemon_threads() -> None:
    async with serving(http_answer("200 OK")) as port:
        await send_apprise(make_config(f"json://127.0.0.1:{port}"), make_batch())
    assert {thread.name for thread in threading.enumerate() if not thread.daemon} == {"MainThread"}


@pytest.mark.parametrize("url", ["", "hunter2", "http://hunter2", "slack://hunter2", "json://h\nhunter2", " json://h"])
def test_apprise_config_unsupported_address_is_rejected_without_quoting(url: str, log_stream: StringIO) -> None:
    for value in (url, [url]):
        with pytest.raises(ValidationError, match="must be an address that Apprise supports") as rejection:
            AppriseConfig.model_validate(value)
        assert "hunter2" not in str(rejection.value) + log_stream.getvalue()
    with pytest.raises(ValidationError):
        AppriseConfig.model_validate([])


def test_apprise_library_is_imported_on_first_use_only() -> None:
    program = "import sys, vigilbase.cli.main; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.usefixtures("daemon_threads")
async def test_send_apprise_hanging_service_uses_no_shared_threads() -> None:
    """Probes resolve names in the shared threads."""
    async with serving(silent) as port:
        hanging = make_config(f"json://127.0.0.1:{port}/{TOKEN}")
        attempts = [asyncio.ensure_future(send_apprise(hanging, make_batch())) for _ in range(MAX_THREADS + 5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await asyncio.gather(*(asyncio.to_thread(int) for _ in range(64)))
        assert not any(attempt.done() for attempt in attempts)
        for attempt in attempts:
            attempt.cancel()
        await asyncio.wait(attempts)
