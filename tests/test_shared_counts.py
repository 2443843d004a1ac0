"""What processes have counted is one sum, and outlives them."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge import shared_counts
from bridge.shared_counts import MetricsShare, SharedCounts, create_shared_metrics_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where three workers count."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with create_shared_metrics_folder(3) as folder:
        yield folder


WORKER = """
import os, signal, sys
from pathlib import Path
from bridge.shared_counts import MetricsShare, SharedCounts

counts = SharedCounts(MetricsShare(Path(sys.argv[1]), 1))
counts.numbers[counts.find_place(("orders", "acme"))] += 1
place = counts.find_place(("seconds",), 3)
counts.numbers[place] += 0.5
counts.numbers[place + 1] += 1
os.kill(os.getpid(), signal.SIGKILL)
"""


def count(counts: SharedCounts, *name: str, by: tuple[float, ...] = (1,)) -> None:
    place = counts.find_place(name, len(by))
    for number, much in enumerate(by):
        counts.numbers[place + number] += much


def test_alone() -> None:
    """A process that is alone counts for itself; what can come is there as 0."""
    counts, other = SharedCounts(), SharedCounts()
    counts.find_place(("orders", "acme"))
    count(counts, "orders", "globex")
    count(counts, "orders", "globex")
    count(counts, "seconds", by=(0.5, 1, 0))
    count(counts, "orders", "ini\ntech\u2028")
    assert counts.sum_up() == {
        ("orders", "acme"): [0],
        ("orders", "globex"): [2],
        ("seconds",): [0.5, 1, 0],
        ("orders", "ini\ntech\u2028"): [1],
    }
    assert other.sum_up() == {}


def test_together(folder: Path) -> None:
    """Each process has the sum over all, whatever each has counted, in whatever order."""
    first, second, _ = (SharedCounts(MetricsShare(folder, number)) for number in range(3))
    count(first, "orders", "acme")
    count(first, "seconds", by=(0.5, 1, 0))
    count(second, "seconds", by=(1.5, 0, 1))
    count(second, "orders", "globex")
    count(second, "orders", "acme")
    assert first.sum_up() == second.sum_up()
    assert second.sum_up() == {
        ("orders", "acme"): [2],
        ("orders", "globex"): [1],
        ("seconds",): [2, 1, 1],
    }


def test_a_successor_counts_on(folder: Path) -> None:
    """What a worker counted that was killed is there, and its successor counts on."""
    killed = subprocess.run([sys.executable, "-c", WORKER, folder], timeout=100, check=False)
    assert killed.returncode == -signal.SIGKILL
    asked = SharedCounts(MetricsShare(folder, 0))
    assert asked.sum_up() == {("orders", "acme"): [1], ("seconds",): [0.5, 1, 0]}
    successor = SharedCounts(MetricsShare(folder, 1))
    count(successor, "orders", "globex")
    count(successor, "seconds", by=(0.5, 0, 1))
    count(successor, "orders", "acme")
    assert asked.sum_up() == {
        ("orders", "acme"): [2],
        ("seconds",): [1, 1, 1],
        ("orders", "globex"): [1],
    }


@pytest.mark.parametrize("size", [2048, 8192])
def test_full(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """What has no room is not counted, which is said once; all else is right."""
    monkeypatch.setattr(shared_counts, "MEMORY_BYTES", size)
    counts = SharedCounts()
    names = [("orders", f"customer-{number}", "x" * 50) for number in range(200)]
    with capture_logs() as lines:
        for name in names * 2:
            count(counts, *name, by=(1, 2))
    kept = counts.sum_up()
    assert 0 < len(kept) < 200
    assert list(kept) == names[: len(kept)]
    assert set(map(tuple, kept.values())) == {(2, 4)}
    assert [line["event"] for line in lines] == ["metrics.full"]
