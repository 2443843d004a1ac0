"""The records of the second and third dump as values, one for each state and each way to get there,
with every field used.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bridge.core import ids
from bridge.core.assessment import Result, Trait
from bridge.core.history import History, HistoryCounter, HistoryEntry
from bridge.core.invitation import (
    CreateAttempt,
    CreateOutcome,
    HireRecord,
    HireState,
    Invitation,
    State,
    UnconfirmedResult,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SECRET = "5" * 64
"""The digest of every attempt's secret."""
RESULT = Result(
    fit="Good fit",
    dashboard_url="https://dashboard.example/kept?x=1",
    summary=(("Räumliches Denken", "Löst Aufgaben zügig."), ("Planung", "")),
    traits=(
        Trait("SEM", "Social empathy", 4, "Reads a room.", (4, 5)),
        Trait("PLN", "Planning"),
    ),
)
EMPTY_RESULT = Result()


def _attempt(
    number: int = 1, outcome: CreateOutcome = CreateOutcome.CREATED, **more: object
) -> CreateAttempt:
    fields = {
        "reference_id": f"reference-{number}" if outcome is CreateOutcome.CREATED else None,
        **more,
    }
    return CreateAttempt(number, SECRET, NOW, outcome, **fields)  # type: ignore[arg-type]


def _record(partition: int, name: str, state: State, **fields: object) -> Invitation:
    plain: dict[str, object] = {
        "customer": "acme",
        "order_key": ids.compute_order_key("acme", name, "engineer"),
        "application_id": f"application-{name}",
        "test_id": "engineer",
        "test_name": "Käufer & Co",
        "duration": 30,
        "created_at": NOW,
        "updated_at": NOW + MINUTE,
        "attempts": (_attempt(),),
        "callback": f"https://app.softgarden.io/notify/{name}",
        "version": 1,
    }
    invited: dict[str, object] = {
        "assessment_url": f"https://assessment.example/{name}",
        "deadline": NOW + 7 * DAY,
        "live_attempt": 1,
        "issued": True,
    }
    if state not in (State.CREATING, State.UNCERTAIN, State.FAILED, State.ERASED):
        plain |= invited
    an_id = ids.compose_invitation_id(partition, name.replace("_", "") + "x" * 24)
    return Invitation(id=an_id, state=state, **{**plain, **fields})  # type: ignore[arg-type]


