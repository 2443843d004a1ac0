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

from tests.chaos.lossy_link import LossyLink
from tests.chaos.plan import CUSTOMERS, HASTY, HASTY_LIFE_S, Options
from tests.chaos.vendors import Equalture, Softgarden
from tests.redis_servers import Cluster, RedisServer, binaries, free_port

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
    """One bridge process; it keeps its ports and its log over restarts."""

    number: int
    config: Path
    log: Path
    port: int
    admin_port: int
    clock: Path | None
    """By how many seconds its host's clock is wrong; None: that is the machine's own clock."""
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Begin; see ``ready``."""
        with self.log.open("ab") as log:
            program = ["bridge"]
            if self.clock is not None:
                program = ["tests.chaos.shifted_bridge", str(self.clock)]
            self.process = subprocess.Popen(
                self._line(*program, command="serve"),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=dict(os.environ),
            )

    def reconcile(self) -> None:
        """What an operator does who has repaired Redis; raises ``CalledProcessError``."""
        line = self._line("bridge", command="reconcile")
        subprocess.run(line, cwd=ROOT, capture_output=True, check=True, timeout=120)

    def _line(self, *program: str, command: str) -> list[str]:
        return [sys.executable, "-m", *program, command, "--config", str(self.config)]

    def set_clock(self, wrong_by_s: float) -> None:
        """Have its host's clock wrong by so much."""
        assert self.clock is not None
        file = self.clock.with_suffix(".new")
        file.write_text(str(wrong_by_s), "ascii")
        file.replace(self.clock)

    async def ask(
        self, session: aiohttp.ClientSession, path: str, *, admin: bool = False, token: str = ""
    ) -> tuple[int, str]:
        """Status and text of a GET; (0, "") without an answer."""
        url = f"http://{HOST}:{self.admin_port}" if admin else self.url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with session.get(
                url + path, headers=headers, timeout=aiohttp.ClientTimeout(total=4)
            ) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, ""

    async def ready(self, session: aiohttp.ClientSession, within_s: float = READY_S) -> None:
        """Return once it takes work."""
        deadline = perf_counter() + within_s
        while perf_counter() < deadline:
            if (await self.ask(session, "/readyz"))[0] == 200:
                return
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
    """``async with Stage(options)``: all is running. *keep* leaves the folder behind.

    The first bridge is as a user starts it. The others reach Redis over *links* that can lose its
    answers, and have hosts with clocks of their own. *clustered*: Redis is a cluster, and nobody
    takes the place of a primary; then there are no such links.
    """

    def __init__(self, options: Options, *, clustered: bool = False) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-chaos-"))
        self.keep = True
        random_fraction = random.Random(f"{options.seed}/vendors")
        self.equalture = Equalture(rng=random_fraction, max_entries=1_000_000)
        self.softgarden = Softgarden(rng=random_fraction, max_entries=1_000_000)
        binary = next(iter(binaries().values()))
        self._servers: RedisServer | Cluster
        if clustered:
            self._servers = Cluster(binary, replicas=False)
            self.redis_url = self._servers.url
        else:
            port = free_port()
            settings = {"port": str(port), "bind": HOST}
            self._servers = RedisServer(binary, durable=True, settings=settings)
            self.redis_url = f"redis://{HOST}:{port}/0"
        self.links: list[LossyLink] = []
        self._held_until = perf_counter()
        self._holds = False
        self.bridges: list[Bridge] = []
        self._session: aiohttp.ClientSession | None = None

    @property
    def redis(self) -> RedisServer:
        """The one server, where it is no cluster."""
        assert isinstance(self._servers, RedisServer)
        return self._servers

    @property
    def cluster(self) -> Cluster:
        """The servers, where they are one."""
        assert isinstance(self._servers, Cluster)
        return self._servers

    @property
    def holds(self) -> bool:
        """Whether a strike lasts until some journeys are over."""
        return self._holds

    @holds.setter
    def holds(self, value: bool) -> None:
        self._held_until = perf_counter()
        self._holds = value

    @property
    def calm_s(self) -> float:
        """For how long none has."""
        return 0.0 if self._holds else perf_counter() - self._held_until

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
        for link in self.links:
            await link.close()
        self._servers.close()
        if not self.keep:
            for path in sorted(self.folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            self.folder.rmdir()

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession()
        await asyncio.to_thread(self._servers.start)
        await self.equalture.start()
        await self.softgarden.start()
        ports = [free_port() for _ in range(self.options.processes)]
        for number, port in enumerate(ports):
            config, redis_url = self.folder / f"bridge-{number}", self.redis_url
            bridge = Bridge(
                number,
                config,
                log=self.folder / f"bridge-{number}.log",
                port=port,
                admin_port=free_port(),
                clock=self.folder / f"bridge-{number}.clock" if number else None,
            )
            if number:
                bridge.set_clock(0.0)
            if number and isinstance(self._servers, RedisServer):
                self.links.append(LossyLink(HOST, int(self._servers.settings["port"])))
                await self.links[-1].start()
                redis_url = f"redis://{HOST}:{self.links[-1].port}/0"
            # As behind a load balancer: one public address, many processes.
            self._write(bridge, f"http://{HOST}:{ports[0]}", redis_url)
            self.bridges.append(bridge)
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

    def _write(self, bridge: Bridge, public_url: str, redis_url: str) -> None:
        (bridge.config / "customers").mkdir(parents=True)
        daemon = {
            "public_url": public_url,
            "listen": f"{HOST}:{bridge.port}",
            "admin_listen": f"{HOST}:{bridge.admin_port}",
            "redis": {"url": redis_url, "key_prefix": PREFIX, "require_durable": "refuse"},
            "signing_keys": ["A" * 43],
            "log": {"level": "info", "format": "json"},
            "equalture": {
                "base_url": self.equalture.address_for(bridge.number),
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
        (bridge.config / "bridge.yaml").write_text(yaml.safe_dump(daemon), "utf-8")
        for customer in CUSTOMERS:
            file = bridge.config / "customers" / f"{customer}.yaml"
            file.write_text(yaml.safe_dump(describe_customer(customer)), "utf-8")


def describe_customer(name: str) -> dict[str, Any]:
    """What this customer's file says."""
    equalture: dict[str, Any] = {"client_id": name, "client_secret": secret_of(name)}
    if name == HASTY:
        # Expired ones are asked about for a day: not too often, for their number grows over a run.
        equalture |= {"link_life": f"{HASTY_LIFE_S}s", "poll_every": "6s"}
    if name == "initech":
        equalture["webhook_secret"] = _webhook_secret(name)
    digest = hashlib.sha256(token_of(name).encode()).hexdigest()
    return {
        "softgarden": {"tokens_sha256": [digest], "client_id": str(CUSTOMERS.index(name))},
        "equalture": equalture,
        "results": {"score": "{fit}"},
    }


def _webhook_secret(name: str) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()
