"""The kinds of probes: one module each, and one entry in `PROBES`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from vigilbase.domain import ProbeResult
from vigilbase.probes.dns import DnsTarget, probe_dns
from vigilbase.probes.http import HttpTarget, probe_http
from vigilbase.probes.postgres import PostgresTarget, probe_postgres
from vigilbase.probes.python import PythonTarget, probe_python
from vigilbase.probes.redis import RedisTarget, probe_redis
from vigilbase.probes.run import ProbeSkippedError, run_probe
from vigilbase.probes.tcp import TcpTarget, probe_tcp
from vigilbase.probes.tls import TlsTarget, probe_tls

Target = TypeVar("Target", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ProbeKind(Generic[Target]):
    """A kind of probe: the model of its fields in the file, and a function of target and timeout (s) that probes."""

    target: type[Target]
    probe: Callable[[Target, float], Awaitable[ProbeResult]]

    def bind(self, values: Mapping[str, object], timeout: float) -> Callable[[], Awaitable[ProbeResult]]:
        """Make the probe of one service.

        Raises:
            pydantic.ValidationError: a value is invalid for this kind.

        """
        return partial(self.probe, self.target.model_validate(values), timeout)


PROBES: Mapping[str, ProbeKind[Any]] = {
    "http": ProbeKind(HttpTarget, probe_http),
    "tcp": ProbeKind(TcpTarget, probe_tcp),
    "tls": ProbeKind(TlsTarget, probe_tls),
    "dns": ProbeKind(DnsTarget, probe_dns),
    "postgres": ProbeKind(PostgresTarget, probe_postgres),
    "redis": ProbeKind(RedisTarget, probe_redis),
    "python": ProbeKind(PythonTarget, probe_python),
}

__all__ = ["PROBES", "ProbeKind", "ProbeSkippedError", "run_probe"]
