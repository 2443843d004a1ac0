"""The page on which people play both fakes: what its forms do, and who may not use it."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from bridge.sandbox import EqualtureSandbox, SandboxClock, SoftgardenSandbox
from bridge.sandbox_page import add_sandbox_page
from tests.sandbox.conftest import JOBS, Bearer, Peer, fetch_token

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Shown:
    """An answer of the page."""

    status: int
    source: str
    headers: Any

    @property
    def text(self) -> str:
        """As people read it."""
        bare = re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.source, flags=re.DOTALL)
        return " ".join(html.unescape(bare).split())


@dataclass
class Page:
    """Both fakes with their page, and a browser that has no script."""

    equalture: EqualtureSandbox
    softgarden: SoftgardenSandbox
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str = "", **kwargs: Any) -> Shown:
        url = f"{self.softgarden.base_url}/_sandbox/{path}"
        async with self.session.request(method, url, **kwargs) as answer:
            return Shown(answer.status, await answer.text(), answer.headers)

    async def submit(self, action: str, **form: str) -> str:
        """Send a form and follow where it leads; what is said about it."""
        shown = await self.ask("POST", f"page/{action}", data=form)
        assert shown.status == 200, shown.text
        return said(shown)


def said(shown: Shown) -> str:
    """What the page says about the last form."""
    match = re.search(r'<p role="(?:status|alert)"[^>]*>(.*?)</p>', shown.source, re.DOTALL)
    assert match is not None
    return html.unescape(match[1])


@pytest.fixture
async def page(session: aiohttp.ClientSession) -> AsyncIterator[Page]:
    clock = SandboxClock(START, ticking=False)
    equalture, softgarden = EqualtureSandbox(clock=clock), SoftgardenSandbox(clock=clock)
    equalture.add_account("acme", "s3cret", JOBS)
    add_sandbox_page(equalture, softgarden, patience_s=0.2)
    async with equalture, softgarden:
        yield Page(equalture, softgarden, session)


async def test_both_serve_it(page: Page) -> None:
    """Each fake has the page; without the last slash one is led there, and HEAD works."""
    for fake in (page.equalture, page.softgarden):
        async with page.session.get(f"{fake.base_url}/_sandbox") as answer:
            assert (answer.status, answer.url.path) == (200, "/_sandbox/")
            assert "play both vendors" in await answer.text()
        async with page.session.head(f"{fake.base_url}/_sandbox/") as answer:
            assert answer.status == 200
        assert fake.calls() == []


async def test_nothing_is_loaded_or_run(page: Page) -> None:
    """The page has no script, loads nothing, and its forms lead to itself only."""
    shown = await page.ask("GET")
    policy = shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self';" in policy
    assert "unsafe" not in policy
    assert "<script" not in shown.source
    assert "http-equiv" not in shown.source
    assert 'http-equiv="refresh"' in (await page.ask("GET", "?renew=on")).source


async def test_other_sites_are_refused(page: Page) -> None:
    """A foreign Host, and a post of another site's page, are 403 for the page and for all that
    programs use; nothing is done. A form of the page itself is taken.
    """
    ours = page.softgarden.base_url
    for path in ("", "ledger", "clock"):
        assert (await page.ask("GET", path, headers={"Host": "evil.example"})).status == 403
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ours, "Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        form = {"number": "1", "unit": "days"}
        answer = await page.ask("POST", "page/clock", data=form, headers=headers)
        assert answer.status == 403
        answer = await page.ask("POST", "clock", json={"advance_s": 60}, headers=headers)
        assert answer.status == 403
    assert page.equalture.clock() == START
    own = {"Origin": ours, "Sec-Fetch-Site": "same-origin"}
    assert (await page.ask("POST", "page/clock", data=form, headers=own)).status == 200
    # Browsers state the origin of a form only where the page lets them send a referrer.
    assert (await page.ask("GET")).headers["Referrer-Policy"] == "same-origin"


async def test_every_field_has_a_label(page: Page, peer: Peer) -> None:
    """Whatever can be filled in stands in a label, and every button has words."""
    await page.submit("connect", bridge_url=peer.url, token="t")
    shown = (await page.ask("GET")).source
    fields = r"<(?:input|select)(?![^>]*hidden)[^>]*>"
    labelled = re.findall(rf"<label>[^<]+({fields})", shown)
    assert len(labelled) == len(re.findall(fields, shown)) > 10
    assert all(re.findall(r"<button[^>]*>([^<]+)<", shown))


async def test_a_bridge_is_connected(page: Page, peer: Peer) -> None:
    """URL and token are given, the tests are listed at once, an order goes out with the token, and
    the token is shown nowhere.
    """
    peer.answers = {"/softgarden/tests": {"tests": [{"testId": "t-1", "testName": "Sales <1>"}]}}
    told = await page.submit(
        "connect", bridge_url=peer.url, token="t0ken", customer="acme", client_id="12"
    )
    assert told == f"softgarden uses {peer.url} now. It lists 1 test."
    shown = await page.ask("GET")
    assert '<option value="t-1">Sales &lt;1&gt;</option>' in shown.source
    assert 'name="test_id" list="tests" required autocomplete="off" value="t-1"' in shown.source
    assert "t0ken" not in shown.source
    peer.status = 400
    peer.answers["/softgarden/invitations"] = {"detail": "No such test."}
    order = {"customer": "acme", "test_id": "t-1", "application_id": "app-1", "last_name": "Müller"}
    assert await page.submit("order", **order) == "The order: 400 No such test."
    assert {seen[2]["Authorization"] for seen in peer.seen} == {"Bearer t0ken"}
    sent = page.softgarden.calls("invite")[0].request_json
    assert (sent["candidate"]["id"], sent["candidate"]["lastName"]) == ("app-1", "Müller")


async def test_what_programs_did_is_shown(page: Page, peer: Peer) -> None:
    """A bridge that was connected, and tests that were listed, over HTTP or at the start are there
    to be ordered.
    """
    peer.answers = {"/softgarden/tests": [{"id": "t-1", "name": "Sales"}]}
    page.softgarden.connect(peer.url, "t")
    await page.ask("POST", "customers/default/tests")
    shown = await page.ask("GET")
    assert '<option value="t-1">Sales</option>' in shown.source
    assert f"Customer default uses {peer.url}" in shown.text


@pytest.mark.parametrize(
    ("action", "form", "words"),
    [
        ("connect", {"bridge_url": "ftp://x", "token": "t"}, "begins with http"),
        ("connect", {"bridge_url": "http://x"}, "token is missing"),
        ("connect", {"bridge_url": "http://x", "token": "ä"}, "ASCII"),
        ("order", {"test_id": "t-1"}, "No bridge is connected"),
        ("read", {"invitation_id": "iv_1"}, "has not ordered"),
        ("delete", {}, "invitation_id is missing"),
        ("start", {"reference_id": "r"}, "has no application r"),
        ("fault", {"operation": "Equalture:create", "kind": "colour"}, "colour is none of"),
        ("fault", {"operation": "Nobody:create", "kind": "html"}, "Nobody is none of"),
        ("fault", {"operation": "Equalture:jump", "kind": "html"}, "no operation"),
        ("fault", {"operation": "softgarden:invite", "kind": "html"}, "only be delayed"),
        ("fault", {"operation": "Equalture:jobs", "kind": "status", "number": "9"}, "status"),
        ("clock", {"number": "-1", "unit": "days"}, "whole number"),
        ("clock", {"number": "1", "unit": "years"}, "years is none of"),
        ("clock", {"number": "999999999", "unit": "days"}, "date"),
    ],
)
async def test_mistakes_are_told(page: Page, action: str, form: dict[str, str], words: str) -> None:
    """What cannot be done is 400, the page says why, and nothing is done."""
    shown = await page.ask("POST", f"page/{action}", data=form)
    assert (shown.status, words in said(shown)) == (400, True), said(shown)
    assert (page.softgarden.clients, list(page.equalture.faults)) == ({}, [])
    assert page.equalture.clock() == START


async def test_an_action_that_is_none(page: Page) -> None:
    """A form that the page does not have is 404."""
    assert (await page.ask("POST", "page/dance")).status == 404


async def test_faults_are_switched(page: Page) -> None:
    """Faults are switched on, shown with what they did, and healed, one operation's or all."""
    bearer = Bearer(page.equalture, page.session, "nobody's")
    fault = {"operation": "Equalture:jobs", "kind": "status", "number": "503", "times": "2"}
    await page.submit("fault", **fault)
    await page.submit("fault", operation="softgarden:notify", kind="delay", number="2")
    assert (await bearer("GET", "/connect_ats/jobs"))[0] == 503
    shown = (await page.ask("GET")).text
    assert "Equalture: jobs status=503 times=2 , applied 1" in shown
    assert await page.submit("heal", operation="Equalture:jobs") == "1 fault was healed."
    assert (await bearer("GET", "/connect_ats/jobs"))[0] == 401
    assert await page.submit("heal", operation="") == "1 fault was healed."


