"""How the bridge behaves beyond one busy core: ``make bench-scale``.

``durability``: Redis that appends, syncs, replicates. ``vendors``: vendors that take 80 ms.
``workers``: two processes. ``stored``: many invitations in Redis. ``backlog``: many tasks due at
the start. ``memory``: over minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from tests.bench.candidates import REST_CORE, on_core
from tests.bench.durability import compare_modes
from tests.bench.endurance import measure_endurance
from tests.bench.launch import run_in_folder
from tests.bench.many_records import compare_stored, measure_backlog
from tests.bench.several_workers import compare_workers
from tests.bench.slow_vendors import measure_slow_vendors

Part = Callable[[argparse.Namespace, Path], AsyncIterator[str]]
PARTS: Mapping[str, Part] = {
    "durability": lambda chosen, folder: compare_modes(chosen.seconds, folder),
    "vendors": lambda chosen, folder: measure_slow_vendors(chosen.seconds, folder),
    "workers": lambda chosen, folder: compare_workers(chosen.seconds, folder),
    "stored": lambda chosen, folder: compare_stored(chosen.large, chosen.seconds, folder),
    "backlog": lambda chosen, folder: measure_backlog(chosen.large, chosen.seconds, folder),
    "memory": lambda chosen, folder: measure_endurance(chosen.minutes, folder),
}


async def run(chosen: argparse.Namespace, folder: Path) -> int:
    """Print the lines of each part as they come."""
    with on_core(REST_CORE):
        for name in chosen.parts or PARTS:
            sys.stdout.write(f"{name}\n")
            home = folder / name
            home.mkdir()
            async for line in PARTS[name](chosen, home):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS) + "; or all")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a window")
    parser.add_argument("--large", type=int, default=1_000_000, help="invitations stored")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the part memory")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    return run_in_folder(lambda folder: run(chosen, folder))


if __name__ == "__main__":
    sys.exit(main())
