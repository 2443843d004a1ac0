"""A world for each test."""

from __future__ import annotations

import pytest

from tests.service.fakes import World


@pytest.fixture
def world() -> World:
    """Use cases with nothing in the store."""
    return World()
