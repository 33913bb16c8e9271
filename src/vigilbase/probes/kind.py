"""What a kind of probe consists of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

from pydantic import BaseModel

from vigilbase.domain import ProbeResult

Target = TypeVar("Target", bound=BaseModel)
Probe: TypeAlias = Callable[[], Awaitable[ProbeResult]]


@dataclass(frozen=True, slots=True)
class ProbeKind:
    """A kind of probe: the model of its fields in the file, and a function that makes the probe of one service.

    `bind` takes the values of the fields and the timeout in seconds, and raises pydantic.ValidationError if a value is
    invalid.
    """

    target: type[BaseModel]
    bind: Callable[[Mapping[str, object], float], Probe]


def make_kind(target: type[Target], probe: Callable[[Target, float], Awaitable[ProbeResult]]) -> ProbeKind:
    """Make a kind from the model of its target, and a function of target and timeout (s) that probes."""
    return ProbeKind(target, lambda values, timeout: partial(probe, target.model_validate(values), timeout))
