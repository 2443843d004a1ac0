"""Marked names, addresses and secrets go through every success and every error, and are looked for
everywhere.

Looked into: the log at its most talkative and in both formats, problems and pages, what the
commands print, and Redis as it stands in its own dump, base64 and compression peeled off.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import json
import re
import sys
import uuid
import zlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
import yaml

from bridge import app, logs
from bridge.core.assessment import ApplicationProgress, CreatedApplication, NewApplication
from bridge.core.customers import Customer
from bridge.core.invitation import CreateAttempt, CreateOutcome, State
from bridge.sandbox import BridgeReply, SandboxClock, webhooks
from bridge.store import record_codec
from tests.flows.conftest import Bridge, Config, Journal, Launch, _serve, eventually
from tests.redis_servers import RedisServer
from tests.security.conftest import WEBHOOK_SECRET, spoken
from tests.store.conformance import NOW, invitation

PERSON = {
    "first_name": "Canaryvor",
    "last_name": "Canär-Nachname",
    "email": "canary.mail+tag@canary.example",
}
TOKEN = "canarybearer0123456789"
SECRET = "canaryclientsecret0123456789"
CALLBACK = "canarycallbacktoken0123456789"
STATUSES = [200, 201, 204, 302, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503]
OPERATIONS = ["token", "jobs", "create", "status", "results", "public_link", "anonymise"]

Step = Callable[[Bridge], Awaitable[list[BridgeReply]]]


def people() -> list[str]:
    """What may stand nowhere at all."""
    words = [*PERSON.values(), "canaryvor", "canary.mail", "canary.example", "Nachname"]
    return [*words, *(quote(word) for word in words), *(json.dumps(word)[1:-1] for word in words)]


def secrets(bridge: Bridge) -> list[str]:
    """What may stand in no log, no problem and no output."""
    applications = bridge.equalture.applications.values()
    links = [
        part
        for one in applications
        for part in (one.callback_url.rpartition("/")[2], one.link_token)
    ]
    access = list(bridge.equalture.tokens)
    hook = WEBHOOK_SECRET.removeprefix("whsec_")
    return [TOKEN, SECRET, CALLBACK, hook, base64.b64decode(hook).decode(), *links, *access]


def stored_secrets(bridge: Bridge) -> list[str]:
    """The secrets of which Redis holds nothing but digests; the candidate's own link is kept, as
    softgarden may ask again.
    """
    return [
        one
        for one in secrets(bridge)
        if not any(one == a.link_token for a in bridge.equalture.applications.values())
    ]


def found(text: str, words: list[str]) -> list[str]:
    """The words that stand in a text, whatever their case."""
    lowered = text.lower()
    return sorted({word for word in words if word.lower() in lowered})


_WORDS = resources.files("bridge.store").joinpath("packing_words.txt").read_bytes()
"""The dictionary that records are deflated with."""


def written_out(raw: bytes) -> str:
    """*raw* as ids, digests and tokens are written, wherever one begins in it."""
    windows = [raw[start:] for start in range(len(raw))] if len(raw) <= 400 else []
    uuids = [str(uuid.UUID(bytes=window[:16])) for window in windows if len(window) >= 16]
    tokens = [base64.urlsafe_b64encode(window).decode() for window in windows]
    return "\n".join([raw.hex(), *uuids, *tokens])


def inflated(raw: bytes) -> bytes:
    """What was packed as a record, with its random parts behind it; nothing if it was not."""
    opener = zlib.decompressobj(-12, _WORDS)
    with contextlib.suppress(zlib.error):
        text = opener.decompress(raw, 1_000_000)
        return text + b"\n" + opener.unused_data if opener.eof else b""
    return b""


def layers(raw: bytes, depth: int = 3) -> str:
    """The text of *raw* and of everything that is base64 or compressed in it."""
    texts = [raw.decode("utf-8", "replace"), raw.decode("latin-1")]
    if depth < 3:
        texts.append(written_out(raw))
    if depth:
        inner: list[bytes] = []
        for run in set(re.findall(rb"[A-Za-z0-9+/_-]{16,}={0,2}", raw)):
            with contextlib.suppress(binascii.Error, ValueError):
                bare = run.rstrip(b"=")
                inner.append(
                    base64.urlsafe_b64decode(
                        bare.translate(bytes.maketrans(b"+/", b"-_")) + b"=" * (-len(bare) % 4)
                    )
                )
        for start in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", raw):
            with contextlib.suppress(zlib.error):
                inner.append(zlib.decompressobj(47).decompress(raw[start.start() :], 1_000_000))
        inner += [inflated(one) for one in inner]
        texts += [layers(one, depth - 1) for one in inner if one]
    return "\n".join(texts)


def dumped(server: RedisServer) -> bytes:
    """Redis as it would be stolen: its own dump file."""
    with server.client() as client:
        client.config_set("rdbcompression", "no")
        client.save()
        name = client.config_get("dbfilename")["dbfilename"]
    return Path(server.socket).parent.joinpath(name).read_bytes()


@pytest.mark.parametrize("issued", [True, False], ids=["at rest", "about to change"])
def test_these_eyes_see_into_records(issued: bool) -> None:
    """What is stored of a person would be found, in whichever form its record is stored."""
    reference, token = str(uuid.uuid4()), "unmistakable-token-of-thirty-two"
    one = invitation(
        state=State.INVITED,
        issued=issued,
        test_name="Unmistakable",
        attempts=(CreateAttempt(1, "ab" * 32, NOW, CreateOutcome.CREATED, reference),),
        assessment_url=f"https://equalture.example/a/{token}",
    )
    words = ["Unmistakable", reference, token, "ab" * 32]
    seen = layers(record_codec.dump_invitation(one))
    assert found(seen, words) == sorted(words)


@pytest.fixture
async def bridge(config: Config, launch: Launch) -> Bridge:
    """A bridge whose customer's every secret is a canary."""
    acme = config.customers["acme"]
    acme["softgarden"]["tokens_sha256"] = [hashlib.sha256(TOKEN.encode()).hexdigest()]
    acme["equalture"] |= {
        "client_secret": SECRET,
        "callback_token": CALLBACK,
        "webhook_secret": WEBHOOK_SECRET,
    }
    bridge = await launch()
    account = bridge.equalture.accounts["acme"]
    account.client_secret = SECRET
    account.callback_headers = {"Authorization": f"Bearer {CALLBACK}"}
    bridge.softgarden.connect(bridge.url, TOKEN, customer="acme")
    return bridge


