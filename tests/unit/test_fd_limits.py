"""Probes leave some of the files that this process may open."""

import pytest

from vigilbase.runner.fd_limits import MAX_CONCURRENT_PROBES, count_probes_for, raise_fd_limit


@pytest.mark.parametrize(("files", "probes"), [(10, 1), (256, 65), (1024, 321), (4096, 500), (1_000_000, 500)])
def test_count_probes_for_grows_with_file_limit_up_to_maximum(files: int, probes: int) -> None:
    assert count_probes_for(files) == probes


def test_raise_fd_limit_allows_from_one_to_maximum_probes() -> None:
    assert 1 <= raise_fd_limit() <= MAX_CONCURRENT_PROBES
