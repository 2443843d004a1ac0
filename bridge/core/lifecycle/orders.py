"""What an order of the ATS gets: the invitation that exists, another attempt, or a new one."""

from __future__ import annotations

import enum
from datetime import datetime

from bridge.core.assessment import Assessment
from bridge.core.customers import RepeatAfterCompletion
from bridge.core.invitation import CreateAttempt, Invitation, OrderClaimChange, State, Transition
from bridge.core.lifecycle.attempts import is_create_in_progress
from bridge.core.lifecycle.confirmation import get_unconfirmed_result
from bridge.core.lifecycle.policy import LifecyclePolicy
from bridge.core.lifecycle.timing import get_invitation_expiry
from bridge.core.queueing import ScheduleTask, TaskKind


class OrderMatch(enum.StrEnum):
    """What to do with an order, given the latest invitation of the same order."""

    NEW = "new"
    """Open another invitation."""
    SAME = "same"
    """Give the invitation that exists."""
    WAIT = "wait"
    """A create is under way: wait for its outcome."""
    RETRY = "retry"
    """The outcome of the create is unknown: open another attempt."""
    REPLACE = "replace"
    """Erase it, and open another one in its place: it expired before the ATS got its id, so the ATS
    could never ask for its deletion.
    """


def match_order(known: Invitation | None, policy: LifecyclePolicy, now: datetime) -> OrderMatch:
    """How to treat an order whose latest invitation is *known*."""
    if known is None:
        return OrderMatch.NEW
    if known.state in (State.CREATING, State.UNCERTAIN):
        return OrderMatch.WAIT if is_create_in_progress(known, policy, now) else OrderMatch.RETRY
    if known.state in (State.INVITED, State.STARTED):
        # Past its end it counts as expired, even if no CHECK has recorded that yet: its link is
        # dead.
        return OrderMatch.SAME if now < get_invitation_expiry(known, policy) else OrderMatch.NEW
    completed = known.state is State.COMPLETED
    if not known.issued and (completed or get_unconfirmed_result(known) is not None):
        # The answer to this order got lost and a result came in. The ATS can only ever get that
        # result under the id of this invitation.
        return OrderMatch.SAME
    if completed and policy.after_completed is RepeatAfterCompletion.SAME:
        return OrderMatch.SAME
    unreachable = known.state is State.EXPIRED and not known.issued
    return OrderMatch.REPLACE if unreachable else OrderMatch.NEW


def create_invitation(
    *,
    invitation_id: str,
    customer: str,
    order_key: str,
    application_id: str,
    test: Assessment,
    callback: str,
    secret_digest: str,
    replaces: str | None,
    order_held_by: str | None,
    policy: LifecyclePolicy,
    now: datetime,
) -> Transition:
    """The first transition: it claims the order, and queues a CHECK that takes over if this process
    dies during the create.

    *replaces* is the earlier invitation of the same order; *order_held_by* the invitation that must
    still hold the order's key, None: the key must be free.
    """
    invitation = Invitation(
        id=invitation_id,
        customer=customer,
        order_key=order_key,
        application_id=application_id,
        test_id=test.id,
        test_name=test.name,
        duration=test.duration,
        state=State.CREATING,
        created_at=now,
        updated_at=now,
        attempts=(CreateAttempt(number=1, secret_digest=secret_digest, started_at=now),),
        callback=callback,
        replaces=replaces,
    )
    rescue = ScheduleTask(TaskKind.CHECK, now + policy.create_timeout)
    return Transition(invitation, (rescue,), OrderClaimChange.CLAIM, order_held_by, order_key)
