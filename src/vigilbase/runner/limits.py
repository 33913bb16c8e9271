"""How many probes may run at once: as many as there are file descriptors for."""

import resource

MAX_PROBES_AT_ONCE = 500
_WANTED_FILES = 4096
_FILES_OF_A_PROBE = 3  # a connection, a second one to the other kind of address, a lookup
_FILES_BESIDE = 60  # the database, the program itself, what the user's functions open


def probes_at_once() -> int:
    """How many probes this process may run at once, once it has asked the system for as many files as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _WANTED_FILES:
        soft = _WANTED_FILES if hard == resource.RLIM_INFINITY else max(soft, min(hard, _WANTED_FILES))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_PROBES_AT_ONCE if soft == resource.RLIM_INFINITY else probes_for(soft)


def probes_for(files: int) -> int:
    """How many probes may run at once in a process that may open so many files."""
    return max(1, min(MAX_PROBES_AT_ONCE, (files - _FILES_BESIDE) // _FILES_OF_A_PROBE))
