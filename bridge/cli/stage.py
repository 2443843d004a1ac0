"""The demo's stage: a Redis, both fakes and the real daemon between them, on loopback, with a configuration of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge import logs, settings
from bridge.cli.tape import EQUALTURE, SOFTGARDEN, Tape
from bridge.core import ids
from bridge.errors import BridgeError
from bridge.sandbox import Account, EqualtureSandbox, SoftgardenClient, SoftgardenSandbox
from bridge.serve import Stop, serve
from bridge.settings import Settings
from bridge.store import embedded
from bridge.store.commands import Commands
from bridge.store.connection import open_client

HOST = "127.0.0.1"
CUSTOMER = "acme"
CLIENT_ID, CLIENT_SECRET = "acme", "acme-secret"
PUBLIC_CLIENT = "10"
"""softgarden's notifications come with a public OAuth client; its id is no secret."""
TEST_ID = "engineer"
JOBS = {
    "0b8f5c52-8a3e-4a55-9f0c-6c1a5f1f2a11": "Assessment - Engineer",
    "5d2c7b9e-41f0-4c1d-8a6b-9e3f7a20c4d2": "Assessment - Sales",
    "c7e1a4f3-92b8-4d7e-b5c6-1f8d3e6a7b90": "Assessment - Customer Service",
}

_BRIDGE_YAML = """\
public_url: http://{host}:{bridge}
listen: {host}:{bridge}
admin_listen: {host}:{admin}
redis: {{url: "{redis_url}"}}
signing_keys: ["{signing_key}"]
log: {{level: info, format: json}}
equalture: {{base_url: "{equalture_url}"}}
softgarden:
  callback_hosts: [{host}]
  allow_insecure: true             # both vendors are fakes on this machine
"""

_CUSTOMER_YAML = """\
softgarden: {{tokens_sha256: [{digest}], client_id: "{public_client}"}}
equalture: {{client_id: {client_id}, client_secret: {client_secret}, webhook_secret: "{webhook_secret}", locale: en}}
tests:
  publish_unmapped: true
  items:
    - {{id: {test_id}, job_id: {job_id}, name: Engineer assessment, duration: 30}}
test_url: landing
hire: {{enabled: true, tokens_sha256: [{hire_digest}]}}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the four listen; 0 means any free port."""

    bridge: int = 0
    admin: int = 0
    equalture: int = 0
    softgarden: int = 0

    def settled(self) -> Ports:
        """The same, with another free port for each that is taken."""
        with contextlib.ExitStack() as held:
            # All are held until the last is chosen, lest one is chosen twice.
            wanted = (self.bridge, self.admin, self.equalture, self.softgarden)
            return Ports(*(held.enter_context(_free(port)) for port in wanted))


@dataclass(frozen=True, slots=True)
class Stage:
    """What the journey is played on; *token* and *hire_token* are the customer's, *log* the daemon's."""

    folder: Path
    config: Path
    log: Path
    settings: Settings
    token: str
    hire_token: str
    redis_url: str
    commands: Commands
    equalture: EqualtureSandbox
    softgarden: SoftgardenSandbox
    client: SoftgardenClient
    admin_url: str
    """Where the bridge's other listener is reached."""

    @property
    def bridge_url(self) -> str:
        """Where the bridge's public listener is reached."""
        return self.settings.public_url


@contextlib.asynccontextmanager
async def open_stage(tape: Tape, ports: Ports) -> AsyncIterator[Stage]:
    """Set everything up on free ports in a fresh folder, and clear it all away."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-demo-", ignore_cleanup_errors=True))
        )
        log = folder / "bridge.log"
        logs.configure("info", "json", stack.enter_context(log.open("w", encoding="utf-8")))
        stack.callback(logs.configure, "warning", "console")  # before the file is closed
        redis_url = await stack.enter_async_context(embedded.running(folder / "redis"))
        commands = await stack.enter_async_context(open_client(redis_url))
        ports = ports.settled()
        equalture = EqualtureSandbox(port=ports.equalture, on_call=partial(tape.listen, EQUALTURE))
        softgarden = SoftgardenSandbox(port=ports.softgarden, on_call=partial(tape.listen, SOFTGARDEN))
        await stack.enter_async_context(equalture)
        await stack.enter_async_context(softgarden)
        token, hire_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        account = sample_account(equalture)
        account.webhook_secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        config = folder / "config"
        _write_config(config, ports, redis_url, equalture.base_url, (token, hire_token), account)
        loaded = settings.load(config, {})
        account.webhook_url = f"{loaded.public_url}/equalture/webhooks/{CUSTOMER}"
        softgarden.add_customer(CUSTOMER, PUBLIC_CLIENT)
        client = softgarden.connect(loaded.public_url, token, customer=CUSTOMER)
        await stack.enter_async_context(_daemon(loaded))
        admin_url = f"http://{HOST}:{ports.admin}"
        yield Stage(
            folder,
            config,
            log,
            loaded,
            token,
            hire_token,
            redis_url,
            commands,
            equalture,
            softgarden,
            client,
            admin_url,
        )


def sample_account(equalture: EqualtureSandbox) -> Account:
    """Give the fake the sample account with its three jobs."""
    return equalture.add_account(CLIENT_ID, CLIENT_SECRET, JOBS.items())


def _write_config(
    config: Path, ports: Ports, redis_url: str, equalture_url: str, tokens: tuple[str, str], account: Account
) -> None:
    """As an administrator would: other commands can be tried with it, too."""
    (config / "customers").mkdir(parents=True)
    bridge = _BRIDGE_YAML.format(
        host=HOST,
        bridge=ports.bridge,
        admin=ports.admin,
        redis_url=redis_url,
        signing_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        equalture_url=equalture_url,
    )
    customer = _CUSTOMER_YAML.format(
        digest=ids.digest(tokens[0]),
        hire_digest=ids.digest(tokens[1]),
        public_client=PUBLIC_CLIENT,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        webhook_secret=account.webhook_secret,
        test_id=TEST_ID,
        job_id=next(iter(JOBS)),
    )
    (config / "bridge.yaml").write_text(bridge, "utf-8")
    (config / "customers" / f"{CUSTOMER}.yaml").write_text(customer, "utf-8")


@contextlib.asynccontextmanager
async def _daemon(loaded: Settings) -> AsyncIterator[None]:
    stop, started = Stop(asyncio.Event()), asyncio.Event()
    daemon = asyncio.create_task(serve(loaded, stop=stop, started=started, signals=False))
    ready = asyncio.create_task(started.wait())
    try:
        await asyncio.wait((daemon, ready), return_when=asyncio.FIRST_COMPLETED)
        if daemon.done() and not started.is_set():
            raise BridgeError("the bridge ended while it was starting") from daemon.exception()
        yield
    finally:
        ready.cancel()
        stop.now()
        await asyncio.wait((daemon,))
        daemon.exception()  # looked at, or asyncio would print it; the log has it


@contextlib.contextmanager
def _free(wanted: int) -> Iterator[int]:
    with socket.socket() as probe:
        # As the servers do: a port that was used a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        yield port
