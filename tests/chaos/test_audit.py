"""The audit is not blind: each kind of broken promise, planted by hand into evidence that was fine,
is found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.core.invitation import Invitation, State
from bridge.core.queueing import TaskKind
from bridge.sandbox import Application, BridgeReply, LedgerEntry
from tests.chaos.actors import Round
from tests.chaos.audit import HARMLESS, Findings, audit
from tests.chaos.evidence import Evidence
from tests.chaos.faults import DAMAGE, KILL, LOST_REPLIES, REFUSED_DISK, Incident
from tests.chaos.plan import HASTY, HASTY_LIFE_S, MARK

NOW = datetime(2025, 6, 2, 9, 0, tzinfo=UTC)
SPOILT = (7, "garbage:check")
IV, REF, EMAIL = "iv_0abc", "ref-1", "c1@chaos.example"
DONE = {
    "status": "COMPLETED",
    "completionTime": "2025-06-02T09:00:05Z",
    "result": {"resultUrl": "u", "score": "high"},
}
PENDING = {"status": "PENDING", "result": {"resultUrl": "u"}}


def entry(operation: str, at: float, status: int, **more: Any) -> LedgerEntry:
    """A call that took half a second, *at* seconds after the beginning."""
    made: dict[str, Any] = {
        "number": 1,
        "direction": "made",
        "method": "GET",
        "path": "/",
        "query": {},
        "duration_ms": 500.0,
    }
    started = NOW + timedelta(seconds=at)
    return LedgerEntry(
        **(
            made
            | {"operation": operation, "status": status, "started": started, "began": at}
            | more
        )
    )


def create(at: float, reference_id: str | None = REF, **more: Any) -> LedgerEntry:
    """A create of the one candidate there is."""
    asked = {"applicant_details": {"email": EMAIL}}
    return entry("create", at, 201, reference_id=reference_id, request_json=asked, **more)


def invite(at: float, status: int, candidate: str = "c1") -> LedgerEntry:
    """softgarden orders."""
    answer = {"invitationId": IV} if status == 200 else None
    return entry(
        "invite", at, status, request_json={"candidate": {"id": candidate}}, response_json=answer
    )


def read(at: float, answer: dict[str, Any] | None) -> LedgerEntry:
    """softgarden reads the result; None: 404."""
    return entry(
        "results", at, 404 if answer is None else 200, response_json=answer or {}, invitation_id=IV
    )


def told(at: float, state: str, status: int = 204) -> LedgerEntry:
    """softgarden is notified, and reads this state."""
    return entry("notify", at, status, invitation_id=IV, response_json={"read": state})


def application(reference_id: str = REF, state: Any = "completed") -> Application:
    """Equalture's side."""
    return Application(
        reference_id=reference_id,
        number=1,
        account="acme",
        job_id="j",
        job_name="j",
        callback_url=f"http://b/equalture/callbacks/{IV}/secret",
        first_name="",
        last_name="",
        email="",
        invitation_type="one_time_link",
        link_token=f"token-of-{reference_id}",
        assessment_url=f"http://e/{reference_id}",
        created_at=NOW,
        state=state,
    )


def record(state: State = State.COMPLETED) -> Invitation:
    """The bridge's side."""
    return Invitation(
        id=IV,
        customer="acme",
        order_key="",
        application_id="c1",
        test_id="t",
        test_name="t",
        duration=None,
        state=state,
        created_at=NOW,
        updated_at=NOW,
        attempts=(),
    )


def reply(status: int, answer: Any) -> BridgeReply:
    """What softgarden reads in the end."""
    return BridgeReply(status, answer, "", {}, 1.0)


def completed() -> Evidence:
    """One journey that went well."""
    known = Round("acme", "c1", EMAIL, "high", 0.0)
    known.answers = [{"invitationId": IV, "testUrl": f"http://e/{REF}"}]
    known.answered_at, known.reference_id, known.finished_at, known.callback_told = (
        1.0,
        REF,
        3.0,
        True,
    )
    known.due = "COMPLETED"
    return Evidence(
        rounds=[known],
        applications={REF: application()},
        makers={REF: 0},
        creates=[create(0.1)],
        reads=[read(2.0, PENDING), read(5.0, DONE), read(9.0, DONE)],
        notifications=[told(4.8, "COMPLETED")],
        answers=[invite(0.0, 200)],
        records={IV: record()},
        finals={IV: reply(200, DONE)},
        redis="nothing private",
    )


