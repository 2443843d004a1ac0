"""One candidate's journey, played by hand at both fakes: with the page's forms only, and over
HTTP with JSON only; the bridge between them is real.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from bridge.sandbox_page import add_sandbox_page
from tests.flows.conftest import TOKENS, Bridge, Launch, eventually


@pytest.fixture
async def clickable(
    equalture: EqualtureSandbox, softgarden: SoftgardenSandbox, launch: Launch
) -> Bridge:
    """A bridge between fakes that have the page, and of which softgarden does not know yet."""
    for fake in (equalture, softgarden):
        await fake.close()
    add_sandbox_page(equalture, softgarden)
    for fake in (equalture, softgarden):
        await fake.start()
    bridge = await launch()
    softgarden.clients.clear()
    return bridge


class Hands:
    """Somebody who only has the page; every form is the page's own, with what stands in it."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session, self._base = session, base_url
        self.page = ""

    async def look(self) -> str:
        """The page as people read it."""
        async with self._session.get(f"{self._base}/_sandbox/") as answer:
            assert answer.status == 200
            return self._shown(await answer.text())

    async def submit(self, button: str, **filled: str) -> str:
        """Press the first button of this name, with these fields filled in otherwise."""
        forms = re.findall(
            r'<form[^>]*method="post" action="([^"]+)">(.*?)</form>', self.page, re.DOTALL
        )
        action, content = next(
            (action, content)
            for action, content in forms
            if re.search(rf'type="submit">{button}<', content)
        )
        fields = {}
        for tag in re.findall(r"<input[^>]*>", content):
            marks = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            fields[marks["name"]] = html.unescape(marks.get("value", ""))
        for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', content, re.DOTALL):
            value = re.search(r'<option(?: value="([^"]*)")?[^>]*>([^<]*)', options)
            assert value is not None
            fields[name] = value[1] or value[2]
        assert filled.keys() <= fields.keys()
        url = self._base + action
        async with self._session.post(url, data=fields | filled) as answer:
            assert answer.status == 200, await answer.text()
            return self._shown(await answer.text())

    def _shown(self, page: str) -> str:
        self.page = page
        bare = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
        return " ".join(html.unescape(bare).split())


@pytest.fixture
async def hands(clickable: Bridge) -> Hands:
    hands = Hands(clickable.session, clickable.softgarden.base_url)
    await hands.look()
    return hands


async def test_a_journey_with_forms_only(clickable: Bridge, hands: Hands) -> None:
    """A bridge is connected, a test ordered, begun and finished with scores, the result notified
    and read, and the candidate deleted, without anything but the page.
    """
    shown = await hands.submit(
        "Connect", bridge_url=clickable.url, token=TOKENS["acme"], customer="acme", client_id="10"
    )
    assert "It lists 2 tests." in shown
    shown = await hands.submit("Order", test_id="engineer", first_name="Grace")
    invitation_id = re.findall("The bridge invited: (iv_[0-9A-Za-z]+)", shown)[0]
    assert "Grace Muster (1)" in shown
    assert "invited" in await hands.submit("Read")
    assert "The candidate has begun" in await hands.submit("Start")
    shown = await hands.submit("Finish the test", fit="medium", score_focus="1")
    assert "the bridge answered the callback 200" in shown

    await eventually(lambda: clickable.notified(invitation_id))
    shown = await hands.submit("Read")
    assert f"The result of {invitation_id}: COMPLETED" in shown
    assert "COMPLETED: Medium fit (4/5)" in shown
    assert re.search(r"COMPLETED: Medium fit .* 1 . Open testUrl", shown)
    assert "Rules broken (0)" in shown
    assert "bridge → softgarden notify" in shown
    shown = await hands.submit("Delete")
    assert f"The deletion of {invitation_id}: 204" in shown
    assert "Grace" not in clickable.equalture.applications[clickable.created()].first_name


async def test_a_journey_with_json_only(clickable: Bridge) -> None:
    """The same, for programs: all by JSON to both fakes' paths."""
    softgarden = f"{clickable.softgarden.base_url}/_sandbox"
    equalture = f"{clickable.equalture.base_url}/_sandbox"
    acme = f"{softgarden}/customers/acme"

    async def ask(method: str, url: str, body: object = None) -> Any:
        sent: dict[str, Any] = {} if body is None else {"json": body}
        reply = await clickable.ask(method, url, **sent)
        assert reply.status == 200, reply.text
        return reply.json

    told = {"bridge_url": clickable.url, "token": TOKENS["acme"], "client_id": "10"}
    assert (await ask("PUT", acme, told))["connected"]
    tests = (await ask("POST", f"{acme}/tests"))["json"]
    assert "engineer" in [test["testId"] for test in tests]
    order = {"test_id": "engineer", "candidate_id": "app-77"}
    invitation_id = (await ask("POST", f"{acme}/invite", order))["json"]["invitationId"]
    reference_id = (await ask("GET", f"{equalture}/applications"))[0]["reference_id"]
    candidate = f"{equalture}/applications/{reference_id}"
    await ask("POST", f"{candidate}/start")
    scores = {"fit": "medium", "scores": {"focus": 1}}
    assert await ask("POST", f"{candidate}/complete", scores) == {"callback_status": 200}
    await eventually(lambda: clickable.notified(invitation_id))
    result = (await ask("POST", f"{acme}/results/{invitation_id}"))["json"]
    assert (result["status"], result["result"]["score"]) == ("COMPLETED", "Medium fit (4/5)")
    known = (await ask("GET", f"{softgarden}/invitations"))[0]
    assert (known["application_id"], known["notified"]) == ("app-77", 1)
    assert known["result"]["status"] == "COMPLETED"
    assert (await ask("POST", f"{acme}/delete/{invitation_id}"))["status"] == 204
    for fake in (softgarden, equalture):
        assert await ask("GET", f"{fake}/violations") == []


async def test_the_documented_lines(clickable: Bridge) -> None:
    """The lines in the documents are one candidate's whole journey, as they stand there."""
    document = (Path(__file__).parents[2] / "deploy" / "README.md").read_text("utf-8")
    chapter = document[document.index("## Sandbox") :]
    lines = re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL)[0]
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        lines,
        env={
            "PATH": os.environ["PATH"],
            "BRIDGE": clickable.url,
            "TOKEN": TOKENS["acme"],
            "SOFTGARDEN": clickable.softgarden.base_url,
            "EQUALTURE": clickable.equalture.base_url,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await shell.communicate()
    assert shell.returncode == 0, said.decode()
    assert '"status": "COMPLETED"' in said.decode()
    assert "Medium fit (4/5)" in said.decode()
    assert said.endswith(b"[]")
    assert clickable.softgarden.calls("delete", status=204)


async def test_an_invitation_that_expires(clickable: Bridge, hands: Hands) -> None:
    """A candidate's link is let expire; at the deadline the bridge finds out, and notifies."""
    await hands.submit("Connect", bridge_url=clickable.url, token=TOKENS["acme"], client_id="10")
    shown = await hands.submit("Order", test_id="engineer")
    invitation_id = re.findall("The bridge invited: (iv_[0-9A-Za-z]+)", shown)[0]
    assert "link expired" in await hands.submit("Let the link expire")
    link = clickable.equalture.applications[clickable.created()].assessment_url
    assert (await clickable.ask("GET", link)).status == 410
    await clickable.advance(timedelta(days=8))
    await eventually(lambda: clickable.notified(invitation_id))
    assert f"The result of {invitation_id}: EXPIRED" in await hands.submit("Read")
