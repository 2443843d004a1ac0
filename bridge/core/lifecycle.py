"""The only place where an invitation changes: ``decide(invitation, event, policy, now) -> Step``.

::

                 CreateFailed                  StartSeen
    CREATING -----------------> FAILED    INVITED ------> STARTED
       | \\                                   |  \\            |
       |  \\ CreateUnknown                     |   \\ResultSeen |
       |   '---------> UNCERTAIN --Created--> |    '----------+--> COMPLETED  (final but for erasure)
       | Created                              |                      ^
       '-----------> INVITED                  '--> EXPIRED ----------' ResultSeen (late)
    any state --ErasureRequested--> ERASED (a tombstone, final)

A report (HintSeen) on an open or expired invitation completes it: by the provider's own result
(ResultSeen), confirmed; by itself, unconfirmed, once the provider was silent for HINT_PATIENCE
(ProviderSilent), had nothing for DENIAL_PATIENCE or at the end (NotDoneSeen), or cannot be asked
about it (HintAccepted). It never expires with a report that nothing refuted.

COMPLETED and EXPIRED are told to softgarden if it has the id (Issued), else as soon as it gets it.

An event that changes nothing gives back the same record and no tasks. States only move forward;
``completed_at`` is set once. A repeat of a create is never decided here by itself: only a new order
of softgarden opens a new attempt.

A CHECK runs while other events come in, and ends when it has been decided on. So every event that
leaves an invitation open, or leaves a report to be looked into, sees to it that a CHECK is queued;
none relies on one that was queued before.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.core.assessment import Assessment, Result
from bridge.core.invitation import (
    OPEN,
    Attempt,
    CreateOutcome,
    Invitation,
    OrderChange,
    State,
    Transition,
    UnverifiedReport,
)
from bridge.core.queueing import CancelTask, ScheduleTask, TaskKind

UNREACHABLE_TIMEOUT = timedelta(seconds=30)
"""How long a callback's report waits for confirmation while the provider cannot be reached; then it
counts.
"""

NO_RESULT_TIMEOUT = timedelta(hours=1)
"""How long a report waits for confirmation while the provider answers that it has no result; then
it counts, too.

That answer refutes nothing: it may mean that the results are not published yet, or that they cannot
be had in the customer's language or with its rights; no vendor documents it. The report came with a
secret that only the provider was told, so it is as good as true, and HR must not wait until the
deadline for it. An hour leaves the provider every chance to say it itself, and what it says later
still corrects the report: it is looked for, and softgarden is told.
"""

STARTED_GRACE = timedelta(days=1)
"""How long after the deadline a test that is known to have been started may still be finished."""

REPEAT_WINDOW = timedelta(seconds=5)
"""A hint that is repeated word for word within this time changes nothing: it is looked into by then
anyway.
"""

LATE_WINDOW = timedelta(days=1)
"""How long after an expiry, or a later callback, we go on looking by ourselves (callbacks count for
ever).
"""

MIN_CHECK_DELAY = timedelta(seconds=1)
CONFIRMATION_DELAY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decisions depend on."""

    link_life: timedelta
    poll_every: timedelta
    create_bound: timedelta
    """After this long a create that nobody reported on is one whose outcome is unknown."""
    after_completed: str = "new"


@dataclass(frozen=True, slots=True)
class AttemptOpened:
    """softgarden repeated an order whose create has an unknown outcome."""

    secret_digest: str
    callback: str


@dataclass(frozen=True, slots=True)
class ApplicationCreated:
    """The provider made the application; no *assessment_url*: it broke its contract."""

    attempt: int
    reference_id: str
    assessment_url: str | None


@dataclass(frozen=True, slots=True)
class CreateFailed:
    """The application was surely not made; *code* is the error's."""

    attempt: int
    code: str


@dataclass(frozen=True, slots=True)
class CreateOutcomeUnknown:
    """Nobody knows whether the application was made."""

    attempt: int


@dataclass(frozen=True, slots=True)
class IdIssued:
    """softgarden is given the id, in an answer that follows this commit, and named the URL to
    notify.

    An answer that is then lost counts as given: nobody can tell.
    """

    callback: str


