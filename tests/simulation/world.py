"""A world: processes, vendors, Redis and journeys under one seed, from the first order to peace."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

import structlog

from bridge import logs
from tests.simulation.bridge_process import BridgeProcess
from tests.simulation.closed_world import WorldTime, close_world
from tests.simulation.coverage import Cell
from tests.simulation.end_checks import check_end, check_traces, list_owed
from tests.simulation.equalture_machine import EqualtureApplication, EqualtureMachine
from tests.simulation.event_loop import SimulatedLoop, WorldStuck
from tests.simulation.incidents import WEIGHTS, Trouble, draw_incidents
from tests.simulation.journey import Journey, OrderRound, World
from tests.simulation.journey_plan import MAIL, draw_plan
from tests.simulation.memory_network import MemoryNetwork
from tests.simulation.memory_redis import MemoryRedis
from tests.simulation.promises import BrokenPromise, BrokenPromises
from tests.simulation.record_watch import RecordWatch
from tests.simulation.redis_link import RedisLink, RedisWeather
from tests.simulation.softgarden_machine import SoftgardenMachine
from tests.simulation.stage_settings import ATS_HOST, PROVIDER_HOST
from tests.simulation.tape import Tape

SETTLES_WITHIN_S = 240.0
"""After the last fault and the last journey; more than the whole retry plan."""
LOOK_S = 2.0
KILLED_AFTER_ANSWER = 0.01
"""How often a process is killed at the very instant at which its answer has arrived."""


@dataclass(frozen=True, slots=True)
class WorldOutcome:
    """What came of a world."""

    seed: int
    digest: str
    journeys: int
    steps: int
    seconds: float
    """Of virtual time."""
    incidents: int
    """How many the seed draws."""
    steps_seen: Mapping[Cell, int]
    """Changes of state, with the trouble that they met."""
    broken: tuple[BrokenPromise, ...]
    tape: Tape
    log: str


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """How large a world is."""

    journeys: int = 100
    processes: int = 3
    arrivals_s: float = 30.0
    """Within what time all journeys begin."""
    troubles: tuple[str, ...] = tuple(WEIGHTS)
    """The kinds of incidents that may happen."""
    only: frozenset[int] | None = None
    """The numbers of the journeys that are played; None: all."""
    incidents: frozenset[int] | None = None
    """The numbers of the incidents that happen, of those that the seed draws; None: all."""
    keeps_wrong_clocks: bool = False
    """Whether a host whose clock is wrong still has a wrong one when its process starts again. A
    process that finds Redis away at its start goes by that clock until it is back, and a moment
    longer: it may then take work that is not due.
    """


class Simulation:
    """One world while it is played."""

    def __init__(
        self, seed: int, options: WorldOptions, world_time: WorldTime, log: io.StringIO
    ) -> None:
        self.seed = seed
        self.options = options
        self.time = world_time
        self.loop = SimulatedLoop(world_time, self._draws("order of tasks"))
        self.tape = Tape(world_time.read)
        self.broken = BrokenPromises()
        self.network = MemoryNetwork(self.loop, self._draws("network"))
        self.log = log
        self.loop.connect = self.network.connect_to_vendor
        self.redis_ahead_s = 0.0
        self.redis = MemoryRedis(self._redis_ms)
        self.redis_weather = RedisWeather()
        self.watch = RecordWatch(self.redis, self._complain_of, self._list_trouble)
        self.journeys: list[Journey] = []
        self.by_invitation: dict[str, tuple[int, OrderRound]] = {}
        self.processes: dict[str, BridgeProcess] = {}
        self._all_processes: list[BridgeProcess] = []
        """Also those that were killed: what nobody refers to would run its last blocks."""
        self._kills = self._draws("kills")
        self._last_kills: list[asyncio.Task[None]] = []
        self._lives: Counter[str] = Counter()
        self.strangers: dict[str, None] = {}
        """Invitations that softgarden was notified of and had not been given at that time."""
        incidents = draw_incidents(self._draws("incidents"), options.arrivals_s, options.troubles)
        self.drawn = len(incidents)
        if options.incidents is not None:
            incidents = [one for at, one in enumerate(incidents) if at in options.incidents]
        self.trouble = Trouble(self, incidents, self._draws("trouble"))
        self.equalture = EqualtureMachine(
            world_time.read,
            self._draws("equalture"),
            self.tape,
            _journey_of_email,
            self._application_made,
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
            self.complain,
            self._answered,
            self.trouble.is_near,
        )
        plans = self._draws("plans")
        self.journeys = [
            Journey(world, draw_plan(plans, number, options.arrivals_s * arrivals.random()))
            for number in range(options.journeys)
        ]
        trouble = self.loop.create_task(self.trouble.run())
        only = options.only
        played = [one for one in self.journeys if only is None or one.plan.number in only]
        await asyncio.gather(*(journey.play() for journey in played))
        await trouble
        await asyncio.gather(*self._last_kills)
        await self._settle()
        await check_end(self)
        for process in list(self.processes.values()):
            await process.stop()
        check_traces(self)

    async def start_process(self, name: str) -> None:
        """Start a process of the bridge, perhaps not for the first time."""
        self._lives[name] += 1
        process = BridgeProcess(name, self._lives[name], self.loop, self.network)
        if name in self.processes and self.options.keeps_wrong_clocks:
            process.ahead_s = self.processes[name].ahead_s
        self.processes[name] = process
        self._all_processes.append(process)
        draws = self._draws(process.host)
        await process.start(RedisLink(self.redis, self.redis_weather, draws, self.watch.look))
        self.trouble.configure(process)
        self.tape.write(process.host, "serves")

    async def _settle(self) -> None:
        """Wait until nothing is owed; what is left when patience ends breaks a promise."""
        deadline = self.time.seconds + SETTLES_WITHIN_S
        while (owed := list_owed(self)) and self.time.seconds < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
        for promise, how, number in owed:
            self.complain(promise, how, number)

    # What the parts of the world ask

    def _draws(self, what: str) -> Random:
        return Random(f"{self.seed}/{what}")

    def complain(self, promise: str, how: str, journey: int = -1) -> None:
        self.tape.write("PROMISE", f"broken: {promise}: {how}", journey)
        self.broken.note(promise, how, self.time.seconds, journey)

    def _answered(self, host: str) -> None:
        calm = not self.trouble.incidents
        if not calm and self._kills.random() < KILLED_AFTER_ANSWER:
            task = self.loop.create_task(self.trouble.kill_at_once(host))
            self._last_kills.append(task)

    def _complain_of(self, promise: str, how: str, invitation_id: str) -> None:
        self.complain(promise, f"{invitation_id}: {how}", self._journey_of(invitation_id))

    def _list_trouble(self) -> list[str]:
        return self.trouble.list_active()

    def _redis_ms(self) -> int:
        return round((self.time.seconds + self.redis_ahead_s) * 1000) + EPOCH_MS

    def _journey_of(self, invitation_id: str) -> int:
        return self.by_invitation.get(invitation_id, (-1, None))[0]

    def _application_made(self, application: EqualtureApplication) -> None:
        journey = self.journeys[application.journey]
        if journey.plan.early:
            self.loop.create_task(journey.report_early(application))

    async def _read_result(self, customer: str, invitation_id: str) -> str:
        number, known = self.by_invitation.get(invitation_id, (-1, None))
        if known is None:
            return "unknown"
        return await self.journeys[number].read_result(known)

    def _told(self, invitation_id: str, seen: str) -> None:
        _, known = self.by_invitation.get(invitation_id, (-1, None))
        if known is None:
            self.strangers[invitation_id] = None
        else:
            known.told.append((self.time.seconds, seen))


EPOCH_MS = 1_772_442_000_000
"""2026-03-02T09:00:00Z, as ``closed_world.START``."""


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
        gc.collect()
        gc.enable()


@cache
def _warm_up() -> None:
    """What a Python process does once only (importing, reading files) also draws randomness: it is
    done before the first world, which is then like all others.
    """
    _play_closed(0, WorldOptions(journeys=3, processes=1))


def play_world(seed: int, options: WorldOptions) -> WorldOutcome:
    """Play one world."""
    _warm_up()
    return _play_closed(seed, options)


def _play_closed(seed: int, options: WorldOptions) -> WorldOutcome:
    with close_world(f"{seed}") as world_time, _logged() as log, _uncollected():
        return _play(seed, options, world_time, log)


def _play(
    seed: int, options: WorldOptions, world_time: WorldTime, log: io.StringIO
) -> WorldOutcome:
    simulation = Simulation(seed, options, world_time, log)
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
        simulation.drawn,
        simulation.watch.steps,
        tuple(simulation.broken.found),
        simulation.tape,
        text,
    )
