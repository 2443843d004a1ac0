"""What a request costs the bridge, beside the barest daemon on the same framework and an ordinary
FastAPI service: two of them at a time, under load on one core.

``--quick`` ends within a minute; ``--only invite --rounds 1`` is a look at one path; ``--profile
invite`` shows where the bridge spends its time. The figures are in ``.bench/report.json`` as well;
``tests/bench/report.py`` says what its keys mean.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tests.bench import report
from tests.bench.candidates import BRIDGE, CONTROL, DURABILITY, FASTAPI, FLOOR, PEER_PYTHON
from tests.bench.launch import run_in_folder
from tests.bench.operations import JOURNEY, PATHS
from tests.bench.profiling import count_calls, profile
from tests.bench.suite import Options, measure

QUICK = Options(
    rounds=3, budget_s=40.0, window_s=0.5, weighed=200, alone=60, rate_s=0.0, verified=500
)
PATHS_AND_JOURNEY = (*PATHS, JOURNEY)


def say(lines: Iterable[str]) -> None:
    """Lines of the output, at once."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="short windows, no fixed rates")
    parser.add_argument("--only", choices=PATHS_AND_JOURNEY, help="one path alone")
    parser.add_argument("--rounds", type=int, help="windows of each path")
    parser.add_argument("--seconds", type=float, help="length of a window")
    parser.add_argument("--without-fastapi", action="store_true", help="beside FLOOR alone")
    parser.add_argument("--encrypted", action="store_true", help="with encryption at rest")
    parser.add_argument(
        "--durability", choices=DURABILITY, help="how every Redis keeps what it confirms"
    )
    parser.add_argument("--profile", choices=PATHS_AND_JOURNEY, help="where the time goes")
    parser.add_argument("--calls", action="store_true", help="function calls of a request")
    parser.add_argument(
        "--accept", action="store_true", help="make this the report that later ones compare with"
    )
    return parser.parse_args()


def choose_options(chosen: argparse.Namespace) -> Options:
    """What is measured, and for how long."""
    options = QUICK if chosen.quick or chosen.only else Options()
    changes = {
        "paths": (chosen.only,) if chosen.only else None,
        "rounds": chosen.rounds,
        "encrypted": chosen.encrypted,
        "durability": chosen.durability,
        "window_s": chosen.seconds or (2.0 if chosen.only else None),
    }
    return replace(options, **{key: value for key, value in changes.items() if value is not None})


async def run(chosen: argparse.Namespace, folder: Path) -> int:
    """Measure and print; 1 where something was lost, doubled or never asked for."""
    if chosen.calls:
        counts = await count_calls(folder)
        say(f"{path:<10}{count:9.0f} function calls" for path, count in counts.items())
        return 0
    if chosen.profile:
        say(await profile(chosen.profile, chosen.seconds or 8.0, folder))
        return 0
    options = choose_options(chosen)
    kinds = [FLOOR, CONTROL, BRIDGE]
    if chosen.without_fastapi or not PEER_PYTHON.exists():
        say(["without FastAPI" if chosen.without_fastapi else "without FastAPI: see make bench"])
    else:
        kinds.append(FASTAPI)
    found = await measure(kinds, options, folder)
    made = report.build_report(found, options)
    report.write(made, report.FILE)
    say(report.build_table(made))
    say(report.list_faults(found))
    last = report.read_last()
    if last is not None:
        moved = list(report.compare(made, last)) or ["nothing moved"]
        say([f"since {last['date'][:10]} ({last['commit']}):", *(f"  {line}" for line in moved)])
    if "fastapi" in made["capacity_ratio"] and not chosen.only:
        say(["rows for README.md:", *report.build_markdown(made)])
    if chosen.accept and not chosen.only:
        report.write(made, report.LAST)
    return int(bool(report.list_faults(found)))


def main() -> int:
    """Everything that was started has ended when this returns, however it went."""
    chosen = read_arguments()
    return run_in_folder(lambda folder: run(chosen, folder))


if __name__ == "__main__":
    sys.exit(main())
