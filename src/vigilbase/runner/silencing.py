"""What withholds messages just now, as the delivery pass asks for it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from vigilbase.alerts.silencing import Withheld, withheld
from vigilbase.models import MaintenanceModel, SilenceModel

Silencing: TypeAlias = Callable[[str, Sequence[str], datetime], Withheld | None]
"""Whether messages about a service (name, tags) are withheld at a moment."""


async def nothing_withheld() -> Silencing:
    """No silences."""
    return lambda service_name, tags, now: None


async def load_silencing() -> Silencing:
    """Whether messages about a service (name, tags) are withheld at a moment, by what the database holds now.

    Raises:
        DatabaseError: the database fails.

    """
    silences, windows = await asyncio.gather(SilenceModel.find_current(), MaintenanceModel.find_current())
    return lambda service_name, tags, now: withheld(service_name, tags, now, silences, windows)
