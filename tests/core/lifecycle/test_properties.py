from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.invitation import OPEN, Invitation, State, Transition
from bridge.core.lifecycle import attempts, checks, timing
from bridge.core.lifecycle.checks import ApplyEvent, AskProvider, WaitUntil
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ApplicationCreated,
    AssessmentStarted,
    CreateAttemptStarted,
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
    InvitationIdIssued,
    NoResultYet,
    ProviderUnreachable,
    ReportedResultAccepted,
    ResultConfirmed,
    ResultRefreshed,
    ResultReported,
)
from bridge.core.lifecycle.policy import UNREACHABLE_TIMEOUT, LifecyclePolicy
from bridge.core.queueing import ScheduleTask, TaskKind
from tests.core.build import DAY, HOUR, MINUTE, NOW, OTHER_REPORT, REPORT, SECOND, opening

ORDER = (
    State.CREATING,
    State.UNCERTAIN,
    State.INVITED,
    State.STARTED,
    State.EXPIRED,
    State.COMPLETED,
    State.FAILED,
    State.ERASED,
)
"""The written-down order: a state is only ever followed by itself or one behind it."""

PERSONAL = (
    "application-1",
    "order-1",
    "test-1",
    "Sales",
    "softgarden.io",
    "test.example",
    "Social empathy",
    "high",
)


@dataclass
class World:
    """One invitation, its task queue and a clock: what the store and the worker do with the steps
    of ``decide``.

    As in the store, a task that is put on the queue while it is leased is what remains when the
    lease ends, and one that is cancelled meanwhile does not come back.
    """

    policy: LifecyclePolicy
    now: datetime = NOW
    queue: dict[TaskKind, datetime] = field(default_factory=dict)
    seen: list[Invitation] = field(default_factory=list, repr=False)
    notified: int = 0
    refreshed: int = 0
    leased: bool = False

    def __post_init__(self) -> None:
        self._commit(opening(self.policy))

    @property
    def record(self) -> Invitation:
        return self.seen[-1]

    def happen(self, event: Event) -> None:
        """An event that is not an answer to a CHECK; it is left out where nobody could tell of
        it.
        """
        self.refreshed += isinstance(event, ResultRefreshed)
        number = getattr(event, "attempt", 1)
        if number <= len(self.record.attempts):
            self._commit(decide(self.record, event, self.policy, self.now))

    def check(self, answer: Event, meanwhile: Sequence[Event] = ()) -> None:
        """A worker performs the CHECK that is due; other events happen between its question and the
        decision.
        """
        if self.queue.get(TaskKind.CHECK, self.now + SECOND) > self.now:
            return
        asked = self.record
        question = checks.decide_next_check(asked, self.policy, self.now)
        del self.queue[TaskKind.CHECK]
        self.leased = True
        for event in meanwhile:
            self.happen(event)
        match question:
            case WaitUntil(until):
                self._again(until)
            case ApplyEvent(event):
                self.happen(event)
            case AskProvider():
                self.happen(answer)
                if isinstance(answer, ProviderUnreachable) and self.record.state is asked.state:
                    ends = timing.get_unreachable_timeout(self.record, self.policy, self.now)
                    self._again(min(self.now + HOUR, ends or self.now + HOUR))
        self.leased = False

    def go_on(self, answer: Event) -> None:
        """Perform every CHECK in its time, always with this answer, until there is none or a year
        has passed.
        """
        for _ in range(10_000):
            due = self.queue.get(TaskKind.CHECK)
            if due is None or due > NOW + 400 * DAY:
                return
            self.now = max(self.now, due)
            self.check(answer)
        raise AssertionError("the checks never end")

    def _again(self, at: datetime) -> None:
        if self.leased:
            self.queue.setdefault(TaskKind.CHECK, at)

    def _commit(self, step: Transition) -> None:
        self.seen.append(step.invitation)
        for task in step.tasks:
            if isinstance(task, ScheduleTask):
                self.queue[task.kind] = task.at
                self.notified += task.kind is TaskKind.NOTIFY
            else:
                self.queue.pop(task.kind, None)
                self.leased = self.leased and task.kind is not TaskKind.CHECK


