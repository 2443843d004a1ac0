"""A world for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.service.fakes import World


@pytest.fixture
def world() -> World:
    """Use cases with nothing in the store."""
    return World()


@pytest.fixture(autouse=True)
def journal() -> Iterator[list[EventDict]]:
    """What is logged, kept off the screen."""
    with capture_logs() as entries:
        yield entries
