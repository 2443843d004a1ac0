"""URLs from outside: judged when they come in, and again when the socket is made; answers are read
up to a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge import egress, serve
from bridge.core.callback_urls import CallbackUrlPolicy
from bridge.core.redaction import EXCERPT_BYTES
from bridge.errors import ConfigError, OutcomeUnknown, UpstreamUnavailable
from bridge.softgarden.notifier import SoftgardenNotifier
from tests.flows.conftest import Bridge, Config, Journal, Launch, eventually
from tests.service.fakes import ACME
from tests.stalls import net_since

PERSON = {"id": "a-1", "firstName": "A", "lastName": "B", "email": "a.b@example.org"}
LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.0.1",
    "0",
]
LOOPBACK_V6 = [
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
]
INSIDE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
]
INSIDE_V6 = [
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
]
TUNNELS = [
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:1::1]",
    "[64:ff9b:1::7f00:1]",
    "[::ffff:0:127.0.0.1]",
]
ADDRESSES = [*LOOPBACK, *LOOPBACK_V6, *INSIDE, *INSIDE_V6, *TUNNELS]
TRICKS = [
    "http://app.softgarden.io/x",
    "https://softgarden.io.evil.example/x",
    "https://evilsoftgarden.io/x",
    "https://evil.example/softgarden.io",
    "https://evil.example#.softgarden.io",
    "https://evil.example?.softgarden.io",
    "https://evil.example\\.softgarden.io/",
    "https://softgarden.io@evil.example/x",
    "https://app.softgarden.io:x@evil.example/",
    "https://user:password@app.softgarden.io/x",
    "https://app.softgarden.io%2f.evil.example/",
    "https://evil.example%2f.softgarden.io/",
    "https://[::1].softgarden.io/",
    "https://app.softgarden.io:99999/",
    "ftp://app.softgarden.io/x",
    "file:///etc/passwd",
    "gopher://app.softgarden.io/",
    "//app.softgarden.io/x",
    "https:app.softgarden.io",
    "https:///x",
    "https://",
    " https://app.softgarden.io/x",
    "https://app.softgarden.io/x\r\nHost: evil.example",
    "https://app.softgarden.i\u043e/x",
    "https://app\u3002softgarden\u3002io/x",
]

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def strict(config: Config) -> Config:
    """softgarden's real hosts only, over https."""
    config.daemon["softgarden"] |= {
        "callback_hosts": ["softgarden.io", "softgarden.de"],
        "allow_insecure": False,
    }
    return config


@contextlib.asynccontextmanager
async def listening(talk: Conversation) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that talks as told; its URL and the heads of the requests it got."""
    heads: list[bytes] = []

    talks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await talk(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(
        lambda *ends: talks.add(asyncio.create_task(meet(*ends))), "127.0.0.1", 0
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        server.close()
        for one in talks:
            one.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


@contextlib.asynccontextmanager
async def notifier(timeout_s: float = 5.0) -> AsyncIterator[SoftgardenNotifier]:
    """A notifier that may talk to this machine."""
    async with egress.create_guarded_session(allow_private=True, connections=4) as session:
        yield SoftgardenNotifier(session, timedelta(seconds=timeout_s))


class Rebinding(AbstractResolver):
    """Gives a public address at first and a private one from then on."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("base", ["{}", "https://{}/x"], ids=["bare", "https"])
async def test_entry_refuses_what_is_no_softgarden(
    strict: Config, launch: Launch, base: str
) -> None:
    """Every trick and every spelling of an address is 400 ``callback_not_allowed`` at the invite,
    and nothing is made.
    """
    bridge = await launch()
    headers = {"Authorization": f"Bearer {bridge.acme.token}"}
    urls = TRICKS if base == "{}" else [base.format(address) for address in ADDRESSES]
    for url in urls:
        order = {"testId": "engineer", "candidate": PERSON, "callback": url}
        reply = await bridge.ask("POST", "/softgarden/invitations", json=order, headers=headers)
        assert (url, reply.status, reply.json["code"]) == (url, 400, "callback_not_allowed")
        assert list(reply.json["errors"]) == ["callback"]
    assert bridge.equalture.calls("create") == []


@pytest.mark.parametrize(
    "url",
    ["https://softgarden.io/x", "https://a.b.SOFTGARDEN.de:8443/x?y=z", "https://softgarden.io./"],
)
async def test_entry_allows_listed_hosts(strict: Config, launch: Launch, url: str) -> None:
    """Listed hosts and their sub-domains over https are taken."""
    bridge = await launch()
    reply = await bridge.acme.invite("engineer", callback=url)
    assert reply.status == 200


