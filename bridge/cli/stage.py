"""The demo's stage: a Redis, both fakes and the real daemon between them, on loopback, with a
configuration of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from bridge import logs, settings
from bridge.cli import sample
from bridge.cli.tape import EQUALTURE, SOFTGARDEN, Tape
from bridge.errors import BridgeError, ConfigError
from bridge.sandbox import EqualtureSandbox, SoftgardenClient, SoftgardenSandbox
from bridge.serve import StopSignals, serve
from bridge.settings import Settings
from bridge.store import embedded
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess

Fake = TypeVar("Fake", EqualtureSandbox, SoftgardenSandbox)

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the four would like to listen; 0 means any free port, and so does one that is taken."""

    bridge: int = 0
    admin: int = 0
    equalture: int = 0
    softgarden: int = 0


@dataclass(slots=True)
class Hours:
    """The daemon's monotonic time, which the demo can have go on faster."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Seconds from any beginning."""
        return time.monotonic() + self.ahead_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the journey is played on; *log* is the daemon's."""

    config: Path
    log: Path
    settings: Settings
    secrets: sample.Secrets
    redis_url: str
    commands: RedisAccess
    equalture: EqualtureSandbox
    softgarden: SoftgardenSandbox
    client: SoftgardenClient
    hours: Hours

    @property
    def bridge_url(self) -> str:
        """Where the bridge's public listener is reached."""
        return self.settings.public_url

    @property
    def admin_url(self) -> str:
        """Where its other listener is reached."""
        return f"http://{self.settings.admin_listen}"


@contextlib.asynccontextmanager
async def open_stage(tape: Tape, ports: Ports) -> AsyncIterator[Stage]:
    """Set everything up in a fresh folder, and clear it all away."""
    async with contextlib.AsyncExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="bridge-demo-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
        log = folder / "bridge.log"
        logs.configure("info", "json", stack.enter_context(log.open("w", encoding="utf-8")))
        stack.callback(logs.configure, "warning", "console")  # before the file is closed
        redis_url = await stack.enter_async_context(embedded.running(folder / "redis"))
        commands = await stack.enter_async_context(open_client(redis_url))
        equalture = EqualtureSandbox(port=ports.equalture, on_call=partial(tape.listen, EQUALTURE))
        softgarden = SoftgardenSandbox(
            port=ports.softgarden, on_call=partial(tape.listen, SOFTGARDEN)
        )
        await _start(stack, equalture)
        await _start(stack, softgarden)
        secrets, hours = sample.Secrets(), Hours()
        config = folder / "config"
        write = partial(
            sample.write_config,
            config,
            redis_url=redis_url,
            equalture_url=equalture.base_url,
            using=secrets,
        )
        for attempt in range(_ATTEMPTS):
            port, admin_port = _free(ports.bridge, ports.admin) if attempt == 0 else _free(0, 0)
            write(port=port, admin_port=admin_port)
            loaded = settings.load(config, {})
            # Between looking and listening somebody else may have taken the port, such as another
            # demo.
            if await _start_daemon(stack, loaded, hours):
                break
        else:
            raise BridgeError("the bridge found no free port")
        account = sample.add_account(equalture)
        account.webhook_url = f"{loaded.public_url}/equalture/webhooks/{sample.CUSTOMER}"
        account.webhook_secret = secrets.webhook
        softgarden.add_customer(sample.CUSTOMER, sample.PUBLIC_CLIENT)
        client = softgarden.connect(loaded.public_url, secrets.token, customer=sample.CUSTOMER)
        yield Stage(
            config=config,
            log=log,
            settings=loaded,
            secrets=secrets,
            redis_url=redis_url,
            commands=commands,
            equalture=equalture,
            softgarden=softgarden,
            client=client,
            hours=hours,
        )


async def _start(stack: contextlib.AsyncExitStack, fake: Fake) -> None:
    try:
        await stack.enter_async_context(fake)
    except OSError:
        fake.port = 0
        await stack.enter_async_context(fake)


async def _start_daemon(stack: contextlib.AsyncExitStack, loaded: Settings, hours: Hours) -> bool:
    """Whether it listens; False where a port was taken.

    It ends with *stack*, and leaves signals to us.
    """
    stop, started = StopSignals(asyncio.Event()), asyncio.Event()
    daemon = asyncio.create_task(
        serve(loaded, stop=stop, started=started, signals=False, monotonic=hours)
    )
    ready = asyncio.create_task(started.wait())

    async def end() -> None:
        ready.cancel()
        stop.now()
        await asyncio.wait((daemon,))
        daemon.exception()  # looked at, or asyncio would print it; the log has it

    stack.push_async_callback(end)
    await asyncio.wait((daemon, ready), return_when=asyncio.FIRST_COMPLETED)
    if started.is_set():
        return True
    error = daemon.exception()
    if isinstance(error, OSError) or (
        isinstance(error, ConfigError) and error.complaints[0].file == "listen"
    ):
        return False
    raise BridgeError(f"the bridge ended while it was starting: {error}") from error


def _free(*wanted: int) -> list[int]:
    """The wanted ports, with another free one for each that is taken."""
    found = []
    with (
        contextlib.ExitStack() as held
    ):  # all are held until the last is found, lest one is found twice
        for port in wanted:
            probe = held.enter_context(socket.socket())
            # As the servers do: a port that was used a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((sample.HOST, port))
            except OSError:
                probe.bind((sample.HOST, 0))
            found.append(int(probe.getsockname()[1]))
    return found
