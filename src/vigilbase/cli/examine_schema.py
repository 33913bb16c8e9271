"""What `vigilbase doctor` finds out about the schema: that it is there, closed to visitors, and can be written."""

from collections.abc import Mapping, Sequence

from vigilbase.cli.context import (
    MIGRATE,
    WITHOUT_DDL,
    find_damage,
    find_pending,
    has_only_the_data_api,
    postgres_for_ddl,
    remedy,
)
from vigilbase.cli.findings import GRANT, Finding, ok, problem, warning
from vigilbase.database.blindness import SEE_ROWS, BlindRoleError, hidden_from
from vigilbase.database.client import ServiceClient
from vigilbase.database.host import read_host_at, refuse_strays
from vigilbase.database.migrate import Migration, discover
from vigilbase.database.schema import missing_privileges, read_privileges, schema_of
from vigilbase.errors import AccessRefusedError, DatabaseError, MissingSchemaError, VigilbaseError
from vigilbase.settings import Settings, chosen_transport

TEST_WRITE = "vigilbase_test_write"
# What a database whose encoding isn't UTF8 says of the character that the test writes: of that, the encoding tells.
UNTRANSLATABLE = ("22P05", "22021", "54000")
REMEDIES: Mapping[str, str] = {
    "25006": "is it a standby, or does default_transaction_read_only hold for the role or the database?",
    "53100": "make room on the server's disk",
    "42501": GRANT,
}


async def examine_schema(settings: Settings) -> list[Finding]:
    """What is pending, missing, open to visitors, or in another place."""
    try:
        await _refuse_strays(settings)
        waiting = await find_pending(settings)
        damage = await find_damage(settings)
    except BlindRoleError as error:
        return [problem("schema", hidden_from(error.role), SEE_ROWS)]
    except AccessRefusedError as error:
        return [problem("schema", str(error), GRANT)]
    except VigilbaseError as error:
        return [problem("schema", str(error))]
    findings = [_pending(settings, waiting)] if waiting else []
    if damage.lost:
        found = f"missing, though its migration is applied: {', '.join(damage.lost)}"
        findings.append(problem("schema", found, remedy(settings)))
    exposed = []
    if damage.exposed:
        found = f"anon or authenticated can reach {', '.join(damage.exposed)}"
        exposed.append(problem("visitors", found, f"to take it back, {remedy(settings)}"))
    return (findings or [ok("schema", f"up to date, at migration {discover()[-1].number:03}")]) + exposed


async def _refuse_strays(settings: Settings) -> None:
    if has_only_the_data_api(settings):
        return  # it shows what is in public, and no catalog
    async with postgres_for_ddl(settings) as url:
        refuse_strays(await read_host_at(url, timeout=settings.timeout))


def _pending(settings: Settings, waiting: Sequence[Migration]) -> Finding:
    found = "pending: " + ", ".join(f"{migration.number:03}_{migration.name}" for migration in waiting)
    match chosen_transport(settings):
        case "embedded":
            return warning("schema", found, "the next `vigilbase up` applies it")
        case "supabase" if settings.database_url is None:
            return problem("schema", found, WITHOUT_DDL)
        case _:
            return problem("schema", found, MIGRATE)


async def examine_privileges(client: ServiceClient) -> list[Finding]:
    """What the role may do with all of it."""
    try:
        found = await read_privileges(client)
    except MissingSchemaError:
        return [warning("privileges", "can't be looked at in this schema", "see above, and look again")]
    except DatabaseError as error:
        return [problem("privileges", str(error), GRANT)]
    if lacking := missing_privileges(schema_of(discover()), found):
        return [problem("privileges", f"the role lacks {', '.join(lacking)}", GRANT)]
    return [ok("privileges", f"all of {len(found.tables)} tables and views and {len(found.functions)} functions")]


async def examine_writing(client: ServiceClient) -> Finding:
    """Whether it can be written, and not only that it may: a write that is rolled back."""
    try:
        answer = await client.call(TEST_WRITE)
    except MissingSchemaError:
        return warning("writing", "can't be tried in this schema", "see above, and look again")
    except DatabaseError as error:
        return problem("writing", f"a test failed: {error}")
    match answer:
        case {"code": "ok"}:
            return ok("writing", "a test went through, and was taken back")
        case {"code": str(code), "message": message} if code in UNTRANSLATABLE:
            return warning("writing", f"not all text can be written: {message}", "see the encoding below")
        case {"code": str(code), "message": message}:
            return problem("writing", f"a test failed: {message} (SQLSTATE {code})", REMEDIES.get(code, ""))
    return problem("writing", f"call {TEST_WRITE}: the database answered something else than this program expects")