_FORGOTTEN: dict[str, object] = {
    "order_key": "",
    "application_id": "",
    "test_id": "",
    "test_name": "",
    "duration": None,
    "callback": "",
}
RECORDS: dict[str, Invitation] = {
    "creating": _record(
        0, "creating", State.CREATING, attempts=(_attempt(1, CreateOutcome.PENDING),)
    ),
    "uncertain": _record(
        1,
        "uncertain",
        State.UNCERTAIN,
        attempts=(_attempt(1, CreateOutcome.UNKNOWN), _attempt(2, CreateOutcome.PENDING)),
        duration=None,
    ),
    "invited": _record(2, "invited", State.INVITED),
    "not_issued": _record(2, "not_issued", State.INVITED, issued=False),
    "started": _record(3, "started", State.STARTED, started_at=NOW + MINUTE),
    "reported": _record(
        4, "reported", State.STARTED, unconfirmed_result=UnconfirmedResult(1, NOW + MINUTE, RESULT)
    ),
    "bare_report": _record(
        5, "bare_report", State.INVITED, unconfirmed_result=UnconfirmedResult(1, NOW + MINUTE, None)
    ),
    "completed": _record(
        6,
        "completed",
        State.COMPLETED,
        started_at=NOW,
        completed_at=NOW + MINUTE,
        result=RESULT,
        confirmed=True,
        replaces=ids.compose_invitation_id(6, "failed" + "x" * 24),
    ),
    "unconfirmed": _record(
        7,
        "unconfirmed",
        State.COMPLETED,
        completed_at=NOW + MINUTE,
        result=EMPTY_RESULT,
        unconfirmed_result=UnconfirmedResult(1, NOW, EMPTY_RESULT),
    ),
    "orphaned": _record(
        8,
        "orphaned",
        State.INVITED,
        attempts=(
            _attempt(1, CreateOutcome.ORPHAN, reference_id="reference-0"),
            _attempt(2),
            _attempt(3, CreateOutcome.FAILED),
        ),
        live_attempt=2,
    ),
    "expired": _record(9, "expired", State.EXPIRED, expired_at=NOW + 7 * DAY),
    "failed": _record(
        10,
        "failed",
        State.FAILED,
        **{
            **_FORGOTTEN,
            "attempts": (_attempt(1, CreateOutcome.FAILED),),
            "failure": "upstream_refused",
        },
    ),
    "failed_but_made": _record(
        10, "failed_but_made", State.FAILED, **{**_FORGOTTEN, "failure": "upstream_broken"}
    ),
    "erased": _record(
        11,
        "erased",
        State.ERASED,
        **{
            **_FORGOTTEN,
            "attempts": (_attempt(1, CreateOutcome.ORPHAN, anonymised=True), _attempt(2)),
            "deadline": NOW + 7 * DAY,
            "started_at": NOW,
            "completed_at": NOW + MINUTE,
            "expired_at": NOW + 7 * DAY,
            "erased_at": NOW + 8 * DAY,
        },
    ),
    "anonymised": _record(
        12,
        "anonymised",
        State.ERASED,
        **{
            **_FORGOTTEN,
            "attempts": (_attempt(1, reference_id=None, anonymised=True),),
            "erased_at": NOW,
        },
    ),
    "refused": _record(
        13, "refused", State.COMPLETED, completed_at=NOW, result=RESULT, confirmed=True
    ),
    "repeated": _record(
        14, "repeated", State.COMPLETED, completed_at=NOW, result=RESULT, confirmed=True
    ),
    "elsewhere": _record(15, "elsewhere", State.INVITED, customer="beta"),
}
"""By the names that the tests use; stored in the clear."""
SEALED: dict[str, Invitation] = {
    "sealed": _record(
        15, "sealed", State.COMPLETED, completed_at=NOW, result=RESULT, confirmed=True
    ),
    "sealed_report": _record(
        15, "sealed_report", State.INVITED, unconfirmed_result=UnconfirmedResult(1, NOW, RESULT)
    ),
}
"""Stored encrypted, each with a notification whose attempt log is encrypted, too."""

_HISTORY = History(
    entries=(
        HistoryEntry("ordered", NOW, text="1c14018c", mac="03mL8Lk5BMBx8MtQ"),
        HistoryEntry("attempt", NOW + MINUTE, 1, "created", 201, 4, "ngsv8p87uZC_hl4w"),
        HistoryEntry("of a newer version", NOW + DAY, mac="JVn8UeIsNDlDftIa"),
    ),
    counts=(HistoryCounter("read", NOW, NOW + DAY, 3, "text", 200),),
    before="yeW2VtTB71TepDLo",
    seal="D6nxt04F0jGO3I1D",
)
TOLD: dict[str, Invitation] = {
    "told": _record(
        3,
        "told",
        State.COMPLETED,
        attempts=(_attempt(reference_id="a0e6c8e9-1148-4830-a623-ab50367189a9"),),
        completed_at=NOW + MINUTE,
        result=RESULT,
        confirmed=True,
        corrected_at=NOW + DAY,
        hire=HireRecord("reference-1", NOW, False, "2026-04-01", HireState.SENT, 7, NOW),
        history=_HISTORY,
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    "unsigned": _record(
        4,
        "unsigned",
        State.INVITED,
        history=History(entries=(HistoryEntry("ordered", NOW),)),
    ),
}
"""With what was added after the second dump: history, hire, correction and trace."""
