"""CPU time and memory of a process with its children, as Linux counts them."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024


def list_processes(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, task.read_text("ascii").split())
            except OSError:
                continue  # it ended meanwhile
    return found


def measure_cpu_s(pid: int) -> float:
    """Seconds of CPU that the process, its children, and those that ended have taken."""
    total = 0.0
    for one in list_processes(pid):
        try:
            # clock_getcpuclockid(3): to the nanosecond, where /proc counts in hundredths.
            total += time.clock_gettime((~one << 3) | 2)
            after_name = Path(f"/proc/{one}/stat").read_text("ascii").rpartition(") ")[2].split()
            total += (int(after_name[13]) + int(after_name[14])) / _TICK
        except OSError:
            continue
    return total


def measure_rss_mb(pid: int) -> float:
    """Megabytes of memory that the process and its children have."""
    total = 0
    for one in list_processes(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text("utf-8")
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")
        )
    return total * _KIB / 1e6
