"""The admin listener, as pages of other sites in an operator's browser would use it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Launch
from tests.security.conftest import spoken, status_of

OURS = [
    "127.0.0.1",
    "127.0.0.1:8081",
    "[::1]:8081",
    "10.1.2.3:8081",
    "[fd00::1]",
    "localhost",
    "LOCALHOST.:80",
    "bridge.localhost",
    "listed.example:81",
]
FOREIGN = [
    "evil.example",
    "evil.example:8081",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "0x7f.1",
    "a@b@c",
    "[",
    "",
]


@pytest.fixture
async def listed(config: Config, launch: Launch) -> Bridge:
    """A bridge whose admin listener has a further name."""
    config.daemon["admin_hosts"] = ["Listed.Example"]
    return await launch()


async def ask(bridge: Bridge, method: str, path: str, **headers: str) -> BridgeReply:
    """A call to the admin listener."""
    more: dict[str, Any] = {
        "headers": {name.replace("_", "-"): value for name, value in headers.items()}
    }
    return await bridge.ask(method, bridge.admin_url + path, **more)


async def test_own_hosts(listed: Bridge) -> None:
    """Addresses, this machine's names and those that an administrator lists are answered, and so is
    no Host at all.
    """
    for host in [*OURS, socket.gethostname()]:
        assert (await ask(listed, "GET", "/readyz", Host=host)).status == 200, host
    answer = await spoken(listed, b"GET /livez HTTP/1.0\r\n\r\n", url=listed.admin_url)
    assert status_of(answer) == 200


@pytest.mark.parametrize("path", ["/readyz", "/", "/metrics", "/-/reload"])
async def test_foreign_hosts(listed: Bridge, path: str) -> None:
    """A name that somebody else may point here is 403 at every path; on the public listener any
    name will do.
    """
    for host in FOREIGN:
        answer = await spoken(
            listed,
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(),
            url=listed.admin_url,
        )
        assert status_of(answer) in ((403,) if host not in ("a@b@c", "[", "") else (400, 403)), host
        assert b"ready" not in answer
    assert (await listed.ask("GET", "/readyz", headers={"Host": "evil.example"})).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1"},
    ],
)
async def test_posts_from_elsewhere(listed: Bridge, headers: dict[str, str]) -> None:
    """A post that another site's page makes is 403, whatever it is for."""
    for method in ("POST", "PUT", "DELETE"):
        reply = await ask(listed, method, "/-/reload", Host="127.0.0.1", **headers)
        assert (reply.status, reply.json["code"]) == (403, "forbidden")


async def test_own_posts(listed: Bridge) -> None:
    """A post by our own page, or by a command, goes through."""
    for headers in (
        {},
        {"Origin": "http://127.0.0.1:8081", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ):
        assert (await ask(listed, "POST", "/livez", Host="127.0.0.1:8081", **headers)).status == 405