def deleted() -> Evidence:
    """The same, deleted afterwards."""
    evidence = completed()
    evidence.rounds[0].deleting_at, evidence.rounds[0].deleted_at, evidence.rounds[0].due = (
        10.0,
        11.0,
        None,
    )
    evidence.applications = {REF: application(state="anonymized")}
    evidence.records, evidence.finals = {IV: record(State.ERASED)}, {IV: reply(404, {})}
    evidence.reads.append(read(12.0, None))
    return evidence


def restored() -> Evidence:
    """It was invited before a backup, and completed twice: before that was restored, and again."""
    evidence = completed()
    evidence.restored = (2.5, 20.0)
    evidence.reads += [read(21.0, PENDING), read(22.0, DONE | {"completionTime": "2025-06-02"})]
    return evidence


def forgotten() -> Evidence:
    """It was invited after a backup that was restored."""
    evidence = restored()
    evidence.restored = (0.5, 20.0)
    evidence.rounds[0].forgotten, evidence.rounds[0].due = True, None
    evidence.rounds[0].odd.append("callback: 404")
    evidence.records, evidence.finals = {}, {IV: reply(404, {})}
    evidence.reads.append(read(23.0, None))
    return evidence


def second(evidence: Evidence, at: float, **more: Any) -> None:
    """One more application for the same order."""
    evidence.creates.append(create(at, "ref-2", **more))
    evidence.applications = {**evidence.applications, "ref-2": application("ref-2", "invited")}
    evidence.makers = {**evidence.makers, "ref-2": 0}


def _expired_untold(evidence: Evidence) -> None:
    known = evidence.rounds[0]
    known.finished_at, known.callback_told, known.due = None, False, "EXPIRED"
    answer = {"status": "EXPIRED", "expirationTime": "x", "result": {"resultUrl": "u"}}
    evidence.records, evidence.finals = {IV: record(State.EXPIRED)}, {IV: reply(200, answer)}
    evidence.reads, evidence.notifications = [], []


def _put_aside(evidence: Evidence, times: int) -> None:
    evidence.planted, evidence.put_aside = Counter({SPOILT: 1}), frozenset({SPOILT})
    evidence.said[SPOILT[1]] = times


Plant = Callable[[Evidence], None]

