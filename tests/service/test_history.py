"""What the use cases keep of an invitation's history, and what that costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.core.history import COUNT_PAUSE, HistoryEntryKind
from bridge.core.history_chain import find_history_faults
from bridge.core.invitation import Invitation, State
from bridge.core.links import LinkSigner
from bridge.core.queueing import NotificationResponse
from bridge.errors import (
    OutcomeUnknown,
    StoreUnavailable,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.log_context import begin_log_fields
from bridge.service.link_access import LinkAccess
from bridge.service.result_access import ResultAccess
from tests.service.fakes import ACME, HISTORY_KEYS, NOW, World, order

SIGNER = LinkSigner("https://bridge.example.com", [b"k" * 32])
MINUTE = timedelta(minutes=1)
REQUEST = "5928dfff4c3a4a0c8d4a8a4b5c6d7e8f"


def results(world: World) -> ResultAccess:
    return ResultAccess(world.records, world.store, world.directory, SIGNER)


def links(world: World) -> LinkAccess:
    return LinkAccess(
        world.records, lambda _: world.provider, world.directory, SIGNER, timedelta(days=365)
    )


async def told(world: World, one: Invitation) -> list[tuple[str, str, int | None]]:
    """Kind, text and status of every entry, whose signatures hold."""
    found = await world.load(one)
    assert find_history_faults(found, HISTORY_KEYS) == ()
    return [(entry.kind, entry.text, entry.status) for entry in found.history.entries]


async def counted(world: World, one: Invitation) -> dict[str, int]:
    return {found.kind: found.count for found in (await world.load(one)).history.counts}


async def test_the_whole_way(world: World) -> None:
    """From the order to the reading of the result everything is kept, in its order, signed."""
    begin_log_fields(request_id=REQUEST)
    one = await world.invited()
    await world.invited()
    world.clock.advance(MINUTE)
    await world.unconfirmed_result(one)
    await world.work()
    world.notifier.script.on("notify", NotificationResponse(503), NotificationResponse(204))
    await world.work()
    world.clock.advance(MINUTE)
    await world.work()
    await results(world).read(ACME, one.id)
    assert await told(world, one) == [
        ("ordered", "5928dfff", None),
        ("attempt", "created", None),
        ("issued", "", None),
        ("callback", "", None),
        ("completed", "confirmed", None),
        ("notified", "http_503", 503),
        ("notified", "delivered", 204),
    ]
    assert await counted(world, one) == {"repeated": 1, "read": 1}
    numbers = [entry.number for entry in (await world.load(one)).history.entries]
    assert numbers == [0, 1, 0, 1, 0, 1, 2]


@pytest.mark.parametrize("sent", ["0049301234567", "ada@example.org", "5928dfff", ""])
async def test_a_request_id_that_may_say_something_is_not_kept(world: World, sent: str) -> None:
    """Of a request's id that its caller chose nothing is kept."""
    begin_log_fields(request_id=sent)
    one = await world.invited()
    assert (await told(world, one))[0] == ("ordered", "", None)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UpstreamRefused("provider", "create", "no", status=422), "upstream_refused"),
        (UpstreamUnavailable("provider", "create", "no", status=503), "upstream_unavailable"),
        (OutcomeUnknown("provider", "create", "no", status=500), "unknown"),
    ],
)
async def test_how_a_create_failed(world: World, error: Exception, text: str) -> None:
    """An attempt's outcome is kept with its status."""
    world.provider.script.on("create", error)
    with pytest.raises(type(error)):
        await world.invited()
    (one,) = [known async for known in world.store.scan()]
    assert (await told(world, one))[1:] == [("attempt", text, error.status)]  # type: ignore[attr-defined]


async def test_reads_cost_one_write_in_ten_minutes(world: World) -> None:
    """The first reading is written, then one in ten minutes, with how many there were."""
    one = await world.completed()
    access, before = results(world), (await world.load(one)).version
    for _ in range(30):
        await access.read(ACME, one.id)
        world.clock.advance(MINUTE)
    after = await world.load(one)
    assert after.version == before + 3
    read = after.history.count(HistoryEntryKind.READ)
    assert read is not None
    assert (read.first, read.last, read.count) == (NOW, NOW + 20 * MINUTE, 21)
    assert find_history_faults(after, HISTORY_KEYS) == ()


async def test_the_first_reading_of_an_end_is_kept(world: World) -> None:
    """Readings before the end are counted apart, so that "never read" can be told."""
    one = await world.invited()
    await results(world).read(ACME, one.id)
    assert await counted(world, one) == {"read_open": 1}
    await world.unconfirmed_result(one)
    await world.work()
    await results(world).read(ACME, one.id)
    assert await counted(world, one) == {"read_open": 1, "read": 1}


