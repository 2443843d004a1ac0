"""Whoever asks hears what to do; the log says why, and about whom."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Journal, Launch
from tests.flows.test_outage import own_redis  # noqa: F401 - a fixture
from tests.redis_servers import RedisServer
from tests.security.conftest import completed

SECRET_KEY = "B" * 43


def last(journal: Journal) -> dict[str, Any]:
    """The log line of the newest request."""
    return journal.events("request.handled")[-1]


def told(line: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """These fields of a log line."""
    return tuple(line.get(name) for name in names)


async def test_refused_share_link(bridge: Bridge, journal: Journal) -> None:
    """A colleague's click that Equalture refuses leaves a warning with code, reason, invitation and
    customer.
    """
    an_id, result = await completed(bridge)
    bridge.equalture.fault("public_link", status=422)
    assert (await bridge.ask("GET", result["shareUrl"])).status == 503
    line = last(journal)
    names = ("level", "route", "status", "code", "invitation_id", "customer")
    assert told(line, *names) == (
        "warning",
        "/share/{token}",
        503,
        "upstream_refused",
        an_id,
        "acme",
    )
    assert "public_link" in line["reason"]


async def test_share_link_behind_a_wrong_secret(bridge: Bridge, journal: Journal) -> None:
    """A wrong client secret shows behind a share link: the colleague reads "later", and the log
    says that the provider refused with 401.
    """
    _, result = await completed(bridge)
    account = bridge.equalture.accounts["acme"]
    right, account.client_secret = account.client_secret, "another one"
    bridge.equalture.revoke_tokens()
    known = len(bridge.equalture.violations)
    assert (await bridge.ask("GET", result["shareUrl"])).status == 503
    line = last(journal)
    assert told(line, "level", "status", "code") == ("warning", 503, "upstream_refused")
    assert "equalture token: answered 401" in line["reason"]
    account.client_secret = right
    del bridge.equalture.violations[known:]  # the wrong secret is this test's


@pytest.mark.parametrize("page", ["share", "results", "start"])
async def test_unknown_and_deleted_links(bridge: Bridge, journal: Journal, page: str) -> None:
    """A page that is not shown says in the log whether the link is unknown or its candidate
    deleted.
    """
    an_id, _ = await completed(bridge)
    url = getattr(bridge.runtime.signer, f"{page}_url")(an_id)
    assert (await bridge.ask("GET", url[:-1])).status == 404
    assert told(last(journal), "level", "code", "reason", "invitation_id") == (
        "info",
        "unknown_invitation",
        "There is nothing behind this link.",
        an_id,
    )
    assert (await bridge.acme.delete(an_id)).status == 204
    assert (await bridge.ask("GET", url)).status == 410
    assert told(last(journal), "code", "reason", "customer") == (
        "gone",
        "This was deleted.",
        "acme",
    )


async def test_sealed_record_behind_links(config: Config, launch: Launch, journal: Journal) -> None:
    """A record whose key is missing is a page for its reader, and in the log a warning that names
    the setting.
    """
    config.daemon["encryption_keys"] = [SECRET_KEY]
    bridge = await launch()
    an_id, result = await completed(bridge)
    await bridge.close()
    config.daemon["encryption_keys"] = ["C" * 43]
    bridge = await launch()
    page = await bridge.ask("GET", result["resultUrl"])
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (503, "text/html")
    line = last(journal)
    assert told(line, "level", "code", "invitation_id") == ("warning", "record_sealed", an_id)
    assert "encryption_keys" in line["reason"]
    reply = await bridge.acme.read_results(an_id)
    assert (reply.status, reply.json["code"]) == (503, "record_sealed")
    assert "encryption" not in reply.text


async def test_strangers_never_see_the_stores_words(
    own_redis: RedisServer,  # noqa: F811 - the fixture
    launch: Launch,
    journal: Journal,
) -> None:
    """Without Redis an answer says that the store is away, and nothing of where it is or what it
    said; the log has it.
    """
    bridge = await launch()
    an_id, result = await completed(bridge)
    callback = bridge.callback_of(bridge.created())
    own_redis.kill()
    await bridge.ask("GET", result["resultUrl"])
    assert told(last(journal), "level", "code", "invitation_id") == (
        "warning",
        "store_unavailable",
        an_id,
    )
    replies: list[BridgeReply] = [
        await bridge.acme.read_results(an_id),
        await bridge.acme.invite("engineer"),
        await bridge.ask("PUT", callback, json={}),
        await bridge.ask("GET", "/readyz"),
        await bridge.ask("GET", result["resultUrl"]),
    ]
    assert {reply.status for reply in replies} == {503}
    bridge.runtime.state.not_ready_reason = "Redis is not durable: appendfsync is no"
    replies.append(await bridge.acme.list_tests())
    page = await bridge.ask("GET", result["resultUrl"])
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (503, "text/html")
    assert last(journal)["reason"] == bridge.runtime.state.not_ready_reason
    for reply in replies:
        text = reply.text.lower()
        assert [
            word
            for word in ("redis", "connect", "error 111", "sock", "durable", "append")
            if word in text
        ] == []
    assert "Redis is not durable" in last(journal)["reason"]
    bridge.runtime.state.not_ready_reason = None
    assert all(
        line["reason"]
        for line in journal.events("request.handled")
        if line["status"] == 503 and "code" in line
    )


async def test_a_refused_callback_is_said(bridge: Bridge, journal: Journal) -> None:
    """A callback whose URL is right but whose token is not leaves a warning with the invitation;
    one from anybody who guesses leaves none, and both get the same answer.
    """
    an_id = (await bridge.initech.invite("job-4")).json["invitationId"]
    url = bridge.callback_of(bridge.created())
    refused = await bridge.ask("PUT", url, json={})
    (line,) = journal.events("callback.refused")
    assert told(line, "level", "invitation_id", "customer", "reason") == (
        "warning",
        an_id,
        "initech",
        "the callback token is missing or wrong",
    )
    guessed = await bridge.ask("PUT", f"{url}x", json={})
    assert len(journal.events("callback.refused")) == 1
    for reply in (refused, guessed):
        assert (reply.status, reply.json["detail"]) == (404, refused.json["detail"])


async def test_lines_name_the_invitation(bridge: Bridge, journal: Journal) -> None:
    """Invite, reading, page, callback and deletion: each leaves a line with the invitation and its
    customer.
    """
    an_id = (await bridge.acme.invite("engineer")).json["invitationId"]
    lines = [last(journal)]
    for method, path in (
        ("PUT", bridge.callback_of(bridge.created())),
        ("GET", bridge.runtime.signer.results_url(an_id)),
        ("GET", bridge.runtime.signer.report_url(an_id)),
        ("GET", bridge.runtime.signer.start_url(an_id)),
    ):
        await bridge.ask(method, path, **({"json": {}} if method == "PUT" else {}))
        lines.append(last(journal))
    await bridge.acme.read_results(an_id)
    lines.append(last(journal))
    await bridge.acme.delete(an_id)
    lines.append(last(journal))
    assert [told(line, "invitation_id", "customer") for line in lines] == [(an_id, "acme")] * 7
