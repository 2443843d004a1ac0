"""What a request costs the bridge, beside the barest daemon on the same framework.

``python -m tests.bench``, ``--only invite --rounds 1`` for a quick look, ``--profile invite`` for
where the time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.bench.operations import PATHS
from tests.bench.suite import Options, compare, profile


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=PATHS, help="one path alone")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each pair")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a window")
    parser.add_argument(
        "--profile", choices=PATHS, help="where the bridge spends its time on this path"
    )
    chosen = parser.parse_args()
    paths = (chosen.only,) if chosen.only else PATHS
    options = Options(paths, chosen.rounds, chosen.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="bridge-bench-") as name,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        folder = Path(name)
        if chosen.profile:
            return runner.run(profile(chosen.profile, max(8.0, options.window_s), folder))
        return runner.run(compare(options, folder))


if __name__ == "__main__":
    sys.exit(main())