@pytest.mark.parametrize("address", ADDRESSES)
async def test_socket_refuses_addresses(address: str) -> None:
    """Whatever slipped through the entry, no spelling of an address inside a network gets a
    socket.
    """
    async with egress.create_guarded_session(allow_private=False, connections=4) as session:
        answer = SoftgardenNotifier(session, timedelta(seconds=5)).notify(
            ACME, f"https://{address}:9/x", "iv_x"
        )
        with pytest.raises(UpstreamUnavailable):
            await answer


async def test_name_that_leads_inside_is_refused(strict: Config, launch: Launch) -> None:
    """A listed name that resolves to this machine is never connected to; the notification is
    retried and visible as failed.
    """
    strict.daemon["softgarden"]["callback_hosts"] = ["localhost"]

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody should come here."""

    async with listening(silent) as (url, met):
        bridge = await launch()
        port = url.rpartition(":")[2]
        invited = await bridge.acme.invite("engineer", callback=f"https://localhost:{port}/x")
        assert invited.status == 200
        assert await bridge.equalture.complete(bridge.created()) == 200
        await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED")
        await bridge.idle()
    assert met == []
    assert await bridge.next_due() is not None


async def test_rebinding_is_seen_by_the_resolver() -> None:
    """A name that is public at first and private later is refused as soon as it is private."""
    resolver = egress.GuardedResolver(Rebinding("8.8.8.8", "127.0.0.1"))
    assert [one["host"] for one in await resolver.resolve("rebind.softgarden.io", 443)] == [
        "8.8.8.8"
    ]
    with pytest.raises(egress.ForbiddenAddress):
        await resolver.resolve("rebind.softgarden.io", 443)


async def test_rebinding_is_seen_by_the_socket() -> None:
    """The address that is really connected to is judged, even if a resolver without any guard gave
    it.
    """

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody should come here."""

    async with listening(silent) as (url, met):
        port = int(url.rpartition(":")[2])
        rebinding = Rebinding("127.0.0.1")
        connector = aiohttp.TCPConnector(
            resolver=rebinding, socket_factory=egress.create_guarded_socket
        )
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.post(f"http://rebind.softgarden.io:{port}/x")
        assert rebinding.asked == 1
    assert met == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(bridge: Bridge, status: int) -> None:
    """A redirect of softgarden's is a failure of that attempt: the credentials go nowhere else."""

    async def thief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody should come here."""

    async with listening(thief) as (elsewhere, stolen):
        bridge.softgarden.fault("notify", status=status, headers={"Location": elsewhere})
        invited = await bridge.acme.invite("engineer")
        assert await bridge.equalture.complete(bridge.created()) == 200
        await bridge.softgarden.wait_calls("notify", status=status)
        await bridge.idle()
        assert bridge.notified(invited.json["invitationId"]) == []
        assert await bridge.next_due() is not None
        assert stolen == []


async def test_equalture_redirects_are_not_followed(bridge: Bridge) -> None:
    """A redirect of Equalture's is a refusal: its token goes nowhere else."""

    async def thief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody should come here."""

    async with listening(thief) as (elsewhere, stolen):
        bridge.equalture.fault("*", status=307, headers={"Location": elsewhere})
        assert (await bridge.acme.invite("engineer")).status in (502, 503)
        assert stolen == []


async def test_proxies_of_the_environment_are_ignored(
    config: Config, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY and its kin have no say: a proxy would see every secret and undo the guard."""

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody should come here."""

    async with listening(proxy) as (url, taken):
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, url)
            monkeypatch.setenv(name.upper(), url)
        monkeypatch.delenv("no_proxy", raising=False)
        bridge = await launch()
        invited = await bridge.acme.invite("engineer")
        assert await bridge.equalture.complete(bridge.created()) == 200
        await eventually(lambda: bridge.notified(invited.json["invitationId"]))
        assert taken == []


async def test_endless_answer_is_cut(bridge: Bridge) -> None:
    """An answer without end costs a bounded time and bounded memory, and its status counts."""

    async def forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"word " * 819 + b"\n\r\n")
            await writer.drain()

    async with listening(forever) as (url, _), notifier() as one:
        begun = time.monotonic()
        answer = await one.notify(ACME, url, "iv_x")
        assert (answer.status, 0 < len(answer.excerpt) <= EXCERPT_BYTES) == (500, True)
        assert net_since(begun) < 2


@pytest.mark.parametrize("status", [204, 200, 500])
async def test_dripping_body_does_not_hide_the_status(status: int) -> None:
    """A body that is announced and never comes does not turn a clear answer into an unknown one."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = b"" if status == 204 else b"Content-Length: 100000\r\n"
        writer.write(f"HTTP/1.1 {status} x\r\n".encode() + length + b"\r\n")
        await writer.drain()
        await reader.read()

    async with listening(drip) as (url, _), notifier() as one:
        begun = time.monotonic()
        assert (await one.notify(ACME, url, "iv_x")).status == status
        assert net_since(begun) < 4


