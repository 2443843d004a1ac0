"""What holds for every test."""

from __future__ import annotations

import pytest

from tests import stalls


def pytest_configure() -> None:
    """Know from the start when the machine stands still."""
    stalls.watch()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests without a docstring: it is the promise that the test keeps."""
    silent = sorted({item.nodeid.partition("[")[0] for item in items if not _promise(item)})
    if silent:
        raise pytest.UsageError(
            "a test needs a docstring, its promise in one sentence: " + ", ".join(silent)
        )


def _promise(item: pytest.Item) -> str:
    function = getattr(item, "function", None)
    # Items that are no functions (doctests, say) have nowhere to put one.
    return "-" if function is None else (function.__doc__ or "").strip()
