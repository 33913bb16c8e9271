"""When a service is due: pure, on a monotonic clock in seconds.

The n-th probe of a service is due at `phase + n × every`; the phase is spread by a stable hash of its name, so that a
thousand services don't start together. A missed tick is skipped and counted, never made up in a burst.
"""

from hashlib import sha256

FIRST_PROBES_A_SECOND = 200


def phase(service_name: str, every: float) -> float:
    """Where in its interval a service is due, from 0 up to but not including `every`."""
    fraction = int.from_bytes(sha256(service_name.encode()).digest()[:8], "big") / 2**64
    return fraction * every


def first_due(service_name: str, every: float, services: int) -> float:
    """In how many seconds a service is looked at first: soon, but not all of them at once."""
    return phase(service_name, min(every, services / FIRST_PROBES_A_SECOND))


def next_due(service_name: str, every: float, after: float) -> float:
    """The first moment later than `after` at which the service is due."""
    offset = phase(service_name, every)
    turn = (after - offset) // every + 1
    due = offset + turn * every
    return due if due > after else due + every


def missed(previous: float, due: float, every: float) -> int:
    """How many ticks lie unused between two moments at which the service is due."""
    return round((due - previous) / every) - 1
