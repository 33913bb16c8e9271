"""What withholds messages, as the delivery pass asks for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from vigilbase.alerts.silencing import Withheld, withheld, withheld_throughout
from vigilbase.models import MaintenanceModel, MaintenanceWindow, Silence, SilenceModel


@dataclass(frozen=True, slots=True)
class Silencing:
    """What holds now, and what has ended since the moment for which it was loaded."""

    silences: Sequence[Silence] = ()
    windows: Sequence[MaintenanceWindow] = ()

    def withheld(self, service_name: str, tags: Sequence[str], now: datetime) -> Withheld | None:
        """Whether messages about a service are withheld at a moment, and by what."""
        return withheld(service_name, tags, now, self.silences, self.windows)

    def throughout(self, service_name: str, tags: Sequence[str], since: datetime, until: datetime) -> Withheld | None:
        """What withheld them all the time from one moment to another, if anything did."""
        return withheld_throughout(service_name, tags, since, until, silences=self.silences, windows=self.windows)


async def nothing_withheld(since: datetime | None = None) -> Silencing:
    """No silences."""
    return Silencing()


async def load_silencing(since: datetime | None = None) -> Silencing:
    """By what the database holds now: what is not over, and what has ended since a moment.

    Raises:
        DatabaseError: the database fails.

    """
    if since is None:
        silences, windows = await asyncio.gather(SilenceModel.find_current(), MaintenanceModel.find_current())
    else:
        silences, windows = await asyncio.gather(SilenceModel.find_since(since), MaintenanceModel.find_since(since))
    return Silencing(silences, windows)
