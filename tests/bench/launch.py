"""Runs a measurement in a folder of its own, and ends whatever it has started."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from tests.bench.generator import WrongAnswer
from tests.bench.measurement import TooShort


def run_in_folder(measure: Callable[[Path], Awaitable[int]]) -> int:
    """The exit code of *measure*, or 1 where a candidate fails or somebody interrupts.

    Everything that was started has ended when this returns. The folder is kept where a candidate
    fails: it has the logs.
    """

    async def begin() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await measure(folder)

    folder, keep = Path(tempfile.mkdtemp(prefix="bridge-bench-")), False
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(begin())
    except (WrongAnswer, TooShort) as error:
        keep = True
        sys.stderr.write(f"{error}\nThe logs are in {folder}.\n")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("interrupted\n")
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 1
