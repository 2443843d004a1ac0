"""The comparison, by id and without I/O: what softgarden and Equalture were told against what
became of it.

Nothing is forgiven here but what the interface forgives: an application whose create has an unknown
outcome is an orphan, if a fault that was injected into that very call, or a kill at that moment,
explains it; a notification may come twice. Where an older backup was restored, rounds that were
answered after it was made are unknown, what was read before says nothing of what is read after, and
whatever was written down in between is explained by it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bridge.core.invitation import State
from bridge.core.queueing import TaskKind
from bridge.sandbox import Application, LedgerEntry
from bridge.store.key_names import KeyNames
from tests.chaos.actors import Round
from tests.chaos.evidence import Evidence, by_order
from tests.chaos.faults import KILLS, LOST_REPLIES, STORE_AWAY, Incident
from tests.chaos.plan import HASTY, HASTY_LIFE_S, MAIL, MARK
from tests.chaos.stage import EQUALTURE_TIMEOUT_S, PREFIX
from tests.chaos.vendors import invitation_of

WRITTEN_WITHIN_S = 1.5
"""A process killed later than this after Equalture's answer has written it down, unless Redis was
away.
"""
READ_WITHIN_S = 0.25
"""How long a request that was sent may wait in the vendor's socket, that is, in this busy process,
until it "begins".
"""
KEPT_TRYING_S = 5.0
"""How long a process tries to write it down while Redis is away, at most."""
GAVE_UP_AFTER_S = 3.0
"""The same, at least."""
TOO_SHORT_S = 0.5
"""Between two outages of Redis: perhaps nobody has tried just then."""
_RANK = {"PENDING": 0, "EXPIRED": 1, "COMPLETED": 2, "404": 3}
_LOSING = ("drop='after'", "status_after", "hang", "body=")


@dataclass(slots=True)
class Findings:
    """What the comparison found, in words with ids; everything but ``HARMLESS`` is a broken
    promise.
    """

    lost_results: list[str] = field(default_factory=list)
    lost_notifications: list[str] = field(default_factory=list)
    never_issued: list[str] = field(default_factory=list)
    """Notifications of ids that softgarden had not been given."""
    duplicate_applications: list[str] = field(default_factory=list)
    illegal_changes: list[str] = field(default_factory=list)
    undeleted: list[str] = field(default_factory=list)
    server_errors: list[str] = field(default_factory=list)
    """Answers with 500, and bugs in the log."""
    violations: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    """Answers that a patient caller could not expect, and private words in the log."""
    unkept: list[str] = field(default_factory=list)
    """What a strike itself waited for in vain, or saw."""
    not_put_aside: list[str] = field(default_factory=list)
    """Damaged entries that are not listed, or not said exactly once."""
    orphans: list[str] = field(default_factory=list)
    duplicate_notifications: list[str] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    """Where softgarden's own patience ended."""
    forgotten: list[str] = field(default_factory=list)
    """Younger than the backup that was restored."""


HARMLESS = ("orphans", "duplicate_notifications", "dead_letters", "given_up", "forgotten")


def audit(evidence: Evidence) -> Findings:
    """Compare everything."""
    found = Findings()
    orders = by_order(evidence)
    notified = _notified(evidence)
    for known, creates in orders:
        if known.forgotten:
            found.forgotten.append(f"{known.candidate_id}: {known.invitation_id}")
            continue
        _applications(evidence, known, creates, found)
        if known.invitation_id is None:
            found.given_up.append(f"{known.candidate_id}: never invited after all tries")
            continue
        _outcome(evidence, known, notified[known.invitation_id], found)
    _issues(evidence, found)
    _changes(evidence, found)
    _deletions(evidence, found)
    _errors(evidence, found)
    _damage(evidence, found)
    for invitation_id, states in notified.items():
        found.duplicate_notifications += [
            f"{invitation_id}: {state} told {count} times"
            for state, count in states.items()
            if count > 1
        ]
    found.dead_letters += [
        f"{invitation_id}:{kind}" for invitation_id, kind in sorted(evidence.dead)
    ]
    return found