async def test_the_clock_moves_for_both(page: Page) -> None:
    """The clock is pushed forward once, for both, and Equalture's tokens end by it, or at once."""
    _, answer = await fetch_token(page.equalture, page.session)
    bearer = Bearer(page.equalture, page.session, answer["access_token"])
    told = await page.submit("clock", number="14", unit="minutes")
    assert told == "The fakes' clock is 2026-01-01 00:14:00 UTC now."
    assert page.softgarden.clock() == page.equalture.clock()
    assert (await bearer("GET", "/connect_ats/jobs"))[0] == 200
    await page.submit("revoke")
    assert (await bearer("GET", "/connect_ats/jobs"))[0] == 401


async def test_broken_rules_and_calls_are_shown(page: Page) -> None:
    """A rule that a caller broke stands there, and every call with its answer and its JSON, as
    text.
    """
    async with page.session.post(
        f"{page.softgarden.callback_url()}?<b>", json={"invitationId": "<script>"}
    ) as answer:
        assert answer.status == 401
    shown = await page.ask("GET")
    assert "Rules broken (1)" in shown.text
    assert "softgarden: POST /api/rest/v3/frontend/" in shown.text
    assert '"invitationId": "<script>"' in shown.text
    assert "<script" not in shown.source


async def test_a_form_does_not_hang(page: Page, call_of: Bearer, peer: Peer) -> None:
    """What a fault makes hang goes on, while the page comes back; healing ends it."""
    _, made = await call_of.create(callback_url=f"{peer.url}/c")
    await page.submit("fault", operation="Equalture:callback", kind="hang_before")
    finish = {"reference_id": made["reference_id"], "fit": "none", "score_focus": "1"}
    assert "That goes on" in await page.submit("finish", **finish)
    assert peer.seen == []
    await page.submit("heal", operation="")
    await page.equalture.wait_calls("callback", status=200)
    assert peer.seen[0][0] == "PUT"


async def test_a_result_that_is_junk(page: Page, peer: Peer) -> None:
    """A bridge may answer anything: the page says so, and what it broke."""
    invited = {"invitationId": "iv_1", "testUrl": "http://x"}
    peer.answers = {"/softgarden/invitations": invited, "/softgarden/results/iv_1": ["?"]}
    told = await page.submit("connect", bridge_url=peer.url, token="t")
    assert "It lists 0 tests" in told
    await page.submit("order", test_id="t-1")
    assert await page.submit("read", invitation_id="iv_1") == "The result of iv_1: 200"
    assert "not to be understood" in (await page.ask("GET")).text
    peer.answers = {}
    peer.status = 401
    assert await page.submit("tests") == "Its list of tests: 401"


@pytest.fixture
async def call_of(page: Page) -> Bearer:
    """A client of the page's Equalture with an access token."""
    _, answer = await fetch_token(page.equalture, page.session)
    return Bearer(page.equalture, page.session, answer["access_token"])
