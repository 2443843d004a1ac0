"""The contract watch tells each new shape once, and asks the store for nothing that is known."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from bridge.core.answer_shape import ObservedFact, Shape
from bridge.errors import StoreUnavailable
from bridge.meter import NoMeter
from bridge.service.contract_watch import (
    FACTS_LIMIT,
    SEEN_AGAIN_EVERY,
    ContractWatch,
    run_watch_in_background,
)
from tests.service.fakes import Clock, MemoryContract

ONE = frozenset({"200", "200 $: object"})
MORE = ONE | {"200 $.percentile: number"}


class Counted(NoMeter):
    """Remembers what changed."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []

    def contract_change(self, vendor: str, operation: str) -> None:
        self.changes.append((vendor, operation))


class Unreachable(MemoryContract):
    """A store that does not answer."""

    async def add(self, vendor: str, operation: str, facts: Shape, at: datetime) -> Shape:
        raise StoreUnavailable("away")


async def test_a_new_shape_is_told_once() -> None:
    """A new shape is one log line and one count, in whichever process; a known one is neither."""
    store, clock, meter = MemoryContract(), Clock(), Counted()
    watch = ContractWatch(store, clock, monotonic=clock.monotonic, meter=meter)
    with capture_logs() as logs:
        for shape in (ONE, ONE, MORE, MORE, ONE):
            watch.observe("vendor", "status", shape)
            await watch.write_down()
        other = ContractWatch(store, clock, monotonic=clock.monotonic, meter=meter)
        other.observe("vendor", "status", MORE)
        await other.write_down()
    told = [(line["log_level"], line["new"]) for line in logs]
    assert told == [("info", sorted(ONE)), ("warning", ["200 $.percentile: number"])]
    assert meter.changes == [("vendor", "status")] * 2


async def test_what_is_known_costs_the_store_nothing() -> None:
    """A known shape wakes nobody for an hour; then it is noted that it still holds."""
    store, clock = MemoryContract(), Clock()
    watch = ContractWatch(store, clock, monotonic=clock.monotonic)
    watch.observe("vendor", "status", ONE)
    await watch.write_down()
    watch.observe("vendor", "status", frozenset({"200"}))
    assert not watch.awake.is_set()
    clock.advance(SEEN_AGAIN_EVERY)
    watch.observe("vendor", "status", ONE)
    assert watch.awake.is_set()
    await watch.write_down()
    facts = await watch.facts()
    assert {fact.last_at - fact.first_at for fact in facts} == {SEEN_AGAIN_EVERY}


async def test_no_more_than_a_contract() -> None:
    """Endless new names fill neither memory nor store."""
    store = MemoryContract()
    watch = ContractWatch(store, Clock(), monotonic=Clock().monotonic)
    for number in range(3 * FACTS_LIMIT):
        watch.observe("vendor", "status", frozenset({f"200 $.a{number}: null"}))
        await watch.write_down()
    assert len(await store.facts()) == FACTS_LIMIT


async def test_a_store_that_is_away() -> None:
    """What could not be kept is kept for later, and no caller notices."""
    away = Unreachable()
    watch = ContractWatch(away, Clock(), monotonic=Clock().monotonic)
    watch.observe("vendor", "status", ONE)
    with pytest.raises(StoreUnavailable):
        await watch.write_down()
    async with run_watch_in_background(watch):
        watch.observe("vendor", "status", MORE)
        await asyncio.sleep(0)
    assert await away.facts() == ()


async def test_written_down_behind_the_callers_back() -> None:
    """While the watch runs what was heard is kept, at its end at the latest."""
    store = MemoryContract()
    watch = ContractWatch(store, Clock(), monotonic=Clock().monotonic)
    async with run_watch_in_background(watch):
        watch.observe("vendor", "status", ONE)
    facts = await store.facts()
    assert {fact.text for fact in facts} == ONE
    assert isinstance(facts[0], ObservedFact)
