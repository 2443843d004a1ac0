"""What recruiters do around one journey: they look at pages and reports, and hire."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bridge.core import ids
from tests.simulation.journey_plan import MARK
from tests.simulation.stage_settings import HASTY, SECRETS

if TYPE_CHECKING:
    from tests.simulation.equalture_machine import EqualtureApplication
    from tests.simulation.journey import Journey
    from tests.simulation.order_round import OrderRound
    from tests.simulation.world import Simulation

PAGES = {"resultUrl": 200, "shareUrl": 302}
"""The links of a result, and how they are answered where nothing is wrong."""
HIRE_TRIES = 30


async def visit_pages(journey: Journey, known: OrderRound) -> None:
    """Open what the last reading of the result led to."""
    names = [*PAGES, *(("reportUrl",) if known.deleted else ())]
    for name in names:  # a report that is shown costs more than a world, so only one that is not
        if name in known.links:
            await _open(journey, known, name)


async def _open(journey: Journey, known: OrderRound, what: str) -> None:
    link = known.links[what]
    is_dead = journey.is_dead(link, what)
    reply = await journey.call("GET", urlsplit(link).path, None, {})
    usual = (410,) if known.deleted else (PAGES[what], 503)
    expected = (404,) if known.is_gone or is_dead else usual
    if journey.may_be_dead(link, what):
        expected = (*expected, 404)
    journey.expect(reply, what, *expected, 410 if journey.is_removed() else 503)
    if reply is not None and MARK.encode() in reply.body:
        journey.complain("privacy", f"a name is on the page of {what}")


async def hire(journey: Journey, known: OrderRound) -> None:
    """softgarden exports that the applicant was hired, until it is taken."""
    plan, secrets = journey.plan, SECRETS[journey.plan.customer]
    if plan.customer == HASTY:
        return
    known.hire_began = True
    body: dict[str, Any] = {"applicationPublicId": plan.candidate, "lastName": MARK}
    headers = {"Authorization": f"Bearer {secrets.export_token}"}
    for attempt in range(HIRE_TRIES):
        path = f"/softgarden/hired/{plan.customer}"
        reply = await journey.call("POST", path, body, headers)
        journey.expect(reply, "hired", 200, 503)
        if reply is not None and reply.status == 200:
            known.hired = True
            if attempt or not plan.quirks.changes:
                return
        await journey.pause(0.3, min(4.0, 0.5 * 2**attempt))


def list_owed_hires(simulation: Simulation) -> list[tuple[str, str, int]]:
    """Hires that were taken, and are neither done nor a dead letter."""
    owed = []
    for journey in simulation.journeys:
        for known in journey.rounds:
            application, forgotten = known.application, _is_forgotten(simulation, known)
            named = application is not None and _is_named(simulation, known, application)
            if known.hired and named and not forgotten:
                dead = f":dead:{known.invitation_id}:hire".encode()
                given_up = any(key.endswith(dead) for key in simulation.redis.list_keys())
                if not application.hires and not given_up:
                    how = f"{known.invitation_id} is not hired"
                    owed.append(("hire", how, journey.plan.number))
    return owed


def _is_named(simulation: Simulation, known: OrderRound, application: EqualtureApplication) -> bool:
    """Whether the bridge knows the id of the application that reports: not where that create had
    no answer, even if a second one gave the same application.
    """
    record = simulation.watch.latest.get(known.invitation_id)
    digest = ids.hash_secret(application.callback_url.rpartition("/")[2])
    attempts = record.attempts if record is not None else ()
    unknown = any(one.secret_digest == digest and one.reference_id is None for one in attempts)
    return not known.is_nameless and not unknown


def _is_forgotten(simulation: Simulation, known: OrderRound) -> bool:
    """Whether Redis holds no word of this hire any more, or nothing of what was to be hired."""
    record = simulation.watch.latest.get(known.invitation_id)
    was_forgotten = known.is_unknown or known.forgotten_hires > 0
    return known.is_gone or (was_forgotten and (record is None or record.hire is None))


def check_hires(simulation: Simulation) -> None:
    """Nobody is hired twice, or without a word of softgarden's, but for what Redis forgot or lost:
    that this was done, or which of two applications softgarden knows.
    """
    may: Counter[str] = Counter()
    of_journey: Counter[int] = Counter()
    for journey in simulation.journeys:
        for known in journey.rounds:
            if known.hired and known.application is not None:
                often = 1 + known.forgotten_hires
                may[known.application.reference_id] += often
                if simulation.trouble.lost_claim(journey.plan.number):
                    of_journey[journey.plan.number] += often
    for application in simulation.equalture.applications.values():
        allowed = max(may[application.reference_id], of_journey[application.journey])
        if application.hires > allowed:
            how = f"{application.reference_id} is hired {application.hires} times"
            simulation.complain("hire", how, application.journey)
