"""The doctor's checks of the schema: complete, closed to the public, and writable."""

from collections.abc import Mapping, Sequence

from vigilbase.config.session import find_damage, find_pending, find_remedy, open_ddl_postgres
from vigilbase.database.client import ServiceClient
from vigilbase.database.contract import list_changes
from vigilbase.database.host import read_host_at, require_no_strays
from vigilbase.database.migrate import Migration, discover_migrations
from vigilbase.database.row_security import HIDDEN_ROWS_REMEDY, HiddenRowsError, describe_hidden_rows
from vigilbase.database.schema import list_missing_privileges, read_privileges, read_schema
from vigilbase.errors import AccessRefusedError, DatabaseError, MissingSchemaError, VigilbaseError
from vigilbase.settings import Settings, choose_transport
from vigilbase.views.findings import Finding, make_ok, make_problem, make_warning

GRANT = "connect as the tables' owner or as service_role, or GRANT the missing privileges to the role"
SEE_SCHEMA = "fix the schema, then run `vigilbase doctor` again"
SEE_LOG = "see the server's log, then run `vigilbase doctor` again"
TEST_WRITE = "vigilbase_test_write"
# The errors of a database that isn't in UTF8 for the character that the test writes; the encoding check explains them.
UNTRANSLATABLE = ("22P05", "22021", "54000")
REMEDIES: Mapping[str, str] = {
    "25006": "is it a standby, or is default_transaction_read_only set for the role or the database?",
    "53100": "free space on the server's disk",
    "42501": GRANT,
}


async def check_schema(settings: Settings) -> list[Finding]:
    """Pending migrations, missing objects, exposed objects, and tables outside the schema public."""
    try:
        await _require_no_strays(settings)
        pending = await find_pending(settings)
        damage = await find_damage(settings)
    except HiddenRowsError as error:
        return [make_problem("schema", describe_hidden_rows(error.role), HIDDEN_ROWS_REMEDY)]
    except AccessRefusedError as error:
        return [make_problem("schema", str(error), GRANT)]
    except VigilbaseError as error:
        return [make_problem("schema", str(error))]
    findings = [_describe_pending(settings, pending)] if pending else []
    if damage.lost:
        message = f"missing, although its migration is applied: {', '.join(damage.lost)}"
        findings.append(make_problem("schema", message, find_remedy(settings)))
    if not findings:
        findings.append(make_ok("schema", f"up to date, at migration {discover_migrations()[-1].number:03}"))
    if damage.exposed:
        message = f"anon or authenticated can reach {', '.join(damage.exposed)}"
        findings.append(make_problem("public access", message, f"to revoke it, {find_remedy(settings)}"))
    return findings


async def check_tables(settings: Settings) -> list[Finding]:
    """Whether the host has changed the two tables of the contract; the Data API doesn't show it."""
    if not choose_transport(settings).can_run_ddl:
        return []
    try:
        async with open_ddl_postgres(settings) as url:
            changes = await list_changes(url, timeout=settings.timeout)
    except VigilbaseError as error:
        return [make_problem("tables", str(error))]
    if not changes:
        return [make_ok("tables", "as the migrations create them")]
    message = "; ".join(change.text for change in changes)
    if any(change.is_harmful for change in changes):
        return [make_problem("tables", message, "undo this, so that Vigilbase can read and write them")]
    return [make_warning("tables", message, "undo this, or expect rows that can't be read or are missing")]


async def _require_no_strays(settings: Settings) -> None:
    if not choose_transport(settings).can_run_ddl:
        return  # the Data API shows the schema public, and no catalog
    async with open_ddl_postgres(settings) as url:
        require_no_strays(await read_host_at(url, timeout=settings.timeout))


def _describe_pending(settings: Settings, pending: Sequence[Migration]) -> Finding:
    message = "pending: " + ", ".join(f"{migration.number:03}_{migration.name}" for migration in pending)
    if choose_transport(settings).has_own_server:
        return make_warning("schema", message, "the next `vigilbase up` applies it")
    return make_problem("schema", message, find_remedy(settings))


async def check_privileges(client: ServiceClient) -> list[Finding]:
    """Whether the role has every privilege that Vigilbase needs."""
    try:
        privileges = await read_privileges(client)
    except MissingSchemaError:
        return [make_warning("privileges", "can't be checked until the schema is up to date", SEE_SCHEMA)]
    except DatabaseError as error:
        return [make_problem("privileges", str(error), GRANT)]
    if missing := list_missing_privileges(read_schema(discover_migrations()), privileges):
        return [make_problem("privileges", f"the role lacks {', '.join(missing)}", GRANT)]
    tables, functions = len(privileges.tables), len(privileges.functions)
    return [make_ok("privileges", f"complete on {tables} tables and views and {functions} functions")]


async def check_writing(client: ServiceClient) -> Finding:
    """Whether a write really succeeds; it is rolled back."""
    try:
        answer = await client.call(TEST_WRITE)
    except MissingSchemaError:
        return make_warning("writing", "can't be checked until the schema is up to date", SEE_SCHEMA)
    except DatabaseError as error:
        return make_problem("writing", f"a test failed: {error}", SEE_LOG)
    match answer:
        case {"code": "ok"}:
            return make_ok("writing", "a test succeeded, and was rolled back")
        case {"code": str(code), "message": message} if code in UNTRANSLATABLE:
            return make_warning("writing", f"some text can't be written: {message}", "see the encoding below")
        case {"code": str(code), "message": message}:
            return make_problem("writing", f"a test failed: {message} (SQLSTATE {code})", REMEDIES.get(code, SEE_LOG))
    return make_problem("writing", f"call {TEST_WRITE}: the database gave an unexpected answer", SEE_LOG)