@dataclass(frozen=True, slots=True)
class ReportReceived:
    """Somebody who knows the secret of *attempt* says that there is a result."""

    attempt: int
    report: Result | None


@dataclass(frozen=True, slots=True)
class AssessmentStarted:
    """The candidate began."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ResultConfirmed:
    """The provider itself, asked with our token, gave this result."""

    result: Result


@dataclass(frozen=True, slots=True)
class ResultRefreshed:
    """An operator had the provider asked again: what it says now counts, also where a result was
    confirmed before.

    *shown*: softgarden shows something else of it than before.
    """

    result: Result
    shown: bool


@dataclass(frozen=True, slots=True)
class NoResultYet:
    """The provider itself says that there is no result yet (or there is nothing that could be asked
    about).
    """


@dataclass(frozen=True, slots=True)
class ProviderUnreachable:
    """The provider could not be asked."""


@dataclass(frozen=True, slots=True)
class ReportAccepted:
    """The report cannot be verified, since nothing can be asked about the attempt: it counts as it
    is.
    """


@dataclass(frozen=True, slots=True)
class ErasureRequested:
    """softgarden or an operator wants the candidate's data gone."""


@dataclass(frozen=True, slots=True)
class ApplicationAnonymised:
    """The provider has anonymised this application."""

    reference_id: str


@dataclass(frozen=True, slots=True)
class ApplicationShared:
    """Another living invitation has this application too, so it must not be anonymised now.

    That invitation's own erasure will have it anonymised: the debt passes to whoever is erased
    last.
    """

    reference_id: str


Event = (
    AttemptOpened
    | ApplicationCreated
    | CreateFailed
    | CreateOutcomeUnknown
    | IdIssued
    | ReportReceived
    | AssessmentStarted
    | ResultConfirmed
    | ResultRefreshed
    | NoResultYet
    | ProviderUnreachable
    | ReportAccepted
    | ErasureRequested
    | ApplicationAnonymised
    | ApplicationShared
)


# ------------------------------------------------------------------------------------------------------- questions


@dataclass(frozen=True, slots=True)
class AskProvider:
    """Ask the provider about this application; *doubted*: for its result too, whatever its status
    may be.

    A status word is no documented one but "completed"; where there is a hint, only the result
    itself decides.
    """

    reference_id: str
    with_result: bool = False


