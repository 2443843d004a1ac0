"""The servers under test: processes of ours, each with its own Redis, vendors and ledger."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench import floor
from tests.bench.generator import Load
from tests.bench.ledger import Ledger
from tests.bench.operations import Caller
from tests.bench.redis_use import RedisMeter, open_meter
from tests.bench.simulator import HOST, run_vendors
from tests.redis_servers import RedisServer, binaries, free_port

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE, REST_CORE = 0, 1
"""Servers under test share the first; Redis, the vendors and the callers have the second."""
PEER_PYTHON = ROOT / ".bench" / "venv" / "bin" / "python"
"""It has FastAPI, which the bridge does without."""
FASTAPI_TOKEN = "fastapi-token-0123456789"
START_S = 30.0
SAMPLES = "samples.json"
BRIDGE_TOKEN = "bridge-token-0123456789"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a candidate runs, and whom it talks to."""

    folder: Path
    port: int
    redis_url: str
    vendor_url: str


@dataclass(frozen=True, slots=True)
class Kind:
    """How a candidate is started: a command line, and the bearer token that it takes."""

    name: str
    token: str
    command: Callable[[Place], Sequence[str | Path]]


def _floor_command(place: Place) -> Sequence[str | Path]:
    arguments = (str(place.port), place.redis_url, place.vendor_url)
    return (sys.executable, "-m", "tests.bench.floor", *arguments)


def _bridge_command(place: Place) -> Sequence[str | Path]:
    return (sys.executable, "-m", "bridge", "serve", "--config", write_config(place))


FLOOR = Kind("floor", floor.TOKEN, _floor_command)
CONTROL = Kind("control", floor.TOKEN, _floor_command)
"""Another FLOOR: what differs between it and the first is what the machine makes of equals."""


def _fastapi_command(place: Place) -> Sequence[str | Path]:
    arguments = (str(place.port), place.redis_url, place.vendor_url)
    return (PEER_PYTHON, "-m", "tests.bench.fastapi_service", *arguments)


def _sampled_command(place: Place) -> Sequence[str | Path]:
    python = (sys.executable, "-m", "tests.bench.sampler", place.folder / SAMPLES)
    return (*python, "serve", "--config", write_config(place))


FASTAPI = Kind("fastapi", FASTAPI_TOKEN, _fastapi_command)
"""The same service in the style of most; ``PEER_PYTHON`` may be missing."""
BRIDGE = Kind("bridge", BRIDGE_TOKEN, _bridge_command)
SAMPLED = Kind("bridge", BRIDGE_TOKEN, _sampled_command)
"""The bridge under a sampling profiler."""


def write_config(place: Place) -> Path:
    """The configuration of a bridge with one customer; what is not about places has its default."""
    config = place.folder / "config"
    (config / "customers").mkdir(parents=True)
    daemon: dict[str, Any] = {
        "public_url": f"http://{HOST}:{place.port}",
        "listen": f"{HOST}:{place.port}",
        "admin_listen": f"{HOST}:{free_port()}",
        "redis": {"url": place.redis_url},
        "signing_keys": ["A" * 43],
        "equalture": {"base_url": place.vendor_url},
        "softgarden": {"callback_hosts": [HOST], "allow_insecure": True},
    }
    digest = hashlib.sha256(BRIDGE_TOKEN.encode()).hexdigest()
    customer = {
        "softgarden": {"tokens_sha256": [digest], "client_id": "10"},
        "equalture": {"client_id": "acme", "client_secret": "secret-of-acme"},
    }
    (config / "bridge.yaml").write_text(yaml.safe_dump(daemon), "utf-8")
    (config / "customers" / "acme.yaml").write_text(yaml.safe_dump(customer), "utf-8")
    return config


@dataclass
class Candidate:
    """A running server under test."""

    kind: Kind
    pid: int
    place: Place
    redis: RedisMeter
    ledger: Ledger
    caller: Caller
    load: Load

    @property
    def name(self) -> str:
        """Its name in the report."""
        return self.kind.name


@contextlib.contextmanager
def on_core(core: int) -> Any:
    """What is started here runs on this core alone, if there is more than one."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {sorted(before)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def run_candidate(
    kind: Kind, folder: Path, *, connections: int = 32, vendor_delay_s: float = 0.0
) -> AsyncIterator[Candidate]:
    """Redis, vendors and the server itself; all of them are ended when this is left."""
    place_of_its_own = folder / kind.name
    place_of_its_own.mkdir()
    ledger = Ledger(kind.name)
    async with contextlib.AsyncExitStack() as stack:
        settings = {"port": str(free_port()), "bind": HOST}
        redis = RedisServer(next(iter(binaries().values())), settings=settings)
        stack.callback(redis.close)
        with on_core(REST_CORE):
            redis.start()
        vendor_port = await stack.enter_async_context(run_vendors(ledger, vendor_delay_s))
        place = Place(
            place_of_its_own,
            free_port(),
            f"redis://{HOST}:{settings['port']}/0",
            f"http://{HOST}:{vendor_port}",
        )
        process = stack.enter_context(_run_server(kind, place))
        load = Load(ledger, place.port)
        await _await_start(process, place)
        await load.open(connections)
        stack.callback(load.close)
        meter = stack.enter_context(open_meter(redis))
        caller = Caller(ledger, kind.token, vendor_port)
        yield Candidate(kind, process.pid, place, meter, ledger, caller, load)


@contextlib.contextmanager
def _run_server(kind: Kind, place: Place) -> Any:
    command = kind.command(place)
    with (place.folder / "log").open("wb") as log, on_core(SERVER_CORE):
        # A session of its own: Ctrl-C is for us, who end it in good order.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _await_start(process: subprocess.Popen[bytes], place: Place) -> None:
    """Return once the server answers that it is ready."""
    deadline = asyncio.get_running_loop().time() + START_S
    while asyncio.get_running_loop().time() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, place.port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            line = await reader.readline()
            writer.close()
            if b" 200 " in line:
                return
        await asyncio.sleep(0.05)
    log = (place.folder / "log").read_text("utf-8", "replace")[-2000:]
    raise RuntimeError(f"{process.args!r} is not ready:\n{log}")
