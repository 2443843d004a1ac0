"""What a million invitations cost: memory for each, and the time of leasing work among them.

``make growth``.

Fills a real Redis through the store's own commits, prints a table, and exits 1 if leasing costs
more than 1.5 times as much among many records as among a thousand. ``--large 100000`` for a quicker
look.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.core import ids
from bridge.core.assessment import Result, Trait
from bridge.core.history import NO_HISTORY, HistoryEntry, HistoryEntryKind
from bridge.core.history_chain import append_history_entries, derive_history_keys
from bridge.core.invitation import (
    CreateAttempt,
    CreateOutcome,
    Invitation,
    OrderClaimChange,
    State,
    Transition,
)
from bridge.core.queueing import LeaseRequest, RetryTask, ScheduleTask, TaskKind
from bridge.equalture.schemas import read_reported_result
from bridge.sandbox.sample_results import TRAITS, build_sample_result
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
HOUR, MILLISECOND = timedelta(hours=1), timedelta(milliseconds=1)
KEYS = derive_history_keys([bytes(32)])
NOTIFICATION = "/api/rest/v3/frontend/assessmentProvider/invitationRequiresUpdate"
SCORE = "confirmed {fit_label} ({in_range}/{traits})"
OPENED = (
    HistoryEntry(HistoryEntryKind.ORDERED, NOW, text="1c14018c"),
    HistoryEntry(HistoryEntryKind.ATTEMPT, NOW + 11 * MILLISECOND, 1, "created", latency_ms=9),
    HistoryEntry(HistoryEntryKind.ISSUED, NOW + 13 * MILLISECOND),
)
COMPLETED = (
    HistoryEntry(HistoryEntryKind.CALLBACK, NOW + HOUR, 1),
    HistoryEntry(HistoryEntryKind.COMPLETED, NOW + HOUR + 17 * MILLISECOND, text=SCORE),
    HistoryEntry(
        HistoryEntryKind.NOTIFIED, NOW + HOUR + 40 * MILLISECOND, 1, "delivered", 204, latency_ms=12
    ),
    HistoryEntry(HistoryEntryKind.READ, NOW + HOUR + 95 * MILLISECOND),
)


@dataclass
class Collected(RedisAccess):
    """Takes commits as the store makes them, and sends many of them together."""

    commands: RedisAccess
    waiting: list[Command] = field(default_factory=list)

    async def run_confirmed(self, command: Command) -> int:
        """Keep it for ``flush``; claims succeed."""
        self.waiting.append(command)
        return 1

    async def run(self, command: Command) -> list[bytes]:
        """As ``run_confirmed``; no event waits for a reference."""
        self.waiting.append(command)
        return [b""]

    async def flush(self) -> None:
        """Send what was kept."""
        await self.commands.run_all(self.waiting)
        self.waiting.clear()


def draw(number: int, what: str, size: int) -> bytes:
    """Random bytes, the same ones each time for the same invitation."""
    return hashlib.shake_128(f"{number} {what}".encode()).digest(size)


def draw_uuid(number: int, what: str) -> str:
    """As ``draw``."""
    return str(uuid.UUID(bytes=draw(number, what, 16)))


def tell(invitation: Invitation, *entries: HistoryEntry) -> Invitation:
    """The *invitation* once these were noted in its history, each with a commit."""
    before = None
    for version, entry in enumerate(entries):
        changed = replace(before or invitation, version=version)
        after = append_history_entries(before, changed, [entry], KEYS)
        before = replace(after, version=version + 1)
    return replace(before or invitation, version=0)


def is_open(number: int) -> Transition:
    """A candidate who was invited, with a look at the invitation planned: the first ones now, the
    others later.
    """
    partition = number % ids.PARTITIONS
    customer = f"customer-{number // ids.PARTITIONS % CUSTOMERS}"
    at = NOW if number < DUE else NOW + timedelta(minutes=1, milliseconds=number)
    application, token = draw_uuid(number, "application"), draw(number, "token", 32)
    secret = base64.urlsafe_b64encode(token).decode().rstrip("=")
    invitation = Invitation(
        id=ids.compose_invitation_id(partition, f"{number:024d}"),
        customer=customer,
        order_key=ids.compute_order_key(customer, application, "sales-nl"),
        application_id=application,
        test_id="sales-nl",
        test_name="Sales traineeship 2026",
        duration=25,
        state=State.INVITED,
        created_at=NOW,
        updated_at=NOW + 13 * MILLISECOND,
        attempts=(
            CreateAttempt(
                1,
                draw(number, "digest", 32).hex(),
                NOW,
                CreateOutcome.CREATED,
                draw_uuid(number, "reference"),
            ),
        ),
        callback=f"https://app.softgarden.io/{customer}{NOTIFICATION}",
        assessment_url=f"https://candidates.vendor.example/en/assessments/{number}/token/{secret}",
        deadline=NOW + timedelta(days=7),
        live_attempt=1,
        issued=True,
    )
    told = tell(invitation, *OPENED)
    return Transition(told, (ScheduleTask(TaskKind.CHECK, at),), OrderClaimChange.CLAIM)


def is_completed(number: int) -> Transition:
    """A candidate who finished: notified, and read once; no work is left."""
    scores = {
        trait.code: 1 + byte % 5 for trait, byte in zip(TRAITS, draw(number, "s", 5), strict=True)
    }
    body = build_sample_result(
        scores,
        "high",
        f"https://app.vendor.example/en/candidates/{number}",
        profile=True,
        summary="en",
        details="de",
    )
    return complete(number, read_reported_result(body))


def is_worded(number: int) -> Transition:
    """A candidate who finished, with each of six traits described in a sentence of its own."""
    words = [
        "prefers",
        "looks",
        "problems",
        "sides",
        "settles",
        "decides",
        "explains",
        "people",
        "calm",
        "quick",
        "risk",
        "plan",
    ]
    traits = []
    for index in range(6):
        order = draw(number, f"words {index}", 14)
        sentence = " ".join(words[byte % len(words)] for byte in order)
        wanted = (4, 5) if index % 2 else ()
        traits.append(Trait(f"trait_{index}", f"Flexibility {index}", 4, sentence, wanted))
    url = f"https://app.vendor.example/en/candidates/{number}"
    return complete(number, Result("high", url, (), tuple(traits)))


def complete(number: int, result: Result | None) -> Transition:
    """The invitation with this number, completed with this result."""
    done = replace(
        is_open(number).invitation,
        state=State.COMPLETED,
        completed_at=NOW + HOUR,
        updated_at=NOW + HOUR,
        confirmed=True,
        result=result,
        history=NO_HISTORY,
    )
    return Transition(tell(done, *OPENED, *COMPLETED), (), OrderClaimChange.CLAIM)


def is_tombstone(number: int) -> Transition:
    """A candidate whose data were deleted here and there."""
    invitation = is_open(number).invitation
    attempts = (replace(invitation.attempts[0], anonymised=True),)
    return Transition(
        replace(invitation, state=State.ERASED, order_key="", erased_at=NOW, attempts=attempts)
    )


KINDS = {
    "open": is_open,
    "completed": is_completed,
    "completed, in sentences": is_worded,
    "tombstone": is_tombstone,
}


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
        """Commit the records from number *first* to the one before *last*, each with the way that
        leads to it from the provider's id, which a tombstone has no longer.
        """
        for number in range(first, last):
            step = make(number)
            one = step.invitation
            await self._store.commit(step)
            reference = one.attempts[0].reference_id
            if reference is not None and one.state is not State.ERASED:
                await self._references.add(one.customer, reference, one.id)
            if number % _BATCH == 0:
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
        """Forget everything, at once: what is freed later would count as used."""
        with self._server.client() as client:
            client.execute_command("FLUSHALL", "SYNC")

    async def bytes_each(self, make: Callable[[int], Transition], number: int) -> float:
        """The memory of one invitation of this kind: its record, the ways that lead to it, its
        task, and its share of what holds them.
        """
        self.clear()
        await self.fill(make, 0, 1)  # the scripts
        before = self.memory()
        await self.fill(make, 1, number + 1)
        return (self.memory() - before) / number


def say(text: str) -> None:
    """A line of the report, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def measure(bench: Bench, small: int, large: int) -> bool:
    """Print the table; whether leasing grew too much."""
    many = min(large, MANY)
    say(f"memory per invitation ({many} of each kind)")
    for name, make in KINDS.items():
        say(f"  {name:<24}{await bench.bytes_each(make, many):8.0f} bytes")
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
    """Measure on each server at hand."""
    grew = False
    for name, binary in binaries().items():
        say(name)
        with running(RedisServer(binary)) as server:
            async with open_client(server.url, deadline_s=30) as commands:
                grew |= await measure(Bench(commands, server), small, large)
    return int(grew)


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
