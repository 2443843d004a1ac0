"""What a million invitations cost: memory for each, and the time of leasing work among them.

``make growth``.

Fills a real Redis through the store's own commits, prints a table, and exits 1 if leasing costs
more than 1.5 times as much among many records as among a thousand. ``--large 100000`` for a quicker
look.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.core import ids
from bridge.core.assessment import Result, Trait
from bridge.core.invitation import (
    CreateAttempt,
    CreateOutcome,
    Invitation,
    OrderClaimChange,
    State,
    Transition,
)
from bridge.core.queueing import LeaseRequest, RetryTask, ScheduleTask, TaskKind
from bridge.store.connect import open_client
from bridge.store.invitation_store import RedisInvitations
from bridge.store.lua_scripts import Command
from bridge.store.redis_access import RedisAccess
from bridge.store.reference_index import RedisReferenceIndex
from bridge.store.task_queue import RedisTasks
from tests.redis_servers import RedisServer, binaries, running

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RETENTION = timedelta(days=365)
WORST = 1.5
DUE = 320
"""Tasks that are due, however many wait for later."""
CUSTOMERS = 20
MANY = 50_000
"""Records of one kind are enough to weigh them."""
_BATCH = 500


@dataclass
class Collected(RedisAccess):
    """Takes commits as the store makes them, and sends many of them together."""

    commands: RedisAccess
    waiting: list[Command] = field(default_factory=list)

    async def run_confirmed(self, command: Command) -> int:
        """Keep it for ``flush``; claims succeed."""
        self.waiting.append(command)
        return 1

    async def run(self, command: Command) -> None:
        """As ``run_confirmed``."""
        self.waiting.append(command)

    async def flush(self) -> None:
        """Send what was kept."""
        await self.commands.run_all(self.waiting)
        self.waiting.clear()


def is_open(number: int) -> Transition:
    """A candidate who was invited, with a look at the invitation planned: the first ones now, the
    others later.
    """
    partition = number % ids.PARTITIONS
    customer = f"customer-{number // ids.PARTITIONS % CUSTOMERS}"
    at = NOW if number < DUE else NOW + timedelta(minutes=1, milliseconds=number)
    invitation = Invitation(
        id=ids.compose_invitation_id(partition, f"{number:024d}"),
        customer=customer,
        order_key=ids.compute_order_key(customer, str(number), "engineer"),
        application_id="3d0a7d5e-0a3b-4b3e-8f0e-6a2a9b1c7d10",
        test_id="engineer",
        test_name="Engineer assessment",
        duration=30,
        state=State.INVITED,
        created_at=NOW,
        updated_at=NOW,
        attempts=(
            CreateAttempt(
                1, "d" * 64, NOW, CreateOutcome.CREATED, f"0b8f5c52-8a3e-4a55-9f0c-{number:012d}"
            ),
        ),
        callback="https://api.softgarden.io/api/rest/v3/assessment/callback/0123456789abcdef",
        assessment_url="https://assessment.equalture.com/en/invitation/0123456789abcdef0123456789abcdef",
        deadline=NOW + timedelta(days=7),
    )
    return Transition(invitation, (ScheduleTask(TaskKind.CHECK, at),), OrderClaimChange.CLAIM)


def is_completed(number: int) -> Transition:
    """A candidate who finished, with six traits described in a sentence each; no work is left."""
    sentence = (
        "Prefers to look at a problem from several sides before settling on a way to solve"
        " it, and explains it well."
    )
    traits = tuple(
        Trait(
            f"trait_{index}",
            "Cognitive flexibility",
            4,
            sentence,
            (4, 5) if index % 2 else (),
        )
        for index in range(6)
    )
    done = replace(
        is_open(number).invitation,
        state=State.COMPLETED,
        started_at=NOW,
        completed_at=NOW,
        confirmed=True,
        result=Result("high", "https://app.equalture.com/candidates/0123456789abcdef", (), traits),
    )
    return Transition(done, (), OrderClaimChange.CLAIM)


def is_tombstone(number: int) -> Transition:
    """A candidate whose data were deleted here and there."""
    invitation = is_open(number).invitation
    attempts = (replace(invitation.attempts[0], anonymised=True),)
    return Transition(
        replace(invitation, state=State.ERASED, order_key="", erased_at=NOW, attempts=attempts)
    )


class Bench:
    """A store and a queue over one Redis that nobody else uses."""

    def __init__(self, commands: RedisAccess, server: RedisServer) -> None:
        self._collected = Collected(commands)
        self._server = server
        place: dict[str, Any] = {"prefix": "bridge", "retention": RETENTION}
        self._store = RedisInvitations(self._collected, clock=lambda: NOW, **place)
        self._references = RedisReferenceIndex(self._collected, **place)
        self._tasks = RedisTasks(commands, **place)

    async def fill(self, make: Callable[[int], Transition], first: int, last: int) -> None:
        """Commit the records from number *first* to the one before *last*."""
        for number in range(first, last):
            await self._store.commit(make(number))
            if number % _BATCH == 0:
                await self._collected.flush()
        await self._collected.flush()

    async def remember(self, number: int) -> None:
        """Keep the way from Equalture's id to the invitation, as each one's first commit is
        followed by.
        """
        for one in range(number):
            await self._references.add(
                "customer-0", f"0b8f5c52-8a3e-4a55-9f0c-{one:012d}", f"iv_7{one:024d}"
            )
            if one % _BATCH == 0:
                await self._collected.flush()
        await self._collected.flush()

    async def cycle(self) -> int:
        """Lease some work, and put it back as if it had to be done again; how much it was."""
        leases = await self._tasks.lease(
            LeaseRequest(
                NOW, owner="bench", until=NOW + timedelta(seconds=10), count=16, per_lane=8
            )
        )
        for lease in leases:
            await self._tasks.settle(lease, RetryTask(NOW, counted=False), NOW)
        return len(leases)

    async def lease_ms(self, cycles: int = 400) -> float:
        """The median time of a cycle."""
        times = []
        for _ in range(cycles):
            started = time.perf_counter()
            assert await self.cycle() == 16
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1000

    async def lease_calls(self, cycles: int = 40) -> dict[str, float]:
        """How many commands of which kind Redis carries out for a cycle, those in scripts
        included.
        """
        await self.cycle()
        with self._server.client() as client:
            client.config_resetstat()
            for _ in range(cycles):
                await self.cycle()
            found = client.info("commandstats")
        counted = {
            name.removeprefix("cmdstat_"): stats["calls"] / cycles for name, stats in found.items()
        }
        return {
            name: calls
            for name, calls in counted.items()
            if not name.startswith(("config", "info"))
        }

    def memory(self) -> int:
        """Bytes in use."""
        with self._server.client() as client:
            used: int = client.info("memory")["used_memory"]
        return used

    def clear(self) -> None:
        """Forget everything."""
        with self._server.client() as client:
            client.flushall()

    async def bytes_each(self, make: Callable[[int], Transition], number: int) -> float:
        """The memory of one record of this kind, with its order, its task, and its share of what
        holds them.
        """
        self.clear()
        before = self.memory()
        await self.fill(make, 0, number)
        return (self.memory() - before) / number

    async def bytes_each_reference(self, number: int) -> float:
        """The memory of the way from Equalture's id to the invitation."""
        self.clear()
        before = self.memory()
        await self.remember(number)
        return (self.memory() - before) / number


