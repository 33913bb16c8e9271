"""`vigilbase up`, `vigilbase run` and `vigilbase check`."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import typer
from rich.console import Console, ConsoleDimensions, Group
from rich.table import Table

from vigilbase.cli.confirm import is_wanted_there
from vigilbase.cli.context import DEFAULT_CONFIG, AsJson, ConfigFile, out, ready_database, run
from vigilbase.cli.live import Board, picture, redraw, shown
from vigilbase.cli.render import STYLES, new_table, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.errors import ConfigurationError
from vigilbase.logging import get_logger
from vigilbase.probes import observe
from vigilbase.runner.limits import probes_at_once
from vigilbase.runner.loop import Runner
from vigilbase.settings import Transport, chosen_transport, load_settings
from vigilbase.spec import STARTER, ServiceSpec, Spec, load_spec
from vigilbase.vocabulary import Observation

log = get_logger(__name__)

WORTH_TELLING = 200  # a batch is always on its way
CHECKED_AT_ONCE = 10  # more, begun at one moment, would wait for each other and look slow


def up(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Start what is needed, migrate, and watch.

    Services are probed on schedule, checks recorded, and alerts opened and resolved.

    Without a database configured, Vigilbase brings its own Postgres. Without a file, it writes one to begin with.
    It asks before it makes tables in a database of DATABASE_URL that holds other tables and none of its own.
    In a terminal a live table shows what is seen; elsewhere there is a line for each event.

    Example: vigilbase up --config vigilbase.yaml
    """
    if not _exists(config):
        _write_starter(config)
    screen = Console()
    live = screen.is_terminal and not screen.is_dumb_terminal
    spec = load_spec(config)
    if not is_wanted_there(load_settings()):
        return
    run(_watch(spec, migrate=True, screen=screen if live else None))


def run_only(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Watch, and nothing else: for services and containers.

    The database must be there and migrated, and there is a line for each event.

    Example: vigilbase run --config /etc/vigilbase.yaml
    """
    run(_watch(load_spec(config), migrate=False, screen=None))


async def _watch(spec: Spec, *, migrate: bool, screen: Console | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = load_settings()
    async with AsyncExitStack() as stack:
        if not await _enter(stack, ready_database(settings, migrate=migrate), stop, chosen_transport(settings)):
            return
        if screen is None:
            await Runner(spec).run(stop)
        else:
            await _run_shown(spec, stop, screen, chosen_transport(settings))


async def _enter(
    stack: AsyncExitStack, ready: AbstractAsyncContextManager[None], stop: asyncio.Event, transport: Transport
) -> bool:
    """Make the database ready; False if `stop` was set meanwhile, as when the database hangs."""
    starting = asyncio.create_task(stack.enter_async_context(ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done() and transport != "embedded":  # a server that we have begun to start is waited for
        starting.cancel()
        await asyncio.wait({starting})
        return False
    await starting
    return not stop.is_set()


async def _run_shown(spec: Spec, stop: asyncio.Event, screen: Console, transport: Transport) -> None:
    board = Board([service.name for service in spec.services])
    runner = Runner(spec, on_check=board.see)

    def draw(size: ConsoleDimensions) -> Group:
        foot = f"watched: {len(spec.services):,} · recorded: {runner.recorded:,} · {transport} · Ctrl-C stops"
        if runner.unwritten > WORTH_TELLING:
            foot = f"waiting for the database: {runner.unwritten:,} · {foot}"
        return picture(board.rows(runner.states), now=utc_now(), size=size, foot=foot)

    with shown(screen, draw) as live:
        drawing = asyncio.create_task(redraw(live, draw))
        try:
            await runner.run(stop)
        finally:
            drawing.cancel()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a closed folder, a name too long: reading it will say so
        return True


def _write_starter(path: Path) -> None:
    if (other := path.with_suffix(".yml")).is_file() and path == DEFAULT_CONFIG:
        raise ConfigurationError(f"there is a {other}, but no {path}: rename it, or say `--config {other}`")
    try:
        path.write_text(STARTER, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: there is no such file, and none can be written: {error.strerror}") from error
    log.info("starter.written", file=str(path))


def check(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Probe every service once, and record nothing.

    Exit code 1 if something is down.

    Example: vigilbase check --json
    """
    specs = load_spec(config).services
    observations = run(_observe_all(specs))
    if as_json:
        print_json({"checks": [_as_json(*pair) for pair in zip(specs, observations, strict=True)]})
    else:
        out.print(_table(specs, observations))
    if any(observation.status == "down" for observation in observations):
        sys.exit(1)


async def _observe_all(specs: Sequence[ServiceSpec]) -> list[Observation]:
    limit = asyncio.Semaphore(min(CHECKED_AT_ONCE, probes_at_once()))

    async def one(spec: ServiceSpec) -> Observation:
        async with limit:
            return await observe(spec.probe, timeout=spec.timeout, degraded_after=spec.degraded_after, now=utc_now)

    return list(await asyncio.gather(*map(one, specs)))


def _as_json(spec: ServiceSpec, seen: Observation) -> dict[str, object]:
    return {
        "service_name": spec.name,
        "kind": spec.kind,
        "status": seen.status,
        "latency_ms": seen.latency_ms,
        "checked_at": seen.checked_at.isoformat(),
        "error_message": seen.error_message,
        "probe_details": seen.probe_details,
    }


def _table(specs: Sequence[ServiceSpec], observations: Sequence[Observation]) -> Table:
    table = new_table("service", "kind", "status", "latency", "error", wraps={"service", "error"})
    table.columns[3].justify = "right"
    for spec, seen in zip(specs, observations, strict=True):
        table.add_row(
            plain(spec.name), spec.kind, STYLES[seen.status], f"{seen.latency_ms} ms", plain(seen.error_message)
        )
    return table


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(up)
    app.command("run")(run_only)
    app.command()(check)