PLANTED: dict[str, tuple[str, Callable[[], Evidence], Plant]] = {
    "still pending": (
        "lost_results",
        completed,
        lambda e: setattr(e, "finals", {IV: reply(200, PENDING)}),
    ),
    "not in Redis": ("lost_results", completed, lambda e: setattr(e, "records", {})),
    "another's result": ("lost_results", completed, lambda e: setattr(e.rounds[0], "fit", "low")),
    "never told": ("lost_notifications", completed, lambda e: setattr(e, "notifications", [])),
    "told too early": (
        "lost_notifications",
        completed,
        lambda e: setattr(e, "notifications", [told(2.0, "PENDING")]),
    ),
    "told in vain": (
        "lost_notifications",
        completed,
        lambda e: setattr(e, "notifications", [told(5, "COMPLETED", 500)]),
    ),
    "expiry never told": ("lost_notifications", completed, _expired_untold),
    "id never given": (
        "never_issued",
        completed,
        lambda e: setattr(e, "answers", [invite(0.0, 504)]),
    ),
    "id given too late": (
        "never_issued",
        completed,
        lambda e: setattr(e, "answers", [invite(5.0, 200)]),
    ),
    "another's answer lost": (
        "never_issued",
        completed,
        lambda e: setattr(e, "answers", [invite(0.0, 0, "c2")]),
    ),
    "made twice": ("duplicate_applications", completed, lambda e: second(e, 5.0)),
    "made twice at once": ("duplicate_applications", completed, lambda e: second(e, 0.05)),
    "asked twice": (
        "duplicate_applications",
        completed,
        lambda e: e.creates.append(create(6.0, None)),
    ),
    "backwards": ("illegal_changes", completed, lambda e: e.reads.append(read(12.0, PENDING))),
    "lost for a while": (
        "illegal_changes",
        completed,
        lambda e: e.reads.insert(1, read(3.0, None)),
    ),
    "another time": (
        "illegal_changes",
        completed,
        lambda e: e.reads.append(read(12.0, DONE | {"completionTime": "2025-06-02T09:00:06Z"})),
    ),
    "another invitation": (
        "illegal_changes",
        completed,
        lambda e: e.rounds[0].answers.append({"invitationId": "iv_0x"}),
    ),
    "back from the dead": ("illegal_changes", deleted, lambda e: e.reads.append(read(13.0, DONE))),
    "not anonymised": (
        "undeleted",
        deleted,
        lambda e: setattr(e, "applications", {REF: application()}),
    ),
    "not erased": ("undeleted", deleted, lambda e: setattr(e, "records", {IV: record()})),
    "traces of the person": ("undeleted", deleted, lambda e: setattr(e, "redis", "x c1 x")),
    "traces of the application": (
        "undeleted",
        deleted,
        lambda e: setattr(e, "redis", f"x {REF} x"),
    ),
    "a name": ("undeleted", completed, lambda e: setattr(e, "redis", MARK)),
    "a 500": ("server_errors", completed, lambda e: e.answers.append(entry("invite", 1.0, 500))),
    "a crash": ("server_errors", completed, lambda e: e.crashes.append("worker.died")),
    "a broken rule": ("violations", completed, lambda e: e.violations.append("422")),
    "an odd answer": ("unexpected", completed, lambda e: e.rounds[0].odd.append("invite: 400")),
    "what a strike saw": ("unkept", completed, lambda e: e.unkept.append("not ready")),
    "skipped in silence": (
        "not_put_aside",
        completed,
        lambda e: setattr(e, "planted", Counter({SPOILT: 1})),
    ),
    "put aside in silence": ("not_put_aside", completed, lambda e: _put_aside(e, 0)),
    "said again and again": ("not_put_aside", completed, lambda e: _put_aside(e, 2)),
    "lost by no restore": ("lost_results", restored, lambda e: setattr(e, "records", {})),
    "made anew after a restore": (
        "duplicate_applications",
        restored,
        lambda e: second(e, 21.0),
    ),
    "backwards after a restore": (
        "illegal_changes",
        restored,
        lambda e: e.reads.append(read(23.0, PENDING)),
    ),
}


def broken(found: Findings) -> set[str]:
    """The names of the promises that were broken."""
    return {
        each.name
        for each in fields(found)
        if getattr(found, each.name) and each.name not in HARMLESS
    }


@pytest.mark.parametrize("evidence", [completed, deleted, restored, forgotten])
def test_what_went_well_is_fine(evidence: Callable[[], Evidence]) -> None:
    """A journey that went as it should leaves nothing to complain of."""
    assert broken(audit(evidence())) == set()


def test_lost_answer_may_have_had_the_id() -> None:
    """An order without any answer (its process was killed) may have been given the id."""
    assert broken(audit(replace(completed(), answers=[invite(0.0, 0)]))) == set()


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_is_found(name: str) -> None:
    """Each broken promise is found, under its own name."""
    kind, make, plant = PLANTED[name]
    evidence = make()
    plant(evidence)
    assert kind in broken(audit(evidence))


@pytest.mark.parametrize(
    ("reason", "explained"),
    [
        ({"fault": "create drop='after'"}, True),
        ({"fault": "create status_after=500"}, True),
        ({"fault": "create status=503"}, False),
        ({}, False),
    ],
)
def test_orphans_need_a_fault_of_their_own(reason: dict[str, str], explained: bool) -> None:
    """An application beside the one with the link is an orphan if a fault hid its create's answer,
    else a duplicate.
    """
    evidence = completed()
    second(evidence, 0.05, **reason)
    found = audit(evidence)
    assert (len(found.orphans), len(found.duplicate_applications)) == (
        (1, 0) if explained else (0, 1)
    )


