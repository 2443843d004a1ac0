"""The world and the journal of the use cases' tests."""

from tests.service.conftest import journal, world

__all__ = ["journal", "world"]