def _notified(evidence: Evidence) -> defaultdict[str, Counter[str]]:
    """Invitation id -> states that softgarden saw upon notifications which it answered with 204."""
    notified: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in evidence.notifications:
        if entry.status == 204 and entry.invitation_id is not None:
            notified[entry.invitation_id][entry.response_json["read"]] += 1
    return notified


def _applications(
    evidence: Evidence, known: Round, creates: list[LedgerEntry], found: Findings
) -> None:
    """One application for one order while it is open."""
    holder: LedgerEntry | None = None
    for entry in creates:
        name = f"{known.candidate_id}: {entry.reference_id or 'a refused create'}"
        if holder is not None and _open(evidence, holder, entry):
            found.duplicate_applications.append(
                f"{name} besides {holder.reference_id}, which is open"
            )
        elif entry.reference_id is None:
            continue
        elif entry.reference_id == known.reference_id:
            holder = entry
        elif why := _explained(evidence, entry):
            state = evidence.applications[entry.reference_id].state
            found.orphans.append(f"{name}: {why}; {state}")
        else:
            holder = entry


def _open(evidence: Evidence, holder: LedgerEntry, later: LedgerEntry) -> bool:
    """Whether the invitation that *holder* was made for was still open when *later* began."""
    application = evidence.applications[str(holder.reference_id)]
    if application.account == HASTY and later.started - holder.started >= timedelta(
        seconds=HASTY_LIFE_S
    ):
        # Its link was dead; if it was deleted since, its record no longer says when it expired.
        return False
    record = evidence.records.get(invitation_of(application.callback_url))
    return record is None or record.expired_at is None or record.expired_at > later.started


def _explained(evidence: Evidence, entry: LedgerEntry) -> str | None:
    """The injected fault, or the kill, by which the bridge could not learn of this application."""
    if entry.fault is not None and any(word in entry.fault for word in _LOSING):
        return entry.fault
    end = entry.ended
    if evidence.restored is not None and evidence.restored[0] <= end <= evidence.restored[1]:
        return "a backup was restored that does not have it"
    redis = _list_outages(evidence)
    away = any(incident.at < end + WRITTEN_WITHIN_S and incident.until > end for incident in redis)
    latest = end + (KEPT_TRYING_S + WRITTEN_WITHIN_S if away else WRITTEN_WITHIN_S)
    maker = evidence.makers[str(entry.reference_id)]
    for incident in evidence.incidents:
        killed = incident.kind in KILLS and maker in incident.bridges
        if killed and entry.began - READ_WITHIN_S <= incident.at <= latest:
            return f"{incident.kind} {incident.at - entry.began:.2f} s after the create began"
    for incident in redis:
        if incident.at <= end and incident.until >= end + GAVE_UP_AFTER_S:
            return f"{incident.kind} for {incident.until - incident.at:.1f} s"
    slow = entry.duration_ms / 1000 >= EQUALTURE_TIMEOUT_S
    if slow and any(stall.at <= end and stall.until >= entry.began for stall in evidence.stalls):
        return "this process was too slow to answer as a vendor"
    return None


def _list_outages(evidence: Evidence) -> list[Incident]:
    """When Redis was away; what followed at once is one outage."""
    found: list[Incident] = []
    for incident in sorted(evidence.incidents, key=lambda incident: incident.at):
        if incident.kind not in STORE_AWAY:
            continue
        earlier = found.pop() if found and incident.at < found[-1].until + TOO_SHORT_S else None
        found.append(replace(earlier or incident, until=incident.until))
    return found


