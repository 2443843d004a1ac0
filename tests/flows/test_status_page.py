"""The status page of the admin listener, over real sockets."""

from __future__ import annotations

import html
import re

import yaml

from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Launch, eventually


async def page(bridge: Bridge, query: str = "", **headers: str) -> BridgeReply:
    """What an operator's browser gets."""
    return await bridge.ask("GET", f"{bridge.admin_url}/{query}", headers=headers)


async def text(bridge: Bridge, query: str = "") -> str:
    """The page as people read it: without its marks."""
    reply = await page(bridge, query)
    assert reply.status == 200
    plain = html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", reply.text, flags=re.DOTALL))
    return " ".join(plain.split())


async def test_all_is_well(bridge: Bridge) -> None:
    """A bridge with nothing to do says that nobody is waiting, what is in force, and its
    version.
    """
    shown = await text(bridge)
    assert "Redis does not answer" not in shown
    assert "Given up (0)" in shown
    assert "Quarantine (0)" in shown
    assert "3 served" in shown
    assert "none since the start" in shown
    assert "version" in shown


async def test_invitations_are_counted(bridge: Bridge) -> None:
    """Each customer's open invitations stand there by state and age, its orders by test, and when
    both vendors were last heard of; never a name.
    """
    for number in range(2):
        reply = await bridge.acme.invite("engineer", candidate_id=f"app-{number}")
        assert reply.status == 200
    shown = await text(bridge)
    assert "acme 2 invited 2 " in shown
    assert re.search(r"softgarden \d+ s ago equalture \d+ s ago", shown)
    assert "Muster" not in (await page(bridge)).text
    assert "globex none" in shown


async def test_a_dead_letter_comes_with_its_command(bridge: Bridge) -> None:
    """A notification that was given up stands there with its reason and the command to replay
    it.
    """
    bridge.softgarden.fault("notify", status=400)
    invitation_id = (await bridge.acme.invite("engineer")).json["invitationId"]
    await bridge.equalture.complete(bridge.created())
    await eventually(bridge.dead_letters)
    shown = await text(bridge)
    assert "Given up (1)" in shown
    assert f"assessment-bridge dead replay {invitation_id}:notify" in shown
    assert "1 task was given up" in shown


async def test_search_by_application(bridge: Bridge) -> None:
    """An application's id leads to its invitations, an invitation's id to that one, and anything
    else to a plain word; nothing is renewed meanwhile.
    """
    reply = await bridge.acme.invite("engineer", candidate_id="app-3001")
    invitation_id = reply.json["invitationId"]
    for term in ("app-3001", invitation_id):
        found = await page(bridge, f"?application={term}")
        assert f"assessment-bridge find {invitation_id}" in found.text
        assert "http-equiv" not in found.text
    assert "Nothing is stored for “app-9”" in await text(bridge, "?application=app-9")


async def test_a_term_that_cannot_be(bridge: Bridge) -> None:
    """A term with control characters, or a very long one, is 400 and names the field."""
    for term in ("a%00b", "a" * 201):
        reply = await page(bridge, f"?application={term}")
        assert reply.status == 400
        assert list(reply.json["errors"]) == ["application"]


async def test_a_term_is_no_markup(bridge: Bridge) -> None:
    """What somebody searches for is shown as text."""
    reply = await page(bridge, "?application=%3Cscript%3E")
    assert "<script" not in reply.text


async def test_a_refused_reload_is_shown(bridge: Bridge, config: Config) -> None:
    """A bad file is named with its position, and what was in force stays so."""
    file = config.folder / "customers" / "acme.yaml"
    file.write_text(yaml.safe_dump({"tests": {"items": 1}}), encoding="utf-8")
    await bridge.ask("POST", f"{bridge.admin_url}/-/reload")
    shown = await text(bridge)
    assert "The last reload was refused" in shown
    assert f"{file}:1" in shown
    assert "config.reload_refused" in shown


async def test_a_vendor_that_is_silent(bridge: Bridge) -> None:
    """A customer's vendor that does not answer is named at the top."""
    bridge.equalture.fault("jobs", drop="before")
    for _ in range(6):
        await bridge.globex.list_tests()
    shown = await text(bridge)
    assert "equalture has not answered for globex since" in shown
    assert "does not answer for globex" in shown


async def test_contacts_survive_a_restart(launch: Launch, bridge: Bridge) -> None:
    """When a vendor was last heard of is known to a process that has not heard of it itself."""
    await bridge.acme.list_tests()
    await text(bridge)
    await bridge.close()
    again = await launch()
    assert re.search(r"last heard of \d+ s ago", await text(again))


async def test_nobody_elses_page(bridge: Bridge) -> None:
    """A foreign Host is refused; nothing is loaded, framed, run or kept; HEAD works."""
    assert (await page(bridge, Host="evil.example")).status == 403
    reply = await page(bridge)
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self';" in policy
    assert "unsafe" not in policy
    assert reply.headers["Cache-Control"] == "no-store"
    assert "<script" not in reply.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', reply.text)
    assert 'http-equiv="refresh"' in reply.text
    assert 'http-equiv="refresh"' not in (await page(bridge, "?refresh=off")).text
    head = await bridge.ask("HEAD", f"{bridge.admin_url}/")
    assert (head.status, head.text) == (200, "")
