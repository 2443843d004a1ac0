"""softgarden was notified of invitations whose id it never got, and asked for what had been
replaced meanwhile (404).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import orjson
import pytest

from bridge.core import invitation_view
from bridge.core.customers import RepeatAfterCompletion
from bridge.core.invitation import Invitation, State
from bridge.core.invitation_view import InvitationViewStatus
from bridge.core.lifecycle.events import InvitationIdIssued
from bridge.core.lifecycle.policy import ANSWER_ARRIVES_WITHIN
from bridge.core.links import LinkSigner
from bridge.core.queueing import TaskKind
from bridge.errors import OutcomeUnknown, StoreUnavailable, UnknownInvitation
from bridge.service.result_access import ResultAccess
from bridge.store import record_codec
from tests.core.build import COMPLETED, LOST_BUT_COMPLETED
from tests.fakes import MemoryStore
from tests.service.fakes import ACME, RESULT, World, order
from tests.store.named_records import build_named_document

UNKNOWN = OutcomeUnknown("equalture", "create", "no answer")
SAME_AGAIN = replace(
    ACME, results=replace(ACME.results, after_completed=RepeatAfterCompletion.SAME)
)
LINKS = LinkSigner("https://bridge.example.com", [b"k" * 32])


async def lost(world: World) -> Invitation:
    """An order whose create has an unknown outcome, so that softgarden was told 504."""
    world.provider.script.on("create", UNKNOWN, world.provider.script.planned("create"))
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    (one,) = [known async for known in world.store.scan()]
    return one


def notified(world: World) -> list[str]:
    return [call[2] for call in world.notifier.script.made("notify")]


async def work_for(world: World, time: timedelta) -> None:
    until = world.clock() + time
    while (left := await world.next_due()) is not None and world.clock() + left <= until:
        world.clock.advance(max(left, timedelta(0)))
        await world.work()


async def test_completed_without_an_id_is_not_notified_until_it_has_one(world: World) -> None:
    """A report on a lost create completes it in silence; softgarden's repeat gets that id, and then
    the notification.
    """
    one = await lost(world)
    await world.unconfirmed_result(one)
    await world.work()
    await work_for(world, timedelta(days=2))
    assert State.COMPLETED is (await world.load(one)).state
    assert [] == notified(world)

    again = await world.invited()
    assert (one.id, 1) == (again.id, len(world.provider.drafts))
    assert again.deadline is not None
    assert LINKS.start_url(one.id) == invitation_view.choose_candidate_url(again, ACME, LINKS)
    await world.work()
    assert [] == notified(world)  # it would overtake the answer with the id
    await work_for(world, ANSWER_ARRIVES_WITHIN)
    assert [one.id] == notified(world)
    done = await world.load(one)
    assert (State.COMPLETED, RESULT) == (done.state, done.result)


async def test_expired_without_an_id_is_never_notified(world: World) -> None:
    """An order that softgarden gave up after a 504 expires without a word."""
    one = await lost(world)
    await work_for(world, 2 * ACME.provider.link_life)
    assert State.EXPIRED is (await world.load(one)).state
    assert [] == notified(world)


async def test_answer_that_became_an_error_is_no_issue(world: World) -> None:
    """Made and stored, but answered with an error, since Redis went away right then: not notified
    until a repeat gets it.
    """
    apply = world.records.apply

    async def away(invitation: Invitation, event: object, *others: object) -> Invitation:
        if isinstance(event, InvitationIdIssued):
            raise StoreUnavailable("away")
        return await apply(invitation, event, *others)  # type: ignore[arg-type]

    world.records.apply = away  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreUnavailable):
        await world.invited()
    world.records.apply = apply  # type: ignore[method-assign]
    (one,) = [known async for known in world.store.scan()]
    assert State.INVITED is one.state
    await world.unconfirmed_result(one)
    await world.work()
    await world.work()
    assert State.COMPLETED is (await world.load(one)).state
    assert [] == notified(world)
    assert one.id == (await world.invited()).id
    await work_for(world, ANSWER_ARRIVES_WITHIN)
    assert [one.id] == notified(world)


async def test_commit_that_was_applied_though_it_failed_is_no_issue(world: World) -> None:
    """Redis took the create's outcome, but its answers got lost for so long that softgarden was
    told 504: no notification.
    """
    commit = MemoryStore.commit
    deaf = False

    async def unheard(step: object, **leases: object) -> bool:
        nonlocal deaf
        done = await commit(world.store, step, **leases)  # type: ignore[arg-type]
        deaf = deaf or step.invitation.state is State.INVITED  # type: ignore[attr-defined]
        if deaf:
            raise StoreUnavailable("no answer")
        return done

    world.store.commit = unheard  # type: ignore[method-assign]
    load = world.store.load

    async def silent(an_id: str) -> Invitation | None:
        if deaf:
            raise StoreUnavailable("no answer")
        return await load(an_id)

    world.store.load = silent  # type: ignore[method-assign]
    with pytest.raises((OutcomeUnknown, StoreUnavailable)):
        await world.invited()
    world.store.commit = partial(commit, world.store)  # type: ignore[method-assign]
    world.store.load = load  # type: ignore[method-assign]
    (one,) = [known async for known in world.store.scan()]
    assert (State.INVITED, False) == (one.state, one.issued)
    await world.unconfirmed_result(one)
    await world.work()
    await world.work()
    assert State.COMPLETED is (await world.load(one)).state
    assert [] == notified(world)


async def test_answer_with_the_id_that_got_lost(world: World) -> None:
    """softgarden gave up before the answer came, and took the notification without knowing the id:
    once its repeat has brought the id, it is notified again.
    """
    one = await lost(world)
    await world.unconfirmed_result(one)
    await work_for(world, timedelta(minutes=5))
    assert one.id == (await world.invitations.invite(SAME_AGAIN, order())).id  # nobody hears this
    await work_for(world, timedelta(minutes=5))
    assert [one.id] == notified(world)
    assert one.id == (await world.invitations.invite(SAME_AGAIN, order())).id
    await work_for(world, ANSWER_ARRIVES_WITHIN)
    assert [one.id, one.id] == notified(world)


async def test_reading_proves_that_softgarden_has_the_id(world: World) -> None:
    """An invitation that softgarden asks for counts as issued, should Redis have lost the note of
    it.
    """
    one = await lost(world)
    await world.unconfirmed_result(one)
    await world.work()
    results = ResultAccess(world.records, world.store, world.directory, LINKS)
    assert InvitationViewStatus.COMPLETED is (await results.read(ACME, one.id)).status
    await work_for(world, ANSWER_ARRIVES_WITHIN)
    assert [one.id] == notified(world)
    assert (await world.load(one)).issued


async def test_queued_by_an_older_version(world: World) -> None:
    """A notification that stands in the queue of an id that nobody got is dropped, not sent."""
    one = await lost(world)
    await world.unconfirmed_result(one)
    await world.work()
    world.store.enqueue(one.id, TaskKind.NOTIFY, "acme")
    assert 1 == await world.work()
    assert [] == notified(world)


async def test_what_was_never_issued_goes_when_it_is_replaced(world: World) -> None:
    """Also where its application is known: a new order erases the expired one, and the application
    is anonymised.
    """
    one = await lost(world)
    await work_for(world, 2 * ACME.provider.link_life)
    two = await world.invited()
    assert two.id != one.id
    with pytest.raises(UnknownInvitation):
        await ResultAccess(world.records, world.store, world.directory, LINKS).read(ACME, one.id)
    assert [] == notified(world)


async def test_late_report_of_a_replaced_order_is_not_lost(world: World) -> None:
    """A report on a lost and expired order is served to whoever orders again, not erased."""
    one = await lost(world)
    await work_for(world, 2 * ACME.provider.link_life)
    await world.unconfirmed_result(one)
    again = await world.invitations.invite(ACME, order())
    assert one.id == again.id
    await world.work()
    await world.work()
    assert State.COMPLETED is (await world.load(one)).state
    assert {one.id} == set(notified(world))


@pytest.mark.parametrize("record", [COMPLETED, LOST_BUT_COMPLETED])
def test_record_from_before(record: Invitation) -> None:
    """In records that an older version wrote, whoever had a link was given its id."""
    data = record_codec.dump_invitation(record)
    old = build_named_document(record)
    del old["issued"]
    read = record_codec.load_invitation(record.id, 3, orjson.dumps(old))
    assert read == replace(record, version=3, issued=bool(record.live_attempt))
    assert record == replace(record_codec.load_invitation(record.id, 3, data), version=0)
