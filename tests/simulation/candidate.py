"""What candidates do with a link that leads to the bridge's own page, and what opens it besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bridge.core.invitation import State
from tests.simulation.journey_plan import MARK

if TYPE_CHECKING:
    from tests.simulation.equalture_machine import EqualtureApplication
    from tests.simulation.journey import Journey
    from tests.simulation.memory_network import HttpMessage
    from tests.simulation.order_round import OrderRound

TRIES: Final = 8
ENDED: Final = (State.COMPLETED, State.EXPIRED, State.ERASED)
"""After these nobody is led to the test."""
OPEN: Final = (State.INVITED, State.STARTED)
LOOKERS: Final = (
    ("GET", {}),
    ("POST", {"Sec-Fetch-Site": "cross-site"}),
    ("POST", {"Sec-Purpose": "prefetch;prerender"}),
)
"""What scanners of mail and browsers that look ahead do with a link; none of it uses it up."""


async def begin_test(
    journey: Journey, known: OrderRound, application: EqualtureApplication
) -> None:
    """Open the link and press the button, until it leads to the test; if it leads to the page."""
    plan = journey.plan.habits
    if not known.has_page:
        return
    if plan.scanned:
        for method, headers in LOOKERS:
            await _open(journey, known, method, headers)
    for _ in range(plan.presses):
        for attempt in range(TRIES):
            reply = await _press(journey, known, application)
            if reply is not None and reply.status != 503:
                break
            await journey.pause(0.2, min(5.0, 0.3 * 2**attempt))


async def return_to_page(journey: Journey, known: OrderRound) -> None:
    """Open the link once more and press the button, if there is one."""
    application = known.application
    if not (journey.plan.habits.returns and known.has_page) or application is None:
        return
    await _open(journey, known, "GET", {})
    await _press(journey, known, application)


async def return_at_last(journey: Journey, known: OrderRound) -> None:
    """The same when all is over, with links that nobody was given."""
    await return_to_page(journey, known)
    if journey.plan.habits.returns and known.has_page:
        await _ask_strangely(journey, known)


async def _press(
    journey: Journey, known: OrderRound, application: EqualtureApplication
) -> HttpMessage | None:
    """The button leads to the test of this candidate while it can be taken, and only then."""
    before = journey.find_record(known, application)
    deleted = known.deleted
    reply = await _open(journey, known, "POST", {"Sec-Fetch-Site": "same-origin"})
    after = journey.find_record(known, application)
    if reply is None or reply.status not in (200, 303) or before is None or after is None:
        return reply
    if reply.status == 303:
        if before.state in ENDED or deleted:
            journey.complain("landing page", f"{before.id} is {before.state}, and leads on")
        if not journey.is_own(reply.headers["location"]):
            journey.complain("own", f"{before.id} leads to {reply.headers['location']}")
        return reply
    is_reported = after.unconfirmed_result is not None
    usable = (
        before.state in OPEN and after.state in OPEN and not is_reported and not known.is_nameless
    )
    if usable and not journey.is_over(known):
        journey.complain("landing page", f"{after.id} is {after.state}, and leads nowhere")
    return reply


async def _open(
    journey: Journey, known: OrderRound, method: str, headers: dict[str, str]
) -> HttpMessage | None:
    link, deleted = known.answers[0]["testUrl"], known.deleted
    is_dead, is_removed = journey.is_dead(link, "testUrl"), journey.is_removed()
    reply = await journey.call(method, urlsplit(link).path, None, headers)
    expected: tuple[int, ...] = (410,) if deleted else (200, 503)
    if known.deletion_began and not deleted:
        expected = (200, 410, 503)
    if headers.get("Sec-Fetch-Site") == "same-origin" and not deleted:
        expected = (*expected, 303)
    if known.is_gone or is_dead:
        expected = (404,)
    if journey.may_be_dead(link, "testUrl"):
        expected = (*expected, 404)
    if is_removed or journey.is_removed():
        expected = (*expected, 410)
    journey.expect(reply, f"{method} of the landing page", *expected, 503)
    if reply is not None and (MARK.encode() in reply.body or b"token/link-" in reply.body):
        journey.complain("privacy", "a name or a secret link is on the landing page")
    return reply


async def _ask_strangely(journey: Journey, known: OrderRound) -> None:
    """A token that was changed, or made for something else, is nobody's."""
    path = urlsplit(known.answers[0]["testUrl"]).path
    links = [urlsplit(link).path for link in known.links.values() if "/results/" in link]
    strange = [path[:-3] + "zzz", *(f"/start/{link.rpartition('/')[2]}" for link in links)]
    for one in strange:
        reply = await journey.call("GET", one, None, {})
        journey.expect(reply, "a strange link", 404, 503)