@dataclass(frozen=True, slots=True)
class ApplyEvent:
    """Nothing to ask: this event follows from the record and the time alone."""

    event: Event


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Look again at this time."""

    until: datetime


def next_check(
    invitation: Invitation, policy: Policy, now: datetime
) -> AskProvider | ApplyEvent | WaitUntil | None:
    """What a CHECK has to find out; None: nothing any more."""
    if not _unsettled(invitation):
        return None
    pending = _pending(invitation)
    if pending is not None:
        given_up_at = pending.started_at + policy.create_bound
        return (
            WaitUntil(given_up_at)
            if now < given_up_at
            else ApplyEvent(CreateOutcomeUnknown(pending.number))
        )
    reference_id = current_reference(invitation)
    if reference_id is not None:
        return AskProvider(reference_id, with_result=invitation.unverified_report is not None)
    if _report(invitation) is not None:
        return ApplyEvent(ReportAccepted())
    if invitation.state in OPEN:
        end = _end(invitation, policy)
        return WaitUntil(end) if now < end else ApplyEvent(NoResultYet())
    return None


def current_reference(invitation: Invitation) -> str | None:
    """The provider's id of the application that counts: the one reported on, else the one whose
    link softgarden got.

    None where nothing can be asked: the create's answer was lost, or the orphan is anonymised. A
    report on such an attempt is never looked for in another application; a hint without a report
    is.
    """
    ids = {
        attempt.number: None if attempt.anonymised else attempt.reference_id
        for attempt in invitation.attempts
    }
    unverified_report, live = invitation.unverified_report, ids.get(invitation.live_attempt)
    if unverified_report is None:
        return live
    return (
        ids[unverified_report.attempt]
        if unverified_report.report is not None
        else ids[unverified_report.attempt] or live
    )


def applications_to_anonymise(invitation: Invitation) -> tuple[str, ...]:
    """Reference ids that the provider still has to anonymise: all of a tombstone's, else the
    orphans'.
    """
    owed = (attempt.reference_id for attempt in invitation.attempts if _owed(invitation, attempt))
    return tuple(dict.fromkeys(reference_id for reference_id in owed if reference_id is not None))


def uses_application(invitation: Invitation, reference_id: str) -> bool:
    """Whether the invitation lives by this application: an anonymised one would take something from
    it.
    """
    living = invitation.state not in (State.ERASED, State.FAILED)
    return living and any(
        attempt.reference_id == reference_id
        and not attempt.anonymised
        and not _owed(invitation, attempt)
        for attempt in invitation.attempts
    )


def unreachable_timeout_at(
    invitation: Invitation, policy: Policy, now: datetime
) -> datetime | None:
    """When waiting for a silent provider will end in a decision without it; None: it will not, or
    is overdue.
    """
    ends = []
    if invitation.unverified_report is not None and invitation.unverified_report.report is not None:
        ends.append(invitation.unverified_report.seen_at + UNREACHABLE_TIMEOUT)
    if invitation.state in OPEN:
        ends.append(_end(invitation, policy) + UNREACHABLE_TIMEOUT)
    return min((end for end in ends if end > now), default=None)


def create_in_progress(invitation: Invitation, policy: Policy, now: datetime) -> bool:
    """Whether a create call may still be on its way, so that its outcome will be told soon."""
    pending = _pending(invitation)
    return pending is not None and now < pending.started_at + policy.create_bound


def can_be_started(invitation: Invitation, policy: Policy, now: datetime) -> bool:
    """Whether the candidate may still be led to the test: open, with a link, and not past its end."""
    return (
        invitation.state in OPEN
        and invitation.assessment_url is not None
        and now < _end(invitation, policy)
    )


# ---------------------------------------------------------------------------------------------------------- orders


class OrderMatch(enum.Enum):
    """What to do with an order, given the latest invitation of the same order."""

    NEW = "new"
    SAME = "same"
    WAIT = "wait"
    RETRY = "retry"


def match_order(known: Invitation | None, policy: Policy, now: datetime) -> OrderMatch:
    """How an order is treated: open ones are the same, uncertain ones get a new attempt, all others
    a new invitation.
    """
    if known is None:
        return OrderMatch.NEW
    if known.state in (State.CREATING, State.UNCERTAIN):
        return OrderMatch.WAIT if create_in_progress(known, policy, now) else OrderMatch.RETRY
    if known.state in (State.INVITED, State.STARTED):
        # Past its end it is as good as expired, even where no CHECK has said so yet: its link is
        # dead.
        return OrderMatch.SAME if now < _end(known, policy) else OrderMatch.NEW
    if not known.issued and (known.state is State.COMPLETED or _report(known) is not None):
        # A result came in for an order whose answer got lost. Only under its own id can softgarden
        # ever get to it.
        return OrderMatch.SAME
    if known.state is State.COMPLETED and policy.after_completed == "same":
        return OrderMatch.SAME
    return OrderMatch.NEW


def open_invitation(
    *,
    invitation_id: str,
    customer: str,
    order_key: str,
    application_id: str,
    test: Assessment,
    callback: str,
    secret_digest: str,
    replaces: str | None,
    policy: Policy,
    now: datetime,
) -> Transition:
    """The first move: the order is claimed, and a CHECK rescues the record should this process die
    in the create.
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
        attempts=(Attempt(number=1, secret_digest=secret_digest, started_at=now),),
        callback=callback,
        replaces=replaces,
    )
    rescue = ScheduleTask(TaskKind.CHECK, now + policy.create_bound)
    return Transition(invitation, (rescue,), OrderChange.CLAIM, replaces, order_key)


# --------------------------------------------------------------------------------------------------------- decide


