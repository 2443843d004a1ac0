"""What must be true of a world when all trouble is over: by id, journey by journey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.core.invitation import State
from bridge.core.lifecycle.attempts import list_applications_to_anonymise
from bridge.core.queueing import TaskKind
from bridge.store.key_names import get_invitation_id
from bridge.store.stored_texts import show_record
from tests.simulation.application_checks import check_every_application, is_unheard_of
from tests.simulation.candidate import return_at_last
from tests.simulation.damage_checks import check_quarantine, check_repairs, list_unmended
from tests.simulation.damaged_entries import DAMAGES
from tests.simulation.delays import check_delays, find_told_at
from tests.simulation.equalture_machine import EqualtureApplication
from tests.simulation.forgotten_writes import KINDS as FORGETS
from tests.simulation.incidents import ECHO_S
from tests.simulation.journey import SKEW_S, Journey
from tests.simulation.journey_plan import MAIL, MARK
from tests.simulation.key_changes import KEY_CHANGES
from tests.simulation.older_version import DEPLOY, ROLL_BACK
from tests.simulation.order_round import OrderRound
from tests.simulation.recruiter import check_hires, list_owed_hires
from tests.simulation.redis_link import REDIS_UNWELL
from tests.simulation.stage_settings import RETRY_S, SECRETS
from tests.simulation.webhook_checks import check_webhooks

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

Owed = tuple[str, str, int]
"""A promise, how it is not kept yet, and the journey."""
UNSTORED: Final = (
    *REDIS_UNWELL,
    *FORGETS,
    "process killed",
    "all processes killed",
    "a start without Redis",
    "process restarted",
    DEPLOY,
    ROLL_BACK,
    *KEY_CHANGES,
    "process stands still",
    "a customer is removed",
    "a customer's file is broken",
    "a clock jumps",
    "Redis's clock jumps",
)
"""Trouble during which the outcome of a create may not be written down: it is then unknown."""


def list_owed(simulation: Simulation) -> list[Owed]:
    """What is not settled yet."""
    owed: list[Owed] = list_owed_hires(simulation)
    for journey in simulation.journeys:
        for known in journey.rounds:
            owed += _list_owed_of(simulation, journey, known)
    for record in simulation.watch.latest.values():
        if left := list_applications_to_anonymise(record):
            owed.append(("orphans", f"{record.id}, {record.state}: {list(left)}", -1))
    return owed + list_unmended(simulation)


def _list_owed_of(simulation: Simulation, journey: Journey, known: OrderRound) -> list[Owed]:
    number, application = journey.plan.number, known.application
    owed: list[Owed] = []
    told = find_told_at(simulation, known) if known.wants else None
    is_owed = known.wants and told is None
    if is_owed and not (_was_given_up(simulation, known) or _was_told_early(simulation, known)):
        owed.append(("notified", f"{known.invitation_id} not told of {known.wants}", number))
    record = simulation.watch.latest.get(known.invitation_id)
    if known.wants == "COMPLETED" and record is not None and record.state is State.EXPIRED:
        owed.append(("quiescence", f"{known.invitation_id} stays EXPIRED", number))
    is_set_back = known.wants and known.set_back_at is not None
    if is_set_back and (record is None or record.state is not State[known.wants]):
        owed.append(("notified", f"{known.invitation_id} is not {known.wants} again", number))
    named = application is not None and not known.is_nameless and not known.is_unknown
    if known.deleted and named and application.state != "anonymized":
        owed.append(("deletion", f"{application.reference_id} not anonymised", number))
    return owed


def _was_given_up(simulation: Simulation, known: OrderRound) -> bool:
    """Whether the notification is a dead letter, after as many calls as the plan has, or since
    softgarden called it wrong.
    """
    letter = f":dead:{known.invitation_id}:notify".encode()
    calls = simulation.softgarden.calls[known.invitation_id]
    number = simulation.by_invitation.get(known.invitation_id, (-1, None))[0]
    wrong = (
        number >= 0 and 400 in simulation.find_journey(number).plan.quirks.refusals and calls > 0
    )
    return (wrong or calls > len(RETRY_S)) and any(
        key.endswith(letter) for key in simulation.redis.list_keys()
    )


def _was_told_early(simulation: Simulation, known: OrderRound) -> bool:
    """Whether softgarden was notified before it had the id, as the answer to an earlier order was
    lost, and Redis has forgotten that it ordered again: the bridge cannot know that it is owed.
    """
    told_at = simulation.strangers.get(known.invitation_id)
    reached = simulation.watch.reached.get((known.invitation_id, State[known.wants]))
    if told_at is None or reached is None or known.answered_at is None or told_at < reached:
        return False
    return simulation.trouble.forgotten.forgot(known.invitation_id, known.answered_at)


async def check_end(simulation: Simulation) -> None:
    """While the processes still run: what softgarden reads, what Redis holds."""
    for journey in simulation.journeys:
        for known in journey.rounds:
            await _check_reading(simulation, journey, known)
            check_delays(simulation, journey, known)
            check_webhooks(simulation, journey, known)
            await return_at_last(journey, known)
        _check_applications(simulation, journey)
    check_every_application(simulation)
    check_hires(simulation)
    for invitation_id in simulation.strangers:
        _check_stranger(simulation, invitation_id)
    await _check_queue(simulation)
    await simulation.trouble.keys.check_end()


async def _check_reading(simulation: Simulation, journey: Journey, known: OrderRound) -> None:
    if not known.answers:
        simulation.complain("quiescence", "never invited after all tries", journey.plan.number)
        return
    status = await journey.read_result(known)
    if status == "no answer":  # the bridge was just about to close an idle connection
        status = await journey.read_result(known)
    _check_score(simulation, journey, known)
    if known.wants and status != known.wants:
        promise = "report counts" if known.acknowledged_at is not None else "quiescence"
        how = f"{known.invitation_id} is {status}, not {known.wants}"
        simulation.complain(promise, how, journey.plan.number)
    if known.is_gone:
        _check_forgotten(simulation, journey, known, status)
    elif known.deleted and status != "404":
        how = f"{known.invitation_id} is {status} after its deletion"
        simulation.complain("deletion", how, journey.plan.number)


def _check_forgotten(
    simulation: Simulation, journey: Journey, known: OrderRound, status: str
) -> None:
    """What Redis has forgotten is nobody's, and nobody is notified of it, but by who had begun."""
    assert known.set_back_at is not None
    if status != "404":
        how = f"{known.invitation_id} is {status}, and Redis has forgotten it"
        simulation.complain("status", how, journey.plan.number)
    called_at = simulation.softgarden.called_at.get(known.invitation_id, 0.0)
    stood_still = simulation.trouble.is_near(called_at, "process stands still")
    if called_at > known.set_back_at + ECHO_S and not stood_still:
        how = f"{known.invitation_id} at {called_at:.1f} s, and Redis has forgotten it"
        simulation.complain("never issued", how, journey.plan.number)


