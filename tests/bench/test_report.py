"""What a run's report says, and what it finds when it looks at an earlier one."""

from __future__ import annotations

import copy
from typing import Any

from tests.bench import report
from tests.bench.ledger import Ledger
from tests.bench.measurement import Percentiles
from tests.bench.suite import Found, Options


def build(bridge_ms: float = 0.5) -> dict[str, Any]:
    """The report of two rounds in which FLOOR needed 1 ms and FastAPI 4 ms."""
    found = Found(direct=Percentiles(0.1, 0.2))
    for name, ms in (("floor", 1.0), ("control", 1.0), ("bridge", bridge_ms), ("fastapi", 4.0)):
        found.cpu_ms[name, "invite"] = [ms, ms]
        found.alone[name, "invite"] = Percentiles(1.1, 2.2)
        found.under_load[name, "invite"] = [1.0]
        found.redis[name, "invite"] = {"round_trips": 2.0, "commands": 8.0, "cpu_us": 50.0}
        found.redis_bytes[name] = {"open": 1000.0, "completed": 2000.0}
        found.rss_mb[name] = 70.0
        found.ledgers[name] = Ledger(name)
    found.ratios["control", "floor", "invite"] = [1.0, 1.0]
    found.ratios["bridge", "floor", "invite"] = [1.0 / bridge_ms] * 2
    found.ratios["bridge", "fastapi", "invite"] = [4.0 / bridge_ms] * 2
    return report.build_report(found, Options())


def test_ratios_say_how_much_more_the_bridge_can_do() -> None:
    """With half of FLOOR's CPU for a request the bridge has twice its capacity, and eight times
    FastAPI's; equals have one.
    """
    made = build()
    assert made["capacity_ratio"] == {
        "floor": {"invite": 2.0},
        "fastapi": {"invite": 8.0},
        "control": {"invite": 1.0},
    }
    assert made["idle_ms"]["bridge"]["over_direct"] == {"p50": 1.0, "p99": 2.0}
    assert (made["lost"], made["duplicates"]) == (0, 0)


def test_every_figure_can_be_printed() -> None:
    """The table and the rows for the README name each path."""
    made = build()
    assert any("2.00 (2.00-2.00)" in line for line in report.build_table(made))
    assert list(report.build_markdown(made)) == [
        "| invite | 2.00 (2.00-2.00) | 8.00 (8.00-8.00) | 0.50 |"
    ]


def test_equal_reports_have_nothing_to_say() -> None:
    """Compared with itself, nothing has moved."""
    assert list(report.compare(build(), build())) == []


def test_what_moved_is_said() -> None:
    """A ratio, a number of round trips and a size that differ are named, with both values."""
    last = build()
    now = copy.deepcopy(build(bridge_ms=1.0))
    now["redis"]["bridge"]["invite"]["round_trips"] = 5.0
    now["redis_bytes"]["bridge"]["open"] = 1300.0
    assert list(report.compare(now, last)) == [
        "invite / floor: 2.00 -> 1.00 (-50%)",
        "invite / fastapi: 8.00 -> 4.00 (-50%)",
        "invite, Redis round trips: 2.0 -> 5.0",
        "bytes of an invitation, open: 1000 -> 1300",
    ]
