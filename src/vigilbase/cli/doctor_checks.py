"""The doctor's checks of the database: connection, role, encoding, clock, and the state of the channels."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from vigilbase.cli.doctor_schema import GRANT, SEE_SCHEMA, check_privileges, check_schema, check_tables, check_writing
from vigilbase.clock import monotonic, utc_now
from vigilbase.config.session import keep_own_server_running
from vigilbase.config.supabase import get_supabase_service_client as service_client
from vigilbase.configfile import Config
from vigilbase.database.client import ServiceClient
from vigilbase.database.host import warn_of_encoding, warn_of_role
from vigilbase.database.json_codec import parse_timestamp
from vigilbase.database.row_security import HIDDEN_ROWS_REMEDY, describe_hidden_rows
from vigilbase.domain import JSON
from vigilbase.errors import (
    AccessRefusedError,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailableError,
    EmbeddedPostgresError,
    VigilbaseError,
)
from vigilbase.models import ChannelModel, ChannelState
from vigilbase.settings import Settings, Transport, choose_transport, find_database_variable
from vigilbase.views.channel_state import (
    count_notifications,
    describe_disabled,
    describe_enabling,
    warn_of_unnamed_channels,
)
from vigilbase.views.findings import Finding, make_ok, make_problem, make_warning

MAX_CLOCK_DIFFERENCE = timedelta(seconds=2)
ROLE_INFO = "vigilbase_role_info"


async def check_database(settings: Settings, path: Path, config: Config | None) -> list[Finding]:
    """The connection and everything behind it, as far as it can be reached; `config` is the file at `path`."""
    try:
        async with keep_own_server_running(settings):
            findings = await _check_all(settings, service_client())
            is_reached = all(finding.status != "problem" for finding in findings if finding.subject == "connection")
            return findings + (await _check_channels(path, config) if is_reached else [])
    except EmbeddedPostgresError as error:
        return [make_problem("connection", str(error))]


async def _check_all(settings: Settings, client: ServiceClient) -> list[Finding]:
    transport = choose_transport(settings)
    start = monotonic()
    try:
        info: Mapping[str, JSON] | DatabaseError = await _read_role_info(client)
    except ConfigurationError as error:
        return [make_problem("connection", str(error))]
    except DatabaseError as error:
        info = error
    reached_in_ms = round((monotonic() - start) * 1000)
    # A role that Postgres refuses access has connected; a key that the Data API refuses has not.
    no_way_in = (DatabaseUnavailableError, AccessRefusedError) if transport.uses_api_key else DatabaseUnavailableError
    if isinstance(info, no_way_in):
        findings = [make_problem("connection", str(info), _advise_on_connection(transport))]
        # Migrations may take another way than the Data API.
        return findings + (await check_schema(settings) if transport.uses_api_key and transport.can_run_ddl else [])
    version = "" if isinstance(info, DatabaseError) else f", PostgreSQL {info.get('server_version')}"
    return [
        make_ok("connection", f"reached in {reached_in_ms} ms{version}"),
        _check_role(info),
        *await check_schema(settings),
        *await check_tables(settings),
        *await check_privileges(client),
        await check_writing(client),
        *_check_encoding(info),
        await _check_clock(client),
    ]


async def _read_role_info(client: ServiceClient) -> Mapping[str, JSON]:
    answer = await client.call(ROLE_INFO)
    if not isinstance(answer, Mapping):
        raise ConfigurationError("the answer is not from a Supabase Data API: is SUPABASE_URL the project's URL?")
    return answer


def _advise_on_connection(transport: Transport) -> str:
    if transport.uses_api_key:
        return "is SUPABASE_URL the project's URL, is the key one of its secret keys, and is the project awake?"
    variable = find_database_variable()
    return f"are host, port, user, password and database in {variable} right, and is the server running?"


def _check_role(info: Mapping[str, JSON] | DatabaseError) -> Finding:
    match info:
        case AccessRefusedError():
            return make_problem("role", str(info), GRANT)
        case DatabaseError():
            return make_warning("role", "can't be checked until the schema is up to date", SEE_SCHEMA)
    role = str(info.get("role"))
    if info.get("is_blind") is not False:
        return make_problem("role", describe_hidden_rows(role), HIDDEN_ROWS_REMEDY)
    if warning := warn_of_role(role):
        return make_warning("role", *warning)
    return make_ok("role", f"{role}, which sees every row")


def _check_encoding(info: Mapping[str, JSON] | DatabaseError) -> list[Finding]:
    warning = None if isinstance(info, DatabaseError) else warn_of_encoding(str(info.get("server_encoding")))
    return [make_warning("encoding", *warning)] if warning else []


async def _check_clock(client: ServiceClient) -> Finding:
    """Compares the clocks at the middle of a call, now that the connection is open."""
    before = utc_now()
    try:
        database_now = parse_timestamp(str((await _read_role_info(client)).get("now")))
    except (VigilbaseError, ValueError):
        return make_warning("clock", "can't be compared until the schema is up to date", SEE_SCHEMA)
    return compare_clocks(before + (utc_now() - before) / 2, database_now)


async def _check_channels(path: Path, config: Config | None) -> list[Finding]:
    """Whether notifications are delivered."""
    subject = "notifications"
    try:
        states = await ChannelModel.find_all()
    except DatabaseError:
        return [make_warning(subject, "can't be checked until the schema is up to date", SEE_SCHEMA)]
    now = utc_now()
    findings = [
        make_problem(subject, f"{state.channel} was {describe_disabled(state, now)}", describe_enabling(state))
        for state in states
        if state.is_disabled
    ]
    findings += [
        make_warning(
            subject,
            f"{_describe_retrying(state)}: {state.last_error}",
            f"run `vigilbase channels test {state.channel}` to see whether it works now",
        )
        for state in states
        if state.retrying and not state.is_disabled
    ]
    # Without a readable file, nothing can be said about what it names.
    named = list(config.channels) if config else [state.channel for state in states]
    findings += [make_warning(subject, *warning) for warning in warn_of_unnamed_channels(states, named, path)]
    if failed := [f"{state.failed:,} to {state.channel}" for state in states if state.failed]:
        advice = "`vigilbase notifications list` shows them and why; `retry` sends one again, `discard` drops it"
        findings.append(make_warning(subject, f"failed: {', '.join(failed)}", advice))
    counts = ", ".join(
        f"{state.channel}: {count_notifications(state)}" for state in states if count_notifications(state)
    )
    return findings or [make_ok(subject, counts or "none are pending")]


def _describe_retrying(state: ChannelState) -> str:
    noun = "notification is" if state.retrying == 1 else "notifications are"
    return f"{state.retrying:,} {noun} being retried on {state.channel}"


def compare_clocks(ours: datetime, theirs: datetime) -> Finding:
    """How far the database's clock is from this machine's, read at the same moment."""
    difference = theirs - ours
    where = "behind" if difference < timedelta(0) else "ahead of"
    message = f"the database's is {abs(difference).total_seconds():.1f} s {where} this machine's"
    if abs(difference) > MAX_CLOCK_DIFFERENCE:
        return make_warning("clock", message, "synchronize both by NTP, or the times of checks and alerts disagree")
    return make_ok("clock", message)
