"""Says which worlds were new, so that who reads a run can play them again."""

from __future__ import annotations

import pytest

FRESH = "seed of a fresh world"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the seeds, whether the tests passed or not."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, seed in getattr(report, "user_properties", ()):
                if name == FRESH and report.when == "call":
                    again = f"make simulate SEED={seed} SEEDS=1 JOURNEYS=40"
                    terminalreporter.write_line(f"{name}: {seed} ({again})")
