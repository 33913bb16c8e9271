"""The channel `apprise` against real HTTP receivers: what they get, what is said of a failure, and what hangs."""

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

from tests.support.loopback import http_answer, serving, silent
from tests.support.messages import a_message, an_alert
from tests.support.server import free_port
from vigilbase.alerts.channels import CHANNELS, Channel, apprise, deliver
from vigilbase.alerts.channels.apprise import AppriseConfig, send_apprise
from vigilbase.alerts.channels.sending import TemporaryDeliveryError
from vigilbase.threads import MAX_THREADS, DaemonThreads

TOKEN = "hunter2-hunter2"


@pytest.fixture
async def daemon_threads() -> None:
    """As the command line sets them, so that a thread that hangs keeps no test waiting."""
    asyncio.get_running_loop().set_default_executor(DaemonThreads())


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """All that a program logs, if it asks for everything (pytest's own listens to loggers that nobody hears)."""
    root, handler = logging.getLogger(), logging.StreamHandler(stream := StringIO())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def config(*urls: str) -> AppriseConfig:
    return AppriseConfig.model_validate(urls[0] if len(urls) == 1 else list(urls))


def body(request: bytes) -> dict[str, str]:
    found = json.loads(request.partition(b"\r\n\r\n")[2])
    assert isinstance(found, dict)
    return found


@pytest.mark.usefixtures("daemon_threads")
async def test_a_message_arrives_with_title_lines_and_kind() -> None:
    heard: list[bytes] = []
    async with serving(http_answer("200 OK", heard=heard)) as port:
        channel = Channel("chat", "apprise", config(f"json://127.0.0.1:{port}/{TOKEN}"))
        assert await deliver(channel, a_message(an_alert("a<b", "x & y"), an_alert("c"))) == "sent: json"
        await deliver(channel, a_message(kind="resolved"))
    got = body(heard[0])
    assert (got["title"], got["type"]) == ("2 services are down", "failure")
    assert [line.split(" (")[0] for line in got["message"].splitlines()] == [
        "a<b is down: x & y",
        "c is down: connection refused",
    ]
    assert body(heard[1])["type"] == "success"
    assert b"user-agent: vigilbase" in heard[0].lower()
    assert CHANNELS["apprise"].groups
    assert CHANNELS["apprise"].receiver(channel.config) == "json"
    assert TOKEN not in repr(channel)


@pytest.mark.usefixtures("daemon_threads")
async def test_a_failure_is_told_in_apprise_s_words_and_no_log_has_a_secret(logged: StringIO, tmp_path: Path) -> None:
    async with serving(http_answer("401 Unauthorized")) as port:
        url = f"json://user:{TOKEN}@127.0.0.1:{port}/{TOKEN}?-key={TOKEN}"
        with pytest.raises(TemporaryDeliveryError, match=r"^json: Failed to send JSON POST .*error=401\.$"):
            await send_apprise(config(url), a_message())
    with pytest.raises(TemporaryDeliveryError, match=r"^json: A Connection error occurred") as refused:
        await send_apprise(config(f"json://{TOKEN}.localhost:{free_port()}/"), a_message())
    assert TOKEN not in str(refused.value) + logged.getvalue()
    assert list(tmp_path.rglob("*")) == []  # the home folder of the test


@pytest.mark.usefixtures("daemon_threads")
async def test_of_several_addresses_the_next_try_is_for_those_that_failed() -> None:
    first: list[bytes] = []
    second: list[bytes] = []
    message = a_message()
    async with serving(http_answer("200 OK", heard=first)) as port:
        answers = ["503 Service Unavailable", "200 OK"]

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await http_answer(answers[len(second)], heard=second)(reader, writer)

        async with serving(answer) as other:
            both = config(f"json://127.0.0.1:{port}", f"xml://127.0.0.1:{other}")
            with pytest.raises(TemporaryDeliveryError, match=r"^xml: .*503"):
                await send_apprise(both, message)
            assert await send_apprise(both, message) == "sent: json, xml"
    assert (len(first), len(second)) == (1, 2)


@pytest.mark.usefixtures("daemon_threads")
async def test_one_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "TIME_LIMIT_S", 0.3)
    heard: list[bytes] = []
    async with serving(silent) as hanging, serving(http_answer("200 OK", heard=heard)) as port:
        slow = config(*(f"json://127.0.0.1:{hanging}/{number}?rto=60" for number in range(10)))
        sending = asyncio.create_task(send_apprise(slow, a_message()))
        assert await send_apprise(config(f"json://127.0.0.1:{port}"), a_message()) == "sent: json"
        with pytest.raises(TemporaryDeliveryError, match=r"^json: no answer within 0\.3 s; json: no"):
            await sending
    assert len(heard) == 1


async def test_one_that_hangs_does_not_keep_the_program_from_ending() -> None:
    program = (
        "import sys\n"
        "from tests.support.messages import a_message\n"
        "from vigilbase.alerts.channels import apprise\n"
        "from vigilbase.cli.context import run\n"
        "apprise.TIME_LIMIT_S = 0.3\n"
        "config = apprise.AppriseConfig.model_validate(sys.argv[1])\n"
        "run(apprise.send_apprise(config, a_message()))\n"
    )
    async with serving(silent) as port:
        command = [sys.executable, "-c", program, f"json://127.0.0.1:{port}?rto=600&cto=600"]
        # With Python's own threads, or Apprise's, it would end after ten minutes.
        ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert "TemporaryDeliveryError: json: no answer within 0.3 s" in ended.stderr


@pytest.mark.usefixtures("daemon_threads")
async def test_apprise_starts_no_threads_of_its_own() -> None:
    async with serving(http_answer("200 OK")) as port:
        await send_apprise(config(f"json://127.0.0.1:{port}"), a_message())
    assert {thread.name for thread in threading.enumerate() if not thread.daemon} == {"MainThread"}


@pytest.mark.parametrize("url", ["", "hunter2", "http://hunter2", "slack://hunter2", "json://h\nhunter2", " json://h"])
def test_what_apprise_does_not_know_is_refused_and_not_quoted(url: str, logged: StringIO) -> None:
    for value in (url, [url]):
        with pytest.raises(ValidationError, match="is no address that Apprise knows") as wrong:
            AppriseConfig.model_validate(value)
        assert "hunter2" not in str(wrong.value) + logged.getvalue()
    with pytest.raises(ValidationError):
        AppriseConfig.model_validate([])


def test_the_library_is_loaded_when_it_is_needed() -> None:
    program = "import sys, vigilbase.cli.main; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.usefixtures("daemon_threads")
async def test_a_service_that_never_comes_to_an_end_takes_no_thread_of_others() -> None:
    """As names are resolved in, for every probe."""
    async with serving(silent) as port:
        hanging = config(f"json://127.0.0.1:{port}/{TOKEN}")
        messages = [asyncio.ensure_future(send_apprise(hanging, a_message())) for _ in range(MAX_THREADS + 5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await asyncio.gather(*(asyncio.to_thread(int) for _ in range(64)))
        assert not any(message.done() for message in messages)
        for message in messages:
            message.cancel()
        await asyncio.wait(messages)
