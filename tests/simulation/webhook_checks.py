"""What must be true of webhooks when all trouble is over, and what trouble explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.core.invitation import State
from bridge.store.reference_index import build_reference_key
from tests.simulation.equalture_machine import EqualtureApplication
from tests.simulation.forgotten_writes import KINDS as FORGETS
from tests.simulation.partial_outages import OUTAGES
from tests.simulation.redis_link import REDIS_UNWELL
from tests.simulation.stage_settings import load_settings
from tests.simulation.webhooks import BEGUN, DONE

if TYPE_CHECKING:
    from tests.simulation.journey import Journey
    from tests.simulation.order_round import OrderRound
    from tests.simulation.world import Simulation

UNLISTED: Final = (*REDIS_UNWELL, *FORGETS, *OUTAGES)
"""Trouble during which it may not be written down whose an application is."""
HELD_S: Final = 1.0
"""How long after its application is known what came before that counts at the latest."""


def is_unlisted(
    simulation: Simulation, invitation_id: str, application: EqualtureApplication
) -> bool:
    """Whether Redis does not say whose this application is, since it was unwell when it was made,
    or was damaged: the record itself is elsewhere in Redis, and polls do not need it.
    """
    redis, plan = simulation.redis, simulation.find_journey(application.journey).plan
    prefix = load_settings().redis.key_prefix
    key = build_reference_key(prefix, plan.customer, application.reference_id)
    if invitation_id.encode() in (redis.read_text(key) or b""):
        return False
    now, incidents = simulation.time.seconds, simulation.trouble.incidents
    damaged = any(one.kind == "a side note is damaged" and one.at <= now for one in incidents)
    made_at, is_near = application.made_at, simulation.trouble.is_near
    damaged |= any(one.kind in FORGETS and one.at <= now and made_at < one.end for one in incidents)
    answered_at = made_at + plan.quirks.create_takes_s
    return damaged or is_near(made_at, *UNLISTED) or is_near(answered_at, *UNLISTED)


def check_webhooks(simulation: Simulation, journey: Journey, known: OrderRound) -> None:
    """A start is known only by a webhook; and by one that came before its application was known."""
    application = known.application
    record = simulation.watch.latest.get(known.invitation_id)
    if record is None or application is None or record.state is State.ERASED:
        return
    if record.started_at is not None and not journey.plan.webhooks.begun:
        journey.complain("webhook", f"{record.id} was started, and nobody said so")
    held_at = application.held.get(BEGUN)
    reached = simulation.watch.reached
    invited_at = reached.get((record.id, State.INVITED))
    if held_at is None or invited_at is None or DONE in application.held:
        return  # an end that came early says more than a start, and replaces it
    # Not whether it is known in the end: the sender may have repeated it.
    known_at = min(
        reached.get((record.id, state), held_at + 60.0)
        for state in (State.STARTED, State.COMPLETED)
    )
    if known_at < max(held_at, invited_at) + HELD_S:
        return
    explained = simulation.trouble.explains_delay(
        held_at, max(held_at, invited_at) + HELD_S, journey.plan.customer, record.id
    )
    if not explained and not known.is_nameless:
        journey.complain("webhook", f"{record.id}: a start that came early is not known")