async def invite(bridge: Bridge, **changes: Any) -> BridgeReply:
    return await bridge.acme.invite("engineer", **(PERSON | changes))


def echo(bridge: Bridge) -> str:
    """All that a vendor has seen of us, as a careless one might repeat it."""
    seen = {
        **PERSON,
        "full": f"{PERSON['first_name']} {PERSON['last_name']}",
        "secret": SECRET,
        "token": TOKEN,
    }
    seen["headers"] = {"Authorization": f"Bearer {next(iter(bridge.equalture.tokens), SECRET)}"}  # type: ignore[assignment]
    seen["basic"] = base64.b64encode(f"acme:{SECRET}".encode()).decode()
    urls = [one.callback_url for one in bridge.equalture.applications.values()]
    return json.dumps(
        {"error": "Bad Request", "request": seen, "callback_url": urls}, ensure_ascii=False
    )


# -- what is done


async def journey(bridge: Bridge) -> list[BridgeReply]:
    invited = await invite(bridge)
    an_id = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    result = (await bridge.result(bridge.acme, an_id, "COMPLETED"))["result"]
    await eventually(lambda: bridge.notified(an_id))
    pages = [await bridge.ask("GET", result[name]) for name in ("resultUrl", "reportUrl")]
    return [await invite(bridge, candidate_id="again"), *pages]


