"""What `vigilbase doctor` finds out about the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from vigilbase.cli.context import RESTORE, WITHOUT_DDL, embedded_if_chosen, find_pending
from vigilbase.cli.owed import remedy_of_off, switched_off, tell_off, tell_owed, tell_unnamed
from vigilbase.clock import monotonic, utc_now
from vigilbase.config.supabase import get_supabase_service_client as service_client
from vigilbase.database.blindness import SEE_ROWS, BlindRoleError, hidden_from
from vigilbase.database.client import ServiceClient
from vigilbase.database.migrate import Migration, discover
from vigilbase.database.schema import Privileges, find_lost, missing_privileges, read_privileges, schema_of
from vigilbase.database.values import parse_timestamp
from vigilbase.errors import (
    AccessRefusedError,
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailableError,
    EmbeddedPostgresError,
    MissingSchemaError,
    VigilbaseError,
)
from vigilbase.models import DeliveryModel
from vigilbase.settings import Settings, chosen_transport
from vigilbase.spec import Spec
from vigilbase.vocabulary import JSON

MAX_CLOCK_DIFFERENCE = timedelta(seconds=2)
ACCESS = "vigilbase_access_v1"

GRANT = "connect as the tables' owner or as service_role, or GRANT the role what is missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a subject, how bad it is, and what to do."""

    subject: str
    verdict: Literal["ok", "warning", "problem"]
    found: str
    advice: str = ""


def ok(subject: str, found: str, advice: str = "") -> Finding:
    """All is well."""
    return Finding(subject, "ok", found, advice)


def warning(subject: str, found: str, advice: str = "") -> Finding:
    """It works, but not as well as it should, or not for long."""
    return Finding(subject, "warning", found, advice)


def problem(subject: str, found: str, advice: str = "") -> Finding:
    """It doesn't work."""
    return Finding(subject, "problem", found, advice)


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
        access: Mapping[str, JSON] | DatabaseError = await _access(client)
    except ConfigurationError as error:
        return [problem("connection", str(error))]
    except DatabaseError as error:
        access = error
    reached_in_ms = round((monotonic() - began) * 1000)
    # Over Postgres a refused role has been let in; over the Data API it is the key that was refused.
    no_way_in = (DatabaseUnavailableError, AccessRefusedError) if over_data_api else DatabaseUnavailableError
    if isinstance(access, no_way_in):
        findings = [problem("connection", str(access), _advice(over_data_api=over_data_api))]
        # The migrations may go another way.
        return findings + (await _examine_schema(settings, None) if over_data_api and settings.database_url else [])

    privileges = await _privileges(client)
    version = f", PostgreSQL {privileges.server_version}" if isinstance(privileges, Privileges) else ""
    return [
        ok("connection", f"reached in {reached_in_ms} ms{version}"),
        _examine_role(access),
        *await _examine_schema(settings, client),
        _examine_privileges(privileges),
        await _examine_clock(client),
    ]


async def _access(client: ServiceClient) -> Mapping[str, JSON]:
    answer = await client.call(ACCESS)
    if not isinstance(answer, Mapping):
        raise ConfigurationError("that is no answer of a Supabase Data API: is SUPABASE_URL the project's URL?")
    return answer


async def _privileges(client: ServiceClient) -> Privileges | DatabaseError:
    try:
        return await read_privileges(client, schema_of(discover()))
    except DatabaseError as error:
        return error


def _advice(*, over_data_api: bool) -> str:
    if over_data_api:
        return "is SUPABASE_URL the project's, is the key one of its secret keys, and is the project awake?"
    return "are host, port, user, password and database in DATABASE_URL right, and does the server run?"


def _examine_role(access: Mapping[str, JSON] | DatabaseError) -> Finding:
    match access:
        case AccessRefusedError():
            return problem("role", str(access), GRANT)
        case DatabaseError():
            return warning("role", "can't be looked at in this schema", "see below")
    if access.get("blind") is not False:
        return problem("role", hidden_from(access.get("role")), SEE_ROWS)
    return ok("role", f"{access.get('role')}, which sees every row")


async def _examine_schema(settings: Settings, client: ServiceClient | None) -> list[Finding]:
    try:
        waiting = await find_pending(settings)
        applied = [migration for migration in discover() if migration not in waiting]
        lost = await find_lost(client, applied) if client else []
    except BlindRoleError as error:
        return [problem("schema", hidden_from(error.role), SEE_ROWS)]
    except AccessRefusedError as error:
        return [problem("schema", str(error), GRANT)]
    except VigilbaseError as error:
        return [problem("schema", str(error))]
    findings = []
    if waiting:
        findings.append(_pending(settings, waiting))
    if lost:
        findings.append(problem("schema", f"missing, though its migration is applied: {', '.join(lost)}", RESTORE))
    return findings or [ok("schema", f"up to date, at migration {applied[-1].number:03}")]


def _pending(settings: Settings, waiting: Sequence[Migration]) -> Finding:
    found = "pending: " + ", ".join(f"{migration.number:03}_{migration.name}" for migration in waiting)
    match chosen_transport(settings):
        case "embedded":
            return warning("schema", found, "the next `vigilbase up` applies it")
        case "supabase" if settings.database_url is None:
            return problem("schema", found, WITHOUT_DDL)
        case _:
            return problem("schema", found, "run `vigilbase migrate`")


def _examine_privileges(privileges: Privileges | DatabaseError) -> Finding:
    match privileges:
        case MissingSchemaError():
            return warning("privileges", "can't be looked at in this schema", "see above, and look again")
        case DatabaseError():
            return problem("privileges", str(privileges), GRANT)
    lacking = missing_privileges(schema_of(discover()), privileges)
    if lacking:
        return problem("privileges", f"the role lacks {', '.join(lacking)}", GRANT)
    return ok("privileges", f"all of {len(privileges.tables)} tables and {len(privileges.functions)} functions")


async def _examine_clock(client: ServiceClient) -> Finding:
    """The database's clock against ours in the middle of a call, now that there is a connection."""
    before = utc_now()
    try:
        now = (await _access(client)).get("now")
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
