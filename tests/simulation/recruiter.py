"""What recruiters do around one journey: they look at pages and reports, and hire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.simulation.journey_plan import MARK
from tests.simulation.stage_settings import HASTY, SECRETS

if TYPE_CHECKING:
    from tests.simulation.journey import Journey, OrderRound
    from tests.simulation.world import Simulation

PAGES = {"resultUrl": 200, "shareUrl": 302}
"""The links of a result, and how they are answered where nothing is wrong."""
HIRE_TRIES = 30


async def visit_pages(journey: Journey, known: OrderRound) -> None:
    """Open what the last reading of the result led to."""
    links = known.links
    for name, status in PAGES.items():
        if name in links:
            expected = (410,) if known.deleted else (status, 503)
            await _open(journey, links[name], name, *expected)
    if known.deleted and "reportUrl" in links:  # a report costs more than a world, so only now
        await _open(journey, links["reportUrl"], "reportUrl", 410)


async def _open(journey: Journey, link: str, what: str, *expected: int) -> None:
    reply = await journey.call("GET", urlsplit(link).path, None, {})
    journey.expect(reply, what, *expected, 410 if journey.is_removed() else 503)
    if reply is not None and MARK.encode() in reply.body:
        journey.complain("privacy", f"a name is on the page of {what}")


async def hire(journey: Journey, known: OrderRound) -> None:
    """softgarden exports that the applicant was hired, until it is taken."""
    plan, secrets = journey.plan, SECRETS[journey.plan.customer]
    if plan.customer == HASTY:
        return
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
            application = known.application
            if known.hired and application is not None and not known.is_nameless:
                dead = f":dead:{known.invitation_id}:hire".encode()
                given_up = any(key.endswith(dead) for key in simulation.redis.list_keys())
                if not application.hires and not given_up:
                    how = f"{known.invitation_id} is not hired"
                    owed.append(("hire", how, journey.plan.number))
    return owed


def check_hires(simulation: Simulation) -> None:
    """Nobody is hired twice, or without a word of softgarden's."""
    hired = {
        id(known.application)
        for journey in simulation.journeys
        for known in journey.rounds
        if known.hired
    }
    for application in simulation.equalture.applications.values():
        if application.hires > (1 if id(application) in hired else 0):
            how = f"{application.reference_id} is hired {application.hires} times"
            simulation.complain("hire", how, application.journey)