async def every_operation_echoes(bridge: Bridge) -> list[BridgeReply]:
    """Equalture repeats everything, with every status, in every operation."""
    first = (await invite(bridge)).json["invitationId"]
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.acme, first, "COMPLETED")
    share = (await bridge.acme.read_results(first)).json["result"]["shareUrl"]
    replies = []
    for number, status in enumerate(STATUSES):
        text = echo(bridge)
        fault = bridge.equalture.fault("create", status=status, text=text)
        replies.append(await invite(bridge, candidate_id=f"create-{number}"))
        fault.heal()
        fault = bridge.equalture.fault("public_link", status=status, text=text)
        replies.append(await bridge.ask("GET", share))
        fault.heal()
        bridge.equalture.revoke_tokens()
        fault = bridge.equalture.fault("token", status=status, text=text)
        replies.append(await invite(bridge, candidate_id=f"token-{number}"))
        fault.heal()
    for operation in ("status", "results", "anonymise"):
        for number, status in enumerate((200, 400, 401, 404, 409, 422, 500)):
            made = await invite(bridge, candidate_id=f"{operation}-{number}")
            fault = bridge.equalture.fault(operation, status=status, text=echo(bridge))
            await bridge.equalture.complete(
                bridge.created(), send_callback=operation != "anonymise"
            )
            if operation == "anonymise":
                replies.append(await bridge.acme.delete(made.json["invitationId"]))
            await bridge.idle()
            fault.heal()
    return replies


async def softgarden_echoes(bridge: Bridge) -> list[BridgeReply]:
    """softgarden repeats everything, with every status."""
    for number, status in enumerate((200, 302, 400, 401, 404, 429, 500)):
        fault = bridge.softgarden.fault("notify", status=status, text=echo(bridge))
        await invite(bridge, candidate_id=f"notify-{number}")
        await bridge.equalture.complete(bridge.created())
        await fault.wait_applied()
        await bridge.idle()
        fault.heal()
    await eventually(bridge.dead_letters)
    return []


