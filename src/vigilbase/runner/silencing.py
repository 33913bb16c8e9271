"""What withholds messages just now, as the delivery pass asks for it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from vigilbase.alerts.silencing import withheld_until
from vigilbase.models import MaintenanceModel, SilenceModel


async def load_silencing() -> Callable[[str, Sequence[str], datetime], datetime | None]:
    """Until when messages about a service (name, tags) are withheld at a moment, by what the database holds now.

    Raises:
        DatabaseError: the database fails.

    """
    silences, windows = await asyncio.gather(SilenceModel.find_current(), MaintenanceModel.find_current())
    return lambda service_name, tags, now: withheld_until(service_name, tags, now, silences, windows)