@pytest.mark.parametrize(("named", "fine"), [(IV, True), ("iv_other", False)])
def test_what_a_fault_answered_is_judged_by_its_body(named: str, fine: bool) -> None:
    """A notification that a fault answered, before the fake looked into it, is of the invitation
    that its body names.
    """
    evidence = completed()
    faulted = replace(
        told(1.0, "COMPLETED", 429), invitation_id=None, request_json={"invitationId": named}
    )
    evidence.notifications = [faulted, *evidence.notifications]
    assert (audit(evidence).never_issued == []) is fine


@pytest.mark.parametrize(
    ("at", "duplicate"), [(HASTY_LIFE_S - 1.0, True), (HASTY_LIFE_S + 1.0, False)]
)
def test_a_dead_link_is_no_duplicate(at: float, duplicate: bool) -> None:
    """Another application after the first one's link had died is none too many, though its record
    was deleted since.
    """
    evidence = completed()
    evidence.creates[0] = create(0.0, "ref-0")
    first = replace(application("ref-0", "anonymized"), account=HASTY)
    evidence.applications = {**evidence.applications, "ref-0": first}
    evidence.makers = {**evidence.makers, "ref-0": 0}
    evidence.creates.append(create(at))
    assert bool(audit(evidence).duplicate_applications) is duplicate


@pytest.mark.parametrize(
    ("at", "victim", "explained"),
    [(0.3, 0, True), (1.9, 0, True), (0.3, 1, False), (3.0, 0, False), (-1.0, 0, False)],
)
def test_orphans_need_a_kill_of_their_own(at: float, victim: int, explained: bool) -> None:
    """A kill explains an orphan only if it struck the process that made it, before that could write
    it down.
    """
    evidence = completed()
    second(evidence, 0.05)
    evidence.incidents = [Incident(KILL, at, at + 1, (victim,))]
    assert bool(audit(evidence).orphans) is explained


def test_a_dead_letter_is_no_loss() -> None:
    """A notification that was given up, visibly, is reported as a dead letter and not as lost."""
    evidence = replace(completed(), notifications=[], dead=frozenset({(IV, TaskKind.NOTIFY)}))
    found = audit(evidence)
    assert (found.lost_notifications, len(found.dead_letters)) == ([], 1)


@pytest.mark.parametrize(("at", "explained"), [(1.0, False), (2.2, True), (19.0, True)])
def test_a_restore_explains_what_was_made_before_it(at: float, explained: bool) -> None:
    """An application that was made after the backup, and before it was restored, is an orphan."""
    evidence = restored()
    evidence.rounds[0].reference_id = "ref-2"
    evidence.creates = [create(at)]
    second(evidence, 21.0)
    found = audit(evidence)
    assert (len(found.orphans), len(found.duplicate_applications)) == (
        (1, 0) if explained else (0, 1)
    )


@pytest.mark.parametrize(
    ("outages", "explained"),
    [
        ([(0.0, 3.8)], True),
        ([(0.0, 2.0)], False),
        ([(0.0, 2.0), (2.1, 4.0)], True),
        ([(0.0, 2.0), (3.0, 5.0)], False),
    ],
)
def test_orphans_need_a_long_outage(outages: list[tuple[float, float]], explained: bool) -> None:
    """Redis explains an orphan only if it was away for as long as a process keeps trying."""
    evidence = completed()
    second(evidence, 0.05)
    evidence.incidents = [Incident(REFUSED_DISK, *when) for when in outages]
    assert bool(audit(evidence).orphans) is explained


@pytest.mark.parametrize(("kind", "fine"), [(KILL, True), (LOST_REPLIES, True), (DAMAGE, False)])
def test_silence_needs_a_reason(kind: str, fine: bool) -> None:
    """What was put aside is said, but by a process that dies in between, or never hears that it was
    the first.
    """
    evidence = completed()
    _put_aside(evidence, 0)
    evidence.incidents = [Incident(kind, 1.0, 2.0)]
    assert (audit(evidence).not_put_aside == []) is fine
