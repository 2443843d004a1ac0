"""The composition root is loaded by parts, and every part is where it says."""

from __future__ import annotations

from bridge import app


def test_app_offers_what_it_lists() -> None:
    """All that ``bridge.app`` lists can be imported from it, though it is loaded only then."""
    for name in app.__all__:
        assert getattr(app, name) is not None