def say(text: str) -> None:
    """A line of the report, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def measure(bench: Bench, small: int, large: int) -> bool:
    """Print the table; whether leasing grew too much."""
    many = min(large, MANY)
    say(f"memory per invitation ({many} of each kind)")
    for name, make in (("open", is_open), ("completed", is_completed), ("tombstone", is_tombstone)):
        say(f"  {name:<24}{await bench.bytes_each(make, many):8.0f} bytes")
    say(f"  {'reference, each':<24}{await bench.bytes_each_reference(many):8.0f} bytes")
    bench.clear()
    empty = bench.memory()
    say("lease 16 tasks and settle them (median), among")
    await bench.fill(is_open, 0, small)
    await bench.lease_ms(100)  # warm
    before = await bench.lease_ms()
    say(f"  {small:<24,}{before:8.2f} ms")
    started = time.perf_counter()
    await bench.fill(is_open, small, large)
    filled = time.perf_counter() - started
    after = await bench.lease_ms()
    used = (bench.memory() - empty) / 1e9
    say(
        f"  {large:<24,}{after:8.2f} ms   ({used:.2f} GB; filled at {(large - small) / filled:,.0f}"
        f" commits/s)"
    )
    say(f"  ratio{'':<19}{after / before:8.2f}      (at most {WORST})")
    return after / before > WORST


async def run(small: int, large: int) -> int:
    """Measure on a server of our own."""
    with running(RedisServer(next(iter(binaries().values())))) as server:
        async with open_client(server.url, deadline_s=30) as commands:
            return int(await measure(Bench(commands, server), small, large))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--small", type=int, default=1_000, metavar="N", help="records to compare with"
    )
    parser.add_argument(
        "--large",
        type=int,
        default=1_000_000,
        metavar="N",
        help="records among which work is leased",
    )
    chosen = parser.parse_args()
    return asyncio.run(run(chosen.small, chosen.large))


if __name__ == "__main__":
    sys.exit(main())