numbers = st.integers(1, 3)
reports = st.sampled_from([None, REPORT, OTHER_REPORT])
outside = st.one_of(
    st.builds(CreateAttemptStarted, st.just("digest"), st.just("https://acme.softgarden.io/again")),
    st.builds(
        lambda number, link: ApplicationCreated(
            number, f"reference-{number}", "https://test.example/x" if link else None
        ),
        numbers,
        st.sampled_from([True, True, True, False]),
    ),
    st.builds(CreateFailed, numbers, st.just("upstream_refused")),
    st.builds(CreateOutcomeUnknown, numbers),
    st.builds(ResultReported, numbers, reports),
    st.builds(AssessmentStarted, st.just(NOW)),
    st.builds(InvitationIdIssued, st.just("https://acme.softgarden.io/new")),
    st.builds(ApplicationAnonymised, st.builds("reference-{}".format, numbers)),
)
erasures = st.builds(ErasureRequested)
answers = st.sampled_from(
    [NoResultYet(), ProviderUnreachable(), ResultConfirmed(REPORT), ResultConfirmed(OTHER_REPORT)]
)
refreshes = st.builds(ResultRefreshed, st.sampled_from([REPORT, OTHER_REPORT]), st.booleans())
anything = st.one_of(
    outside, outside, answers, st.builds(ReportedResultAccepted), erasures, refreshes
)
pauses = st.one_of(
    st.sampled_from(
        [timedelta(0), SECOND, 10 * SECOND, UNREACHABLE_TIMEOUT, MINUTE, HOUR, DAY, 7 * DAY]
    ),
    st.timedeltas(timedelta(0), 10 * DAY),
)
policies = st.builds(
    LifecyclePolicy,
    link_life=st.timedeltas(HOUR, 30 * DAY),
    poll_every=st.timedeltas(10 * MINUTE, 2 * DAY),
    create_timeout=st.timedeltas(SECOND, MINUTE),
)
bounded = settings(max_examples=150, deadline=None)


@st.composite
def worlds(draw: st.DrawFn, events: st.SearchStrategy[Event] = outside) -> World:
    """A world with a history: events, time passing, and CHECKs performed late or early, with events
    in between.
    """
    world = World(draw(policies))
    for _ in range(draw(st.integers(0, 12))):
        match draw(st.sampled_from(["event", "event", "pause", "check"])):
            case "event":
                world.happen(draw(events))
            case "pause":
                world.now += draw(pauses)
            case "check":
                world.check(draw(answers), draw(st.lists(events, max_size=2)))
    return world


@bounded
@given(worlds(anything))
def test_states_only_move_forward(world: World) -> None:
    """No sequence of events raises or takes an invitation back in the written-down order."""
    places = [ORDER.index(record.state) for record in world.seen]
    assert sorted(places) == places


@bounded
@given(worlds(anything))
def test_completion_time_never_changes(world: World) -> None:
    """There is at most one completion time in a life."""
    times = {record.completed_at for record in world.seen if record.completed_at is not None}
    assert len(times) <= 1


@bounded
@given(worlds(anything))
def test_result_never_vanishes_but_by_erasure(world: World) -> None:
    """Exactly the completed records have a result, and only an operator's refresh changes a
    confirmed one.
    """
    assert [one.state is State.COMPLETED for one in world.seen] == [
        one.result is not None for one in world.seen
    ]
    assert len({str(one.result) for one in world.seen if one.confirmed}) <= 1 + world.refreshed


@bounded
@given(worlds(anything), st.lists(outside, max_size=5))
def test_erased_record_holds_nothing_of_the_candidate(world: World, later: list[Event]) -> None:
    """After an erasure no event brings anything of the candidate back."""
    world.happen(ErasureRequested())
    for event in later:
        world.happen(event)
    record = world.record
    told = "".join(
        str(value)
        for value in (
            record.order_key,
            record.application_id,
            record.test_id,
            record.test_name,
            record.callback,
            record.assessment_url,
            record.unconfirmed_result,
            record.result,
            record.deadline,
            record.started_at,
            record.completed_at,
            record.failure,
            repr(record),
        )
    )
    assert [] == [word for word in PERSONAL if word in told]
    # A CHECK of a create that was under way has still to say whether that got lost.
    assert {TaskKind.ANONYMISE, TaskKind.CHECK} >= set(world.queue)