async def test_silence_is_cut() -> None:
    """An answer that never begins ends with the time-out: the outcome is unknown, and the attempt
    is over.
    """

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silence) as (url, _), notifier(0.3) as one:
        with pytest.raises(OutcomeUnknown):
            await one.notify(ACME, url, "iv_x")


async def test_endless_headers_are_cut() -> None:
    """Headers without end are an unusable answer, not a full memory."""

    async def headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 x\r\n")
        while True:
            writer.write(b"X-Padding: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    async with listening(headers) as (url, _), notifier() as one:
        with pytest.raises(OutcomeUnknown):
            await one.notify(ACME, url, "iv_x")


async def test_bomb_stays_packed() -> None:
    """A compressed body that would unfold to hundreds of megabytes is read to the excerpt's
    length.
    """
    bomb = gzip.compress(b"word " * 20_000_000, 9)

    async def explode(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 500 x\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        writer.write(head.encode() + bomb)
        await writer.drain()
        await reader.read()

    async with listening(explode) as (url, _), notifier() as one:
        answer = await one.notify(ACME, url, "iv_x")
    assert (answer.status, len(answer.excerpt) <= EXCERPT_BYTES) == (500, True)


async def test_allow_insecure_is_loud(config: Config, journal: Journal) -> None:
    """A daemon that lets http and private addresses through says so at start, as a warning."""
    stop, started = serve.StopSignals(asyncio.Event()), asyncio.Event()
    config.daemon |= {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0"}
    daemon = asyncio.create_task(
        serve.serve(config.load(), stop=stop, started=started, signals=False)
    )
    async with asyncio.timeout(10):
        await started.wait()
        stop.request_stop()
        assert await daemon == 0
    warnings = [
        line
        for line in journal.events("config.warning")
        if line["text"].startswith("softgarden.allow_insecure")
    ]
    assert [line["level"] for line in warnings] == ["warning"]


@pytest.mark.parametrize(
    "public_url", ["https://bridge.example.com", "http://bridge.example.com", "https://10.0.0.1"]
)
def test_allow_insecure_is_refused_in_public(config: Config, public_url: str) -> None:
    """``allow_insecure`` with a public_url that others can reach is a configuration error."""
    config.daemon["public_url"] = public_url
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert any("allow_insecure" in str(complaint) for complaint in caught.value.mistakes)


def test_rule_is_checked_again_before_sending() -> None:
    """Both halves of the guard agree: a host that the entry allows in strict mode is a name, never
    an address.
    """
    rule = CallbackUrlPolicy(["softgarden.io", *(address.strip("[]") for address in ADDRESSES)])
    for address in ADDRESSES:
        with pytest.raises(Exception, match="may notify"):
            rule.check(f"https://{address}/")


async def test_shortened_list_counts_for_queued_notifications(
    config: Config, launch: Launch
) -> None:
    """A callback that was allowed when it came in, and is not any more, is a dead letter and gets
    no credentials.
    """
    bridge = await launch()
    bridge.softgarden.fault("notify", status=500, times=1)
    await bridge.acme.invite("engineer")
    assert await bridge.equalture.complete(bridge.created()) == 200
    await bridge.softgarden.wait_calls("notify", status=500)
    await bridge.idle()
    await bridge.close()
    config.daemon["softgarden"]["callback_hosts"] = ["localhost"]
    bridge = await launch()
    await bridge.advance(timedelta(minutes=5))
    (letter,) = await eventually(bridge.dead_letters)
    assert letter.reason == "callback_not_allowed"
    assert len(bridge.softgarden.calls("notify")) == 1


def test_no_other_way_out() -> None:
    """Sessions are made in ``egress`` only, so nothing goes round the guard (the sandbox and the
    commands are no daemon).
    """
    root = os.path.dirname(egress.__file__)
    guilty = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, root)
            if (
                not name.endswith(".py")
                or inside.startswith(("sandbox", "cli"))
                or inside == "egress.py"
            ):
                continue
            with open(path, encoding="utf-8") as file:
                text = file.read()
            if "ClientSession(" in text or "urlopen" in text or "trust_env=True" in text:
                guilty.append(inside)
    assert guilty == []
