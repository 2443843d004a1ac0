"""What an order gets."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from bridge.core.customers import RepeatAfterCompletion
from bridge.core.invitation import CreateOutcome, Invitation, OrderClaimChange, State
from bridge.core.lifecycle import orders
from bridge.core.lifecycle.events import ResultReported
from bridge.core.lifecycle.orders import OrderMatch
from tests.core.build import (
    COMPLETED,
    CREATING,
    DEADLINE,
    ERASED,
    EXPIRED,
    FAILED,
    GIVEN_UP,
    INVITED,
    ISSUED,
    LOST_AND_EXPIRED,
    LOST_BUT_COMPLETED,
    NOW,
    POLICY,
    REPORT,
    SECOND,
    STARTED,
    TWICE,
    UNCERTAIN,
    check,
    decide,
    opening,
)


def test_first_move_claims_the_order_and_queues_a_rescue() -> None:
    """A new invitation claims its order and is rescued by a CHECK if the process dies in the
    create.
    """
    step = opening()
    assert (State.CREATING, 0) == (step.invitation.state, step.invitation.version)
    assert (check(GIVEN_UP),) == step.tasks
    assert (OrderClaimChange.CLAIM, None, "order-1") == (step.order, step.replaces, step.order_key)
    assert [(1, "digest-1", CreateOutcome.PENDING)] == [
        (attempt.number, attempt.secret_digest, attempt.outcome)
        for attempt in step.invitation.attempts
    ]
    assert ("test-1", "Sales", 20) == (
        step.invitation.test_id,
        step.invitation.test_name,
        step.invitation.duration,
    )


@pytest.mark.parametrize(
    ("known", "at", "expected"),
    [
        (None, NOW, OrderMatch.NEW),
        (CREATING, NOW, OrderMatch.WAIT),
        (CREATING, GIVEN_UP, OrderMatch.RETRY),
        (TWICE, NOW, OrderMatch.WAIT),
        (TWICE, GIVEN_UP, OrderMatch.RETRY),
        (UNCERTAIN, NOW, OrderMatch.RETRY),
        (INVITED, NOW, OrderMatch.SAME),
        (STARTED, NOW, OrderMatch.SAME),
        (COMPLETED, NOW, OrderMatch.NEW),
        (EXPIRED, NOW, OrderMatch.NEW),
        (FAILED, NOW, OrderMatch.NEW),
        (ERASED, NOW, OrderMatch.NEW),
    ],
    ids=lambda value: value.state if isinstance(value, Invitation) else "",
)
def test_repeated_order(known: Invitation | None, at: datetime, expected: OrderMatch) -> None:
    """A repeated order is treated as the table of the architecture says."""
    assert expected is orders.match_order(known, POLICY, at)


def test_repeated_order_after_completion_may_be_the_same() -> None:
    """With ``after_completed: same`` a completed order is given its invitation again, even one that
    never had a link.
    """
    policy = replace(POLICY, after_completed=RepeatAfterCompletion.SAME)
    assert OrderMatch.SAME is orders.match_order(COMPLETED, policy, NOW)
    assert OrderMatch.SAME is orders.match_order(
        decide(LOST_BUT_COMPLETED, ISSUED).invitation, policy, NOW
    )
    assert OrderMatch.NEW is orders.match_order(EXPIRED, policy, NOW)


def test_result_of_a_lost_answer_is_handed_out_with_its_own_id() -> None:
    """A repeat of an order whose answer got lost, and whose result is here, gets that invitation;
    afterwards a new one.
    """
    assert OrderMatch.SAME is orders.match_order(LOST_BUT_COMPLETED, POLICY, NOW)
    assert OrderMatch.SAME is orders.match_order(
        decide(LOST_AND_EXPIRED, ResultReported(1, REPORT)).invitation, POLICY, NOW
    )
    assert OrderMatch.REPLACE is orders.match_order(LOST_AND_EXPIRED, POLICY, NOW)
    assert OrderMatch.NEW is orders.match_order(
        decide(LOST_BUT_COMPLETED, ISSUED).invitation, POLICY, NOW
    )


def test_dead_link_is_not_handed_out_again() -> None:
    """A repeat after the deadline gets a new invitation, even before a CHECK has called the old one
    expired.
    """
    assert OrderMatch.SAME is orders.match_order(INVITED, POLICY, DEADLINE - SECOND)
    assert OrderMatch.NEW is orders.match_order(INVITED, POLICY, DEADLINE)
    assert OrderMatch.SAME is orders.match_order(STARTED, POLICY, DEADLINE)