@bounded
@given(worlds(anything))
def test_reference_ids_of_a_tombstone_are_all_to_anonymise(world: World) -> None:
    """A tombstone knows no reference id but those to anonymise, which a queued task
    does.
    """
    world.happen(ErasureRequested())
    known = tuple(
        attempt.reference_id
        for attempt in world.record.attempts
        if attempt.reference_id is not None
    )
    assert known == attempts.list_applications_to_anonymise(world.record)
    assert not known or TaskKind.ANONYMISE in world.queue
    step = decide(world.record, ErasureRequested(), world.policy, world.now)
    assert step.expires == (not known)


@bounded
@given(worlds(anything))
def test_open_invitation_always_has_a_check_queued(world: World) -> None:
    """Whatever happened, and whatever ran at the same time, an open invitation will be looked at
    again.
    """
    assert (TaskKind.CHECK in world.queue) or world.record.state not in OPEN


@bounded
@given(worlds(anything))
def test_every_end_is_notified(world: World) -> None:
    """Each step to COMPLETED or EXPIRED, or of such a one to softgarden's knowledge, queues a
    NOTIFY; nothing else does.
    """
    ends = [
        after.state
        for before, after in zip(world.seen, world.seen[1:], strict=False)
        if after.issued
        and (after.state, after.issued) != (before.state, before.issued)
        and after.state in (State.COMPLETED, State.EXPIRED)
    ]
    assert world.notified >= len(ends)
    assert not world.notified or any(record.issued for record in world.seen)


@bounded
@given(
    worlds(),
    numbers,
    st.sampled_from([NoResultYet(), ProviderUnreachable()]),
    st.lists(outside, max_size=3),
)
def test_report_never_expires(world: World, number: int, answer: Event, later: list[Event]) -> None:
    """Whether the provider is silent or has no result: an open or expired invitation with a report
    is completed.
    """
    if number > len(world.record.attempts) or world.record.state not in OPEN | {State.EXPIRED}:
        return
    world.happen(ResultReported(number, REPORT))
    for event in later:
        world.happen(event)
    reported = (
        world.record.unconfirmed_result is not None
        and world.record.unconfirmed_result.report is not None
    )
    world.go_on(answer)
    assert world.record.state is State.COMPLETED or not reported


@bounded
@given(worlds(), st.sampled_from([NoResultYet(), ProviderUnreachable()]))
def test_nothing_is_pending_for_ever(world: World, answer: Event) -> None:
    """With a provider that has nothing to say, or is gone, every invitation comes to an end by its
    checks alone.
    """
    world.go_on(answer)
    assert world.record.state not in OPEN


@bounded
@given(
    worlds(),
    numbers,
    st.lists(outside.filter(lambda event: not isinstance(event, CreateFailed)), max_size=3),
)
def test_report_is_never_dropped(world: World, number: int, later: list[Event]) -> None:
    """With a silent provider, a report on an open or expired invitation completes it, whatever else
    happens then.
    """
    if number > len(world.record.attempts) or world.record.state not in OPEN | {State.EXPIRED}:
        return
    world.happen(ResultReported(number, REPORT))
    for event in later:
        world.happen(event)
    world.go_on(ProviderUnreachable())
    assert world.record.state in (State.COMPLETED, State.FAILED)
    # FAILED: an application without link, of which softgarden was told that it failed.
    broken = any(
        isinstance(event, ApplicationCreated) and event.assessment_url is None for event in later
    )
    assert broken or world.record.state is State.COMPLETED


@bounded
@given(worlds(), numbers)
def test_confirmation_follows_once_the_provider_answers(world: World, number: int) -> None:
    """A report on an application that can be asked about ends in the provider's own result when
    that answers.
    """
    if number > len(world.record.attempts) or world.record.state not in OPEN | {State.EXPIRED}:
        return
    world.happen(ResultReported(number, REPORT))
    askable = attempts.choose_reference_to_check(world.record) is not None
    world.go_on(ResultConfirmed(OTHER_REPORT))
    assert State.COMPLETED is world.record.state
    assert world.record.confirmed or not askable
