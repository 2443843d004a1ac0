"""One part of a cluster away harms only what lives there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bridge.core import ids
from bridge.store.connect import open_client
from bridge.store.shared_clock import SYNC_INTERVAL_S, SharedClock, read_server_times
from tests import stalls
from tests.flows.conftest import Config, Journal, Launch, eventually
from tests.redis_servers import Cluster, running

pytestmark = pytest.mark.redis


@pytest.fixture
def own(binary: Path) -> Iterator[Cluster]:
    """Three primaries whose places nobody takes."""
    with running(Cluster(binary, replicas=False)) as cluster:
        yield cluster


@pytest.mark.parametrize("blow", ["kill", "freeze"])
async def test_the_rest_goes_on(own: Cluster, config: Config, launch: Launch, blow: str) -> None:
    """With a primary away, candidates of a living partition are invited, and their completions
    acknowledged and notified.

    Calls for the missing part get 503; readiness stays, with the missing partitions in the
    operators' details.
    """
    config.daemon["redis"]["url"] = own.url
    bridge = await launch()
    invited: list[tuple[str, str]] = []
    while len(invited) < 30:
        application = f"app-{len(invited)}"
        answer = await bridge.acme.invite("engineer", candidate_id=application)
        invited.append((answer.json["invitationId"], bridge.created()))
    lost = own.owner_of("{p7}")
    gone = {f"{number:x}" for number in range(16) if own.owner_of(f"{{p{number:x}}}") is lost}
    living = [(an_id, made) for an_id, made in invited if an_id[3] not in gone]
    dead = [an_id for an_id, _ in invited if an_id[3] in gone]
    assert living
    assert dead
    getattr(lost, blow)()
    try:
        answers = await asyncio.gather(*(bridge.equalture.complete(made) for _, made in living))
        assert set(answers) == {200}

        async def all_notified() -> bool:
            return all(bridge.notified(an_id) for an_id, _ in living)

        await eventually(all_notified, within_s=15)
        assert (await bridge.acme.read_results(dead[0])).status == 503
        for number in range(12):  # wherever the short cut to it would lie
            application = f"later-{number}"
            if f"{ids.compute_partition('acme', application):x}" not in gone:
                assert (
                    await bridge.acme.invite("engineer", candidate_id=application)
                ).status == 200
        began = time.monotonic()
        assert (await bridge.ask("GET", "/readyz")).status == 200
        assert stalls.net_since(began) < 1  # by default an orchestrator waits no longer
        details = (await bridge.runtime.readiness.check()).details
        assert {name[1:] for name in details["missing_partitions"]} == gone  # type: ignore[union-attr,attr-defined]
    finally:
        lost.thaw() if blow == "freeze" else lost.start()

    async def back() -> bool:
        return (await bridge.acme.read_results(dead[0])).status == 200

    await eventually(back, within_s=15)


async def test_a_part_that_only_reads(
    own: Cluster, config: Config, launch: Launch, journal: Journal
) -> None:
    """With a primary that answers but refuses writes the others work, and each of its partitions is
    said to be away once.
    """
    config.daemon["redis"]["url"] = own.url
    bridge = await launch()
    refusing = own.owner_of("{p7}")
    gone = [number for number in range(16) if own.owner_of(f"{{p{number:x}}}") is refusing]
    invited: list[tuple[str, str]] = []
    while len(invited) < 20:
        answer = await bridge.acme.invite("engineer", candidate_id=f"app-{len(invited)}")
        invited.append((answer.json["invitationId"], bridge.created()))
    living = [(an_id, made) for an_id, made in invited if int(an_id[3], 16) not in gone]
    with refusing.client() as client:
        bridge.clock.advance(timedelta(minutes=31))  # a check of each is due
        client.config_set("min-replicas-to-write", 1)
        assert {await bridge.equalture.complete(made) for _, made in living} == {200}
        for an_id, _ in living:
            await eventually(lambda an_id=an_id: bridge.notified(an_id), within_s=15)  # type: ignore[misc]
        await asyncio.sleep(5)
        assert 0 < len(journal.events("partition.unavailable")) <= len(gone)
        assert journal.events("partition.recovered") == []
        client.config_set("min-replicas-to-write", 0)
        await eventually(lambda: journal.events("partition.recovered"), within_s=15)


@pytest.mark.parametrize("blow", ["kill", "freeze"])
async def test_the_rest_says_what_time_it_is(own: Cluster, blow: str) -> None:
    """A host whose clock is an hour off goes by the primaries that are left, before and after one
    goes away.
    """
    passed = 0.0
    async with open_client(own.url) as commands:
        clock = SharedClock(
            partial(read_server_times, commands),
            wall=lambda: datetime.now(UTC) - timedelta(hours=1),
            monotonic=lambda: time.monotonic() + passed,
        )

        async def before_step(_: datetime) -> None:
            return None

        def off_s() -> float:
            return abs((clock() - datetime.now(UTC)).total_seconds())

        await clock.synchronise(before_step)
        assert off_s() < 0.5
        lost = own.primaries[0]
        getattr(lost, blow)()
        try:
            assert len(await read_server_times(commands, time.monotonic)) == 2
            passed += SYNC_INTERVAL_S
            await clock.synchronise(before_step)
            assert off_s() < 0.5
        finally:
            lost.thaw() if blow == "freeze" else lost.start()
