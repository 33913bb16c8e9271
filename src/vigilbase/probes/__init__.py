"""The kinds of probes: one module each, which is imported when a service of that kind is first looked up."""

from collections.abc import Mapping

from vigilbase.extras import LazyKinds
from vigilbase.probes.kind import ProbeKind

PROBES: Mapping[str, ProbeKind] = LazyKinds(
    "vigilbase.probes", ("http", "tcp", "tls", "dns", "postgres", "redis", "python"), extra="probes", noun="services"
)

__all__ = ["PROBES", "ProbeKind"]
