"""One time for all hosts, whatever their own clocks say."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from bridge.core.queueing import Lease, LeaseRequest
from bridge.errors import StoreUnavailable
from bridge.ports import Monotonic
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess
from bridge.store.shared_clock import (
    REPORTED_SKEW_S,
    SYNC_INTERVAL_S,
    ClockReading,
    SharedClock,
    read_server_times,
)
from bridge.worker import HEARTBEAT_S, MAX_CLOCK_SKEW_S
from tests.store.conformance import LEASE_LIFE, due, put
from tests.store.conftest import redis_backend

SECOND = timedelta(seconds=1)
NOON = datetime(2025, 6, 2, 12, 0, tzinfo=UTC)


class Host:
    """A host with a clock of its own, and servers with theirs; nothing moves unless it is told
    to.
    """

    def __init__(self, *servers_s: float, ahead_s: float = 0.0, journey_s: float = 0.0) -> None:
        self.passed = 100.0
        self.ahead_s = ahead_s
        self.servers_s = list(servers_s)
        self.journey_s = journey_s
        self.looks = 0
        self.away = False
        self.held: list[datetime] = []
        self.clock = SharedClock(self.read, wall=self.wall, monotonic=lambda: self.passed)

    def true(self) -> datetime:
        return NOON + timedelta(seconds=self.passed - 100)

    def wall(self) -> datetime:
        return self.true() + timedelta(seconds=self.ahead_s)

    async def read(self, monotonic: Monotonic) -> list[ClockReading]:
        self.looks += 1
        if self.away:
            raise StoreUnavailable("away")
        asked_at = monotonic()
        at = self.true() + timedelta(seconds=self.journey_s)  # the whole journey is the way there
        self.passed += self.journey_s
        return [
            ClockReading(asked_at, self.passed, at + timedelta(seconds=server_s))
            for server_s in self.servers_s
        ]

    async def before_step(self, now: datetime) -> None:
        assert self.clock() != now, "told too late"
        self.held.append(now)

    async def synchronise(self) -> None:
        await self.clock.synchronise(self.before_step)

    def off_s(self) -> float:
        """By how much the agreed time is off the true one."""
        return (self.clock() - self.true()).total_seconds()


@pytest.mark.parametrize("ahead_s", [-3600.0, -11.0, 0.0, 11.0, 3600.0])
async def test_a_host_goes_by_redis(ahead_s: float) -> None:
    """Whatever a host's own clock says, its time is Redis's from the first look on."""
    host = Host(0.0, ahead_s=ahead_s)
    assert host.off_s() == ahead_s
    await host.synchronise()
    assert abs(host.off_s()) <= 0.001
    host.passed += 3600
    assert abs(host.off_s()) <= 0.001


async def test_first_look_is_patient() -> None:
    """A Redis that is too slow for a look in between says the time to a process that does not know
    it yet: such a Redis takes records, too.
    """
    host = Host(0.0, ahead_s=86_400.0)

    async def read_hastily(_: Monotonic) -> list[ClockReading]:
        host.looks += 1
        return []

    host.clock = SharedClock(
        read_hastily, wall=host.wall, monotonic=lambda: host.passed, read_first=host.read
    )
    await host.synchronise()
    assert abs(host.off_s()) <= 0.001
    host.passed += SYNC_INTERVAL_S
    await host.synchronise()
    assert host.looks == 2
    assert abs(host.off_s()) <= 0.001


async def test_unknown_time() -> None:
    """A process whose Redis has never answered knows that its time is its host's own; one that
    lost Redis later goes on by the time that it had.
    """
    host = Host(0.0, ahead_s=3600.0)
    host.away = True
    await host.synchronise()
    assert not host.clock.is_known
    host.away = False
    await host.synchronise()
    assert host.clock.is_known
    host.away = True
    host.passed += SYNC_INTERVAL_S
    await host.synchronise()
    assert host.clock.is_known


async def test_time_that_nobody_can_be_asked_for() -> None:
    """Where Redis gives no time at all, the host's own has to do."""
    host = Host(ahead_s=3600.0)
    host.away = True
    await host.synchronise()
    host.away = False
    await host.synchronise()
    assert host.clock.is_known


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
async def test_a_clock_that_is_set(step_s: float) -> None:
    """Setting the host's clock moves nothing; Redis is asked at once whether it was the one that
    was right.
    """
    host = Host(0.0)
    await host.synchronise()
    host.ahead_s = step_s
    assert abs(host.off_s()) <= 0.001
    host.passed += 1
    await host.synchronise()
    assert host.looks == 2
    assert abs(host.off_s()) <= 0.001
    assert host.held == []


async def test_how_often_it_looks() -> None:
    """Redis is asked four times a minute; one that is away is asked again at the next opportunity,
    and time goes on.
    """
    host = Host(0.0)
    for _ in range(600):
        await host.synchronise()
        host.passed += 0.1
    assert host.looks == 60 / SYNC_INTERVAL_S
    host.away = True
    host.passed += SYNC_INTERVAL_S
    for _ in range(3):
        await host.synchronise()
    assert host.looks == 60 / SYNC_INTERVAL_S + 3
    assert abs(host.off_s()) <= 0.001


