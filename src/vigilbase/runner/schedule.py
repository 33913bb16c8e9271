"""When a service is due: pure, in seconds on a monotonic clock.

The n-th probe is due at `phase + n × interval`. The phase is a stable hash of the service's name, so that a thousand
services don't start together. A missed tick is skipped and counted, never made up for in a burst.
"""

from hashlib import sha256

FIRST_PROBES_PER_SECOND = 200


def compute_phase(service_name: str, interval_s: float) -> float:
    """Where in its interval a service is due: from 0 up to, but not including, `interval_s`."""
    # Python's hash() of a text differs in every process; this is the same on every machine and in every version.
    fraction = int.from_bytes(sha256(service_name.encode()).digest()[:8], "big") / 2**64
    return fraction * interval_s


def compute_first_due(service_name: str, interval_s: float, services: int) -> float:
    """In how many seconds the first probe is due: soon, but spread over all services."""
    return compute_phase(service_name, min(interval_s, services / FIRST_PROBES_PER_SECOND))


def compute_next_due(service_name: str, interval_s: float, after: float) -> float:
    """The first moment later than `after` at which the service is due."""
    phase = compute_phase(service_name, interval_s)
    tick = (after - phase) // interval_s + 1
    due = phase + tick * interval_s
    # Floating-point rounding can make `due` equal to `after`.
    return due if due > after else due + interval_s


def count_missed_ticks(previous: float, due: float, interval_s: float) -> int:
    """How many ticks lie between two moments at which the service is due."""
    return round((due - previous) / interval_s) - 1
