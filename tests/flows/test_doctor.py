"""``onboard`` and ``doctor`` as an administrator runs them, against a bridge in front of both
fakes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from bridge.app import Examination, examine_deployed_bridge
from bridge.core.invitation import State
from bridge.sandbox import EqualtureSandbox
from bridge.softgarden.deployed_bridge import DeployedBridge
from tests.cli.test_commands import run
from tests.flows.conftest import CALLBACK_TOKEN, SECRETS, TOKENS, Bridge, Config, eventually

Change = Callable[[web.Request, dict[str, str]], web.Response | None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def wrong(self) -> list[str]:
        """The checks that came out wrong."""
        return [one["check"] for one in self.json["findings"] if one["verdict"] == "wrong"]


async def command(*arguments: str, **environment: str) -> Ended:
    """Run ``assessment-bridge`` as a process of its own."""
    process = await start(*arguments, **environment)
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Begin to run it."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )


@dataclass(slots=True)
class Examined:
    """What an examination in this process found."""

    of: Examination

    @property
    def wrong(self) -> list[str]:
        """The checks that came out wrong."""
        return [one.check for one in self.of.findings if one.verdict == "wrong"]

    def said(self, check: str) -> str:
        """What was found by a check, and what to do about it."""
        (one, *_) = [one for one in self.of.findings if one.check == check]
        return f"{one.detail} -> {one.remedy}"


async def examined(url: str, token: str = TOKENS["acme"], **how: Any) -> Examined:
    """Examine the bridge at *url* in this process."""
    examination = Examination(url, token, **{"callback_host": "127.0.0.1", **how})
    await examine_deployed_bridge(examination)
    return Examined(examination)


def doctor(url: str, *more: str, token: str = TOKENS["acme"]) -> tuple[str, ...]:
    """The arguments of ``doctor`` for a customer whose callbacks go to this machine."""
    return ("doctor", url, "--token", token, "--callback-host", "127.0.0.1", *more)


@contextlib.asynccontextmanager
async def proxy(bridge: Bridge, change: Change) -> AsyncIterator[str]:
    """A proxy in front of *bridge*: *change* alters what it passes on, or answers by itself."""

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "content-length", "connection")
        }
        answer = change(request, headers)
        if answer is not None:
            return answer
        async with bridge.session.request(
            request.method,
            bridge.url + request.raw_path,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as passed:
            kept = {
                name: value
                for name, value in passed.headers.items()
                if name.lower() not in ("content-length", "transfer-encoding", "connection")
            }
            return web.Response(status=passed.status, body=await passed.read(), headers=kept)

    async with served(handle) as url:
        yield url


@contextlib.asynccontextmanager
async def served(handle: Any, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers everything by *handle*."""
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def all_deleted(bridge: Bridge) -> bool:
    """Whether nothing is left but tombstones, here and at Equalture."""
    states = {one.state async for one in bridge.runtime.invitations.scan()}
    there = {one.state for one in bridge.equalture.applications.values()}
    return states <= {State.ERASED, State.FAILED} and there <= {"anonymized"}


async def test_a_bridge_that_is_well(bridge: Bridge) -> None:
    """A bridge that keeps the contract passes every check, and nothing stays behind."""
    ended = await command(*doctor(bridge.url, "--json"))
    assert (ended.code, ended.wrong()) == (0, []), ended.out
    report = ended.json
    assert (report["fine"], len(report["made"]), report["left_behind"]) == (True, 1, [])
    checks = {one["check"] for one in report["findings"]}
    assert {"tls", "clock", "token", "tests", "problem_400", "wrong_method", "invite"} <= checks
    assert {"repeat", "result", "deletion", "deletion_again", "gone", "speed"} <= checks
    assert await all_deleted(bridge)
    assert len(bridge.equalture.calls("create")) == 1
    assert bridge.softgarden.calls("notify") == []
    assert TOKENS["acme"] not in ended.out + ended.err


async def test_in_words_and_with_a_landing_page(bridge: Bridge) -> None:
    """Without ``--json`` each finding is a line; an endpoint's URL will do, and ``--test`` says
    which test.
    """
    where = f"{bridge.url}/softgarden/tests/"
    ended = await command(*doctor(where, "--test", "job-3", token=TOKENS["globex"]))
    assert (ended.code, "WRONG" in ended.out) == (0, False), ended.out
    assert "nothing wrong; 1 artificial invitation(s) made and deleted" in ended.out
    assert await all_deleted(bridge)