def _outcome(evidence: Evidence, known: Round, notified: Counter[str], found: Findings) -> None:
    """The result and the notification of one invitation that softgarden knows."""
    if known.deleting_at is not None:
        return
    invitation_id = str(known.invitation_id)
    final, record = evidence.finals[invitation_id], evidence.records.get(invitation_id)
    status = final.json.get("status") if final.status == 200 else str(final.status)
    stored = record.state if record is not None else None
    if known.callback_told or known.finished_at is not None:
        score = final.json.get("result", {}).get("score") if final.status == 200 else None
        if status != "COMPLETED" or stored is not State.COMPLETED or score != known.fit:
            told = (
                "Equalture was told 200" if known.callback_told else "the application is completed"
            )
            found.lost_results.append(
                f"{invitation_id}: {told}, but it is {status} ({stored}, score {score})"
            )
    elif status != "EXPIRED":
        found.lost_notifications.append(
            f"{invitation_id}: its link has died, but it is {status} ({stored})"
        )
    if status in ("COMPLETED", "EXPIRED") and not notified[status]:
        letter = (invitation_id, TaskKind.NOTIFY) in evidence.dead
        if not letter:
            found.lost_notifications.append(f"{invitation_id}: {status}, told {dict(notified)}")


def _issues(evidence: Evidence, found: Findings) -> None:
    """softgarden is notified of nothing but ids that it was given; an answer that got lost on its
    way counts as given.
    """
    given: dict[str, float] = {}
    unanswered: list[tuple[float, str]] = []
    for entry in evidence.answers:
        if entry.operation == "invite" and entry.status == 200:
            invitation_id = entry.response_json["invitationId"]
            given[invitation_id] = min(entry.began, given.get(invitation_id, entry.began))
        elif entry.operation == "invite" and entry.status == 0:
            unanswered.append((entry.began, entry.request_json["candidate"]["id"]))
    for entry in evidence.notifications:
        # What a fault answered was not looked into by the fake: then the body alone says whose it
        # was.
        invitation_id = str(entry.invitation_id or (entry.request_json or {}).get("invitationId"))
        if given.get(invitation_id, float("inf")) <= entry.began:
            continue
        record = evidence.records.get(invitation_id)
        candidate = record.application_id if record is not None else ""
        if not any(
            began <= entry.began and candidate in ("", whose) for began, whose in unanswered
        ):
            found.never_issued.append(
                f"{invitation_id}: notified, though no answer with 200 or none at all had it"
            )


def _changes(evidence: Evidence, found: Findings) -> None:
    """What softgarden read, in order: states move forward only, times stay, and a deletion is for
    good.
    """
    reads: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    forgotten = {known.invitation_id for known in evidence.rounds if known.forgotten}
    for entry in evidence.reads:
        if entry.status in (200, 404) and entry.invitation_id not in forgotten:
            reads[str(entry.invitation_id)].append(entry)
    deleting = {
        known.invitation_id: known for known in evidence.rounds if known.deleting_at is not None
    }
    for known in evidence.rounds:
        if not known.forgotten and any(answer != known.answers[0] for answer in known.answers):
            found.illegal_changes.append(
                f"{known.invitation_id}: repeated orders got {known.answers}"
            )
    for invitation_id, entries in reads.items():
        entries.sort(key=lambda entry: entry.began)
        for era in _split(evidence, entries):
            _in_order(invitation_id, era, found)
            _one_answer(invitation_id, era, found)
        known_deletion = deleting.get(invitation_id)
        begun = known_deletion.deleting_at if known_deletion is not None else None
        ended = known_deletion.deleted_at if known_deletion is not None else None
        for entry in entries:
            if entry.status == 404 and (begun is None or entry.ended < begun):
                found.illegal_changes.append(f"{invitation_id}: 404 though nobody deleted it")
            if entry.status == 200 and ended is not None and entry.began > ended:
                found.illegal_changes.append(
                    f"{invitation_id}: read after its deletion was confirmed"
                )


def _split(evidence: Evidence, entries: list[LedgerEntry]) -> list[list[LedgerEntry]]:
    """What was read before an older backup was restored, and after it."""
    if evidence.restored is None:
        return [entries]
    _, at = evidence.restored
    return [
        [entry for entry in entries if entry.ended < at],
        [entry for entry in entries if entry.began > at],
    ]


