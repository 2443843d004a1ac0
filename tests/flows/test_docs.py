"""The documentation that the bridge serves: examples are what it does, lines for a shell run."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bridge.demo import demo_config
from bridge.sandbox import BridgeReply, EqualtureSandbox, webhooks
from tests.flows.conftest import TOKENS, Bridge, Config, Launch, eventually

EXPORT_TOKEN = "bearer-of-the-data-export"
WEBHOOK_SECRET = "whsec_" + b64encode(b"k" * 32).decode()
AS_CUSTOMER = {"Authorization": f"Bearer {TOKENS['acme']}"}
AS_EXPORT = {"Authorization": f"Bearer {EXPORT_TOKEN}"}
INVITE, RESULT = "/softgarden/invitations", "/softgarden/results/{invitation_id}"
CALLBACK = "/equalture/callbacks/{invitation_id}/{secret}"
WEBHOOK, HIRED = "/equalture/webhooks/{customer}", "/softgarden/hired/{customer}"

Examples = dict[tuple[str, str, str], tuple[Any, int, Any]]
"""Method, path and name -> body, status and answer."""


@pytest.fixture
async def like_demo(config: Config, equalture: EqualtureSandbox, launch: Launch) -> Bridge:
    """A bridge with the demo's jobs and customer, whose orders may name softgarden's own host."""
    equalture.accounts["acme"].jobs = dict(demo_config.JOBS)
    config.daemon["softgarden"]["callback_hosts"] = ["127.0.0.1", "softgarden.io"]
    acme = config.customers["acme"]
    acme["tests"]["items"][0]["job_id"] = next(iter(demo_config.JOBS))
    acme["test_url"] = "landing"
    acme["equalture"]["webhook_secret"] = WEBHOOK_SECRET
    digest = hashlib.sha256(EXPORT_TOKEN.encode()).hexdigest()
    acme["hire"] = {"enabled": True, "tokens_sha256": [digest]}
    return await launch()


def examples_of(document: Any) -> Examples:
    """All that the OpenAPI document holds."""
    found: Examples = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            bodies = operation.get("requestBody", {}).get("content", {}).values()
            sent = {name: one for body in bodies for name, one in body.get("examples", {}).items()}
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    for name, example in content.get("examples", {}).items():
                        body = sent[name]["value"] if name in sent else None
                        found[method.upper(), path, name] = body, int(status), example["value"]
    return found


def alike(value: Any) -> str:
    """*value* without what differs from call to call: ids, signatures, times."""
    text = json.dumps(value, indent=1)
    text = re.sub(r"iv_[0-9A-Za-z]{25}(\.[\w-]{22})?", r"iv_*", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "T", text)


class Player:
    """Makes the calls of the examples, and compares what comes back."""

    def __init__(self, bridge: Bridge, examples: Examples) -> None:
        self._bridge = bridge
        self.open = dict(examples)
        """Those that were not made yet."""

    async def play(
        self,
        method: str,
        path: str,
        name: str,
        *,
        headers: dict[str, str] | None = None,
        change: dict[str, Any] | None = None,
        **parameters: str,
    ) -> BridgeReply:
        """Make the call of an example, with these parameters in its path, and fields changed."""
        body, status, answer = self.open.pop((method, path, name))
        sent: dict[str, Any] = {"headers": headers or {}}
        if body is not None:
            sent["data"] = json.dumps(body | (change or {})).encode()
            sent["headers"] = {"Content-Type": "application/json"} | sent["headers"]
        if path == WEBHOOK and status == 200:
            now = int(self._bridge.clock().timestamp())
            sent["headers"] |= webhooks.create_webhook_headers(
                WEBHOOK_SECRET, "msg_1", now, sent["data"]
            )
        reply = await self._bridge.ask(method, path.format(**parameters), **sent)
        assert (reply.status, alike(reply.json)) == (status, alike(answer)), name
        return reply


async def test_examples_are_what_happens(like_demo: Bridge) -> None:
    """Every example in the document is a call that the bridge answers just so, but for ids,
    signatures and times.
    """
    document = (await like_demo.ask("GET", "/openapi.json")).json
    player = Player(like_demo, examples_of(document))
    assert len(player.open) > 15
    for path in ("/livez", "/readyz"):
        await player.play("GET", path, "fine")
    await player.play("GET", "/softgarden/tests", "listed", headers=AS_CUSTOMER)
    await player.play("GET", "/softgarden/tests", "no_token")
    await player.play("POST", INVITE, "incomplete", headers=AS_CUSTOMER)
    order = player.open["POST", INVITE, "invited"][0]
    ours = {"callback": like_demo.softgarden.callback_url("acme")}
    invited = await player.play("POST", INVITE, "invited", headers=AS_CUSTOMER, change=ours)
    first = invited.json["invitationId"]
    await player.play("GET", RESULT, "pending", headers=AS_CUSTOMER, invitation_id=first)

    secret = like_demo.callback_of(like_demo.created()).rpartition("/")[2]
    await player.play("PUT", CALLBACK, "unknown", invitation_id=first, secret="x" + secret)
    await like_demo.equalture.complete(like_demo.created())
    await player.play("PUT", CALLBACK, "reported", invitation_id=first, secret=secret)
    await player.play("POST", WEBHOOK, "finished", customer="acme")
    await player.play("POST", WEBHOOK, "not_signed", customer="acme")
    await eventually(lambda: like_demo.notified(first))
    await player.play("GET", RESULT, "completed", headers=AS_CUSTOMER, invitation_id=first)
    await player.play("POST", HIRED, "taken_in", headers=AS_EXPORT, customer="acme")
    await player.play("POST", HIRED, "without_id", headers=AS_EXPORT, customer="acme")
    await eventually(lambda: like_demo.equalture.calls("hire", status=200))

    again = order | ours | {"candidate": order["candidate"] | {"id": "app-2"}}
    reply = await like_demo.ask("POST", INVITE, json=again, headers=AS_CUSTOMER)
    second = reply.json["invitationId"]
    await like_demo.advance(timedelta(days=8))
    await eventually(lambda: like_demo.notified(second))
    await player.play("GET", RESULT, "expired", headers=AS_CUSTOMER, invitation_id=second)

    unknown = {"headers": AS_CUSTOMER, "invitation_id": first[:-1]}
    await player.play("GET", RESULT, "unknown", **unknown)
    await player.play("DELETE", f"{INVITE}/{{invitation_id}}", "unknown", **unknown)
    assert player.open == {}


async def test_every_answer_in_json_has_an_example(like_demo: Bridge) -> None:
    """Whatever answers a success in JSON shows one."""
    document = (await like_demo.ask("GET", "/openapi.json")).json
    shown = {(method, path) for method, path, _ in examples_of(document)}
    in_json = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "application/json" in operation["responses"].get("200", {}).get("content", {})
    }
    assert in_json - shown == {("GET", "/openapi.json")}


def lines_in(page: str) -> Iterator[tuple[str, str]]:
    """Every operation of the page with its line for a shell."""
    pattern = r'<h3 id="[^"]+"><code>([A-Z]+ [^<]+)</code></h3>.*?<pre>(curl .*?)</pre>'
    for operation, line in re.findall(pattern, page, re.DOTALL):
        yield operation, html.unescape(line)


async def test_lines_run_as_they_stand(like_demo: Bridge) -> None:
    """The line of every operation calls it, with the variables that the page names."""
    invited = await like_demo.acme.invite("engineer")
    an_id = invited.json["invitationId"]
    await like_demo.equalture.complete(like_demo.created())
    result = (await like_demo.result(like_demo.acme, an_id, "COMPLETED"))["result"]
    links = {
        "/share/": result["shareUrl"],
        "/results/": result["resultUrl"],
        "/reports/": result["reportUrl"].removesuffix(".pdf"),
        "/start/": invited.json["testUrl"],
    }
    page = (await like_demo.ask("GET", "/docs")).text
    paths = (await like_demo.ask("GET", "/openapi.json")).json["paths"]
    operations = dict(lines_in(page))
    assert set(operations) == {f"{m.upper()} {path}" for path in paths for m in paths[path]}
    expected = {
        "GET /share/{token}": "302",
        "POST /equalture/webhooks/{customer}": "401",  # its time is long past
        "DELETE /softgarden/invitations/{invitation_id}": "204",
    }
    for operation, line in sorted(operations.items(), key=lambda one: one[0][:6] == "DELETE"):
        path = operation.partition(" ")[2]
        link = next((url for start, url in links.items() if path.startswith(start)), "")
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            f"{line} -o /dev/null -w '\\n%{{http_code}}'",
            env={
                "PATH": os.environ["PATH"],
                "TOKEN": EXPORT_TOKEN if path == HIRED else TOKENS["acme"],
                "CUSTOMER": "acme",
                "INVITATION_ID": an_id,
                "SECRET": like_demo.callback_of(like_demo.created(0)).rpartition("/")[2],
                "LINK": link.rpartition("/")[2],
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            said, _ = await shell.communicate()
        assert said.decode().split()[-1] == expected.get(operation, "200"), (operation, said)


async def test_contents_lead_somewhere(like_demo: Bridge) -> None:
    """The page has a contents list; every link inside the page, and every type of an error, leads
    to a place in it, and no place is there twice.
    """
    page = (await like_demo.ask("GET", "/docs")).text
    assert '<nav aria-label="Contents">' in page
    places = re.findall(r'\sid="([^"]+)"', page)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(places)
    codes = (await like_demo.ask("GET", "/openapi.json")).json["components"]["schemas"]["Problem"]
    known = codes["properties"]["code"]["enum"]
    assert len(known) == len(set(known))
    assert set(known) <= set(places)