async def bad_orders(bridge: Bridge) -> list[BridgeReply]:
    """Names and secrets in every odd place of a body, a path, a query and a header."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    name, mail = PERSON["last_name"], PERSON["email"]
    person: dict[str, Any] = {"id": "a", "firstName": "x", "lastName": "y", "email": mail}
    order = {
        "testId": "engineer",
        "candidate": person,
        "callback": bridge.softgarden.callback_url("acme"),
    }
    bodies: list[Any] = [
        order | {"testId": name},
        order | {"testId": [mail]},
        order
        | {name: mail, "candidate": person | {mail: name, "email": [mail], "id": {name: mail}}},
        order | {"candidate": name},
        order | {"candidate": [person]},
        order | {"candidate": person | {"email": f"{name} <{mail}>"}},
        order | {"candidate": person | {"firstName": name * 50, "lastName": {"x": name}}},
        order | {"candidate": person | {"firstName": f"{name}\x00"}},
        order | {"callback": f"https://{mail}/{TOKEN}"},
        order | {"callback": f"https://app.softgarden.io/{name}"},
        {name: {mail: TOKEN}},
        [mail, TOKEN],
        mail,
    ]
    path = "/softgarden/invitations"
    replies = [await bridge.ask("POST", path, json=body, headers=headers) for body in bodies]
    assert not [reply.status for reply in replies if reply.status != 400]
    raws = [
        mail.encode(),
        f'{{"{name}": "{mail}'.encode(),
        name.encode("utf-16"),
        f"email={mail}".encode(),
    ]
    replies += [await bridge.ask("POST", path, data=raw, headers=headers) for raw in raws]
    form = headers | {"Content-Type": f"text/{TOKEN}"}
    replies += [await bridge.ask("POST", path, data=raw, headers=form) for raw in raws]
    odd = [
        f"/softgarden/results/{quote(mail)}",
        f"/softgarden/results/x?token={TOKEN}&mail={quote(mail)}",
    ]
    odd += [
        f"/{quote(name)}",
        f"/share/{TOKEN}",
        f"/results/{quote(mail)}",
        f"/equalture/webhooks/{TOKEN}",
    ]
    for one in odd:
        for method in ("GET", "PUT", "DELETE", "POST"):
            replies.append(await bridge.ask(method, one, headers=headers))
    for authorization in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, f"Bearer {mail}"):
        replies.append(
            await bridge.ask("GET", "/softgarden/tests", headers={"Authorization": authorization})
        )
    return replies


async def bad_callbacks(bridge: Bridge) -> list[BridgeReply]:
    """Callbacks and events with names and secrets in them, and broken ones."""
    await invite(bridge)
    url, guard = bridge.callback_of(bridge.created()), {"Authorization": f"Token {CALLBACK}"}
    replies = []
    for raw in (
        b'{"x": "' + PERSON["email"].encode(),
        echo(bridge).encode(),
        b"[" + echo(bridge).encode() + b"]",
    ):
        replies.append(await bridge.ask("PUT", url, data=raw, headers=guard))
        replies.append(await bridge.ask("PUT", url + "x", data=raw, headers=guard))
        replies.append(
            await bridge.ask("PUT", url, data=raw, headers={"Authorization": f"Token {CALLBACK}x"})
        )
        stamp = int(bridge.clock().timestamp())
        for secret_stamp in (stamp, stamp - 5_000):
            headers = webhooks.create_webhook_headers(
                WEBHOOK_SECRET, PERSON["email"], secret_stamp, raw
            )
            replies.append(
                await bridge.ask("POST", "/equalture/webhooks/acme", data=raw, headers=headers)
            )
        unsigned = {
            "webhook-id": "x",
            "webhook-timestamp": "1",
            "webhook-signature": WEBHOOK_SECRET,
        }
        replies.append(
            await bridge.ask("POST", "/equalture/webhooks/acme", data=raw, headers=unsigned)
        )
    event = {"type": PERSON["email"], "data": {"reference_id": PERSON["last_name"]}}
    for kind in (PERSON["email"], f"assessment_{PERSON['first_name']}", "assessment_started"):
        raw = json.dumps(event | {"type": kind}).encode()
        headers = webhooks.create_webhook_headers(
            WEBHOOK_SECRET, kind, int(bridge.clock().timestamp()), raw
        )
        replies.append(
            await bridge.ask("POST", "/equalture/webhooks/acme", data=raw, headers=headers)
        )
    return replies


async def outages(bridge: Bridge) -> list[BridgeReply]:
    """Lost connections in every operation, and time passing."""
    made = (await invite(bridge)).json["invitationId"]
    bridge.equalture.fault("*", drop="after")
    replies = [
        await invite(bridge, candidate_id="other"),
        await bridge.acme.delete(made),
        await bridge.acme.list_tests(),
    ]
    await bridge.advance(timedelta(minutes=5))
    await bridge.idle()
    return replies


async def broken_http(bridge: Bridge) -> list[BridgeReply]:
    """What is no HTTP at all, with names and secrets in it."""
    name, mail = PERSON["last_name"], PERSON["email"]
    for raw in (
        f"GET /share/{TOKEN} HTTP/9.9\r\n\r\n",
        f"{mail} {name}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{SECRET} {mail}\r\n\r\n",
        f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\x00\r\n\r\n",
        f"GET /{TOKEN * 1000} HTTP/1.1\r\nHost: x\r\n\r\n",
        (
            f"POST / HTTP/1.1\r\nHost: {mail}\r\nTransfer-Encoding: chunked\r\nConnection:"
            f" close\r\n\r\nzz{TOKEN}\r\n"
        ),
    ):
        await spoken(bridge, raw.encode())
    return []


STEPS: list[Step] = [
    journey,
    every_operation_echoes,
    softgarden_echoes,
    bad_orders,
    bad_callbacks,
    outages,
    broken_http,
]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_canaries(
    bridge: Bridge, journal: Journal, redis_server: RedisServer, step: Step, form: str
) -> None:
    """No name, address, token or secret is found in log, problems, dead letters or the dump of
    Redis.
    """
    logs.configure_logging("debug", form, journal.stream)
    bridge.equalture.violations.clear()
    replies = await step(bridge)
    await bridge.idle()
    words = [*people(), *secrets(bridge)]
    assert journal.text()
    assert found(journal.text(), words) == []
    told = "".join(reply.text + repr(dict(reply.headers)) for reply in replies)
    assert found(told, [*people(), *stored_secrets(bridge)]) == []
    assert found(repr(await bridge.dead_letters()), words) == []
    stolen = dumped(redis_server)
    assert b"iv_" in stolen or step in (bad_orders, broken_http)
    assert found(layers(stolen), [*people(), *stored_secrets(bridge)]) == []
    bridge.equalture.violations.clear()
    bridge.softgarden.violations.clear()


async def test_links_open_nothing_from_the_log(bridge: Bridge, journal: Journal) -> None:
    """No signed link, and no link of Equalture's that opens something, stands in the log."""
    invited = await invite(bridge)
    an_id = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    result = (await bridge.result(bridge.acme, an_id, "COMPLETED"))["result"]
    urls = [
        result["resultUrl"],
        result["reportUrl"],
        result["shareUrl"],
        bridge.runtime.signer.start_url(an_id),
    ]
    replies = [await bridge.ask("GET", url) for url in urls]
    macs = [
        url.rpartition(".")[2] if not url.endswith(".pdf") else url[:-4].rpartition(".")[2]
        for url in urls
    ]
    public = urlsplit(replies[2].headers["Location"]).path.rpartition("/")[2]
    assert all(len(mac) >= 20 for mac in macs)
    assert found(journal.text(), [*macs, public, invited.json["testUrl"]]) == []


