"""One process of the bridge: everything that ``serve`` runs, without its sockets and signals."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from datetime import datetime, timedelta

import aiohttp

from bridge import app, sweep, worker
from bridge.connection_limits import OutwardConnections
from bridge.serve import watch_unserved_customers
from bridge.settings.daemon import DaemonSettings
from bridge.store.redis_access import RedisAccess
from bridge.store.redis_client import RedisClient
from bridge.web.listener import ListenerRunner
from tests.simulation.event_loop import HOST, SimulatedLoop
from tests.simulation.memory_network import MemoryNetwork
from tests.simulation.stage_settings import IN_DAYS

if IN_DAYS:
    # While nothing happens, looks cost the time; its own work wakes a process when it is due.
    worker.IDLE_S = 4.0
    sweep.PASS_PAUSE_S = 600.0
GRACE_S = 2.0
"""How long running tasks and requests may go on when a process ends in good order."""


class BridgeProcess:
    """A process with a clock of its own, which is *ahead_s* of the world's."""

    def __init__(self, name: str, life: int, loop: SimulatedLoop, network: MemoryNetwork) -> None:
        self.name = name
        self.host = f"{name}.{life}"
        """What it is in this life."""
        self.ahead_s = 0.0
        self.runtime: app.Runtime | None = None
        self.deaths: list[str] = []
        self.serves_since = 0.0
        self._loop = loop
        self._network = network
        self._serves = self._killed = False
        self._stop = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    @property
    def lives(self) -> bool:
        """Whether it accepts connections."""
        return self._serves and not self._killed and not self._stop.is_set()

    @property
    def is_killed(self) -> bool:
        """Whether it does nothing any more, whatever it had begun."""
        return self._killed

    async def start(self, link: RedisClient, settings: DaemonSettings) -> None:
        """Start it, and return once it serves."""
        serving = self._loop.create_future()
        context = contextvars.copy_context()
        context.run(HOST.set, self.host)
        self._life = self._loop.create_task(self._live(link, settings, serving), context=context)
        await asyncio.wait([self._life, serving], return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            self._life.result()  # it failed, which is not to keep the world waiting

    async def stop(self) -> None:
        """End it in good order, as SIGTERM does."""
        self._network.stop_accepting(self.host)
        self._stop.set()
        assert self._life is not None
        await self._life
        self._network.stop_listening(self.host)

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""
        self._killed = True
        self._network.stop_listening(self.host)
        self._loop.crash_host(self.host)

    def freeze(self) -> None:
        """Have it stand still, as SIGSTOP does: its connections stay, and nothing is answered."""
        self._loop.freeze_host(self.host)

    def thaw(self) -> None:
        """Have it go on, unless it was killed meanwhile."""
        if not self._killed:
            self._loop.thaw_host(self.host)

    def _wall(self) -> datetime:
        return app.utc_now() + timedelta(seconds=self.ahead_s)

    async def _live(
        self, link: RedisClient, settings: DaemonSettings, serving: asyncio.Future[None]
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            opened = app.open_runtime(
                settings,
                wall=self._wall,
                monotonic=self._loop.time,
                commands=RedisAccess(link),
                outward=OutwardConnections(1000, _connect),
            )
            self.runtime = await stack.enter_async_context(opened)
            await self.runtime.synchronise_clock()
            work = app.run_background_work(
                self.runtime, grace_s=GRACE_S, on_death=lambda: self.deaths.append(self.host)
            )
            await stack.enter_async_context(work)
            watch = asyncio.create_task(watch_unserved_customers(self.runtime))
            stack.callback(watch.cancel)
            runner = ListenerRunner(app.create_app(self.runtime), shutdown_timeout=GRACE_S)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            assert runner.server is not None
            self._network.listen(self.host, runner.server)
            self._serves, self.serves_since = True, self._loop.time()
            serving.set_result(None)
            await self._stop.wait()


def _connect(limit: int) -> aiohttp.BaseConnector:
    return aiohttp.UnixConnector("/the/world", limit=limit)
