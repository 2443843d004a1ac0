"""What looks after things beside the daemon's work ended without a word at the first mistake, until
the next restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from bridge import serve
from bridge.core.customers import CustomerDirectory
from bridge.process_state import CustomersInForce
from tests.flows.conftest import eventually
from tests.service.fakes import NOW


class Absences:
    """The first look fails as nobody foresaw."""

    looks = 0

    async def update(self, serves: Callable[[str], bool], now: datetime) -> int:
        self.looks += 1
        if self.looks == 1:
            raise ValueError("a bug")
        return 3


async def test_absences_are_looked_for_again() -> None:
    """A customer who is back gets its turn although a look for it failed, and the failure is
    said.
    """
    services = SimpleNamespace(
        tasks=SimpleNamespace(serves=lambda _: True), records=SimpleNamespace(clock=lambda: NOW)
    )
    unserved_customers = Absences()
    runtime: Any = SimpleNamespace(
        customers=CustomersInForce(CustomerDirectory(())),
        unserved_customers=unserved_customers,
        services=services,
    )
    with capture_logs() as logs:
        async with contextlib.AsyncExitStack() as stack:
            serve.start_background_task(stack, "absences", serve.watch_unserved_customers(runtime))
            await eventually(lambda: unserved_customers.looks == 2)
    assert [entry["event"] for entry in logs] == [
        "unserved_customers.check_failed",
        "customers.served_again",
    ]


async def test_a_watch_that_dies_is_told() -> None:
    """Whatever ends a watch but our own end stands in the log."""

    async def dies() -> None:
        raise ValueError("a bug")

    with capture_logs() as logs:
        async with contextlib.AsyncExitStack() as stack:
            serve.start_background_task(stack, "dies", dies())
            serve.start_background_task(stack, "sleeps", asyncio.sleep(3600))
            await eventually(lambda: bool(logs))
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("background_task.died", "error")
    ]