async def test_a_process_that_stood_still() -> None:
    """After a suspended machine wakes up, of which only the host's clock noticed, Redis is asked at
    once.
    """
    host = Host(0.0)
    await host.synchronise()
    host.ahead_s, host.servers_s = (
        600.0,
        [600.0],
    )  # ten minutes went by, but not for the monotonic clock
    await host.synchronise()
    assert (host.clock() - host.true()).total_seconds() == 600
    assert host.held == [host.true() + 600 * SECOND]


async def test_journeys_make_no_difference() -> None:
    """Slow answers move a known time only as far as they prove it wrong."""
    host = Host(0.0)
    await host.synchronise()
    host.journey_s = 0.8
    host.passed += SYNC_INTERVAL_S
    await host.synchronise()
    assert abs(host.off_s()) <= 0.001
    host.journey_s = 0.01
    host.servers_s = [0.3]
    host.passed += SYNC_INTERVAL_S
    await host.synchronise()
    assert host.off_s() == pytest.approx(0.3, abs=0.01)


async def test_the_one_in_the_middle_counts() -> None:
    """Of several servers one that is far off has no say, and somebody is told."""
    with capture_logs() as logs:
        host = Host(0.0, 3600.0, 0.02)
        for _ in range(3):
            await host.synchronise()
            host.passed += SYNC_INTERVAL_S
    assert abs(host.off_s()) <= 0.03
    assert [entry["event"] for entry in logs] == ["clock.servers_differ"]


async def test_skew_is_said() -> None:
    """A host that is off is told once, again when it gets worse, and when it is right again; people
    see it meanwhile.
    """
    host = Host(0.0, ahead_s=11.0)
    with capture_logs() as logs:
        for ahead_s in (11.0, 11.0, 30.0, REPORTED_SKEW_S / 2, 0.0):
            host.ahead_s = ahead_s
            await host.synchronise()
            assert (host.clock.problem() is not None) == (ahead_s >= REPORTED_SKEW_S)
            host.passed += SYNC_INTERVAL_S
    assert [(entry["event"], entry["log_level"], entry["skew_s"]) for entry in logs] == [
        ("clock.skewed", "warning", 11.0),
        ("clock.skewed", "warning", 30.0),
        ("clock.agrees", "info", REPORTED_SKEW_S / 2),
    ]
    assert "11.0 s ahead of Redis's" in logs[0]["text"]


async def test_a_step_of_redis_is_said_and_held() -> None:
    """When Redis's own clock is set, what runs here is prolonged before the new time counts, and it
    is said.
    """
    host = Host(0.0)
    await host.synchronise()
    host.servers_s = [3600.0]
    host.passed += SYNC_INTERVAL_S
    with capture_logs() as logs:
        await host.synchronise()
    assert host.held == [host.clock()]
    assert host.off_s() == pytest.approx(3600, abs=0.01)
    assert [entry["event"] for entry in logs] == ["clock.stepped", "clock.skewed"]


def host_on(commands: RedisAccess, ahead_s: float) -> SharedClock:
    """A host's clock on a real Redis."""
    return SharedClock(
        partial(read_server_times, commands),
        wall=lambda: datetime.now(UTC) + timedelta(seconds=ahead_s),
        monotonic=time.monotonic,
    )


async def nothing(_: datetime) -> None:
    return None


@pytest.mark.redis
async def test_hosts_that_are_apart_do_not_take_each_others_tasks(
    real_commands: RedisAccess,
) -> None:
    """A host whose clock is 11 seconds ahead of another's leaves the other's running task alone,
    and takes a dead one's.
    """
    backend = redis_backend(real_commands)
    right, ahead = host_on(real_commands, 0.0), host_on(real_commands, 11.0)
    await right.synchronise(nothing)
    await ahead.synchronise(nothing)
    await put(backend, due(at=right()))

    async def lease(clock: SharedClock, later: timedelta = timedelta(0)) -> tuple[Lease, ...]:
        at = clock() + later
        return await backend.tasks.lease(
            LeaseRequest(at, owner=str(id(clock)), until=at + LEASE_LIFE, count=9, per_lane=9)
        )

    assert len(await lease(right)) == 1
    assert await lease(ahead) == ()
    assert await lease(ahead, timedelta(seconds=MAX_CLOCK_SKEW_S)) == ()
    assert len(await lease(ahead, LEASE_LIFE + SECOND)) == 1


@pytest.mark.redis
async def test_two_hosts_agree(real_commands: RedisAccess) -> None:
    """Two hosts that are an hour apart have the same time, but for a journey to Redis."""
    early, late = host_on(real_commands, -1800.0), host_on(real_commands, 1800.0)
    for clock in (early, late):
        await clock.synchronise(nothing)
    assert abs((early() - late()).total_seconds()) < 0.5


@pytest.mark.redis
async def test_a_cluster_says_what_time_it_is(cluster_url: str) -> None:
    """The primaries of a cluster are asked as well."""
    async with open_client(cluster_url) as commands:
        clock = host_on(commands, 600.0)
        await clock.synchronise(nothing)
        assert abs((clock() - datetime.now(UTC)).total_seconds()) < 0.5


def test_the_bound_that_is_stated() -> None:
    """A lease whose owner beats its heart always has as long to live as two processes' times may
    differ.
    """
    assert LEASE_LIFE.total_seconds() - HEARTBEAT_S - 2 >= MAX_CLOCK_SKEW_S
