"""What must be true of every application at Equalture when all trouble is over, by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.core import ids
from bridge.core.invitation import CreateAttempt, CreateOutcome, Invitation
from tests.simulation.damaged_entries import EVICTS
from tests.simulation.equalture_machine import EqualtureApplication
from tests.simulation.journey import SKEW_S

if TYPE_CHECKING:
    from tests.simulation.world import Simulation


def check_every_application(simulation: Simulation) -> None:
    """An application is somebody's test, or anonymised, or its create is listed as unknown."""
    used = {
        id(known.application)
        for journey in simulation.journeys
        for known in journey.rounds
        if known.application is not None
    }
    for application in simulation.equalture.applications.values():
        if id(application) not in used and application.state != "anonymized":
            _check_orphan(simulation, application)


def _check_orphan(simulation: Simulation, application: EqualtureApplication) -> None:
    *_, invitation_id, secret = application.callback_url.split("/")
    record, digest = simulation.watch.latest.get(invitation_id), ids.hash_secret(secret)
    attempts = [one for one in record.attempts if one.secret_digest == digest] if record else []
    made_at = application.made_at
    forgotten = simulation.trouble.forgotten
    is_lost = record is None and forgotten.is_lost(invitation_id)
    is_forgotten = is_lost or forgotten.concerns(invitation_id, made_at, made_at + SKEW_S)
    if is_forgotten and not _was_in_hand(simulation, application, invitation_id):
        simulation.equalture.weather.count("an application that Redis has forgotten")
        return
    if not attempts or record is None:
        outcome = "no attempt"
    elif attempts[0].outcome is CreateOutcome.UNKNOWN:
        simulation.equalture.weather.count("an application whose create stays unknown")
        return
    elif attempts[0].number == record.live_attempt and is_unheard_of(simulation, record):
        simulation.equalture.weather.count("an invitation that softgarden never got")
        return
    elif simulation.trouble.lost_claim(application.journey) or _is_linked(record, attempts[0]):
        return
    else:
        outcome = f"an attempt that is {attempts[0].outcome}"
    how = f"{application.reference_id} belongs to {outcome}"
    simulation.complain("orphans", how, application.journey)


def _is_linked(record: Invitation, attempt: CreateAttempt) -> bool:
    """Whether softgarden's link leads to this application, though she is taken for another's: when
    softgarden got it, results of two were known, and none of their ids.
    """
    is_live = attempt.number == record.live_attempt
    return is_live and record.result is not None and not record.confirmed


def _was_in_hand(
    simulation: Simulation, application: EqualtureApplication, invitation_id: str
) -> bool:
    """Whether a process got its id, and could write once more what had vanished."""
    made_at, trouble = application.made_at, simulation.trouble
    disturbed = application.fault or trouble.is_any_near(made_at, made_at + SKEW_S, (EVICTS,))
    return invitation_id in trouble.forgotten.being_made and not disturbed


def is_unheard_of(simulation: Simulation, record: Invitation) -> bool:
    """Whether softgarden never got its id, since it waited no longer and ordered again elsewhere: a
    process that stood still takes such an order for a new one, whatever came of the other.
    """
    return record.id not in simulation.by_invitation and any(
        known.unanswered
        for one in simulation.journeys
        if one.plan.candidate == record.application_id
        for known in one.rounds
    )