def _check_applications(simulation: Simulation, journey: Journey) -> None:
    """One application for each round, but for those whose create had an unknown outcome."""
    of_journey = [
        one
        for one in simulation.equalture.applications.values()
        if one.journey == journey.plan.number
    ]
    certain = [one for one in of_journey if not _is_outcome_unknown(simulation, one)]
    lost = simulation.trouble.lost_claim(journey.plan.number)
    if len(certain) > len(journey.rounds) and not lost:
        how = ", ".join(one.reference_id for one in certain)
        simulation.complain("one application", how, journey.plan.number)


def _is_outcome_unknown(simulation: Simulation, application: EqualtureApplication) -> bool:
    made_for, made_at = application.callback_url.split("/")[-2], application.made_at
    if simulation.trouble.lost_entry(made_for, made_at, made_at + SKEW_S):
        return True
    return bool(application.fault) or simulation.trouble.is_near(
        application.made_at, "Equalture fails", "Equalture is slow", "Equalture is away", *UNSTORED
    )


def _check_stranger(simulation: Simulation, invitation_id: str) -> None:
    """An id that softgarden was notified of, and never got: an answer was lost, or a bug."""
    if invitation_id not in simulation.by_invitation:
        lost = any(known.unanswered for one in simulation.journeys for known in one.rounds)
        if not lost:
            simulation.complain("never issued", invitation_id)


