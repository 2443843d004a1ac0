"""Records, policies and customers for the tests of the core, and one clock reading that all of them
start from.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bridge.core.assessment import Assessment, Trait
from bridge.core.assessment import Result as TestResult
from bridge.core.customers import Customer, Secret
from bridge.core.invitation import HireState, Invitation, State, Transition
from bridge.core.lifecycle import orders
from bridge.core.lifecycle.decide import decide as decide_with
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    ApplicationShared,
    AssessmentStarted,
    CreateAttemptStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
    HireCallEnded,
    HireCallStarted,
    HireRepeatAllowed,
    HireRequested,
    InvitationIdIssued,
    NoResultYet,
    ProviderUnreachable,
    ReportedResultAccepted,
    ResultConfirmed,
    ResultRefreshed,
    ResultReported,
)
from bridge.core.lifecycle.policy import LifecyclePolicy
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind
from bridge.equalture.settings import EqualtureAccount
from bridge.softgarden.settings import SoftgardenAccount

NOW = datetime(2025, 6, 2, 9, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
POLICY = LifecyclePolicy(link_life=7 * DAY, poll_every=30 * MINUTE, create_timeout=10 * SECOND)
DEADLINE = NOW + POLICY.link_life

REPORT = TestResult(fit="high", traits=(Trait("SEM", "Social empathy", 4, wanted=(4, 5)),))
OTHER_REPORT = TestResult(fit="low")


CALLBACK = "https://acme.softgarden.io/notify"


def opening(policy: LifecyclePolicy = POLICY) -> Transition:
    """The first move of an invitation, made at NOW."""
    return orders.create_invitation(
        invitation_id="iv_7" + "a" * 24,
        customer="acme",
        order_key="order-1",
        application_id="application-1",
        test=Assessment("test-1", "job-1", "Sales", duration=20),
        callback=CALLBACK,
        secret_digest="digest-1",
        replaces=None,
        order_held_by=None,
        policy=policy,
        now=NOW,
    )


def after(*events: Event, at: datetime = NOW) -> Invitation:
    """A new invitation to which *events* happened, all at once."""
    invitation = opening().invitation
    for event in events:
        invitation = decide(invitation, event, at).invitation
    return invitation


def decide(
    invitation: Invitation, event: Event, at: datetime = NOW, policy: LifecyclePolicy = POLICY
) -> Transition:
    """``decide``, with the usual policy at the usual time."""
    return decide_with(invitation, event, policy, at)


def check(at: datetime) -> ScheduleTask:
    """The CHECK task of this time."""
    return ScheduleTask(TaskKind.CHECK, at)


def notify(at: datetime) -> ScheduleTask:
    """The NOTIFY task of this time."""
    return ScheduleTask(TaskKind.NOTIFY, at)


def anonymise(at: datetime) -> ScheduleTask:
    """The ANONYMISE task of this time."""
    return ScheduleTask(TaskKind.ANONYMISE, at)


CREATED = ApplicationCreated(1, "reference-1", "https://test.example/1")
CREATED_2 = ApplicationCreated(2, "reference-2", "https://test.example/2")
SECOND_ATTEMPT = CreateAttemptStarted("digest-2", "https://acme.softgarden.io/second")

CREATING = after()
UNCERTAIN = after(CreateOutcomeUnknown(1))
TWICE = after(CreateOutcomeUnknown(1), SECOND_ATTEMPT)
"""The first attempt is lost, the second one is under way."""
ISSUED = InvitationIdIssued(CALLBACK)
INVITED = after(CREATED, ISSUED)
UNISSUED = after(CREATED)
"""The application is made, and softgarden was told that the create failed."""
STARTED = after(CREATED, ISSUED, AssessmentStarted(NOW))
EXPIRED = replace(INVITED, state=State.EXPIRED, expired_at=DEADLINE)
COMPLETED = after(CREATED, ISSUED, ResultConfirmed(REPORT))
UNCONFIRMED = after(CREATED, ISSUED, ResultReported(1, REPORT), ReportedResultAccepted())
LOST_BUT_COMPLETED = after(
    CreateOutcomeUnknown(1), ResultReported(1, REPORT), ReportedResultAccepted()
)
"""Completed by the report of an attempt whose reference id was never learnt."""
LOST_AND_EXPIRED = decide(UNCERTAIN, NoResultYet(), DEADLINE).invitation
FAILED = after(CreateFailed(1, "upstream_refused"))
ERASED = after(CREATED, ISSUED, ErasureRequested())
ORPHANED = after(CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, ISSUED, CREATED)
"""softgarden has the second attempt's link; the first attempt's application turned out to exist
too.
"""


TO_BE_HIRED = (HireRequested(add_to_team=True, start_date="2025-07-01"),)
PERHAPS_HIRED, HIRED = HireCallEnded(HireState.UNKNOWN), HireCallEnded(HireState.DONE)

GIVEN_UP = NOW + POLICY.create_timeout
POLL = NOW + POLICY.poll_every
STOP = CancelTask(TaskKind.CHECK)


EVENTS: dict[str, Event] = {
    "CreateAttemptStarted": SECOND_ATTEMPT,
    "ApplicationCreated": CREATED,
    "WithoutLink": ApplicationCreated(1, "reference-1", None),
    "CreateFailed": CreateFailed(1, "upstream_refused"),
    "CreateOutcomeUnknown": CreateOutcomeUnknown(1),
    "InvitationIdIssued": InvitationIdIssued("https://acme.softgarden.io/new"),
    "EmptyReport": ResultReported(1, None),
    "ReportReceived": ResultReported(1, REPORT),
    "AssessmentStarted": AssessmentStarted(NOW),
    "ResultConfirmed": ResultConfirmed(OTHER_REPORT),
    "ResultRefreshed": ResultRefreshed(OTHER_REPORT, visible_changed=True),
    "NoResultYet": NoResultYet(),
    "ProviderUnreachable": ProviderUnreachable(),
    "ReportAccepted": ReportedResultAccepted(),
    "ErasureRequested": ErasureRequested(),
    "ApplicationAnonymised": ApplicationAnonymised("reference-1"),
    "ApplicationShared": ApplicationShared("reference-1"),
    "HireRequested": HireRequested(add_to_team=True, start_date="2025-07-01"),
    "HireCallStarted": HireCallStarted(lease=7),
    "HireCallEnded": HireCallEnded(HireState.DONE),
    "HireRepeatAllowed": HireRepeatAllowed(),
}

RECORDS = {
    "creating": CREATING,
    "uncertain": UNCERTAIN,
    "invited": INVITED,
    "started": STARTED,
    "expired": EXPIRED,
    "unconfirmed": UNCONFIRMED,
    "completed": COMPLETED,
    "failed": FAILED,
    "erased": ERASED,
}
MORE_RECORDS = {
    **RECORDS,
    "twice": TWICE,
    "lost but completed": LOST_BUT_COMPLETED,
    "lost and expired": LOST_AND_EXPIRED,
    "orphaned": ORPHANED,
    "unissued": UNISSUED,
    "unissued and expired": decide(UNISSUED, NoResultYet(), DEADLINE).invitation,
    "to be hired": after(CREATED, ISSUED, ResultConfirmed(REPORT), *TO_BE_HIRED),
    "being hired": after(
        CREATED, ISSUED, ResultConfirmed(REPORT), *TO_BE_HIRED, HireCallStarted(7)
    ),
    "perhaps hired": after(CREATED, ISSUED, *TO_BE_HIRED, HireCallStarted(7), PERHAPS_HIRED),
    "hired": after(CREATED, ISSUED, ResultConfirmed(REPORT), *TO_BE_HIRED, HIRED),
    "reported": after(CREATED, ISSUED, ResultReported(1, REPORT)),
    "reported as lost": after(CreateOutcomeUnknown(1), ResultReported(1, REPORT)),
    "reported as orphan": decide(ORPHANED, ResultReported(1, REPORT)).invitation,
}


def customer(**changes: object) -> Customer:
    """A customer with every policy at its default, but for *changes*."""
    plain = Customer(
        key="acme",
        ats=SoftgardenAccount(tokens_sha256=("0" * 64,), client_id="client"),
        provider=EqualtureAccount(
            base_url="https://equalture.example", client_id="id", client_secret=Secret("secret")
        ),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
