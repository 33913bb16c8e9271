"""Ways of looking at a service: one small file a kind, and one line here."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from vigilbase.probes.dns import DnsTarget, probe_dns
from vigilbase.probes.finding import Finding, ProbeNotPossibleError, observe
from vigilbase.probes.http import HttpTarget, probe_http
from vigilbase.probes.postgres import PostgresTarget, probe_postgres
from vigilbase.probes.python import PythonTarget, probe_python
from vigilbase.probes.redis import RedisTarget, probe_redis
from vigilbase.probes.tcp import TcpTarget, probe_tcp
from vigilbase.probes.tls import TlsTarget, probe_tls

Target = TypeVar("Target", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Target]):
    """A kind of probe: what its services say about it, and how it looks (for so many seconds at the most)."""

    target: type[Target]
    probe: Callable[[Target, float], Awaitable[Finding]]

    def bind(self, values: Mapping[str, object], timeout: float) -> Callable[[], Awaitable[Finding]]:
        """The probe of one service, ready to run.

        Raises:
            pydantic.ValidationError: the values don't fit the kind.

        """
        return partial(self.probe, self.target.model_validate(values), timeout)


KINDS: Mapping[str, Kind[Any]] = {
    "http": Kind(HttpTarget, probe_http),
    "tcp": Kind(TcpTarget, probe_tcp),
    "tls": Kind(TlsTarget, probe_tls),
    "dns": Kind(DnsTarget, probe_dns),
    "postgres": Kind(PostgresTarget, probe_postgres),
    "redis": Kind(RedisTarget, probe_redis),
    "python": Kind(PythonTarget, probe_python),
}

__all__ = ["KINDS", "Finding", "Kind", "ProbeNotPossibleError", "observe"]