def _one_answer(invitation_id: str, entries: list[LedgerEntry], found: Findings) -> None:
    """``completionTime`` and ``resultUrl`` never change."""
    answers = [entry.response_json for entry in entries if entry.status == 200]
    times = {answer.get("completionTime") for answer in answers} - {None}
    pages = {answer["result"]["resultUrl"] for answer in answers}
    if len(times) > 1 or len(pages) > 1:
        found.illegal_changes.append(f"{invitation_id}: it showed {sorted(times)} {sorted(pages)}")


def _in_order(invitation_id: str, entries: Iterable[LedgerEntry], found: Findings) -> None:
    """No reading shows less than one that had ended when it began; *entries* by their beginning."""
    ended: list[tuple[float, str]] = []
    for entry in entries:
        state = entry.response_json["status"] if entry.status == 200 else "404"
        for end, before in ended:
            if end < entry.began and _RANK[state] < _RANK[before]:
                found.illegal_changes.append(f"{invitation_id}: {before}, then {state}")
        ended.append((entry.ended, state))


def _deletions(evidence: Evidence, found: Findings) -> None:
    """What was deleted is anonymised at Equalture, and nothing of it is in Redis; names are there
    of nobody.
    """
    last = {known.candidate_id: known for known in evidence.rounds}
    for known in evidence.rounds:
        if known.deleting_at is None or known.invitation_id is None or known.forgotten:
            continue
        record = evidence.records.get(known.invitation_id)
        erased = record is not None and record.state is State.ERASED
        if known.deleted_at is None:
            found.given_up.append(f"{known.invitation_id}: deletion not confirmed after all tries")
        if not erased:
            if known.deleted_at is not None or any(
                entry.invitation_id == known.invitation_id and entry.status == 502
                for entry in evidence.answers
                if entry.operation == "delete"
            ):
                found.undeleted.append(
                    f"{known.invitation_id}: the record is {record.state if record else 'gone'}"
                )
            continue
        application = evidence.applications[str(known.reference_id)]
        if application.state != "anonymized":
            found.undeleted.append(
                f"{known.invitation_id}: {application.reference_id} is {application.state}"
            )
        for needle in _needles(application, known, of_person=last[known.candidate_id] is known):
            if needle in evidence.redis:
                holders = [line[:300] for line in evidence.redis.splitlines() if needle in line]
                found.undeleted.append(
                    f"{known.invitation_id}: {needle} is in Redis: {holders[:2]}"
                )
    found.undeleted += [
        f"{word} is in Redis" for word in (MARK, f"@{MAIL}") if word in evidence.redis
    ]


def _needles(application: Application, known: Round, *, of_person: bool) -> list[str]:
    own = [application.reference_id, application.link_token]
    return [*own, known.candidate_id] if of_person else own


def _errors(evidence: Evidence, found: Findings) -> None:
    for entry in evidence.answers:
        if entry.status == 500:
            found.server_errors.append(f"{entry.operation} {entry.path}: {entry.response_json}")
    found.server_errors += evidence.crashes
    found.violations += evidence.violations
    found.unexpected += [
        f"{known.candidate_id}: {odd}"
        for known in evidence.rounds
        if not known.forgotten
        for odd in known.odd
    ]
    found.unexpected += evidence.leaks
    found.unkept += evidence.unkept


def _damage(evidence: Evidence, found: Findings) -> None:
    """What cannot be read is put aside and said once. (A process that dies in between, or never
    hears that it was the first, does not say it.)
    """
    mute = any(incident.kind in (*KILLS, LOST_REPLIES) for incident in evidence.incidents)
    for place, times in sorted(evidence.planted.items()):
        partition, name = place
        key = KeyNames(PREFIX, partition).base + name.removeprefix("key:")
        said = evidence.said[key if name.startswith("key:") else name]
        if place not in evidence.put_aside:
            found.not_put_aside.append(f"partition {partition}: {name} is not listed")
        elif said > times or (said == 0 and not mute):
            found.not_put_aside.append(f"partition {partition}: {name} was said {said} times")
