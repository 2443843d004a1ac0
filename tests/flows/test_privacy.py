"""Canaries: marked names, addresses and secrets go through everything, and turn up nowhere."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Journal, Launch, eventually

PERSON = {
    "first_name": "Canaryfirst",
    "last_name": "Canary-Lästname",
    "email": "canary.mail+tag@canary.example",
}
TOKEN = "canary-bearer-0123456789-0123456789"
SECRET = "canary-client-secret-0123456789"
CALLBACK = "canary-callback-token-0123456789"

Step = Callable[[Bridge], Awaitable[list[BridgeReply]]]


def canaries(bridge: Bridge) -> list[str]:
    """Everything that may turn up nowhere, in the spellings that it may turn up in."""
    secrets = [
        application.callback_url.rpartition("/")[2]
        for application in bridge.equalture.applications.values()
    ]
    words = [
        *PERSON.values(),
        "canary.mail",
        "canary.example",
        "Canary-L",
        TOKEN,
        SECRET,
        CALLBACK,
        *secrets,
    ]
    return [
        *words,
        *(quote(word) for word in words),
        *(word.encode("unicode_escape").decode() for word in words),
    ]


def found(text: str, words: list[str]) -> list[str]:
    """The canaries in a text."""
    lowered = text.lower()
    return sorted({word for word in words if word.lower() in lowered})


@pytest.fixture
async def bridge(config: Config, launch: Launch) -> Bridge:
    """A bridge whose customer's every secret is a canary."""
    acme = config.customers["acme"]
    acme["softgarden"]["tokens_sha256"] = [hashlib.sha256(TOKEN.encode()).hexdigest()]
    acme["equalture"] |= {"client_secret": SECRET, "callback_token": CALLBACK}
    bridge = await launch()
    account = bridge.equalture.accounts["acme"]
    account.client_secret = SECRET
    account.callback_headers = {"Authorization": f"Token {CALLBACK}"}
    bridge.softgarden.connect(bridge.url, TOKEN, customer="acme")
    return bridge


async def invite(bridge: Bridge, **changes: Any) -> BridgeReply:
    return await bridge.acme.invite(changes.pop("test", "engineer"), **(PERSON | changes))


async def whole_journey(bridge: Bridge) -> list[BridgeReply]:
    invited = await invite(bridge)
    an_id = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    view = await bridge.acme.read_results(an_id)
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    await eventually(lambda: bridge.notified(an_id))
    result = (await bridge.acme.read_results(an_id)).json["result"]
    pages = [
        await bridge.ask("GET", result[name]) for name in ("resultUrl", "reportUrl", "shareUrl")
    ]
    return [view, *pages, await bridge.acme.delete(an_id), await bridge.acme.delete(an_id)]


async def equalture_echoes(bridge: Bridge) -> list[BridgeReply]:
    """Equalture repeats everything that it was sent, in errors of every kind."""
    echo = (
        f'{{"errors": {{"detail": "{PERSON["first_name"]} {PERSON["last_name"]}'
        f' <{PERSON["email"]}> {SECRET}"}}}}'
    )
    replies = []
    for status in (400, 409, 422, 500, 503):
        bridge.equalture.fault("create", status=status, text=echo, times=1)
        replies.append(await invite(bridge))
    bridge.equalture.fault("create", status_after=201, text=echo, times=1)
    replies.append(await invite(bridge))
    bridge.equalture.fault("create", drop="after", times=1)
    replies.append(await invite(bridge))
    return replies


async def equalture_refuses_us(bridge: Bridge) -> list[BridgeReply]:
    bridge.equalture.fault("token", status=401, text=f'{{"error": "wrong secret {SECRET}"}}')
    return [await invite(bridge), await bridge.acme.list_tests()]


async def softgarden_echoes(bridge: Bridge) -> list[BridgeReply]:
    text = f'{{"message": "{PERSON["email"]} of {PERSON["email"]}, Bearer {TOKEN}"}}'
    for status in (500, 400):
        bridge.softgarden.fault("notify", status=status, text=text, times=1)
        await invite(bridge)
        assert await bridge.equalture.complete(bridge.created()) == 200
        await bridge.softgarden.wait_calls("notify", status=status)
    await eventually(bridge.dead_letters)
    await bridge.idle()
    return []


