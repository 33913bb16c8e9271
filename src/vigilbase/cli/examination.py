"""What `vigilbase doctor` finds out about the database."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from vigilbase.cli.context import embedded_if_chosen
from vigilbase.cli.examine_schema import examine_privileges, examine_schema, examine_writing
from vigilbase.cli.findings import GRANT, Finding, ok, problem, warning
from vigilbase.cli.owed import remedy_of_off, switched_off, tell_off, tell_owed, tell_unnamed
from vigilbase.clock import monotonic, utc_now
from vigilbase.config.supabase import get_supabase_service_client as service_client
from vigilbase.database.blindness import SEE_ROWS, hidden_from
from vigilbase.database.client import ServiceClient
from vigilbase.database.host import encoding_warning, role_warning
from vigilbase.database.values import parse_timestamp
from vigilbase.errors import (
    AccessRefusedError,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailableError,
    EmbeddedPostgresError,
    VigilbaseError,
)
from vigilbase.models import DeliveryModel
from vigilbase.settings import Settings, chosen_transport, database_variable
from vigilbase.spec import Spec
from vigilbase.vocabulary import JSON

MAX_CLOCK_DIFFERENCE = timedelta(seconds=2)
ROLE_INFO = "vigilbase_role_info"


async def examine_database(settings: Settings, file: Path, spec: Spec | None) -> list[Finding]:
    """The connection and all that lies behind it, as far as it can be looked at; what the file says of channels."""
    try:
        async with embedded_if_chosen(settings):
            findings = await _examine(settings, service_client())
            is_reached = all(finding.verdict != "problem" for finding in findings if finding.subject == "connection")
            return findings + (await _examine_channels(file, spec) if is_reached else [])
    except EmbeddedPostgresError as error:
        return [problem("connection", str(error))]


async def _examine(settings: Settings, client: ServiceClient) -> list[Finding]:
    over_data_api = chosen_transport(settings) == "supabase"
    began = monotonic()
    try:
        info: Mapping[str, JSON] | DatabaseError = await _role_info(client)
    except ConfigurationError as error:
        return [problem("connection", str(error))]
    except DatabaseError as error:
        info = error
    reached_in_ms = round((monotonic() - began) * 1000)
    # Over Postgres a refused role has been let in; over the Data API it is the key that was refused.
    no_way_in = (DatabaseUnavailableError, AccessRefusedError) if over_data_api else DatabaseUnavailableError
    if isinstance(info, no_way_in):
        findings = [problem("connection", str(info), _advice(over_data_api=over_data_api))]
        # The migrations may go another way.
        return findings + (await examine_schema(settings) if over_data_api and settings.database_url else [])
    version = "" if isinstance(info, DatabaseError) else f", PostgreSQL {info.get('server_version')}"
    return [
        ok("connection", f"reached in {reached_in_ms} ms{version}"),
        _examine_role(info),
        *await examine_schema(settings),
        *await examine_privileges(client),
        await examine_writing(client),
        *_examine_encoding(info),
        await _examine_clock(client),
    ]


async def _role_info(client: ServiceClient) -> Mapping[str, JSON]:
    answer = await client.call(ROLE_INFO)
    if not isinstance(answer, Mapping):
        raise ConfigurationError("that is no answer of a Supabase Data API: is SUPABASE_URL the project's URL?")
    return answer


def _advice(*, over_data_api: bool) -> str:
    if over_data_api:
        return "is SUPABASE_URL the project's, is the key one of its secret keys, and is the project awake?"
    return f"are host, port, user, password and database in {database_variable()} right, and does the server run?"


def _examine_role(info: Mapping[str, JSON] | DatabaseError) -> Finding:
    match info:
        case AccessRefusedError():
            return problem("role", str(info), GRANT)
        case DatabaseError():
            return warning("role", "can't be looked at in this schema", "see below")
    role = str(info.get("role"))
    if info.get("is_blind") is not False:
        return problem("role", hidden_from(role), SEE_ROWS)
    if said := role_warning(role):
        return warning("role", *said)
    return ok("role", f"{role}, which sees every row")


def _examine_encoding(info: Mapping[str, JSON] | DatabaseError) -> list[Finding]:
    said = None if isinstance(info, DatabaseError) else encoding_warning(str(info.get("server_encoding")))
    return [warning("encoding", *said)] if said else []


async def _examine_clock(client: ServiceClient) -> Finding:
    """The database's clock against ours in the middle of a call, now that there is a connection."""
    before = utc_now()
    try:
        now = (await _role_info(client)).get("now")
        theirs = parse_timestamp(str(now))
    except (VigilbaseError, ValueError):
        return warning("clock", "can't be compared in this schema", "see above, and look again")
    return compare_clocks(before + (utc_now() - before) / 2, theirs)


async def _examine_channels(file: Path, spec: Spec | None) -> list[Finding]:
    """Whether messages go out."""
    try:
        states = await DeliveryModel.find_channels()
    except DatabaseError:
        return [warning("messages", "can't be looked at in this schema", "see above, and look again")]
    now = utc_now()
    findings = [
        problem("messages", f"{state.channel} was {tell_off(state, now)}", remedy_of_off(state))
        for state in switched_off(states)
    ]
    findings += [
        warning(
            "messages",
            f"{state.failing:,} to {state.channel} tried in vain, and tried again: {state.last_error}",
            f"`vigilbase channels test {state.channel}` tries it now",
        )
        for state in states
        if state.failing and state.off_reason is None
    ]
    named = list(spec.channels) if spec else [state.channel for state in states]
    findings += [warning("messages", found, advice) for found, advice in tell_unnamed(states, named, file)]
    given_up = [f"{state.given_up:,} to {state.channel}" for state in states if state.given_up]
    if given_up:
        advice = "`vigilbase deliveries list` says which and why; `deliveries retry` tries again, `cancel` drops one"
        findings.append(warning("messages", f"given up: {', '.join(given_up)}", advice))
    owed = ", ".join(f"{state.channel}: {tell_owed(state)}" for state in states if state.waiting or state.withheld)
    return findings or [ok("messages", owed or "all that is owed went out")]


def compare_clocks(ours: datetime, theirs: datetime) -> Finding:
    """What it means that our clock shows one time when the database's shows another."""
    ahead = theirs - ours
    where = "behind" if ahead < timedelta(0) else "ahead of"
    found = f"the database's is {abs(ahead).total_seconds():.1f} s {where} this machine's"
    if abs(ahead) > MAX_CLOCK_DIFFERENCE:
        return warning("clock", found, "set both by NTP: the times of checks and of alerts don't fit together")
    return ok("clock", found)
