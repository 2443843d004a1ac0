"""``POST /-/reload`` on the admin listener, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

import pytest
import yaml

from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Journal, eventually


def write(config: Config, customer: str) -> None:
    """Put this customer's file in place as the test has it now."""
    file = config.folder / "customers" / f"{customer}.yaml"
    new = file.with_suffix(".new")
    new.write_text(yaml.safe_dump(config.customers[customer]), encoding="utf-8")
    new.replace(file)


async def reload(bridge: Bridge, **headers: str) -> BridgeReply:
    """Ask for a reload."""
    return await bridge.ask("POST", f"{bridge.admin_url}/-/reload", headers=headers)


async def readiness(bridge: Bridge) -> BridgeReply:
    """What operators see of the process."""
    return await bridge.ask("GET", f"{bridge.admin_url}/readyz")


async def test_what_changed_is_told(bridge: Bridge, config: Config, journal: Journal) -> None:
    """The answer names who was added, changed and removed, and all that is in force with the
    answer.
    """
    config.customers["acme"]["softgarden"]["tokens_sha256"].append(
        hashlib.sha256(b"second-token-of-acme").hexdigest()
    )
    config.customers["umbrella"] = config.customers["globex"]
    write(config, "acme")
    write(config, "umbrella")
    (config.folder / "customers" / "globex.yaml").unlink()
    client = bridge.softgarden.connect(bridge.url, "second-token-of-acme", customer="acme")
    assert (await client.list_tests()).status == 401
    reply = await reload(bridge)
    assert reply.status == 200
    assert len(reply.json.pop("warnings")) == 3  # a secret stands in each of the files
    assert reply.json == {
        "status": "reloaded",
        "customers": 3,
        "added": ["umbrella"],
        "changed": ["acme"],
        "removed": ["globex"],
        "restart_needed": False,
    }
    assert (await client.list_tests()).status == 200
    assert journal.events("config.reloaded")[0]["trigger"] == "request"


async def test_a_mistake_changes_nothing(bridge: Bridge, config: Config, journal: Journal) -> None:
    """A bad file is 422 with every mistake's place, in the log and in readyz too, until it is
    mended; the old configuration serves meanwhile.
    """
    config.customers["acme"]["tests"]["items"] = []
    write(config, "acme")
    bad = config.folder / "customers" / "globex.yaml"
    bad.write_text("nonsense: 1\n", encoding="utf-8")
    reply = await reload(bridge)
    assert (reply.status, reply.json["code"]) == (422, "reload_refused")
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert any("line 1, column 1: unknown key" in one for one in reply.json["errors"][str(bad)])
    (logged,) = journal.events("config.reload_refused")
    assert any("globex.yaml:1:1" in one for one in logged["complaints"])
    assert "globex.yaml:1:1" in str((await readiness(bridge)).json["reload_refused"])
    assert [test["testId"] for test in (await bridge.acme.list_tests()).json] == [
        "engineer",
        "job-2",
    ]
    assert (await bridge.globex.list_tests()).status == 200
    write(config, "globex")
    assert (await reload(bridge)).json["changed"] == ["acme"]
    assert (await readiness(bridge)).json == {"status": "ok"}


async def test_bridge_yaml_needs_a_restart(
    bridge: Bridge, config: Config, journal: Journal
) -> None:
    """A reload that sees bridge.yaml changed says so in the answer, the log and readyz."""
    with (config.folder / "bridge.yaml").open("a") as file:
        file.write("retention: 30d\n")
    assert (await reload(bridge)).json["restart_needed"] is True
    assert journal.events("config.needs_restart")
    assert (await readiness(bridge)).json["restart_needed"] == (
        "bridge.yaml has changed since the start"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_not_from_elsewhere(
    bridge: Bridge, journal: Journal, headers: dict[str, str]
) -> None:
    """Another site's page cannot have anything reloaded."""
    reply = await reload(bridge, **headers)
    assert (reply.status, reply.json["code"]) == (403, "forbidden")
    assert journal.events("config.reloaded") == []


async def test_a_test_that_is_taken_away(bridge: Bridge, config: Config) -> None:
    """A test that is removed from the mapping, and hidden besides, still delivers its results."""
    invited = await bridge.acme.invite("engineer")
    config.customers["acme"]["tests"] = {"items": [], "hidden": ["job-1"]}
    write(config, "acme")
    assert (await reload(bridge)).status == 200
    assert [test["testId"] for test in (await bridge.acme.list_tests()).json] == ["job-2"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    invitation = invited.json["invitationId"]
    read = await bridge.result(bridge.acme, invitation, "COMPLETED")
    assert read["result"]["score"]
    await eventually(lambda: len(bridge.notified(invitation)) == 1)


@contextlib.asynccontextmanager
async def calling(bridge: Bridge, answers: list[int]) -> AsyncIterator[None]:
    """Callers who never stop; the status of every answer is in *answers*."""
    ended = asyncio.Event()

    async def call(number: int) -> None:
        count = 0
        while not ended.is_set():
            count += 1
            listed = await bridge.acme.list_tests()
            read = await bridge.ask("GET", "/readyz")
            answers.extend((listed.status, read.status))
            if count % 5 == 1:
                candidate = f"app-{number}-{count}"
                invited = await bridge.acme.invite("engineer", candidate_id=candidate)
                answers.append(invited.status)

    tasks = [asyncio.create_task(call(number)) for number in range(4)]
    try:
        yield
    finally:
        ended.set()
        await asyncio.gather(*tasks)


async def test_a_hundred_reloads_under_load(bridge: Bridge, config: Config) -> None:
    """A hundred reloads, half of which change a customer, cost no request."""
    answers: list[int] = []
    async with calling(bridge, answers):
        for number in range(100):
            item = config.customers["acme"]["tests"]["items"][0]
            item["name"] = f"Engineer {number // 2}"
            write(config, "acme")
            assert (await reload(bridge)).status == 200
    assert set(answers) == {200}
    assert len(answers) > 100
    assert "Engineer 49" in (await bridge.acme.list_tests()).text