async def bad_requests(bridge: Bridge) -> list[BridgeReply]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    person = {
        "id": "a",
        "firstName": PERSON["first_name"] * 30,
        "lastName": 7,
        "email": PERSON["email"] + "@@ x",
    }
    body = {
        "testId": PERSON["last_name"],
        "candidate": person,
        "callback": f"https://evil.example/{TOKEN}",
    }
    order = {
        "testId": "engineer",
        "candidate": person | {"firstName": "x", "lastName": "y", "email": PERSON["email"]},
    }
    path = "/softgarden/invitations"
    return [
        await bridge.ask("POST", path, json=body, headers=headers),
        await bridge.ask(
            "POST", path, json=order | {"callback": body["callback"]}, headers=headers
        ),
        await bridge.ask(
            "POST",
            path,
            json=order | {"callback": body["callback"], "testId": TOKEN},
            headers=headers,
        ),
        await bridge.ask("POST", path, data=f'{{"x": "{PERSON["email"]}'.encode(), headers=headers),
        await bridge.ask("GET", f"/{TOKEN}/{PERSON['email']}", headers=headers),
        await bridge.ask("GET", f"/softgarden/results/{TOKEN}", headers=headers),
        await bridge.ask("DELETE", f"{path}/{quote(PERSON['email'])}", headers=headers),
        await bridge.ask("GET", "/softgarden/tests", headers={"Authorization": f"Bearer {TOKEN}x"}),
        await bridge.ask("GET", f"/share/{TOKEN}"),
        await bridge.ask("GET", "/livez", headers={"X-Request-ID": PERSON["email"]}),
    ]


async def bad_callbacks(bridge: Bridge) -> list[BridgeReply]:
    await invite(bridge)
    url = bridge.callback_of(bridge.created())
    guard = {"Authorization": f"Bearer {CALLBACK}"}
    return [
        await bridge.ask("PUT", url, data=f'{{"x": "{PERSON["email"]}'.encode(), headers=guard),
        await bridge.ask("PUT", url, json={}, headers={"Authorization": f"Bearer {CALLBACK}x"}),
        await bridge.ask("PUT", url + "x", json={"name": PERSON["first_name"]}, headers=guard),
        await bridge.ask("PUT", url, data=b"x" * 300_000, headers=guard),
        await bridge.ask("POST", url, json={}, headers=guard),
    ]


async def outages(bridge: Bridge) -> list[BridgeReply]:
    invited = await invite(bridge)
    bridge.equalture.fault("*", drop="before")
    replies = [
        await invite(bridge, candidate_id="other"),
        await bridge.acme.delete(invited.json["invitationId"]),
    ]
    await bridge.advance(timedelta(minutes=5))
    await bridge.idle()
    return replies


async def broken_http(bridge: Bridge) -> list[BridgeReply]:
    """What is no HTTP at all, with secrets in it, straight to the socket."""
    host, port = bridge.url.removeprefix("http://").split(":")
    for raw in (
        f"GET /share/{TOKEN} HTTP/9.9\r\n\r\n",
        f"{TOKEN}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{SECRET}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(raw.encode())
        await writer.drain()
        await reader.read(4096)
        writer.close()
        await writer.wait_closed()
    return []


STEPS: list[Step] = [
    whole_journey,
    equalture_echoes,
    equalture_refuses_us,
    softgarden_echoes,
    bad_requests,
    bad_callbacks,
    outages,
    broken_http,
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_canaries_turn_up_nowhere(bridge: Bridge, journal: Journal, step: Step) -> None:
    """No name, e-mail, token or secret shows in logs, Redis, problems, pages or dead letters, on
    good and on bad paths.
    """
    replies = await step(bridge)
    await bridge.idle()
    words = canaries(bridge)
    assert found(journal.text(), words) == []
    assert found(await bridge.stored(), words) == []
    assert found("".join(reply.text + repr(reply.headers) for reply in replies), words) == []
    assert found(repr(await bridge.dead_letters()), words) == []


async def test_links_with_secrets_are_not_logged(bridge: Bridge, journal: Journal) -> None:
    """No link that opens something by itself is in the log: tests, results, shares, reports,
    callbacks.
    """
    invited = await invite(bridge)
    an_id = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    result = (await bridge.result(bridge.acme, an_id, "COMPLETED"))["result"]
    share = await bridge.ask("GET", result["shareUrl"])
    links = [invited.json["testUrl"], result["resultUrl"], result["reportUrl"], result["shareUrl"]]
    links += [share.headers["Location"], bridge.callback_of(bridge.created())]
    secrets = [link.rpartition("/")[2].removesuffix(".pdf").rpartition(".")[2] for link in links]
    await bridge.idle()
    assert all(len(secret) > 10 for secret in secrets)
    assert [secret for secret in secrets if secret in journal.text()] == []
    assert journal.events("request.handled") != []


async def test_log_lines_carry_the_request_id(bridge: Bridge, journal: Journal) -> None:
    """The log lines of a request carry the id that its answer has."""
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "find-me"}
    await bridge.ask("GET", "/softgarden/tests", headers=headers)
    (line,) = [
        line for line in journal.events("request.handled") if line["request_id"] == "find-me"
    ]
    assert (line["route"], line["status"], line["customer"]) == ("/softgarden/tests", 200, "acme")
    assert [line["request_id"] for line in journal.events("equalture.called")] == ["find-me"] * 2
