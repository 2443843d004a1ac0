"""What the composition root offers is there, though it is imported late."""

from __future__ import annotations

import pytest

from bridge import app


@pytest.mark.parametrize("name", app.__all__)
def test_every_offered_name_exists(name: str) -> None:
    """A renamed part is missed by no import that a type checker sees, so every name is fetched."""
    assert getattr(app, name) is not None
