"""Notifications: at least once within the retry plan, or visible as a dead letter; one customer
never waits for another.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.core.queueing import TaskKind
from bridge.sandbox import SoftgardenSandbox
from tests.flows.conftest import Bridge, Config, Launch, eventually

SLACK = timedelta(seconds=2)


async def completed(bridge: Bridge) -> str:
    """A completed invitation of acme's, known as such to the bridge."""
    invited = await bridge.acme.invite("engineer")
    an_id: str = invited.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    await bridge.result(bridge.acme, an_id, "COMPLETED")
    return an_id


async def tried(bridge: Bridge, times: int) -> None:
    """Return once softgarden was called that often, and nothing more is due."""
    await bridge.softgarden.wait_calls("notify", times)
    await bridge.idle()
    assert len(bridge.softgarden.calls("notify")) == times


async def wait_is(bridge: Bridge, expected: timedelta) -> None:
    """Assert that the next task is due after this time, give or take two seconds."""
    wait = await bridge.next_due()
    assert wait is not None
    assert abs(wait - expected) <= SLACK


async def test_retry_plan(bridge: Bridge) -> None:
    """A softgarden that answers 500 is notified again on the plan, until it takes the
    notification.
    """
    bridge.softgarden.fault("notify", status=500, times=4)
    an_id = await completed(bridge)
    plan = (
        timedelta(seconds=5),
        timedelta(seconds=30),
        timedelta(minutes=2),
        timedelta(minutes=10),
    )
    for attempt, delay in enumerate(plan, start=1):
        await tried(bridge, attempt)
        await wait_is(bridge, delay)
        await bridge.advance(delay)
    await tried(bridge, 5)
    assert len(bridge.notified(an_id)) == 1
    assert await bridge.next_due() is None
    assert await bridge.dead_letters() == []


@pytest.mark.parametrize(
    "fault",
    [{"drop": "before"}, {"drop": "after"}, {"status_after": 500}, {"body": "huge"}],
    ids=str,
)
async def test_notified_at_least_once_whatever_is_lost(
    bridge: Bridge, fault: dict[str, Any]
) -> None:
    """A lost connection or a lost answer makes another notification, a strange answer with 2xx does
    not.
    """
    bridge.softgarden.fault("notify", times=1, **fault)
    an_id = await completed(bridge)
    expected = 1 if "body" in fault else 2
    await tried(bridge, 1)
    await bridge.advance(timedelta(seconds=6))
    await tried(bridge, expected)
    assert bridge.notified(an_id)


async def test_400_is_a_dead_letter_at_once(bridge: Bridge) -> None:
    """softgarden's 400 is a dead letter at once, with what softgarden said; replayed, it is
    delivered.
    """
    fault = bridge.softgarden.fault(
        "notify", status=400, text='{"message": "invitation id is missing"}', times=1
    )
    an_id = await completed(bridge)
    (letter,) = await eventually(bridge.dead_letters)
    assert (letter.invitation_id, letter.kind, letter.customer) == (an_id, TaskKind.NOTIFY, "acme")
    assert (letter.attempts, letter.reason, fault.strikes) == (1, "rejected", 1)
    assert "invitation id is missing" in letter.history[0].excerpt
    assert await bridge.next_due() is None
    assert await bridge.runtime.queue.replay(an_id, TaskKind.NOTIFY, bridge.clock())
    bridge.wake()
    await eventually(lambda: bridge.notified(an_id))
    await bridge.idle()
    assert await bridge.dead_letters() == []


async def test_401_is_retried_slowly(bridge: Bridge) -> None:
    """softgarden's 401 is retried no sooner than the plan's fourth entry, and is told as
    unauthorized.
    """
    bridge.softgarden.fault("notify", status=401, times=2)
    an_id = await completed(bridge)
    for attempt in (1, 2):
        await tried(bridge, attempt)
        await wait_is(bridge, timedelta(minutes=10))
        await bridge.advance(timedelta(minutes=10))
    await tried(bridge, 3)
    assert bridge.notified(an_id)


async def test_retry_after_is_honoured(bridge: Bridge) -> None:
    """softgarden's Retry-After makes the next attempt later, never sooner than the plan."""
    bridge.softgarden.fault("notify", status=503, headers={"Retry-After": "3600"}, times=1)
    an_id = await completed(bridge)
    await tried(bridge, 1)
    await wait_is(bridge, timedelta(hours=1))
    bridge.softgarden.fault("notify", status=429, headers={"Retry-After": "1"}, times=1)
    await bridge.advance(timedelta(hours=1))
    await tried(bridge, 2)
    await wait_is(bridge, timedelta(seconds=30))
    await bridge.advance(timedelta(seconds=30))
    await tried(bridge, 3)
    assert bridge.notified(an_id)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(bridge: Bridge, status: int) -> None:
    """A redirect is a failed attempt: the credentials go nowhere else."""
    elsewhere = bridge.softgarden.callback_url("globex")
    bridge.softgarden.fault("notify", status=status, headers={"Location": elsewhere}, times=1)
    an_id = await completed(bridge)
    await tried(bridge, 1)
    await bridge.advance(timedelta(seconds=5))
    await tried(bridge, 2)
    assert [entry.account for entry in bridge.notified(an_id)] == ["acme"]