async def test_wrong_token(bridge: Bridge) -> None:
    """A token that nobody knows is told apart from one that does not arrive."""
    found = await examined(bridge.url, "no-such-token")
    assert found.wrong == ["token"]
    assert "tokens_sha256" in found.said("token")


async def test_a_proxy_that_strips_authorization(bridge: Bridge) -> None:
    """A proxy that keeps Authorization to itself is named as the reason."""

    def strip(_: web.Request, headers: dict[str, str]) -> None:
        headers.pop("Authorization", None)

    async with proxy(bridge, strip) as url:
        found = await examined(url)
    assert found.wrong == ["token"]
    assert "proxy pass Authorization on" in found.said("token")


async def test_a_callback_host_that_is_not_allowed(bridge: Bridge) -> None:
    """Where the bridge may not notify the host, every finding says to list it, and no proxy is
    blamed.
    """
    found = await examined(bridge.url, callback_host="softgarden.example")
    assert found.wrong == ["unknown_test", "invite"]
    assert "List the host" in found.said("unknown_test")
    assert "List the host" in found.said("invite")


async def test_a_store_that_is_away(bridge: Bridge) -> None:
    """Where the bridge says that Redis does not answer, no proxy is blamed."""

    def away(request: web.Request, _: dict[str, str]) -> web.Response | None:
        if "/iv_" not in request.path:
            return None
        problem = {"code": "store_unavailable", "status": 503}
        kind = "application/problem+json"
        return web.json_response(problem, status=503, content_type=kind)

    async with proxy(bridge, away) as url:
        found = await examined(url)
    assert "unknown_read" in found.wrong
    assert found.said("unknown_read").endswith("see the admin /readyz.")


async def test_a_proxy_that_replaces_errors(bridge: Bridge) -> None:
    """A proxy with error pages of its own is found, and what was made is deleted all the same."""

    def pages(request: web.Request, _: dict[str, str]) -> web.Response | None:
        if request.method == "PUT":
            return web.Response(status=403, text="<h1>Forbidden</h1>", content_type="text/html")
        return None

    async with proxy(bridge, pages) as url:
        found = await examined(url)
    assert found.wrong == ["wrong_method"]
    assert await all_deleted(bridge)


async def test_a_proxy_that_blocks_deletion(bridge: Bridge) -> None:
    """Where DELETE does not get through, what stays behind is named with the command that deletes
    it.
    """

    def block(request: web.Request, _: dict[str, str]) -> web.Response | None:
        return web.Response(status=403) if request.method == "DELETE" else None

    async with proxy(bridge, block) as url:
        found = await examined(url)
    assert {"unknown_delete", "deletion", "left_behind"} <= set(found.wrong)
    (left,) = found.of.left_behind
    assert found.said("left_behind").endswith(f"assessment-bridge erase {left}")


async def test_an_answer_that_was_lost(bridge: Bridge) -> None:
    """An invitation whose answer was lost on the way is found by ordering it again, and
    deleted.
    """
    lost: list[str] = []

    async def lose(request: web.BaseRequest) -> web.StreamResponse:
        async with bridge.session.request(
            request.method,
            bridge.url + request.raw_path,
            headers={
                name: request.headers[name]
                for name in ("Authorization", "Content-Type")
                if name in request.headers
            },
            data=await request.read(),
        ) as passed:
            invited = request.method == "POST" and passed.status == 200
            if invited and not lost:
                lost.append("the invitation")
                return web.Response(status=502, text="Bad gateway")
            return web.Response(
                status=passed.status,
                body=await passed.read(),
                headers={
                    name: passed.headers[name]
                    for name in ("Content-Type", "Date", "X-Request-ID", "Allow")
                    if name in passed.headers
                },
            )

    async with served(lose) as url:
        found = await examined(url)
    assert found.wrong == ["invite"]
    assert (len(found.of.made), found.of.left_behind) == (1, [])
    assert await all_deleted(bridge)


async def test_a_server_that_is_no_bridge() -> None:
    """Some other server is told as such, and gets no token."""
    seen: list[str] = []

    async def site(request: web.BaseRequest) -> web.Response:
        seen.extend(request.headers.getall("Authorization", ()))
        return web.Response(text="<h1>It works!</h1>", content_type="text/html")

    async with served(site) as url:
        found = await examined(url)
    assert (found.wrong, seen) == (["bridge"], [])
    assert "public_url" in found.said("bridge")


