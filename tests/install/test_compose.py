"""What is shipped for Docker Compose: one public listener, a Redis that loses nothing, a proxy that
logs no secret.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml

import bridge
from tests.install.test_deploy import PINNED
from tests.install.test_environment import ROOT
from tests.redis_servers import binaries, free_port

COMPOSE = ROOT / "deploy" / "compose"


def test_compose_publishes_the_proxy_alone() -> None:
    """Only Caddy listens to the outside, Redis only to the bridge; all other images are pinned, and
    every container is hardened.
    """
    document = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))
    services = document["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["caddy"]
    assert {name for name, service in services.items() if "store" in service["networks"]} == {
        "bridge",
        "redis",
    }
    assert document["networks"]["store"]["internal"] is True
    assert services["bridge"]["image"] == f"assessment-bridge:{bridge.__version__}"
    for name, service in services.items():
        assert name == "bridge" or PINNED.fullmatch(service["image"])
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    for name in document["secrets"]:
        git = ("git", "check-ignore", "--quiet", document["secrets"][name]["file"])
        assert subprocess.run(git, cwd=COMPOSE, check=False).returncode == 0


@pytest.mark.redis
@pytest.mark.parametrize("server", binaries().values(), ids=list(binaries()))
def test_the_composed_redis_is_durable(server: Path, tmp_path: Path) -> None:
    """A Redis with Compose's file and file of secrets asks for a password, flushes every write, and
    forgets nothing.
    """
    auth = tmp_path / "redis-auth"
    auth.write_text("requirepass secret\n")
    socket = tmp_path / "socket"
    file = tmp_path / "valkey.conf"
    written = (COMPOSE / "valkey.conf").read_text("utf-8")
    file.write_text(written.replace("dir /data", f"dir {tmp_path}"))
    command = [server, file, "--include", auth, "--port", "0", "--unixsocket", socket]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as process,
        redis.Redis(unix_socket_path=str(socket), password="secret", protocol=2) as client,
        redis.Redis(unix_socket_path=str(socket), protocol=2) as stranger,
    ):
        deadline = time.monotonic() + 30
        while not socket.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
        try:
            found: dict[str, str] = {}
            for name in ("appendonly", "appendfsync", "maxmemory-policy", "save"):
                found |= client.config_get(name)
            assert found == {
                "appendonly": "yes",
                "appendfsync": "always",
                "maxmemory-policy": "noeviction",
                "save": "",
            }
            with pytest.raises(redis.AuthenticationError):
                stranger.get("x")
        finally:
            process.kill()


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[tuple[http.client.HTTPConnection, Path]]:
    """Caddy with the shipped file, in front of a bridge that is not there, and its log."""
    port = free_port()
    environ = {
        "BRIDGE_DOMAIN": f"http://127.0.0.1:{port}",
        "BRIDGE_UPSTREAM": f"127.0.0.1:{free_port()}",
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    log = tmp_path / "log"
    command = ["caddy", "run", "--config", COMPOSE / "Caddyfile", "--adapter", "caddyfile"]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, env={**os.environ, **environ}, stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        deadline = time.monotonic() + 30
        while True:
            try:
                connection.connect()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
        yield connection, log
        connection.close()
        process.kill()


@pytest.mark.caddy
def test_caddys_log_holds_no_secret(caddy: tuple[http.client.HTTPConnection, Path]) -> None:
    """A request that Caddy cannot pass on is an error in its log, without path and headers."""
    connection, log = caddy
    headers = {"Referer": "https://bridge.example.com/share/a-secret", "Cookie": "a-secret=1"}
    connection.request("GET", "/share/a-secret?also=a-secret", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 502
    answer.read()
    deadline = time.monotonic() + 30
    while '"status":502' not in log.read_text():
        assert time.monotonic() < deadline
    assert "a-secret" not in log.read_text()