def _check_score(simulation: Simulation, journey: Journey, known: OrderRound) -> None:
    """What Equalture's own result says is shown, whatever its report said."""
    record, application = simulation.watch.latest.get(known.invitation_id), known.application
    if record is None or application is None or not record.confirmed or known.is_nameless:
        return
    score = known.read[-1].score if known.read else ""
    if score and not score.lower().startswith(application.fit):
        how = f"{known.invitation_id} shows {score!r}, and it is {application.fit}"
        simulation.complain("report counts", how, journey.plan.number)


async def _check_queue(simulation: Simulation) -> None:
    """Records and queues agree."""
    if not any(one.kind in DAMAGES for one in simulation.trouble.incidents):
        for stray in simulation.queue_watch.list_strays():
            simulation.complain("task", f"{stray} has no record")
    for process in simulation.processes.values():
        if process.lives and process.runtime is not None:
            report = await process.runtime.reconciler.run(dry_run=True)
            if report.repairable or report.damaged:
                how = f"{report.requeued} {report.reindexed} {report.forgotten} {report.damaged}"
                simulation.complain("task", how)
            return


def check_traces(simulation: Simulation) -> None:
    """When all processes have ended: what Redis and the log hold, and what went wrong unseen."""
    stored, log = _read_stored(simulation), simulation.log.getvalue()
    for word in (MARK, f"@{MAIL}"):
        if word in stored:
            simulation.complain("privacy", f"{word} is in Redis")
    secrets = [
        one
        for known in SECRETS.values()
        for one in (known.token, known.client_secret, known.webhook_secret)
    ]
    for word in (MARK, f"@{MAIL}", "token/link-", *secrets):
        if word in log:
            simulation.complain("privacy", f"{word} is in the log")
    for journey in simulation.journeys:
        for known in journey.rounds:
            if known.deleted and known.application is not None and not known.is_unknown:
                _check_leftovers(simulation, journey, known, stored)
    for message in simulation.loop.unhandled:
        simulation.complain("no crash", message)
    for event in ("request.crashed", "task.failed", "worker.task_crashed", "worker.died"):
        if f'"{event}"' in log:
            simulation.complain("no crash", f"{event} is in the log")
    simulation.trouble.keys.check_traces()
    check_quarantine(simulation)
    check_repairs(simulation)
    for violation in [*simulation.equalture.violations, *simulation.softgarden.violations]:
        simulation.complain("vendor rules", violation)


def _read_stored(simulation: Simulation) -> str:
    """All that Redis holds; records also as they read without their packing."""
    redis = simulation.redis
    keys = [key.decode() for key in redis.list_keys() if b":iv:" in key]
    records = [show_record(get_invitation_id(key), redis.read_text(key) or b"") for key in keys]
    return "\n".join([redis.dump().decode("utf-8", "replace"), *records])


def _check_leftovers(
    simulation: Simulation, journey: Journey, known: OrderRound, stored: str
) -> None:
    assert known.application is not None
    # An order whose claim was lost, or that came twice, may have got an invitation that softgarden
    # never heard of.
    unheard = [
        one
        for one in simulation.watch.latest.values()
        if one.application_id == journey.plan.candidate and is_unheard_of(simulation, one)
    ]
    again = simulation.trouble.lost_claim(journey.plan.number) or unheard
    # A candidate who is invited anew may get the same application, if nobody could anonymise it.
    reference_id = known.application.reference_id
    lives_on = any(
        one.application is known.application and not one.deleted for one in journey.rounds
    ) or any(attempt.reference_id == reference_id for one in unheard for attempt in one.attempts)
    words = [] if lives_on else [reference_id, known.application.link]
    if known is journey.rounds[-1] and not again:
        words.append(journey.plan.candidate)
    letters = (TaskKind.CHECK, TaskKind.NOTIFY, TaskKind.HIRE)
    # Not what was put aside with such a name, and never was a letter.
    words += [f"}}:dead:{known.invitation_id}:{kind}" for kind in letters]
    for word in words:
        if word in stored:
            simulation.complain("deletion", f"{word} is in Redis", journey.plan.number)