def decide(invitation: Invitation, event: Event, policy: Policy, now: datetime) -> Transition:
    """What *event* makes of *invitation*: total over every state and event, without I/O."""
    match event:
        case AttemptOpened():
            step = _attempt_opened(invitation, event, policy, now)
        case ApplicationCreated():
            step = _created(invitation, event, policy, now)
        case CreateFailed():
            step = _create_failed(invitation, event, policy, now)
        case CreateOutcomeUnknown():
            step = _create_unknown(invitation, event, policy, now)
        case IdIssued(callback):
            step = _issued(invitation, callback, policy, now)
        case ReportReceived():
            step = _report_received(invitation, event, policy, now)
        case AssessmentStarted(at):
            step = _start_seen(invitation, at, policy, now)
        case ResultConfirmed(result):
            step = _result_seen(invitation, result, now)
        case ResultRefreshed():
            step = _result_refreshed(invitation, event, now)
        case NoResultYet():
            step = _not_done(invitation, policy, now)
        case ProviderUnreachable():
            step = _provider_silent(invitation, policy, now)
        case ReportAccepted():
            step = _accept_report(invitation, now)
        case ErasureRequested():
            step = _erase(invitation, now)
        case ApplicationAnonymised(reference_id):
            step = _anonymised(invitation, reference_id)
        case ApplicationShared(
            reference_id
        ):  # pragma: no branch (mypy proves that nothing else is left)
            step = _held_elsewhere(invitation, reference_id)
    # What the provider still has to anonymise must not be forgotten, however long that takes.
    step = replace(_prioritised(step), expires=not applications_to_anonymise(step.invitation))
    if step.invitation == invitation:
        return step
    return replace(step, invitation=replace(step.invitation, updated_at=now))


def _prioritised(step: Transition) -> Transition:
    """A report that waits to be looked into, and a fresh result, go ahead of polls, expiries and
    repetitions.
    """
    invitation = step.invitation
    urgent = {
        TaskKind.CHECK: invitation.unverified_report is not None,
        TaskKind.NOTIFY: invitation.state is State.COMPLETED,
        TaskKind.ANONYMISE: False,
    }
    tasks = (
        replace(task, urgent=urgent[task.kind]) if isinstance(task, ScheduleTask) else task
        for task in step.tasks
    )
    return replace(step, tasks=tuple(tasks))


def _attempt_opened(
    invitation: Invitation, event: AttemptOpened, policy: Policy, now: datetime
) -> Transition:
    if invitation.state not in (State.CREATING, State.UNCERTAIN):
        return Transition(invitation)
    earlier = tuple(
        replace(attempt, outcome=CreateOutcome.UNKNOWN)
        if attempt.outcome is CreateOutcome.PENDING
        else attempt
        for attempt in invitation.attempts
    )
    attempt = Attempt(number=len(earlier) + 1, secret_digest=event.secret_digest, started_at=now)
    opened = replace(
        invitation, state=State.UNCERTAIN, attempts=(*earlier, attempt), callback=event.callback
    )
    return Transition(opened, (ScheduleTask(TaskKind.CHECK, _soon(opened, policy, now)),))


def _created(
    invitation: Invitation, event: ApplicationCreated, policy: Policy, now: datetime
) -> Transition:
    def with_outcome(outcome: CreateOutcome) -> Invitation:
        return _with_attempt(
            invitation, event.attempt, outcome=outcome, reference_id=event.reference_id
        )

    attempt = _attempt(invitation, event.attempt)
    if attempt.reference_id is not None or attempt.anonymised:
        return Transition(invitation)
    if invitation.state in (State.ERASED, State.FAILED):
        return Transition(
            with_outcome(CreateOutcome.CREATED), (ScheduleTask(TaskKind.ANONYMISE, now),)
        )
    if (
        invitation.live_attempt
        and event.reference_id == _attempt(invitation, invitation.live_attempt).reference_id
    ):
        # The provider took both creates for one application: no orphan, it is the one whose link
        # softgarden got.
        return Transition(with_outcome(CreateOutcome.CREATED))
    if invitation.live_attempt:
        return Transition(
            with_outcome(CreateOutcome.ORPHAN), (ScheduleTask(TaskKind.ANONYMISE, now),)
        )
    if event.assessment_url is None and invitation.state in OPEN:
        failed = _failed(with_outcome(CreateOutcome.CREATED), "upstream_broken")
        tasks = (CancelTask(TaskKind.CHECK), ScheduleTask(TaskKind.ANONYMISE, now))
        return Transition(failed, tasks, OrderChange.RELEASE, order_key=invitation.order_key)
    linked = replace(
        with_outcome(CreateOutcome.CREATED),
        assessment_url=event.assessment_url,
        deadline=attempt.started_at + policy.link_life,
        live_attempt=event.attempt,
    )
    if invitation.state not in OPEN:
        # Too late for the candidate, but now there is something to ask about.
        return Transition(
            linked, (ScheduleTask(TaskKind.CHECK, now),) if _unsettled(linked) else ()
        )
    invited = replace(linked, state=State.INVITED)
    return Transition(invited, (ScheduleTask(TaskKind.CHECK, _soon(invited, policy, now)),))