async def test_exhausted_plan_is_a_dead_letter(launch: Launch, config: Config) -> None:
    """A plan of n entries makes n + 1 attempts and then a dead letter that tells every one of
    them.
    """
    config.daemon["softgarden"]["retry"] = ["1s", "2s"]
    bridge = await launch()
    bridge.softgarden.fault("notify", status=500)
    an_id = await completed(bridge)
    for attempt in (1, 2):
        await tried(bridge, attempt)
        await bridge.advance(timedelta(seconds=attempt))
    (letter,) = await eventually(bridge.dead_letters)
    assert (letter.invitation_id, letter.attempts, letter.reason) == (an_id, 3, "http_500")
    assert [note.status for note in letter.history] == [500] * 3
    assert await bridge.next_due() is None


async def test_empty_plan_makes_one_attempt(launch: Launch, config: Config) -> None:
    """An empty plan makes one attempt and then a dead letter."""
    config.daemon["softgarden"]["retry"] = []
    bridge = await launch()
    bridge.softgarden.fault("notify", status=500)
    await completed(bridge)
    (letter,) = await eventually(bridge.dead_letters)
    assert letter.attempts == 1


async def test_result_is_there_before_the_notification(
    bridge: Bridge, softgarden: SoftgardenSandbox
) -> None:
    """softgarden, reading the result before it answers the notification, sees it completed."""
    softgarden.read_results = "before"
    an_id = await completed(bridge)
    await eventually(lambda: bridge.notified(an_id))
    assert softgarden.results[an_id].json["status"] == "COMPLETED"
    assert [
        entry.response_json["status"] for entry in softgarden.calls("results", invitation_id=an_id)
    ][-1:] == ["COMPLETED"]


async def test_many_notifications_read_before_they_are_answered(
    bridge: Bridge, softgarden: SoftgardenSandbox
) -> None:
    """Forty notifications, each read before it is answered, block nobody."""
    softgarden.read_results = "before"
    invited = [await bridge.acme.invite("engineer") for _ in range(40)]
    for reference in list(bridge.equalture.applications):
        assert await bridge.equalture.complete(reference) == 200
    await softgarden.wait_calls("notify", 40, status=204)
    statuses = {softgarden.results[reply.json["invitationId"]].json["status"] for reply in invited}
    assert statuses == {"COMPLETED"}
    await bridge.idle()
    assert len(softgarden.calls("notify")) == 40


async def test_every_customer_has_its_own_client(bridge: Bridge) -> None:
    """Each customer is notified at its own URL with its own public OAuth client and an empty
    password.
    """
    for client, test in (
        (bridge.acme, "engineer"),
        (bridge.globex, "job-3"),
        (bridge.initech, "job-4"),
    ):
        await client.invite(test)
        assert await bridge.equalture.complete(bridge.created()) == 200
    entries = await bridge.softgarden.wait_calls("notify", 3, status=204)
    assert sorted(str(entry.account) for entry in entries) == ["acme", "globex", "initech"]


async def test_one_dead_endpoint_slows_nobody_else(bridge: Bridge) -> None:
    """Twenty notifications that hang at one customer's endpoint do not hold up another
    customer's.
    """
    hung = bridge.softgarden.fault(
        "notify", hang="before", when=lambda call: call.account == "acme"
    )
    for _ in range(20):
        await bridge.acme.invite("engineer")
        assert await bridge.equalture.complete(bridge.created()) == 200
    await hung.wait_applied(5)
    invited = await bridge.globex.invite("job-3")
    assert await bridge.equalture.complete(bridge.created()) == 200
    await bridge.softgarden.wait_calls(
        "notify", status=204, invitation_id=invited.json["invitationId"]
    )
    hung.heal()
    await bridge.softgarden.wait_calls("notify", 21, status=204)


async def test_slow_softgarden_is_given_up(launch: Launch, config: Config) -> None:
    """An endpoint that never answers is given up after the time-out and tried again."""
    config.daemon["softgarden"]["timeout"] = "200ms"
    bridge = await launch()
    hung = bridge.softgarden.fault("notify", hang="before", times=1)
    an_id = await completed(bridge)

    await hung.wait_applied()
    await bridge.idle()
    await wait_is(bridge, timedelta(seconds=5))
    await bridge.advance(timedelta(seconds=6))
    await eventually(lambda: bridge.notified(an_id))


async def test_callback_host_that_is_no_longer_listed(launch: Launch, config: Config) -> None:
    """A callback host that the administrator has taken off the list is not notified: a dead letter
    says why.
    """
    first = await launch()
    invited = await first.acme.invite("engineer")
    await first.close()
    config.daemon["softgarden"]["callback_hosts"] = ["softgarden.io"]
    bridge = await launch()
    assert await bridge.equalture.complete(bridge.created()) == 200
    (letter,) = await eventually(bridge.dead_letters)
    assert (letter.invitation_id, letter.reason) == (
        invited.json["invitationId"],
        "callback_not_allowed",
    )
    assert bridge.softgarden.calls("notify") == []
