"""How many probes may run at once: as many as there are file descriptors for."""

import resource

MAX_CONCURRENT_PROBES = 500
_WANTED_FILES = 4096
_FILES_PER_PROBE = 3  # a connection, a second one to the other address family, a name lookup
_RESERVED_FILES = 60  # for the database, the program itself, and what users' functions open


def raise_fd_limit() -> int:
    """Raise this process's limit of file descriptors as far as it may; return how many probes may run at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # RLIM_INFINITY is -1 on Linux, so it can't be compared with a number of files.
    if soft != resource.RLIM_INFINITY and soft < _WANTED_FILES:
        soft = _WANTED_FILES if hard == resource.RLIM_INFINITY else max(soft, min(hard, _WANTED_FILES))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MAX_CONCURRENT_PROBES if soft == resource.RLIM_INFINITY else count_probes_for(soft)


def count_probes_for(files: int) -> int:
    """How many probes may run at once in a process that may open so many files."""
    return max(1, min(MAX_CONCURRENT_PROBES, (files - _RESERVED_FILES) // _FILES_PER_PROBE))