def _create_failed(
    invitation: Invitation, event: CreateFailed, policy: Policy, now: datetime
) -> Transition:
    if _attempt(invitation, event.attempt).outcome not in (
        CreateOutcome.PENDING,
        CreateOutcome.UNKNOWN,
    ):
        return Transition(invitation)
    told = _with_attempt(invitation, event.attempt, outcome=CreateOutcome.FAILED)
    if invitation.state not in (State.CREATING, State.UNCERTAIN):
        return Transition(
            told,
            (ScheduleTask(TaskKind.CHECK, _soon(told, policy, now)),) if _unsettled(told) else (),
        )
    if any(attempt.outcome is not CreateOutcome.FAILED for attempt in told.attempts):
        return Transition(
            replace(told, state=State.UNCERTAIN),
            (ScheduleTask(TaskKind.CHECK, _soon(told, policy, now)),),
        )
    return Transition(
        _failed(told, event.code),
        (CancelTask(TaskKind.CHECK),),
        OrderChange.RELEASE,
        order_key=invitation.order_key,
    )


def _failed(invitation: Invitation, code: str) -> Invitation:
    """Nobody was given its id, so nobody could ever ask for its deletion: nothing of the candidate
    stays.

    Kept are the attempts, should one turn out to exist after all, and what those who wait for the
    same order are told.
    """
    return replace(
        invitation,
        state=State.FAILED,
        order_key="",
        application_id="",
        callback="",
        assessment_url=None,
        unverified_report=None,
        replaces=None,
        issued=False,
        failure=code,
    )


def _issued(invitation: Invitation, callback: str, policy: Policy, now: datetime) -> Transition:
    if invitation.state in (State.ERASED, State.FAILED):
        return Transition(invitation)
    given = replace(invitation, issued=True, callback=callback)
    if invitation.state in OPEN:
        return Transition(given)
    # A lost create was reported on or ran out; the answer names a deadline all the same.
    given = replace(given, deadline=_deadline(invitation, policy))
    return Transition(given, () if invitation.issued else _tell(given, now))


def _create_unknown(
    invitation: Invitation, event: CreateOutcomeUnknown, policy: Policy, now: datetime
) -> Transition:
    if _attempt(invitation, event.attempt).outcome is not CreateOutcome.PENDING:
        return Transition(invitation)
    lost = _with_attempt(invitation, event.attempt, outcome=CreateOutcome.UNKNOWN)
    if lost.state is State.CREATING:
        lost = replace(lost, state=State.UNCERTAIN)
    return Transition(
        lost, (ScheduleTask(TaskKind.CHECK, _soon(lost, policy, now)),) if _unsettled(lost) else ()
    )


def _start_seen(invitation: Invitation, at: datetime, policy: Policy, now: datetime) -> Transition:
    if invitation.state is not State.INVITED:
        return Transition(invitation)
    started = replace(invitation, state=State.STARTED, started_at=at)
    return Transition(started, (ScheduleTask(TaskKind.CHECK, _next_check(started, policy, now)),))


