"""A world: processes, vendors, Redis and journeys under one seed, from the first order to peace."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import structlog

from bridge import logs
from tests.simulation.bridge_process import BridgeProcess
from tests.simulation.closed_world import WorldTime, close_world
from tests.simulation.equalture_machine import EqualtureMachine
from tests.simulation.event_loop import SimulatedLoop, WorldStuck
from tests.simulation.journey import Journey, OrderRound, World
from tests.simulation.journey_plan import MAIL, draw_plan
from tests.simulation.memory_network import MemoryNetwork
from tests.simulation.memory_redis import MemoryRedis
from tests.simulation.promises import BrokenPromise, BrokenPromises
from tests.simulation.redis_link import RedisLink, RedisWeather
from tests.simulation.softgarden_machine import SoftgardenMachine
from tests.simulation.stage_settings import ATS_HOST, PROVIDER_HOST
from tests.simulation.tape import Tape

SETTLES_WITHIN_S = 240.0
"""After the last fault and the last journey; more than the whole retry plan."""
LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class WorldOutcome:
    """What came of a world."""

    seed: int
    digest: str
    journeys: int
    steps: int
    seconds: float
    """Of virtual time."""
    broken: tuple[BrokenPromise, ...]
    tape: Tape
    log: str


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How large a world is."""

    journeys: int = 100
    processes: int = 1
    arrivals_s: float = 30.0
    """Within what time all journeys begin."""


class Simulation:
    """One world while it is played."""

    def __init__(self, seed: int, options: WorldOptions, world_time: WorldTime) -> None:
        self.seed = seed
        self.options = options
        self.time = world_time
        self.loop = SimulatedLoop(world_time, self._draws("order of tasks"))
        self.tape = Tape(world_time.read)
        self.broken = BrokenPromises()
        self.network = MemoryNetwork(self.loop, self._draws("network"))
        self.loop.connect = self.network.connect_to_vendor
        self.redis = MemoryRedis(lambda: round(world_time.seconds * 1000) + EPOCH_MS)
        self.redis_weather = RedisWeather()
        self.journeys: list[Journey] = []
        self.by_invitation: dict[str, tuple[int, OrderRound]] = {}
        self.processes: dict[str, BridgeProcess] = {}
        self.equalture = EqualtureMachine(
            world_time.read, self._draws("equalture"), self.tape, _journey_of_email
        )
        self.softgarden = SoftgardenMachine(
            self._draws("softgarden"), self.tape, self._read_result, self._journey_of, self._told
        )
        self.network.serve_vendor(PROVIDER_HOST, self.equalture.serve)
        self.network.serve_vendor(ATS_HOST, self.softgarden.serve)

    async def play(self) -> None:
        """From the start of the processes to their end in good order."""
        options = self.options
        for number in range(options.processes):
            await self.start_process(f"bridge-{number}")
        arrivals = self._draws("arrivals")
        world = World(
            self.network,
            self.equalture,
            self.tape,
            self._draws("journeys"),
            self.by_invitation,
            self._complain,
        )
        plans = self._draws("plans")
        self.journeys = [
            Journey(world, draw_plan(plans, number, options.arrivals_s * arrivals.random()))
            for number in range(options.journeys)
        ]
        await asyncio.gather(*(journey.play() for journey in self.journeys))
        await self._settle()
        for process in list(self.processes.values()):
            await process.stop()
        self._check_end()

    async def start_process(self, name: str) -> None:
        """Start a process of the bridge."""
        process = BridgeProcess(name, self.loop, self.network)
        self.processes[name] = process
        await process.start(RedisLink(self.redis, self.redis_weather, self._draws(name)))
        self.tape.write(name, "serves")

    async def _settle(self) -> None:
        """Wait until nothing is owed; what is left when patience ends breaks a promise."""
        deadline = self.time.seconds + SETTLES_WITHIN_S
        while (owed := self._list_owed()) and self.time.seconds < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        for promise, how, number in owed:
            self._complain(promise, how, number)

    def _list_owed(self) -> list[tuple[str, str, int]]:
        owed = []
        for journey in self.journeys:
            for known in journey.rounds:
                number = journey.plan.number
                if known.wants and known.wants not in known.told and not _told_blindly(known):
                    owed.append(("notified", f"not told of {known.wants}", number))
                application = known.application
                if known.deleted and application and application.state != "anonymized":
                    owed.append(("deletion", f"{application.reference_id} not anonymised", number))
        return owed

    def _check_end(self) -> None:
        for message in self.loop.unhandled:
            self._complain("no crash", message)
        for process in self.processes.values():
            for death in process.deaths:
                self._complain("no crash", f"the worker of {death} died")
        for violation in [*self.equalture.violations, *self.softgarden.violations]:
            self._complain("vendor rules", violation)

    # What the parts of the world ask

    def _draws(self, what: str) -> Random:
        return Random(f"{self.seed}/{what}")

    def _complain(self, promise: str, how: str, journey: int = -1) -> None:
        self.tape.write("PROMISE", f"broken: {promise}: {how}", journey)
        self.broken.note(promise, how, self.time.seconds, journey)

    def _journey_of(self, invitation_id: str) -> int:
        return self.by_invitation.get(invitation_id, (-1, None))[0]

    async def _read_result(self, customer: str, invitation_id: str) -> str:
        number, known = self.by_invitation.get(invitation_id, (-1, None))
        if known is None:
            return "unknown"
        return await self.journeys[number].read_result(known)

    def _told(self, invitation_id: str, seen: str) -> None:
        _, known = self.by_invitation.get(invitation_id, (-1, None))
        if known is not None:
            known.told.append(seen)


EPOCH_MS = 1_772_442_000_000
"""2026-03-02T09:00:00Z, as ``closed_world.START``."""


def _told_blindly(known: OrderRound) -> bool:
    """Whether softgarden was told without looking, after what it had to be told was true."""
    return "" in known.told


def _journey_of_email(email: str) -> int:
    return int(email.removesuffix(f"@{MAIL}").removeprefix("c"))


@contextlib.contextmanager
def _logged() -> Iterator[io.StringIO]:
    """The log of all processes."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure_logging("info", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """A world is short: what it leaves behind is collected when it is over."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def play_world(seed: int, options: WorldOptions) -> WorldOutcome:
    """Play one world."""
    with _uncollected(), close_world(f"{seed}") as world_time, _logged() as log:
        simulation = Simulation(seed, options, world_time)
        loop = simulation.loop
        try:
            loop.run_until_complete(simulation.play())
        except WorldStuck:
            simulation.broken.note("quiescence", "everybody waits for ever", world_time.seconds)
        finally:
            steps = loop.steps
            loop.set_exception_handler(lambda *_: None)
            for task in asyncio.all_tasks(loop):
                task.cancel()
            with contextlib.suppress(Exception):
                loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        # Not the log itself: the order of keys in its lines depends on addresses in memory.
        text = log.getvalue()
        simulation.tape.mix(f"{steps} {len(text)} {text.count(chr(10))}".encode())
        simulation.tape.mix(simulation.redis.dump())
    return WorldOutcome(
        seed,
        simulation.tape.digest,
        len(simulation.journeys),
        steps,
        world_time.seconds,
        tuple(simulation.broken.found),
        simulation.tape,
        log.getvalue(),
    )
