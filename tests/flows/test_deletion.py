"""Deletions: nothing is left here at once, and Equalture is asked until it has confirmed."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from bridge.core.invitation import State
from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, eventually

APPLICATION = "application-to-be-forgotten"


async def invited(bridge: Bridge) -> tuple[str, str]:
    """A fresh invitation of acme's: invitation id and reference id."""
    reply = await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    assert reply.status == 200
    return reply.json["invitationId"], bridge.created()


async def forgotten(bridge: Bridge, an_id: str) -> None:
    """Assert that the invitation looks to softgarden like none, and that Redis knows nothing of the
    application.
    """
    assert (await bridge.acme.read_results(an_id)).status == 404
    stored = await bridge.stored()
    assert APPLICATION not in stored
    assert "127.0.0.1" not in stored, "no link of the candidate's and no callback may be left"


@pytest.mark.parametrize("state", ["invited", "started", "completed", "expired"])
async def test_deletion_in_every_state(bridge: Bridge, state: str) -> None:
    """In every state a deletion is answered 204, and again 204, and leaves nothing."""
    an_id, reference = await invited(bridge)
    if state == "started":
        await bridge.equalture.start_test(reference)
    elif state == "completed":
        await bridge.equalture.complete(reference)
        await bridge.result(bridge.acme, an_id, "COMPLETED")
    elif state == "expired":
        await bridge.advance(timedelta(days=7, seconds=1))
        await bridge.result(bridge.acme, an_id, "EXPIRED")
    await bridge.idle()
    assert [(await bridge.acme.delete(an_id)).status for _ in range(2)] == [204, 204]
    assert bridge.equalture.applications[reference].state == "anonymized"
    await forgotten(bridge, an_id)
    assert reference not in await bridge.stored()
    assert await bridge.next_due() is None
    await bridge.advance(timedelta(days=8))
    await bridge.idle()
    assert (await bridge.acme.read_results(an_id)).status == 404


async def test_equalture_down(bridge: Bridge) -> None:
    """While Equalture is down a deletion is 502, nothing is left here, and the bridge goes on by
    itself until it is done.
    """
    an_id, reference = await invited(bridge)
    bridge.equalture.fault("anonymise", status=503)
    reply = await bridge.acme.delete(an_id)
    assert (reply.status, reply.json["code"]) == (502, "upstream_unconfirmed")
    await forgotten(bridge, an_id)
    await bridge.advance(timedelta(minutes=1))
    await bridge.idle()
    assert (await bridge.acme.delete(an_id)).status == 502
    bridge.equalture.heal()
    await bridge.advance(timedelta(hours=1))
    await eventually(lambda: bridge.equalture.applications[reference].state == "anonymized")
    await bridge.idle()
    assert (await bridge.acme.delete(an_id)).status == 204
    assert reference not in await bridge.stored()
    assert await bridge.next_due() is None


@pytest.mark.parametrize("status", [404, 410])
async def test_gone_at_equalture_is_fine(bridge: Bridge, status: int) -> None:
    """An application that Equalture no longer has needs no anonymising: 204."""
    an_id, _ = await invited(bridge)
    bridge.equalture.fault("anonymise", status=status)
    assert (await bridge.acme.delete(an_id)).status == 204
    assert await bridge.next_due() is None


async def test_lost_answer_to_the_deletion(bridge: Bridge) -> None:
    """An anonymising whose answer is lost is asked for again, and a second time at Equalture does
    no harm.
    """
    an_id, reference = await invited(bridge)
    bridge.equalture.fault("anonymise", status_after=500, times=1)
    assert (await bridge.acme.delete(an_id)).status == 502
    assert bridge.equalture.applications[reference].state == "anonymized"
    assert (await bridge.acme.delete(an_id)).status == 204


@pytest.mark.parametrize("status", [409, 422])
async def test_equalture_will_not(bridge: Bridge, status: int) -> None:
    """An Equalture that refuses to anonymise makes a dead letter for somebody to look at;
    softgarden is told 502.
    """
    an_id, _ = await invited(bridge)
    bridge.equalture.fault("anonymise", status=status)
    assert (await bridge.acme.delete(an_id)).status == 502
    (letter,) = await eventually(bridge.dead_letters)
    assert (letter.invitation_id, letter.reason) == (an_id, "refused")
    await forgotten(bridge, an_id)


async def test_queued_notification_is_cancelled(bridge: Bridge) -> None:
    """A deletion cancels a notification that is still queued, or a dead letter."""
    an_id, reference = await invited(bridge)
    bridge.softgarden.fault("notify", status=500)
    await bridge.equalture.complete(reference)
    await bridge.softgarden.wait_calls("notify")
    await bridge.idle()
    assert await bridge.next_due() is not None
    assert (await bridge.acme.delete(an_id)).status == 204
    bridge.softgarden.heal()
    assert await bridge.next_due() is None
    await bridge.advance(timedelta(days=3))
    await bridge.idle()
    assert len(bridge.softgarden.calls("notify")) == 1
    await forgotten(bridge, an_id)