def _report_received(
    invitation: Invitation, event: ReportReceived, policy: Policy, now: datetime
) -> Transition:
    if not _unsettled(invitation):
        return Transition(invitation)
    if invitation.state is State.COMPLETED:
        # The first completion counts; another hint can only make us confirm it sooner.
        return Transition(
            invitation,
            (ScheduleTask(TaskKind.CHECK, now),)
            if current_reference(invitation) is not None
            else (),
        )
    with_report = replace(invitation, unverified_report=_weightier(invitation, event, now))
    if (
        with_report == invitation
        and with_report.unverified_report is not None
        and now < with_report.unverified_report.seen_at + REPEAT_WINDOW
    ):
        return Transition(
            invitation
        )  # known word for word, and a CHECK is as good as due: a storm of these writes nothing
    return Transition(with_report, (ScheduleTask(TaskKind.CHECK, _soon(with_report, policy, now)),))


def _weightier(invitation: Invitation, event: ReportReceived, now: datetime) -> UnverifiedReport:
    """The hint to keep: of one attempt the latest report, of several one with a report, best on the
    link softgarden got.
    """
    new, old = UnverifiedReport(event.attempt, now, event.report), invitation.unverified_report
    if old is None:
        return new
    if new.attempt != old.attempt:

        def weight(unverified_report: UnverifiedReport) -> tuple[bool, bool]:
            return (
                unverified_report.report is not None,
                unverified_report.attempt == invitation.live_attempt,
            )

        return max(old, new, key=weight)
    # After an expiry a hint that the provider denied for a whole day has been settled: this one is
    # about something new.
    denied = invitation.state is State.EXPIRED and now >= old.seen_at + LATE_WINDOW
    return UnverifiedReport(old.attempt, now if denied else old.seen_at, new.report or old.report)


def _result_seen(invitation: Invitation, result: Result, now: datetime) -> Transition:
    if invitation.state in OPEN or invitation.state is State.EXPIRED:
        done = _complete(invitation, result, now, confirmed=True)
        return Transition(done, (CancelTask(TaskKind.CHECK), *_tell(done, now)))
    if invitation.state is State.COMPLETED and not invitation.confirmed:
        corrected = invitation.result is None or _outcome(result) != _outcome(invitation.result)
        confirmed = replace(invitation, result=result, confirmed=True, unverified_report=None)
        return Transition(
            confirmed, (CancelTask(TaskKind.CHECK), *(_tell(confirmed, now) if corrected else ()))
        )
    return Transition(invitation)


def _result_refreshed(invitation: Invitation, event: ResultRefreshed, now: datetime) -> Transition:
    if invitation.state is not State.COMPLETED:
        return _result_seen(invitation, event.result, now)
    fresh = replace(invitation, result=event.result, confirmed=True, unverified_report=None)
    if fresh == invitation:
        return Transition(invitation)
    return Transition(
        fresh, (CancelTask(TaskKind.CHECK), *(_tell(fresh, now) if event.shown else ()))
    )


def _tell(invitation: Invitation, now: datetime) -> tuple[ScheduleTask, ...]:
    """The notification that softgarden is owed; none of an id that it never got."""
    return (ScheduleTask(TaskKind.NOTIFY, now),) if invitation.issued else ()


def _outcome(result: Result) -> object:
    """What softgarden shows of a result: not its language, nor which of its dashboard links the
    provider gave.
    """
    return result.fit, sorted(
        (trait.code, trait.score or 0, trait.wanted) for trait in result.traits
    )


def _not_done(invitation: Invitation, policy: Policy, now: datetime) -> Transition:
    over = invitation.state in OPEN and now >= _end(invitation, policy)
    if _beyond_asking(invitation) or _counts(
        invitation, timedelta(0) if over else NO_RESULT_TIMEOUT, now
    ):
        return _accept_report(invitation, now)
    if over:
        return _expire(invitation, policy, now)
    if not _unsettled(invitation):
        return Transition(invitation)
    if invitation.state in OPEN or (
        _askable(invitation) and now < _looks_until(invitation, policy)
    ):
        return Transition(
            invitation, (ScheduleTask(TaskKind.CHECK, _next_check(invitation, policy, now)),)
        )
    return Transition(invitation, (CancelTask(TaskKind.CHECK),))


