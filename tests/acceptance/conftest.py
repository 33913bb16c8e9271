"""Fixtures of the acceptance tests."""

from collections.abc import Iterator

import pytest

from tests.support.server import free_port
from tests.support.website import Website


@pytest.fixture
def website() -> Iterator[Website]:
    site = Website(free_port())
    site.start()
    yield site
    site.stop()
