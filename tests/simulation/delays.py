"""How long things may take in virtual time, against what an undisturbed world needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.core.invitation import State
from bridge.resilience import LONGEST_PAUSE
from tests.simulation.forgotten_writes import KINDS as FORGETS
from tests.simulation.incidents import ECHO_S
from tests.simulation.journey import RANKS, Journey
from tests.simulation.order_round import OrderRound
from tests.simulation.redis_link import REDIS_UNWELL
from tests.simulation.softgarden_machine import LONGEST_DAWDLE_S
from tests.simulation.stage_settings import (
    GRACE_S,
    POLL_S,
    RETRY_S,
    VENDOR_TIMEOUT_S,
    WATCHED_S,
)
from tests.simulation.webhooks import DONE

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

PROMPT_S: Final = 0.75
"""From a report whose result can be read until softgarden is told; undisturbed it is 0.15 s."""
UNREADABLE_S: Final = 9.0
"""The same, from when a result can be read that could not at first: it is asked for ever later."""
ID_ARRIVES_S: Final = 1.0
"""How much later softgarden is told of a report that came before it had the id: the bridge lets the
answer with the id arrive first.
"""
CROWDED_S: Final = 5 * VENDOR_TIMEOUT_S
"""The same for one of a crowd of 90 whose account is slow. Eight tasks of a lane begin at once, and
one more for each that ends well meanwhile, up to 48: four rounds, of 8, 16, 32 and 34, each almost
as long as a vendor may take. The fifth is for what is lost between rounds. Always eight would be
twelve rounds, and 30 s.
"""
NOTICED_S: Final = 2.0
"""From the end of a link, or a poll, until softgarden is told."""
PLAN_S: Final = 1.2 * max(RETRY_S) + 39.0
"""After all trouble: the longest pause of the plan or of a breaker, and a lease that runs out."""
ASKED_AGAIN_S: Final = 2 * LONGEST_PAUSE.total_seconds() + 5.0
"""How long after an outage Equalture is asked at the latest: waiting checks spread over as long as
its breaker was open.
"""
COUNTS_S: Final = 45.0
"""From a report until it counts, even if the provider is away: 30 s, and the last calls."""
OF_PROVIDER: Final = (
    "Equalture fails",
    "Equalture is away",
    "Equalture is slow",
    "Equalture forgets its tokens",
    "a customer's account is dead",
    "a customer's account is slow",
)
OVERDUE_S: Final = 5.5
"""How long a task may be due, undisturbed, until a process has taken it."""
TAKEN_OVER_S: Final = 16.0
"""What a killed process held is taken over within this time, if another one lives."""
STOPS_WORK: Final = (
    *REDIS_UNWELL,
    *FORGETS,
    "process stands still",
    "all processes killed",
    "a start without Redis",
    "a customer is removed",
    "a customer's file is broken",
    "Redis's clock jumps",
)


def find_told_at(simulation: Simulation, known: OrderRound) -> float | None:
    """When softgarden was first notified after the record said what it had to learn: it reads then,
    or a little later.
    """
    reached = simulation.watch.reached.get((known.invitation_id, State[known.wants]))
    for at, seen in known.told:
        if seen == known.wants or (reached is not None and at >= reached and seen not in RANKS):
            return at
    return None


async def watch_overdue(simulation: Simulation) -> None:
    """Look again and again for tasks that nobody takes, while nothing explains it."""
    healthy_since = simulation.time.seconds
    while True:
        await asyncio.sleep(WATCHED_S)
        now = simulation.time.seconds
        works = any(
            one.lives and now - one.serves_since > TAKEN_OVER_S
            for one in simulation.processes.values()
        )
        if not works or simulation.trouble.is_near(now, *STOPS_WORK):
            healthy_since = now
        if now - healthy_since >= TAKEN_OVER_S:
            for lane in simulation.queue_watch.list_overdue(OVERDUE_S):
                simulation.complain("overdue", lane)


def check_delays(simulation: Simulation, journey: Journey, known: OrderRound) -> None:
    """What one order had to wait for, unless trouble explains it that concerns its customer."""
    if known.is_unknown:
        return
    _check_once(simulation, journey, known)
    if not known.wants or known.application is None:
        return
    told = find_told_at(simulation, known)
    begun, most_s, since = _find_beginning(journey, known, max(0.0, -simulation.redis_ahead_s))
    late = bool(begun) and (told is None or told > begun + most_s)
    late = late and not journey.plan.quirks.refusals
    crowded = journey.plan.crowded
    if late and (crowded or not _is_explained(simulation, journey, known, begun, most_s)):
        how = f"{since} at {begun:.3f} s, told at {told} s"
        simulation.complain("fairness", how, journey.plan.number)
    reached = simulation.watch.reached.get((known.invitation_id, State[known.wants]))
    _check_counting(simulation, journey, known, reached)
    if told is not None and reached is not None:
        ended = simulation.trouble.find_end(told, journey.plan.customer, known.invitation_id)
        if told > max(reached, ended) + PLAN_S:
            how = f"{known.wants} at {reached:.3f} s, trouble until {ended:.3f} s, told at {told}"
            simulation.complain("notified", how, journey.plan.number)


def _check_counting(
    simulation: Simulation, journey: Journey, known: OrderRound, reached: float | None
) -> None:
    """A report counts after a while, though the provider cannot be reached."""
    begun, application = known.acknowledged_at, known.application
    if begun is None or application is None or known.wants != "COMPLETED":
        return
    until = begun + COUNTS_S if reached is None else reached
    # An empty report says that there is a result, but not which: only the provider does.
    is_empty = journey.plan.quirks.report_body == "empty"
    beside = () if is_empty else OF_PROVIDER
    ended = simulation.trouble.find_end(until, journey.plan.customer, known.invitation_id, beside)
    latest = max(begun, ended) + (ASKED_AGAIN_S if is_empty else COUNTS_S)
    if not journey.plan.crowded and (reached is None or reached > latest):
        how = f"reported at {begun:.3f} s, counted at {reached} s, not until {latest:.3f} s"
        simulation.complain("report counts", how, journey.plan.number)


def _find_beginning(
    journey: Journey, known: OrderRound, behind_s: float
) -> tuple[float, float, str]:
    """From when on softgarden could have been told, and how much later it may be; 0: never.

    *behind_s*: by how much Redis's clock, by which the bridge goes, is behind.
    """
    application = known.application
    assert application is not None
    ending = journey.plan.ending
    if known.wants == "EXPIRED":
        record = journey.find_record(known, application)
        started = record is not None and record.started_at is not None
        ends_at = application.made_at + known.life_s + (GRACE_S if started else 0.0)
        return ends_at + behind_s, NOTICED_S, "ended"
    heard_at = known.acknowledged_at or application.heard.get(DONE, application.held.get(DONE))
    if f"/{known.invitation_id}/" not in application.callback_url:
        heard_at = None  # Equalture reports to the invitation for which it made the application
    if heard_at is None:
        finished_at = application.finished_at
        if finished_at is None or ending != "silent":
            return 0.0, 0.0, ""
        return max(finished_at, application.results_from), POLL_S + NOTICED_S, "done"
    if journey.plan.crowded:
        return heard_at, CROWDED_S, "reported in a crowd"
    begun = heard_at
    if known.answered_at is not None and known.answered_at > begun:
        begun = known.answered_at + ID_ARRIVES_S
    readable = application.results_from
    asked_from = min(heard_at, application.held.get(DONE, heard_at))
    if readable != application.finished_at and readable > asked_from - PROMPT_S:
        return max(begun, readable), UNREADABLE_S, "reported"
    still_told_s = LONGEST_DAWDLE_S if ending.startswith("late") else 0.0  # of the expiry
    return begun, PROMPT_S + still_told_s, "reported"


def _check_once(simulation: Simulation, journey: Journey, known: OrderRound) -> None:
    ended_at = simulation.watch.reached.get((known.invitation_id, State.COMPLETED))
    most = 1 + journey.plan.ending.startswith("late") + _count_repeats_after_end(known, ended_at)
    most += known.unanswered  # such an order may have gone on, and given the id, after the end
    often = len(known.told) > most
    often = often and not simulation.trouble.lost_claim(journey.plan.number)
    lasted_s = known.told[-1][0] - known.began if known.told else 0.0
    if often and not _is_explained(simulation, journey, known, known.began, lasted_s):
        how = f"{known.invitation_id} told at {[f'{at:.3f}' for at, _ in known.told]}"
        simulation.complain("once", how, journey.plan.number)


def _count_repeats_after_end(known: OrderRound, ended_at: float | None) -> int:
    """After how many orders of what had ended softgarden is notified again: the answer that first
    brings the id is no repeat.
    """
    if ended_at is None:
        return 0
    after = sum(at > ended_at for at in known.ordered)
    first = known.answered_at is not None and known.answered_at > ended_at
    return after - first


def _is_explained(
    simulation: Simulation, journey: Journey, known: OrderRound, begun: float, lasted_s: float
) -> bool:
    return simulation.trouble.explains_delay(
        begun - ECHO_S, begun + lasted_s, journey.plan.customer, known.invitation_id
    )
