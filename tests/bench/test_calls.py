"""How much work a request is, counted in function calls: that does not depend on the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.profiling import count_calls

CEILINGS = {"invite": 2130, "callback": 4180, "results": 640, "tests": 245}
"""Calls of one request, C functions included, and a tenth on top for other versions of Python.

Lower them when a request gets cheaper: ``python -m tests.bench --calls``.
"""


@pytest.mark.redis
async def test_requests_take_no_more_work(tmp_path: Path) -> None:
    """None of the four paths takes more function calls than it did."""
    counts = await count_calls(tmp_path)
    assert {path: count for path, count in counts.items() if count > CEILINGS[path]} == {}
