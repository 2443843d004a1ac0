"""The bridge's own links: for one purpose, one invitation, as long as the key is listed and the
result is kept.
"""

from __future__ import annotations

import base64
import string
from datetime import timedelta
from typing import Any

import pytest

from bridge.sandbox import BridgeReply
from tests.flows.conftest import KEY, Bridge, Config, Launch
from tests.security.conftest import completed

PATHS = {
    "share": "/share/{}",
    "results": "/results/{}",
    "report": "/reports/{}.pdf",
    "start": "/start/{}",
}
NEW_KEY = "B" * 42 + "A"


async def tokens(bridge: Bridge) -> tuple[str, dict[str, str]]:
    """A completed invitation of acme's and its token for every purpose."""
    an_id, result = await completed(bridge)
    links = {
        "share": result["shareUrl"],
        "results": result["resultUrl"],
        "report": result["reportUrl"],
    }
    links["start"] = bridge.runtime.signer.start_url(an_id)
    return an_id, {
        name: link.rpartition("/")[2].removesuffix(".pdf") for name, link in links.items()
    }


async def opened(bridge: Bridge, purpose: str, token: str) -> BridgeReply:
    """What is behind a token used for a purpose."""
    return await bridge.ask("GET", PATHS[purpose].format(token))


async def test_each_token_opens_one_thing(bridge: Bridge) -> None:
    """A token made for one purpose is 404 for every other; with the right one each link works."""
    _, made = await tokens(bridge)
    fine = {"share": 302, "results": 200, "report": 200, "start": 200}
    for purpose in PATHS:
        for name, token in made.items():
            reply = await opened(bridge, purpose, token)
            assert reply.status == (fine[purpose] if name == purpose else 404), (name, purpose)
    assert len(set(made.values())) == 4


async def test_token_is_bound_to_its_invitation(bridge: Bridge) -> None:
    """One invitation's signature does not open another's."""
    _, first = await tokens(bridge)
    _, second = await tokens(bridge)
    for purpose in PATHS:
        crossed = second[purpose].partition(".")[0] + "." + first[purpose].partition(".")[2]
        assert (await opened(bridge, purpose, crossed)).status == 404


async def test_signature_is_long_enough(bridge: Bridge) -> None:
    """A token carries 128 bits of signature, beside an id with more than 128 random bits."""
    _, made = await tokens(bridge)
    for token in made.values():
        an_id, _, mac = token.partition(".")
        assert len(base64.urlsafe_b64decode(mac + "==")) * 8 >= 128
        assert len(an_id) == len("iv_0") + 24


async def test_tampering_is_404(bridge: Bridge) -> None:
    """Every changed, missing or added character is 404, and so are other spellings of the same
    signature.
    """
    _, made = await tokens(bridge)
    token = made["results"]
    an_id, _, mac = token.partition(".")
    alphabet = string.ascii_letters + string.digits + "-_"
    last = alphabet[(alphabet.index(mac[-1]) + 1) % 64]
    changed = [
        token[:place] + ("B" if token[place] == "A" else "A") + token[place + 1 :]
        for place in range(len(token))
    ]
    changed += [
        f"{an_id}.{mac[:-1]}{last}",
        f"{an_id}.{mac}=",
        f"{an_id}.{mac}==",
        f"{an_id}.{mac[:-1]}",
        f"{an_id}.",
    ]
    changed += [
        an_id,
        f".{mac}",
        f"{an_id}{mac}",
        f"{an_id}.{mac}.{mac}",
        f"{an_id}%2E{mac}x",
        token.upper(),
        token + "%00",
    ]
    changed += [
        f"{an_id}.{mac}%0a",
        f"%20{token}",
        f"{an_id}.\u00e4",
        "%ff%fe",
        "..",
        "x",
        "iv_0." + mac,
        token * 2,
    ]
    for wrong in changed:
        reply = await opened(bridge, "results", wrong)
        assert reply.status in (404, 400), wrong
        assert an_id not in reply.text
    assert (await opened(bridge, "results", f"{an_id}%2E{mac}")).status == 200


async def test_dead_after_deletion(bridge: Bridge) -> None:
    """After a deletion every link that was given out is 410, in words that say nothing about
    anybody.
    """
    an_id, made = await tokens(bridge)
    assert (await bridge.acme.delete(an_id)).status == 204
    for purpose, token in made.items():
        reply = await opened(bridge, purpose, token)
        assert (reply.status, "Engineer" in reply.text, an_id in reply.text) == (410, False, False)
    assert (await bridge.ask("POST", PATHS["start"].format(made["start"]))).status == 410