class Broken:
    """A provider with bugs, whose exceptions are full of what they should not repeat."""

    name = "broken"
    title = "Broken"

    async def list_jobs(self, customer: Customer) -> tuple[Any, ...]:
        """Fine, as mapped tests do not need it."""
        return ()

    async def create_application(
        self, customer: Customer, draft: NewApplication
    ) -> CreatedApplication:
        """Raise with everything in the message, in its cause and in a note."""
        try:
            raise KeyError(f"{draft.candidate.email} {draft.callback_url}")
        except KeyError as error:
            wrong = ValueError(
                f"{draft.candidate!r} {draft.candidate.last_name}"
                f" {customer.provider.client_secret.reveal()}"
            )
            wrong.add_note(draft.candidate.email)
            raise ExceptionGroup(draft.candidate.first_name, [wrong]) from error

    async def get_progress(self, customer: Customer, reference_id: str) -> ApplicationProgress:
        """Raise what a worker meets."""
        raise RuntimeError(PERSON["email"], SECRET)


@pytest.mark.parametrize("form", ["json", "console"])
async def test_bugs_tell_no_tales(
    config: Config, journal: Journal, clock: SandboxClock, form: str
) -> None:
    """An unexpected exception is told with its type and place, in the log and to nobody else, and
    never with its message.
    """
    logs.configure_logging("debug", form, journal.stream)
    config.customers["acme"]["equalture"]["client_secret"] = SECRET
    async with contextlib.AsyncExitStack() as stack:
        provider: Any = Broken()
        runtime = await stack.enter_async_context(
            app.open_runtime(config.load(), provider=provider)
        )
        url = await _serve(stack, app.create_app(runtime), 0)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        person = {
            "id": "a",
            "firstName": PERSON["first_name"],
            "lastName": PERSON["last_name"],
            "email": PERSON["email"],
        }
        order = {"testId": "engineer", "candidate": person, "callback": "http://127.0.0.1:9/x"}
        headers = {"Authorization": "Bearer bearer-of-acme-0001"}
        async with session.post(
            url + "/softgarden/invitations", json=order, headers=headers
        ) as response:
            told = await response.text()
            assert (response.status, json.loads(told)["code"]) == (500, "internal_error")
    text = journal.text()
    assert "request.crashed" in text
    assert all(
        word in text for word in ("ExceptionGroup", "KeyError", "ValueError", "create_application")
    )
    assert found(text, [*people(), SECRET]) == []
    assert found(told, [*people(), SECRET, "create_application", "KeyError"]) == []
    journal.stream.seek(0)
    journal.stream.truncate()


