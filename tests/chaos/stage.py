"""Everything that a run needs: Redis, bridge processes, both fakes, and a folder with
configurations and logs.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml

from tests.chaos.plan import CUSTOMERS, HASTY, HASTY_LIFE_S, Options
from tests.chaos.vendors import Equalture, Softgarden
from tests.redis_servers import RedisServer, binaries, free_port

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
PREFIX = "chaos"
EQUALTURE_TIMEOUT_S = 2
RETRY = ["200ms", "300ms", "500ms", "800ms", *["1s"] * 4, *["2s"] * 8, *["3s"] * 8, *["5s"] * 8]
READY_S = 30.0


def token_of(customer: str) -> str:
    """The bearer token of softgarden for a customer."""
    return f"bearer-of-{customer}-0123456789"


def secret_of(customer: str) -> str:
    """The customer's secret at Equalture."""
    return f"client-secret-of-{customer}"


@dataclass(slots=True)
class Bridge:
    """One bridge process; it keeps its port and its log over restarts."""

    number: int
    config: Path
    log: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Begin; see ``ready``."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "bridge", "serve", "--config", str(self.config)]
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ)
            )

    async def ready(self, session: aiohttp.ClientSession, within_s: float = READY_S) -> None:
        """Return once it takes work."""
        deadline = perf_counter() + within_s
        while perf_counter() < deadline:
            try:
                async with session.get(
                    f"{self.url}/readyz", timeout=aiohttp.ClientTimeout(total=2)
                ) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.05)
        raise RuntimeError(f"bridge {self.number} is not ready after {within_s} s; see {self.log}")

    async def end(self, *, kill: bool) -> int:
        """End it, at this instant or in good order; its exit code."""
        assert self.process is not None
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        return await asyncio.to_thread(self.process.wait, 40)


class Stage:
    """``async with Stage(options)``: all is running. *keep* leaves the folder behind."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-chaos-"))
        self.keep = True
        random_fraction = random.Random(f"{options.seed}/vendors")
        self.equalture = Equalture(rng=random_fraction, max_entries=1_000_000)
        self.softgarden = Softgarden(rng=random_fraction, max_entries=1_000_000)
        self.redis_port = free_port()
        settings = {"port": str(self.redis_port), "bind": HOST}
        self.redis = RedisServer(next(iter(binaries().values())), durable=True, settings=settings)
        self.redis_url = f"redis://{HOST}:{self.redis_port}/0"
        self.bridges: list[Bridge] = []
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """For looking after the bridges."""
        assert self._session is not None
        return self._session

    async def __aenter__(self) -> Stage:
        try:
            await self._open()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for bridge in self.bridges:
            if bridge.process is not None and bridge.process.poll() is None:
                bridge.process.kill()
                bridge.process.wait()
        await self.softgarden.close()
        await self.equalture.close()
        if self._session is not None:
            await self._session.close()
        self.redis.close()
        if not self.keep:
            for path in sorted(self.folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            self.folder.rmdir()

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession()
        await asyncio.to_thread(self.redis.start)
        await self.equalture.start()
        await self.softgarden.start()
        ports = [free_port() for _ in range(self.options.processes)]
        for number, port in enumerate(ports):
            config = self.folder / f"bridge-{number}"
            # As behind a load balancer: one public address, many processes.
            self._write(
                config, port, f"http://{HOST}:{ports[0]}", self.equalture.address_for(number)
            )
            self.bridges.append(Bridge(number, config, self.folder / f"bridge-{number}.log", port))
        for number, customer in enumerate(CUSTOMERS):
            account = self.equalture.add_account(
                customer, secret_of(customer), [(f"job-{customer}", "Assessment")]
            )
            self.softgarden.add_customer(customer, str(number))
            self.softgarden.lines[customer] = [
                self.softgarden.connect(bridge.url, token_of(customer), customer=customer)
                for bridge in self.bridges
            ]
            if customer == "initech":
                account.webhook_url = f"{self.bridges[-1].url}/equalture/webhooks/{customer}"
                account.webhook_secret = _webhook_secret(customer)
        for bridge in self.bridges:
            bridge.start()
        await asyncio.gather(*(bridge.ready(self.session) for bridge in self.bridges))

    def through(self, bridge: Bridge, url: str) -> str:
        """A public URL of the bridge's as it is routed to this process."""
        parts = urlsplit(url)
        return f"{bridge.url}{parts.path}"

    def _write(self, config: Path, port: int, public_url: str, equalture_url: str) -> None:
        (config / "customers").mkdir(parents=True)
        daemon = {
            "public_url": public_url,
            "listen": f"{HOST}:{port}",
            "admin_listen": f"{HOST}:{free_port()}",
            "redis": {"url": self.redis_url, "key_prefix": PREFIX, "require_durable": "refuse"},
            "signing_keys": ["A" * 43],
            "log": {"level": "info", "format": "json"},
            "equalture": {
                "base_url": equalture_url,
                "timeout": f"{EQUALTURE_TIMEOUT_S}s",
                "poll_every": "3s",
            },
            "softgarden": {
                "callback_hosts": [HOST],
                "allow_insecure": True,
                "timeout": "3s",
                "retry": RETRY,
            },
        }
        (config / "bridge.yaml").write_text(yaml.safe_dump(daemon), "utf-8")
        for number, customer in enumerate(CUSTOMERS):
            document = _customer(customer, number)
            (config / "customers" / f"{customer}.yaml").write_text(
                yaml.safe_dump(document), "utf-8"
            )


def _customer(name: str, number: int) -> dict[str, Any]:
    equalture: dict[str, Any] = {"client_id": name, "client_secret": secret_of(name)}
    if name == HASTY:
        # Expired ones are asked about for a day: not too often, for their number grows over a run.
        equalture |= {"link_life": f"{HASTY_LIFE_S}s", "poll_every": "6s"}
    if name == "initech":
        equalture["webhook_secret"] = _webhook_secret(name)
    digest = hashlib.sha256(token_of(name).encode()).hexdigest()
    return {
        "softgarden": {"tokens_sha256": [digest], "client_id": str(number)},
        "equalture": equalture,
        "results": {"score": "{fit}"},
    }


def _webhook_secret(name: str) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()
