"""The shapes of what both vendors send, as an operator sees them after real calls."""

from __future__ import annotations

import json
from typing import Any

from bridge.core.answer_shape import ObservedFact
from bridge.sandbox import EqualtureSandbox
from tests.flows.conftest import CALLBACK_TOKEN, Bridge, Config, Journal, eventually
from tests.flows.test_doctor import command


async def facts(bridge: Bridge, vendor: str, operation: str) -> set[str]:
    """What is kept of an operation."""
    await bridge.runtime.contract.write_down()
    kept: tuple[ObservedFact, ...] = await bridge.runtime.contract.facts()
    return {one.text for one in kept if (one.vendor, one.operation) == (vendor, operation)}


async def test_both_directions_of_both_vendors(bridge: Bridge) -> None:
    """After one journey the shapes of all calls are kept: answers, requests, callbacks,
    notifications; and nothing that anybody is called.
    """
    assert (await bridge.acme.list_tests()).status == 200
    invited = (await bridge.acme.invite("engineer")).json["invitationId"]
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.acme, invited, "COMPLETED")
    await bridge.idle()
    assert "200 $.access_token: string" in await facts(bridge, "equalture", "token")
    assert "201 $.reference_id: string" in await facts(bridge, "equalture", "create")
    assert "200 $.status = completed" in await facts(bridge, "equalture", "status")
    assert "200 $.fit = (documented)" in await facts(bridge, "equalture", "results")
    assert "request $.fit: string" in await facts(bridge, "equalture", "callback")
    assert await facts(bridge, "softgarden", "notify") == {"204"}
    assert "request $.candidate.email: string" in await facts(bridge, "softgarden", "invite")
    assert "request" in await facts(bridge, "softgarden", "result")
    await bridge.acme.delete(invited)
    assert "request" in await facts(bridge, "softgarden", "delete")
    stored = await bridge.stored()
    for word in ("Muster", "ada.muster", "high", bridge.created()):
        assert word not in stored


async def test_a_change_is_told(
    bridge: Bridge, config: Config, equalture: EqualtureSandbox, journal: Journal
) -> None:
    """A new word, name or status of a vendor's is one log line, one count, and a line of
    ``contract diff``.
    """
    await bridge.acme.invite("engineer")
    customer, reference = bridge.runtime.customers().get("acme"), bridge.created()
    assert customer is not None
    provider = bridge.runtime.services.provider_of(customer)
    await provider.get_progress(customer, reference)
    assert "200 $.status: string" in await facts(bridge, "equalture", "status")
    before = await counted(bridge)
    state = equalture.applications[reference].state
    account = equalture.accounts["acme"]
    account.status_words = {**account.status_words, state: "waiting_room"}
    await provider.get_progress(customer, reference)
    await eventually(lambda: "waiting_room" in str(journal.events("contract.changed")))
    assert await counted(bridge) == before + 1
    folder = ("--config", str(config.folder))
    ended = await command("contract", "diff", *folder, "--since", "1d", "--json")
    assert ended.code == 0, ended.err
    (told,) = [one for one in ended.json if "waiting_room" in one["fact"]]
    assert (told["vendor"], told["operation"], told["change"]) == ("equalture", "status", "new")
    assert told["words"] == "status says `waiting_room`"
    shown = await command("contract", "show", *folder)
    assert "200 $.status = waiting_room" in shown.out
    assert (await command("contract", "diff", *folder, "--since", "Tuesday")).code == 2


async def counted(bridge: Bridge) -> float:
    """``contract_changes_total`` of Equalture's status."""
    text = (await bridge.ask("GET", f"{bridge.admin_url}/metrics")).text
    name = 'bridge_contract_changes_total{operation="status",vendor="equalture"} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if name in line)


async def test_the_header_of_a_token_is_found(bridge: Bridge, equalture: EqualtureSandbox) -> None:
    """Where the callback token comes in another header than is configured, that header is named,
    though the callback is refused.
    """
    await bridge.initech.invite("job-4")
    equalture.accounts["initech"].callback_headers = {"X-Assessment-Token": CALLBACK_TOKEN}
    assert await equalture.complete(bridge.created()) == 404
    assert await facts(bridge, "equalture", "callback") == {"request header x-assessment-token"}


async def test_strangers_teach_nothing(bridge: Bridge) -> None:
    """What comes without a valid token or secret leaves no trace in the contract."""
    body: Any = {"testId": "x", "intruder": 1}
    await bridge.ask("POST", "/softgarden/invitations", json=body)
    await bridge.ask("PUT", "/equalture/callbacks/iv_0" + "a" * 24 + "/secret", json=body)
    await bridge.ask("POST", "/equalture/webhooks/acme", data=json.dumps(body))
    for operation in ("invite", "callback", "webhook"):
        for vendor in ("softgarden", "equalture"):
            assert await facts(bridge, vendor, operation) == set()