async def test_nobody_there_and_plain_http() -> None:
    """A closed port, a name that nobody knows and plain http are findings, not crashes; over plain
    http no token is sent.
    """
    closed = await examined("http://127.0.0.1:9")
    assert (closed.wrong, "nobody listens" in closed.said("answer")) == (["answer"], True)
    plain = await examined("http://bridge.invalid")
    assert (plain.wrong, "not sent" in plain.said("tls")) == (["tls"], True)
    unknown = await examined("https://bridge.invalid")
    assert (unknown.wrong, "not known" in unknown.said("tls")) == (["tls"], True)


async def test_tls_that_is_wrong(tmp_path: Path) -> None:
    """A certificate that nobody trusts, and plain http where TLS was expected, are told apart."""

    async def site(_: web.BaseRequest) -> web.Response:
        return web.Response()

    async with served(site, _self_signed(tmp_path)) as url:
        own = await examined(url)
    assert (own.wrong, "not trusted" in own.said("tls")) == (["tls"], True)
    async with served(site) as url:
        plain = await examined(url.replace("http:", "https:"))
    assert (plain.wrong, "plain HTTP is served" in plain.said("tls")) == (["tls"], True)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bridge")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "bridge.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


async def test_a_slow_bridge(bridge: Bridge, equalture: EqualtureSandbox) -> None:
    """A bridge that takes too long to answer is a finding that names the call."""
    equalture.fault("create", delay=0.4)
    found = await examined(bridge.url, test="engineer", slow_s=0.3)
    assert found.wrong == ["speed"]
    assert "POST softgarden invitations" in found.said("speed")
    assert await all_deleted(bridge)


async def test_a_slow_page(bridge: Bridge) -> None:
    """A slow page is named without its link, which holds a secret."""
    slow = DeployedBridge(bridge.session, URL(bridge.url), "", timeout_s=10)
    await slow.ask("GET", f"{bridge.url}/results/iv_secret", token=None)
    assert slow.slowest[1] == "GET page"


async def test_broken_off(bridge: Bridge, equalture: EqualtureSandbox) -> None:
    """Whoever breaks it off while the candidate is being invited leaves nothing behind."""
    equalture.fault("create", delay_after=2.0, times=1)
    process = await start(*doctor(bridge.url, "--json"))
    await eventually(lambda: equalture.calls("create"), 30)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    ended = Ended(process.returncode or 0, out.decode(), err.decode())
    assert (ended.code, ended.wrong()) == (1, ["interrupted"]), ended
    assert (len(ended.json["made"]), ended.json["left_behind"]) == (1, [])
    await bridge.idle()
    assert await all_deleted(bridge)


def test_bad_usage() -> None:
    """What is no URL, token or host is exit code 2, before anything is sent."""
    for arguments in (
        ("doctor", "bridge.example.com", "--token", "t"),
        ("doctor", "https://u:p@bridge.example.com", "--token", "t"),
        ("doctor", "https://bridge.example.com"),
        ("doctor", "https://bridge.example.com", "--token", "two words"),
        doctor("https://bridge.example.com", "--callback-host", "a/b"),
    ):
        assert run(*arguments).code == 2, arguments


def test_onboard(config: Config) -> None:
    """``onboard`` tells both vendors' side in both languages, and no secret."""
    config.customers["acme"]["equalture"]["webhook_secret"] = "whsec_" + "QUJD" * 8
    settings = config.load()
    folder = ("--config", str(config.folder))
    ended = run("onboard", "acme", *folder, "--json")
    assert ended.code == 0, ended.err
    base = settings.public_url
    softgarden, equalture = ended.json["softgarden"], ended.json["equalture"]
    assert softgarden["tests_url"] == f"{base}/softgarden/tests"
    assert softgarden["deletion_url"] == f"{base}/softgarden/invitations"
    assert (softgarden["client_id"], softgarden["tokens"]) == ("10", 1)
    assert equalture["webhook_url"] == f"{base}/equalture/webhooks/acme"
    assert equalture["callback_token"] is False
    text = (run("onboard", "initech", *folder)).out
    assert "Deutsch: an softgarden" in text
    assert "English: to Equalture" in text
    assert text.count(f"{base}/softgarden/results") == 2
    assert "callback_token in customers/initech.yaml" in text
    assert "Webhooks are not set up" in text
    for secret in (CALLBACK_TOKEN, "QUJD", *SECRETS.values(), *TOKENS.values()):
        assert secret not in text + ended.out
    assert (run("onboard", "nobody", *folder)).code == 1