async def test_pages_and_links(world: World) -> None:
    """Pages, reports, share links and the way to the test are counted, each for itself."""
    one = await world.invited()
    access = links(world)
    await access.start(SIGNER.start_url(one.id).rpartition("/")[2])
    await access.start(SIGNER.start_url(one.id).rpartition("/")[2], followed=True)
    await world.unconfirmed_result(one)
    await world.work()
    await access.start(SIGNER.start_url(one.id).rpartition("/")[2])
    await access.result(SIGNER.results_url(one.id).rpartition("/")[2])
    report = SIGNER.report_url(one.id).rpartition("/")[2].removesuffix(".pdf")
    await access.result(report, "report")
    for _ in range(2):
        await access.share(SIGNER.share_url(one.id).rpartition("/")[2])
    assert await counted(world, one) == {
        "link_opened": 1,
        "link_followed": 1,
        "page_opened": 1,
        "report_opened": 1,
        "share_used": 1,
    }


async def test_a_store_that_takes_no_writes_stops_no_reading(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be counted is not, for a while, and is counted with the next one."""
    one, access = await world.completed(), results(world)
    tries: list[object] = []

    async def refuses(step: object, **leases: object) -> bool:
        tries.append(step)
        raise StoreUnavailable("no room")

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "commit", refuses)
        for _ in range(5):
            await access.read(ACME, one.id)
    assert len(tries) == 1
    world.clock.advance(MINUTE)
    await access.read(ACME, one.id)
    assert await counted(world, one) == {"read": 6}


async def test_silence_of_the_provider_is_counted(world: World) -> None:
    """That the provider was asked and gave no answer is kept, with the last status."""
    one = await world.invited()
    world.provider.script.on("status", UpstreamUnavailable("provider", "status", "no", status=503))
    await world.completed_by_poll(one)
    count = (await world.load(one)).history.count(HistoryEntryKind.UNANSWERED)
    assert count is not None
    assert (count.text, count.status) == ("upstream_unavailable", 503)


async def test_given_up(world: World) -> None:
    """That a task was given up is kept, with its kind and the reason."""
    one = await world.completed()
    world.notifier.script.on("notify", NotificationResponse(400))
    await world.work()
    assert (await told(world, one))[-2:] == [
        ("notified", "rejected", 400),
        ("given_up", "notify rejected", None),
    ]


async def test_a_deletion_leaves_its_proof(world: World) -> None:
    """A tombstone says what was deleted, when, for whom, and that it was anonymised; nothing of
    the rest, also when more happens.
    """
    one = await world.completed()
    await results(world).read(ACME, one.id)
    leases = await world.lease()
    world.clock.advance(MINUTE)
    await world.erasure.erase(ACME, one.id)
    for lease in leases:  # a notification that was under way
        await world.tasks.perform(lease)
    await world.records.note_in_history(await world.load(one), HistoryEntryKind.READ)
    gone = await world.load(one)
    assert gone.state is State.ERASED
    assert await told(world, one) == [
        ("erased", "ats: application callback link result history", None),
        ("anonymised", "", None),
    ]
    assert {entry.at for entry in gone.history.entries} == {NOW + MINUTE}
    assert gone.history.counts == ()
    assert gone.history.before


async def test_remembered_counts_are_bounded(world: World) -> None:
    """A process remembers counts of so many invitations; what it forgets is not counted."""
    ones = [await world.invited(f"application-{number}") for number in range(3)]
    access = results(world)
    for one in ones:
        for _ in range(2):
            await access.read(ACME, one.id)
    world.clock.advance(COUNT_PAUSE)
    for one in ones:
        await access.read(ACME, one.id)
    assert [(await counted(world, one))["read_open"] for one in ones] == [3, 3, 3]


async def test_history_of_an_order_that_is_made_again(world: World) -> None:
    """An order whose create got no answer says so, and that it was sent again."""
    world.provider.script.on("create", OutcomeUnknown("provider", "create", "no", status=500))
    with pytest.raises(OutcomeUnknown):
        await world.invited()
    world.provider.script.on("create", world.provider.script.planned("create"))
    with pytest.raises(OutcomeUnknown):
        await world.invitations.invite(ACME, order())
    (one,) = [known async for known in world.store.scan()]
    assert [kind for kind, _, _ in await told(world, one)] == ["ordered", "attempt", "attempt"]
    assert await counted(world, one) == {"repeated": 1}
