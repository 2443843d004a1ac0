"""What holds for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import stalls

TESTS = Path(__file__).parent
REAL_MACHINERY = (
    "browser",
    "cli",
    "flows",
    "install",
    "processes",
    "store",
    "topologies",
    "vendors",
)
"""Folders whose tests start processes, servers and real connections with real deadlines."""


def pytest_configure() -> None:
    """Know from the start when the machine stands still."""
    stalls.watch()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests without a docstring: it is the promise that the test keeps.

    Try a failed test of real machinery twice more, and name it in the summary: on a machine that
    stands still for seconds a deadline of the bridge passes although the bridge is right. Rules,
    which need no machinery, get one try.
    """
    silent = sorted({item.nodeid.partition("[")[0] for item in items if not _promise(item)})
    if silent:
        raise pytest.UsageError(
            "a test needs a docstring, its promise in one sentence: " + ", ".join(silent)
        )
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in REAL_MACHINERY:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=5))


def _promise(item: pytest.Item) -> str:
    function = getattr(item, "function", None)
    # Items that are no functions (doctests, say) have nowhere to put one.
    return "-" if function is None else (function.__doc__ or "").strip()