async def test_dead_letter_goes_too(bridge: Bridge) -> None:
    """A deletion takes the dead letter of a notification away as well."""
    an_id, reference = await invited(bridge)
    bridge.softgarden.fault("notify", status=400)
    await bridge.equalture.complete(reference)
    await eventually(bridge.dead_letters)
    assert (await bridge.acme.delete(an_id)).status == 204
    assert await bridge.dead_letters() == []
    await forgotten(bridge, an_id)


async def test_unknown_and_foreign_ids_look_the_same(bridge: Bridge) -> None:
    """Deleting or reading what was never issued to this customer is the same for unknown and for
    foreign ids.
    """
    an_id, reference = await invited(bridge)
    unknown = "iv_0" + "A" * 24
    headers = {"Authorization": f"Bearer {bridge.globex.token}", "X-Request-ID": "same"}

    async def answers(method: str, path: str) -> list[tuple[int, str]]:
        ids = (an_id, unknown, "nonsense", "iv_0", "%00", "ä" * 300)
        replies: list[BridgeReply] = [
            await bridge.ask(method, f"{path}/{one}", headers=headers) for one in ids
        ]
        return [(reply.status, reply.text) for reply in replies]

    deleted = await answers("DELETE", "/softgarden/invitations")
    read = await answers("GET", "/softgarden/results")
    assert ({status for status, _ in deleted}, len(set(deleted))) == ({400}, 1)
    assert list(json.loads(deleted[0][1])["errors"]) == ["invitationId"]
    assert ({status for status, _ in read}, len(set(read))) == ({404}, 1)
    assert (await bridge.acme.read_results(an_id)).json["status"] == "PENDING"
    assert bridge.equalture.applications[reference].state == "invited"


async def test_get_never_deletes(bridge: Bridge) -> None:
    """The deletion's URL answers 405 to GET, and nothing happens."""
    an_id, reference = await invited(bridge)
    headers = {"Authorization": f"Bearer {bridge.acme.token}"}
    reply = await bridge.ask("GET", f"/softgarden/invitations/{an_id}", headers=headers)
    assert (reply.status, reply.headers["Allow"]) == (405, "DELETE")
    assert bridge.equalture.applications[reference].state == "invited"


async def test_ten_deletions_at_once(bridge: Bridge) -> None:
    """Ten deletions at once are all answered 204, and Equalture is asked once."""
    an_id, _ = await invited(bridge)
    replies = await asyncio.gather(*(bridge.acme.delete(an_id) for _ in range(10)))
    assert {reply.status for reply in replies} == {204}
    assert len(bridge.equalture.calls("anonymise")) == 1


async def erased(bridge: Bridge, an_id: str) -> bool:
    """Is only the tombstone left?"""
    return (await bridge.record(an_id)).state is State.ERASED


async def test_deletion_while_the_create_is_under_way(bridge: Bridge) -> None:
    """A deletion waits for a create under way, whose application is anonymised as well before the
    answer is 204.
    """
    bridge.equalture.fault("create", status=500, times=1)
    assert (await bridge.acme.invite("engineer", candidate_id=APPLICATION)).status == 504
    (record,) = [one async for one in bridge.runtime.invitations.scan()]
    fault = bridge.equalture.fault("create", delay_after=30, times=1)
    call = asyncio.create_task(bridge.acme.invite("engineer", candidate_id=APPLICATION))
    await fault.wait_applied()
    deletion = asyncio.create_task(bridge.acme.delete(record.id))
    await eventually(lambda: bridge.equalture.applications)
    await eventually(lambda: erased(bridge, record.id))
    assert not deletion.done()
    fault.heal()
    assert (await call).status == 503
    assert (await deletion).status == 204
    await eventually(lambda: bridge.equalture.applications[bridge.created()].state == "anonymized")
    await bridge.idle()
    assert (await bridge.record(record.id)).state is State.ERASED
    await forgotten(bridge, record.id)


async def test_deletion_of_an_unknown_outcome(bridge: Bridge) -> None:
    """A deletion after a create of unknown outcome and its repeat anonymises what is known, and
    late callbacks bring nothing.
    """
    bridge.equalture.fault("create", status_after=500, times=1)
    await bridge.acme.invite("engineer", candidate_id=APPLICATION)
    an_id, reference = await invited(bridge)
    lost = bridge.created(0)
    assert (await bridge.acme.delete(an_id)).status == 204
    assert bridge.equalture.applications[reference].state == "anonymized"
    assert await bridge.equalture.complete(lost) == 200
    await bridge.idle()
    await forgotten(bridge, an_id)
    assert bridge.softgarden.calls("notify") == []