async def test_maximum_age(config: Config, launch: Launch) -> None:
    """With ``limits.link_max_age`` links to a result die that long after its completion."""
    config.daemon["limits"] = {"link_max_age": "30d"}
    bridge = await launch()
    _, made = await tokens(bridge)
    await bridge.advance(timedelta(days=29, hours=23))
    assert (await opened(bridge, "results", made["results"])).status == 200
    assert (await opened(bridge, "share", made["share"])).status == 302
    await bridge.advance(timedelta(hours=2))
    for purpose in ("share", "results", "report"):
        assert (await opened(bridge, purpose, made[purpose])).status == 410


async def test_share_outlives_equaltures_link(bridge: Bridge) -> None:
    """Without a maximum age a share link works a month later, with a fresh public link behind it
    each time.
    """
    _, made = await tokens(bridge)
    first = (await opened(bridge, "share", made["share"])).headers["Location"]
    await bridge.advance(timedelta(days=30))
    reply = await opened(bridge, "share", made["share"])
    assert reply.status == 302
    assert reply.headers["Location"] != first
    assert (await bridge.ask("GET", reply.headers["Location"])).status == 200


async def test_keys_are_changed_without_breaking_links(config: Config, launch: Launch) -> None:
    """Links of an older key work while it is listed behind the new one, and are 404 once it is
    not.
    """
    bridge = await launch()
    _, old = await tokens(bridge)
    await bridge.close()
    config.daemon["signing_keys"] = [NEW_KEY, KEY]
    bridge = await launch()
    assert (await opened(bridge, "results", old["results"])).status == 200
    _, new = await tokens(bridge)
    await bridge.close()
    config.daemon["signing_keys"] = [NEW_KEY]
    bridge = await launch()
    for purpose in PATHS:
        assert (await opened(bridge, purpose, old[purpose])).status == 404
    assert (await opened(bridge, "results", new["results"])).status == 200


@pytest.mark.parametrize("results", [{"share": False}, {"report": False}])
async def test_switched_off(config: Config, launch: Launch, results: dict[str, Any]) -> None:
    """What a customer switched off is 404 even with a valid token."""
    config.customers["acme"]["results"] = results
    bridge = await launch()
    an_id, result = await completed(bridge)
    assert ("shareUrl" in result, "reportUrl" in result) == (
        results.get("share", True),
        results.get("report", True),
    )
    link = (
        bridge.runtime.signer.share_url(an_id)
        if "share" in results
        else bridge.runtime.signer.report_url(an_id)
    )
    assert (await bridge.ask("GET", link)).status == 404


async def test_nothing_before_completion(bridge: Bridge) -> None:
    """Before there is a result there is nothing to share and no report, and the page says so."""
    invited = await bridge.acme.invite("engineer")
    signer, an_id = bridge.runtime.signer, invited.json["invitationId"]
    assert (await bridge.ask("GET", signer.share_url(an_id))).status == 404
    assert (await bridge.ask("GET", signer.report_url(an_id))).status == 404
    page = await bridge.ask("GET", signer.results_url(an_id))
    assert (page.status, "Not finished yet" in page.text) == (200, True)
    assert bridge.equalture.calls("public_link") == []


async def test_start_needs_the_button(bridge: Bridge) -> None:
    """However often a scanner follows a start link, only the button leads on, and the test's link
    is not on the page.
    """
    invited = await bridge.globex.invite("job-3")
    test = bridge.equalture.applications[bridge.created()].assessment_url
    for method in ("GET", "GET", "HEAD", "OPTIONS"):
        async with bridge.session.request(
            method, invited.json["testUrl"], allow_redirects=False
        ) as reply:
            assert reply.status in (200, 405)
            assert "Location" not in reply.headers
            assert test not in await reply.text()
    pressed = await bridge.ask("POST", invited.json["testUrl"])
    assert (pressed.status, pressed.headers["Location"]) == (303, test)
    assert (pressed.headers["Cache-Control"], pressed.headers["Referrer-Policy"]) == (
        "no-store",
        "no-referrer",
    )


@pytest.mark.parametrize("end", ["completed", "expired"])
async def test_start_ends_with_the_test(bridge: Bridge, end: str) -> None:
    """After completion or expiry neither the page nor the button leads anywhere."""
    invited = await bridge.globex.invite("job-3")
    an_id, link = invited.json["invitationId"], invited.json["testUrl"]
    if end == "completed":
        assert await bridge.equalture.complete(bridge.created()) == 200
        await bridge.result(bridge.globex, an_id, "COMPLETED")
    else:
        await bridge.advance(timedelta(days=7, seconds=1))
        await bridge.result(bridge.globex, an_id, "EXPIRED")
    for method in ("GET", "POST"):
        reply = await bridge.ask(method, link)
        assert (reply.status, "Location" in reply.headers, "<form" in reply.text) == (
            200,
            False,
            False,
        )


async def test_callback_secrets_are_digests(bridge: Bridge) -> None:
    """The secret of a callback URL has 256 bits and stands in Redis only as a digest."""
    await bridge.acme.invite("engineer")
    secret = bridge.callback_of(bridge.created()).rpartition("/")[2]
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    assert secret not in await bridge.stored()