def _provider_silent(invitation: Invitation, policy: Policy, now: datetime) -> Transition:
    if _beyond_asking(invitation) or _counts(invitation, UNREACHABLE_TIMEOUT, now):
        return _accept_report(invitation, now)
    if _report(invitation) is not None:
        return Transition(invitation)
    if invitation.state in OPEN and now >= _end(invitation, policy) + UNREACHABLE_TIMEOUT:
        return _expire(invitation, policy, now)
    if (
        invitation.state not in OPEN
        and _unsettled(invitation)
        and now >= _looks_until(invitation, policy)
    ):
        return Transition(invitation, (CancelTask(TaskKind.CHECK),))
    return Transition(invitation)


def _accept_report(invitation: Invitation, now: datetime) -> Transition:
    report = _report(invitation)
    if report is None:
        return Transition(invitation)
    done = _complete(invitation, report, now, confirmed=False)
    check = (
        ScheduleTask(TaskKind.CHECK, now + CONFIRMATION_DELAY)
        if _askable(done)
        else CancelTask(TaskKind.CHECK)
    )
    return Transition(done, (check, *_tell(done, now)))


def _erase(invitation: Invitation, now: datetime) -> Transition:
    if invitation.state is State.ERASED:
        return Transition(invitation)
    tombstone = Invitation(
        id=invitation.id,
        customer=invitation.customer,
        state=State.ERASED,
        created_at=invitation.created_at,
        updated_at=now,
        attempts=tuple(
            replace(attempt, reference_id=None) if attempt.anonymised else attempt
            for attempt in invitation.attempts
        ),
        erased_at=now,
        version=invitation.version,
    )
    owed = (
        (ScheduleTask(TaskKind.ANONYMISE, now + MIN_CHECK_DELAY),)
        if applications_to_anonymise(tombstone)
        else (CancelTask(TaskKind.ANONYMISE),)
    )
    tasks = (CancelTask(TaskKind.CHECK), CancelTask(TaskKind.NOTIFY), *owed)
    return Transition(tombstone, tasks, OrderChange.RELEASE, order_key=invitation.order_key)


def _anonymised(invitation: Invitation, reference_id: str) -> Transition:
    def settled(attempt: Attempt) -> Attempt:
        if attempt.reference_id != reference_id:
            return attempt
        kept = None if invitation.state in (State.ERASED, State.FAILED) else reference_id
        return replace(attempt, anonymised=True, reference_id=kept)

    return Transition(replace(invitation, attempts=tuple(map(settled, invitation.attempts))))


def _held_elsewhere(invitation: Invitation, reference_id: str) -> Transition:
    def handed_over(attempt: Attempt) -> Attempt:
        mine = attempt.reference_id == reference_id and _owed(invitation, attempt)
        return replace(attempt, reference_id=None) if mine else attempt

    return Transition(replace(invitation, attempts=tuple(map(handed_over, invitation.attempts))))


# --------------------------------------------------------------------------------------------------------- helpers


def _complete(
    invitation: Invitation, result: Result, now: datetime, *, confirmed: bool
) -> Invitation:
    # The provider names no completion time: ours is when we first learnt of it, set once
    # (introduction, 5b).
    first_learnt = (
        invitation.unverified_report.seen_at if invitation.unverified_report is not None else now
    )
    return replace(
        invitation,
        state=State.COMPLETED,
        completed_at=invitation.completed_at or first_learnt,
        result=result,
        confirmed=confirmed,
        unverified_report=None if confirmed else invitation.unverified_report,
    )


def _expire(invitation: Invitation, policy: Policy, now: datetime) -> Transition:
    expired = replace(invitation, state=State.EXPIRED, expired_at=_deadline(invitation, policy))
    later = min(_next_check(expired, policy, now), now + LATE_WINDOW)
    check = ScheduleTask(TaskKind.CHECK, later) if _askable(expired) else CancelTask(TaskKind.CHECK)
    return Transition(expired, (check, *_tell(expired, now)))


def _deadline(invitation: Invitation, policy: Policy) -> datetime:
    return invitation.deadline or invitation.attempts[-1].started_at + policy.link_life


