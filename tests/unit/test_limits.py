"""Probes don't use up the files that this process may open."""

import pytest

from vigilbase.runner.limits import MAX_PROBES_AT_ONCE, probes_at_once, probes_for


@pytest.mark.parametrize(("files", "probes"), [(10, 1), (256, 65), (1024, 321), (4096, 500), (1_000_000, 500)])
def test_so_many_probes_run_at_once_as_there_are_files_for(files: int, probes: int) -> None:
    assert probes_for(files) == probes


def test_this_process_may_run_some() -> None:
    assert 1 <= probes_at_once() <= MAX_PROBES_AT_ONCE
