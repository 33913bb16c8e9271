"""The silences and maintenance windows that matter to a claim, loaded once for all of its batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from vigilbase.alerts.suppression import ActiveSuppression, find_suppression, find_suppression_throughout
from vigilbase.models import Suppression, SuppressionModel


@dataclass(frozen=True, slots=True)
class ActiveSilences:
    """The suppressions that haven't ended, and those that ended after the moment for which they were loaded."""

    suppressions: Sequence[Suppression] = ()

    def find(self, service_name: str, tags: Sequence[str], now: datetime) -> ActiveSuppression | None:
        """What suppresses notifications about a service at a moment, if anything does."""
        return find_suppression(service_name, tags, now, self.suppressions)

    def find_throughout(
        self, service_name: str, tags: Sequence[str], since: datetime, until: datetime
    ) -> ActiveSuppression | None:
        """What suppressed them without a gap from one moment to another, if anything did."""
        return find_suppression_throughout(service_name, tags, since, until, self.suppressions)


async def load_no_silences(since: datetime | None = None) -> ActiveSilences:
    """No suppressions, for a worker without silences."""
    return ActiveSilences()


async def load_active_silences(since: datetime | None = None) -> ActiveSilences:
    """What the database holds that hasn't ended, or that has ended since a moment.

    Raises:
        DatabaseError: the database fails.

    """
    # Ended ones decide only about resolutions whose trigger was never attempted: nothing was sent, so nothing must be.
    found = await (SuppressionModel.find_current() if since is None else SuppressionModel.find_since(since))
    return ActiveSilences(found)