async def printed(config: Path, *arguments: str) -> tuple[int, str]:
    """What a command prints, on both streams."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        *arguments,
        "--config",
        str(config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_commands_print_no_canary(bridge: Bridge, config: Config) -> None:
    """What operators look at names no person and no secret: lists, timelines, dead letters with
    bodies, the configuration.
    """
    made = (await invite(bridge)).json["invitationId"]
    bridge.softgarden.fault("notify", status=400, text=echo(bridge))
    await bridge.equalture.complete(bridge.created())
    await eventually(bridge.dead_letters)
    commands = [
        ("invitations", "list"),
        ("invitations", "list", "--json"),
        ("invitations", "show", made),
        ("invitations", "show", made, "--json"),
        ("dead", "list"),
        ("dead", "list", "--json"),
        ("config", "show"),
        ("config", "show", "--json"),
        ("check",),
        ("check", "--online"),
    ]
    outputs = await asyncio.gather(*(printed(config.folder, *command) for command in commands))
    assert [code for code, _ in outputs] == [0] * len(commands), outputs
    assert made in outputs[1][1]
    assert '"bad_request"' in outputs[5][1] or "400" in outputs[5][1]
    for command, (_, text) in zip(commands, outputs, strict=True):
        assert found(text, [*people(), *secrets(bridge)]) == [], command


POISON: dict[str, Any] = {
    "public_url": "http://127.0.0.1:8080",
    "redis": {"url": "http://user:canarypassword@host/0"},
    "signing_keys": ["canary-signing-key"],
    "encryption_keys": [{"a": "canary-encryption-key"}],
    "equalture": {"base_url": "https://user:canarybase@equalture.example"},
}
POISONED = {
    "acme": {
        "softgarden": {"tokens_sha256": ["canary-bearer-pasted"], "client_id": "10"},
        "equalture": {
            "client_id": "acme",
            "client_secret": ["canary-list"],
            "callback_token": {"x": "canary-map"},
            "webhook_secret": "canary-webhook",
        },
        "hire": {"enabled": True, "tokens_sha256": ["canary-hire"]},
    }
}
RAW = {
    "globex": 'equalture: {client_secret: "canary-unclosed\n',
    "initech": "equalture: {client_secret: canary-one, client_secret: canary-two}\n",
    "hooli": "equalture:\n  client_secret: canary-a\n canary-odd: [\n",
    "umbrella": "equalture: {client_secret: !!python/object/apply:os.system [canary-tag]}\n",
    "piper": "equalture: {client_secret: '${CANARY_NOT_SET}canary-joined'}\n",
}


async def test_complaints_print_no_canary(tmp_path: Path) -> None:
    """A configuration that is wrong in every way is refused with positions, and no secret of it is
    repeated.
    """
    (tmp_path / "customers").mkdir()
    (tmp_path / "bridge.yaml").write_text(yaml.safe_dump(POISON))
    for name, document in POISONED.items():
        (tmp_path / "customers" / f"{name}.yaml").write_text(yaml.safe_dump(document))
    for name, text in RAW.items():
        (tmp_path / "customers" / f"{name}.yaml").write_text(text)
    outputs = await asyncio.gather(
        printed(tmp_path, "check"), printed(tmp_path, "config", "show"), printed(tmp_path, "serve")
    )
    for code, text in outputs:
        assert code == 2
        assert "bridge.yaml:" in text
        assert (
            found(text.replace(str(tmp_path), ""), ["canary-", "canarypassword", "canarybase"])
            == []
        )
        assert "Traceback" not in text
