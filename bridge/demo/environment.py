"""The environment of the demo: a Redis, both fakes and the real daemon between them, on
loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from bridge import app, logs, supervisor
from bridge.demo import demo_config
from bridge.demo.browser import Browser, open_browser
from bridge.demo.call_log import CallLog
from bridge.errors import BridgeError, ConfigError
from bridge.sandbox import EqualtureSandbox, SoftgardenClient, SoftgardenSandbox
from bridge.sandbox_page import add_sandbox_page
from bridge.serve import StopSignals, serve
from bridge.settings.daemon import DaemonSettings
from bridge.settings.rules import ListenAddress


@dataclass(slots=True)
class AdjustableTime:
    """The daemon's monotonic time, *ahead_s* seconds ahead of the real one."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Seconds from any beginning."""
        return time.monotonic() + self.ahead_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEnvironment:
    """Everything that the journey needs; *log* is the daemon's."""

    config: Path
    log: Path
    settings: DaemonSettings
    secrets: demo_config.DemoSecrets
    redis_url: str
    equalture: EqualtureSandbox
    softgarden: SoftgardenSandbox
    client: SoftgardenClient
    browser: Browser
    calls: CallLog
    time: AdjustableTime

    @property
    def bridge_url(self) -> str:
        """Where the bridge's public listener is reached."""
        return self.settings.public_url

    @property
    def admin_url(self) -> str:
        """Where its other listener is reached."""
        return f"http://{self.settings.admin_listen}"


@contextlib.asynccontextmanager
async def open_demo_environment(
    ports: Sequence[int] = (0, 0, 0, 0),
) -> AsyncIterator[DemoEnvironment]:
    """Set everything up in a new folder, and remove it afterwards.

    *ports* of the bridge, its admin listener, Equalture and softgarden; 0 means any free port, and
    so does one that is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="bridge-demo-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        log, config = folder / "bridge.log", folder / "config"
        logs.configure_logging("info", "json", stack.enter_context(log.open("w", encoding="utf-8")))
        stack.callback(logs.configure_logging, "warning", "console")  # before the file is closed
        redis_url = await stack.enter_async_context(app.run_embedded_redis(folder / "redis"))
        calls, secrets, monotonic = CallLog(), demo_config.DemoSecrets(), AdjustableTime()
        equalture = EqualtureSandbox(port=ports[2], on_call=calls.add)
        softgarden = SoftgardenSandbox(port=ports[3], on_call=calls.add)
        add_sandbox_page(equalture, softgarden)
        for fake in (equalture, softgarden):
            try:
                await stack.enter_async_context(fake)
            except OSError:
                fake.port = 0
                await stack.enter_async_context(fake)
        listeners = [stack.enter_context(_listening(port)) for port in ports[:2]]
        bound = [listener.getsockname()[1] for listener in listeners]
        demo_config.write_demo_config(
            config, secrets, ports=bound, redis=redis_url, equalture=equalture.base_url
        )
        loaded = app.CONFIGURATION.load(config, {})
        await stack.enter_async_context(_daemon(loaded, listeners, monotonic))
        account = demo_config.add_demo_account(equalture)
        account.webhook_url = f"{loaded.public_url}/equalture/webhooks/{demo_config.CUSTOMER}"
        account.webhook_secret = secrets.webhook
        softgarden.add_customer(demo_config.CUSTOMER, demo_config.PUBLIC_CLIENT)
        client = softgarden.connect(loaded.public_url, secrets.token, customer=demo_config.CUSTOMER)
        browser = await stack.enter_async_context(open_browser(calls, loaded.public_url))
        yield DemoEnvironment(
            config=config,
            log=log,
            settings=loaded,
            secrets=secrets,
            redis_url=redis_url,
            equalture=equalture,
            softgarden=softgarden,
            client=client,
            browser=browser,
            calls=calls,
            time=monotonic,
        )


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket]:
    """A listener at *port*, or at any free one if that is taken."""
    try:
        listener = supervisor.open_listening_socket(ListenAddress(demo_config.HOST, port))
    except ConfigError:
        listener = supervisor.open_listening_socket(ListenAddress(demo_config.HOST, 0))
    with contextlib.closing(listener):
        yield listener


@contextlib.asynccontextmanager
async def _daemon(
    loaded: DaemonSettings, listeners: list[socket], monotonic: AdjustableTime
) -> AsyncIterator[None]:
    """The daemon, serving; it leaves signals to us."""
    stop, started = StopSignals(asyncio.Event()), asyncio.Event()
    serving = asyncio.create_task(
        serve(
            loaded,
            stop=stop,
            started=started,
            signals=False,
            monotonic=monotonic,
            listeners=listeners,
        )
    )
    ready = asyncio.create_task(started.wait())
    try:
        await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            error = serving.exception()
            raise BridgeError(f"the bridge ended while it was starting: {error}") from error
        yield
    finally:
        ready.cancel()
        stop.request_stop()
        await asyncio.wait((serving,))
        serving.exception()  # looked at, or asyncio would print it; the log has it