def _end(invitation: Invitation, policy: Policy) -> datetime:
    deadline = _deadline(invitation, policy)
    return deadline + STARTED_GRACE if invitation.started_at is not None else deadline


def _looks_until(invitation: Invitation, policy: Policy) -> datetime:
    """When we stop asking by ourselves about a late completion, or for the confirmation of a
    report.
    """
    since = invitation.completed_at or _end(invitation, policy)
    return (
        max(
            since,
            invitation.unverified_report.seen_at
            if invitation.unverified_report is not None
            else since,
        )
        + LATE_WINDOW
    )


def _soon(invitation: Invitation, policy: Policy, now: datetime) -> datetime:
    """The next CHECK after a change: at once where there is a hint, as soon as no create is under
    way any more.
    """
    at_once = invitation.unverified_report is not None and _pending(invitation) is None
    return now if at_once else _next_poll(invitation, policy, now)


def _next_poll(invitation: Invitation, policy: Policy, now: datetime) -> datetime:
    pending = _pending(invitation)
    if pending is not None:
        return max(pending.started_at + policy.create_bound, now)
    end = _end(invitation, policy)
    if current_reference(invitation) is None:
        return max(end, now)
    poll = now + policy.poll_every
    return min(poll, end) if end > now else poll


def _next_check(invitation: Invitation, policy: Policy, now: datetime) -> datetime:
    poll = _next_poll(invitation, policy, now)
    if invitation.unverified_report is None:
        return poll
    # A hint that is not true yet: look again after as long as it has waited, so quickly first and
    # seldom later.
    again = min(poll, now + max(MIN_CHECK_DELAY, now - invitation.unverified_report.seen_at))
    return (
        again
        if _report(invitation) is None
        else min(again, invitation.unverified_report.seen_at + NO_RESULT_TIMEOUT)
    )


def _unsettled(invitation: Invitation) -> bool:
    """Could the provider's answer, or a report, still change something?"""
    if invitation.state is State.COMPLETED:
        return not invitation.confirmed
    return invitation.state in OPEN or invitation.state is State.EXPIRED


def _report(invitation: Invitation) -> Result | None:
    """The report that completes the invitation unless the provider does it first."""
    waiting = invitation.state in OPEN or invitation.state is State.EXPIRED
    return (
        invitation.unverified_report.report
        if waiting and invitation.unverified_report is not None
        else None
    )


def _counts(invitation: Invitation, patience: timedelta, now: datetime) -> bool:
    """A report has waited for as long as it has to."""
    unverified_report = invitation.unverified_report
    return (
        unverified_report is not None
        and _report(invitation) is not None
        and now >= unverified_report.seen_at + patience
    )


def _owed(invitation: Invitation, attempt: Attempt) -> bool:
    """Has the provider to anonymise this attempt's application?"""
    if attempt.reference_id is None or attempt.anonymised:
        return False
    return (
        invitation.state in (State.ERASED, State.FAILED) or attempt.outcome is CreateOutcome.ORPHAN
    )


def _askable(invitation: Invitation) -> bool:
    """Is there, or may there be in a moment, an application to ask about?"""
    return current_reference(invitation) is not None or _pending(invitation) is not None


def _beyond_asking(invitation: Invitation) -> bool:
    """There is a report, and the provider cannot have been asked about it: whatever it said or not
    was about another one.
    """
    return _report(invitation) is not None and not _askable(invitation)


def _pending(invitation: Invitation) -> Attempt | None:
    last = invitation.attempts[-1] if invitation.attempts else None
    return last if last is not None and last.outcome is CreateOutcome.PENDING else None


def _attempt(invitation: Invitation, number: int) -> Attempt:
    return invitation.attempts[number - 1]


def _with_attempt(
    invitation: Invitation, number: int, *, outcome: CreateOutcome, reference_id: str | None = None
) -> Invitation:
    changed = replace(_attempt(invitation, number), outcome=outcome, reference_id=reference_id)
    attempts = (*invitation.attempts[: number - 1], changed, *invitation.attempts[number:])
    return replace(invitation, attempts=attempts)
