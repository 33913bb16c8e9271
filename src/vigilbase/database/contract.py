"""How a host has changed the two tables of the contract, which its own migrations can reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from vigilbase.database.direct import open_direct_connection


@dataclass(frozen=True, slots=True)
class Change:
    """A difference from migration 012, such as `column public.alert_events.message is missing`.

    With `is_harmful`, Vigilbase can't work with it; otherwise it may read rows that it can't, or miss some.
    """

    text: str
    is_harmful: bool


async def list_changes(conninfo: str, *, timeout: float) -> Sequence[Change]:
    """The changes of the tables that exist, in the order of their columns; `timeout`: seconds to connect.

    Raises:
        DatabaseError: the database can't be reached.

    """
    query = files("vigilbase.database").joinpath("contract.sql").read_text(encoding="utf-8")
    async with open_direct_connection("read the tables", conninfo, timeout) as connection:
        cursor = await connection.execute(query.encode())
        return [Change(str(row["text"]), row["is_harmful"] is True) for row in await cursor.fetchall()]
