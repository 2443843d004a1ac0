"""``python -m tests.chaos.shifted_bridge FILE COMMAND``: the bridge's command on a host whose clock
is wrong by as many seconds as FILE says at the moment.

All of Python's wall clocks are shifted, none of its monotonic ones: as when somebody sets a host's
clock.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import time_machine

from bridge.__main__ import main

_LOOK_EVERY_S = 0.05


def follow(file: Path) -> None:
    """Shift the clock as *file* says, from now on."""
    shifted_s = _read(file)
    traveller = time_machine.travel(timedelta(seconds=shifted_s)).start()
    time.time()  # the shifted clock begins to go when it is first looked at

    def look() -> None:
        nonlocal shifted_s
        while True:
            time.sleep(_LOOK_EVERY_S)
            wanted_s = _read(file)
            if wanted_s != shifted_s:
                traveller.shift(wanted_s - shifted_s)
                shifted_s = wanted_s

    threading.Thread(target=look, name="clock", daemon=True).start()


def _read(file: Path) -> float:
    return float(file.read_text("ascii"))


if __name__ == "__main__":
    follow(Path(sys.argv.pop(1)))
    main()
