"""The servers under test: processes of ours, each with its own Redis, vendors and ledger."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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
BRIDGE_TOKEN = "bridge-token-0123456789"
START_S = 30.0
DURABILITY: Mapping[str, Mapping[str, str]] = {
    "memory": {},
    "everysec": {"appendonly": "yes", "appendfsync": "everysec"},
    "always": {"appendonly": "yes", "appendfsync": "always"},
}
"""Settings of Redis by how it keeps what it confirms."""
SEEN = "seen.json"
"""What an instrument saw."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a candidate stands in."""

    connections: int = 32
    vendor_delay_s: float = 0.0
    """How long each answer of a vendor takes."""
    redis: Mapping[str, str] = field(default_factory=dict)
    """Settings of its Redis."""
    daemon: Mapping[str, Any] = field(default_factory=dict)
    """Keys of ``bridge.yaml`` that do not have their default."""
    prepare: Callable[[RedisServer], Awaitable[None]] | None = None
    """Done to its Redis before the candidate is started."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a candidate runs, and whom it talks to."""

    folder: Path
    port: int
    redis_url: str
    vendor_url: str
    daemon: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a candidate is started: a command line, and the bearer token that it takes."""

    name: str
    token: str
    command: Callable[[Place], Sequence[str | Path]]


def _compose_peer_command(python: str | Path, module: str, place: Place) -> Sequence[str | Path]:
    return (python, "-m", module, str(place.port), place.redis_url, place.vendor_url)


def _compose_bridge_command(
    place: Place, *, module: Sequence[str] = ("bridge",), workers: int = 1
) -> Sequence[str | Path]:
    watched = (place.folder / SEEN,) if len(module) > 1 else ()
    several = () if workers == 1 else ("--workers", str(workers))
    python = (sys.executable, "-m", *module, *watched)
    return (*python, "serve", "--config", write_config(place), *several)


_floor = partial(_compose_peer_command, sys.executable, "tests.bench.floor")
FLOOR = Kind("floor", floor.TOKEN, _floor)
CONTROL = Kind("control", floor.TOKEN, _floor)
"""Another FLOOR: what differs between it and the first is what the machine makes of equals."""
FASTAPI = Kind(
    "fastapi",
    FASTAPI_TOKEN,
    partial(_compose_peer_command, PEER_PYTHON, "tests.bench.fastapi_service"),
)
"""The same service in the style of most; ``PEER_PYTHON`` may be missing."""
BRIDGE = Kind("bridge", BRIDGE_TOKEN, _compose_bridge_command)
_INSTRUMENTED = "tests.bench.instrumented"
SAMPLED = Kind(
    "bridge", BRIDGE_TOKEN, partial(_compose_bridge_command, module=(_INSTRUMENTED, "samples"))
)
"""The bridge under a sampling profiler."""
COUNTED = Kind(
    "bridge", BRIDGE_TOKEN, partial(_compose_bridge_command, module=(_INSTRUMENTED, "calls"))
)
"""The bridge with its function calls counted."""


def create_bridge_kind(name: str, *, workers: int = 1) -> Kind:
    """The bridge by another name, or with several processes."""
    return Kind(name, BRIDGE_TOKEN, partial(_compose_bridge_command, workers=workers))


def write_config(place: Place) -> Path:
    """The configuration of a bridge with one customer; what is not about places has its default."""
    config = place.folder / "config"
    (config / "customers").mkdir(parents=True)
    daemon: dict[str, Any] = {
        "public_url": f"http://{HOST}:{place.port}",
        "listen": f"{HOST}:{place.port}",
        "admin_listen": f"{HOST}:{free_port()}",
        "signing_keys": ["A" * 43],
        "equalture": {"base_url": place.vendor_url},
        "softgarden": {"callback_hosts": [HOST], "allow_insecure": True},
        **place.daemon,
        "redis": {"url": place.redis_url, **place.daemon.get("redis", {})},
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
def on_core(core: int | None) -> Iterator[None]:
    """What is started here runs on this core alone, if there is more than one; None: on any."""
    before = os.sched_getaffinity(0)
    cores = sorted(before if core is not None else range(os.cpu_count() or 1))
    if core is not None and len(cores) > 1:
        os.sched_setaffinity(0, {cores[core]})
    elif core is None:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def run_candidate(
    kind: Kind, folder: Path, setting: Setting | None = None, core: int | None = SERVER_CORE
) -> AsyncIterator[Candidate]:
    """Redis, vendors and the server itself, on *core*; all are ended when this is left."""
    setting = setting or Setting()
    home = folder / kind.name
    home.mkdir(parents=True)
    ledger = Ledger(kind.name)
    async with contextlib.AsyncExitStack() as stack:
        port = str(free_port())
        redis = RedisServer(
            next(iter(binaries().values())), settings={"port": port, "bind": HOST, **setting.redis}
        )
        stack.callback(redis.close)
        redis.start()
        if setting.prepare is not None:
            await setting.prepare(redis)
        vendor_port = await stack.enter_async_context(run_vendors(ledger, setting.vendor_delay_s))
        vendors = f"http://{HOST}:{vendor_port}"
        place = Place(home, free_port(), f"redis://{HOST}:{port}/0", vendors, setting.daemon)
        process = stack.enter_context(_run_server(kind, place, core))
        load = Load(ledger, place.port)
        await _await_start(process, place)
        await load.open(setting.connections)
        stack.callback(load.close)
        meter = stack.enter_context(open_meter(redis))
        caller = Caller(ledger, kind.token, vendor_port)
        yield Candidate(kind, process.pid, place, meter, ledger, caller, load)


@contextlib.contextmanager
def _run_server(kind: Kind, place: Place, core: int | None) -> Iterator[subprocess.Popen[bytes]]:
    command = kind.command(place)
    with (place.folder / "log").open("wb") as log, on_core(core):
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
