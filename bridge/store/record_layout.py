"""Where each field of an invitation stands in the list that is packed for its record.

One pair of functions for each kind of value, ``_dump_...`` and ``_load_...``; nothing else knows
the places. A place is never given to another field, and a new field gets the next one, at the end:
what has its default there is left out, and what is missing has its default.

Times are milliseconds after the invitation was made, or, in the history, after the entry before.
What has a fixed set of words is stored as its number, digests and UUIDs as bytes (see ``packing``).
What the rest tells is not stored: the number of an attempt, and the order's key, which follows from
customer, application and test.
"""

from __future__ import annotations

from datetime import datetime
from types import NoneType
from typing import Final

from bridge.core import ids
from bridge.core.assessment import Result
from bridge.core.copying import copy_with
from bridge.core.invitation import (
    CreateAttempt,
    CreateOutcome,
    HireRecord,
    HireState,
    Invitation,
    State,
    UnconfirmedResult,
)
from bridge.store.history_layout import dump_history, load_history
from bridge.store.list_layout import (
    MARKED,
    OPTIONAL_LIST,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    ListLayout,
    Values,
)
from bridge.store.packing import (
    TakenParts,
    put_back,
    put_back_token,
    take_out,
    take_out_token,
)
from bridge.store.result_layout import dump_result, dump_unconfirmed, load_result, load_unconfirmed
from bridge.store.stored_times import add_ms, from_ms, to_ms

STATES: Final = (
    *(State.CREATING, State.UNCERTAIN, State.INVITED, State.STARTED, State.COMPLETED),
    *(State.EXPIRED, State.FAILED, State.ERASED),
)
OUTCOMES: Final = (
    *(CreateOutcome.PENDING, CreateOutcome.CREATED, CreateOutcome.UNKNOWN),
    *(CreateOutcome.FAILED, CreateOutcome.ORPHAN),
)
HIRE_STATES: Final = (HireState.REQUESTED, HireState.SENT, HireState.UNKNOWN, HireState.DONE)
_STATE_NUMBERS: Final = {state: number for number, state in enumerate(STATES)}
_STATES: Final = dict(enumerate(STATES))
_OUTCOME_NUMBERS: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}
_OUTCOMES: Final = dict(enumerate(OUTCOMES))
_HIRE_STATES: Final = dict(enumerate(HIRE_STATES))

_BLANK: Final = Invitation(
    id="", customer="", state=State.CREATING, created_at=from_ms(0), updated_at=from_ms(0)
)
_ISSUED: Final = 1
_CONFIRMED: Final = 2


_INVITATION: Final = ListLayout(
    4,
    state=(int, 0),
    created=(int, 0),
    updated=(int, 0),
    flags=(int, 0),
    live_attempt=(int, 0),
    test_id=(str, ""),
    test_name=(str, ""),
    duration=(OPTIONAL_NUMBER, None),
    deadline=(OPTIONAL_NUMBER, None),
    attempts=(list, []),
    history=(list, []),
    private=(list, []),
    completed=(OPTIONAL_NUMBER, None),
    started=(OPTIONAL_NUMBER, None),
    expired=(OPTIONAL_NUMBER, None),
    erased=(OPTIONAL_NUMBER, None),
    corrected=(OPTIONAL_NUMBER, None),
    replaces=(OPTIONAL_TEXT, None),
    hire=(OPTIONAL_LIST, None),
    failure=(OPTIONAL_TEXT, None),
    trace=(str, ""),
    order_key=(OPTIONAL_TEXT, None),
)
_PRIVATE: Final = ListLayout(
    0,
    callback=(str, ""),
    url=(OPTIONAL_LIST, None),
    result=(OPTIONAL_LIST, None),
    unconfirmed=(OPTIONAL_LIST, None),
)
_ATTEMPT: Final = ListLayout(
    1,
    digest=(MARKED, ""),
    started=(int, 0),
    outcome=(int, 0),
    reference_id=((str, int, NoneType), None),
    anonymised=(int, 0),
)
_HIRE: Final = ListLayout(
    3,
    reference_id=(MARKED, ""),
    requested=(int, 0),
    add_to_team=(int, 0),
    start_date=(OPTIONAL_TEXT, None),
    state=(int, 0),
    sent_by=(OPTIONAL_NUMBER, None),
    hired=(OPTIONAL_NUMBER, None),
)


# ------------------------------------------------------------------------------------ invitations


def dump_invitation_values(
    one: Invitation, taken: bytearray, apart: bytearray | None = None
) -> tuple[Values, Values]:
    """The list for *one*, whose random parts are added to *taken*, and the private list.

    That one is a part of the first, unless it is kept *apart*: then its random parts go there.
    """
    base = to_ms(one.created_at)
    attempts = [_dump_attempt(attempt, base, taken) for attempt in one.attempts]
    history = dump_history(one.history, base, taken)
    hire = None if one.hire is None else _dump_hire(one.hire, base, taken)
    private = _dump_private(one, base, taken if apart is None else apart)
    usual_order = _derive_order_key(one.customer, one.application_id, one.test_id)
    values = [
        _STATE_NUMBERS[one.state],
        base,
        to_ms(one.updated_at) - base,
        _ISSUED * one.issued + _CONFIRMED * one.confirmed,
        one.live_attempt,
        one.test_id,
        one.test_name,
        one.duration,
        _since(base, one.deadline),
        attempts,
        history,
        private if apart is None else [],
        _since(base, one.completed_at),
        _since(base, one.started_at),
        _since(base, one.expired_at),
        _since(base, one.erased_at),
        _since(base, one.corrected_at),
        one.replaces,
        hire,
        one.failure,
        one.trace,
        None if one.order_key == usual_order else one.order_key,
    ]
    return _INVITATION.cut(values), private


def load_invitation_values(
    values: Values,
    taken: TakenParts,
    apart: tuple[Values, TakenParts] | None,
    *,
    invitation_id: str,
    version: int,
    customer: str,
    application_id: str,
) -> Invitation:
    """The inverse of ``dump_invitation_values``; *apart* is the private list where it was kept
    apart.

    Raises what reading nonsense raises.
    """
    (
        state,
        base,
        updated,
        flags,
        live_attempt,
        test_id,
        test_name,
        duration,
        deadline,
        attempts,
        history,
        private,
        completed,
        started,
        expired,
        erased,
        corrected,
        replaces,
        hire,
        failure,
        trace,
        order_key,
    ) = _INVITATION.fill(values)
    created = from_ms(base)
    tried = tuple(
        [
            _load_attempt(attempt, number, created, taken)
            for number, attempt in enumerate(attempts, start=1)
        ]
    )
    kept = load_history(history, created, taken)
    hired = None if hire is None else _load_hire(hire, created, taken)
    callback, url, result, unconfirmed = _load_private(apart or (private, taken), created)
    if order_key is None:
        order_key = _derive_order_key(customer, application_id, test_id)
    return copy_with(
        _BLANK,
        id=invitation_id,
        customer=customer,
        order_key=order_key,
        application_id=application_id,
        test_id=test_id,
        test_name=test_name,
        duration=duration,
        state=_STATES[state],
        created_at=created,
        updated_at=add_ms(created, updated),
        attempts=tried,
        callback=callback,
        assessment_url=url,
        deadline=_moment(created, deadline),
        started_at=_moment(created, started),
        completed_at=_moment(created, completed),
        expired_at=_moment(created, expired),
        erased_at=_moment(created, erased),
        unconfirmed_result=unconfirmed,
        result=result,
        corrected_at=_moment(created, corrected),
        confirmed=bool(flags & _CONFIRMED),
        live_attempt=live_attempt,
        issued=bool(flags & _ISSUED),
        replaces=replaces,
        hire=hired,
        failure=failure,
        history=kept,
        trace=trace,
        version=version,
    )


def _derive_order_key(customer: str, application_id: str, test_id: str) -> str:
    """What a record's order key is, as a rule; a tombstone and a record without application has
    none.
    """
    return ids.compute_order_key(customer, application_id, test_id) if application_id else ""


def _dump_private(one: Invitation, base: int, taken: bytearray) -> Values:
    """What is sealed where there is a key: the candidate's achievement, and links with secrets."""
    url, result, unconfirmed = one.assessment_url, one.result, one.unconfirmed_result
    return _PRIVATE.cut(
        [
            one.callback,
            None if url is None else take_out_token(url, taken),
            None if result is None else dump_result(result),
            None if unconfirmed is None else dump_unconfirmed(unconfirmed, base),
        ]
    )


def _load_private(
    packed: tuple[Values, TakenParts], created: datetime
) -> tuple[str, str | None, Result | None, UnconfirmedResult | None]:
    values, taken = packed
    callback, url, result, unconfirmed = _PRIVATE.fill(values)
    return (
        callback,
        None if url is None else put_back_token(url, taken),
        None if result is None else load_result(result),
        None if unconfirmed is None else load_unconfirmed(unconfirmed, created),
    )


def _dump_attempt(one: CreateAttempt, base: int, taken: bytearray) -> Values:
    reference = one.reference_id
    return _ATTEMPT.cut(
        [
            take_out(one.secret_digest, taken),
            to_ms(one.started_at) - base,
            _OUTCOME_NUMBERS[one.outcome],
            None if reference is None else take_out(reference, taken),
            int(one.anonymised),
        ]
    )


def _load_attempt(
    values: Values, number: int, created: datetime, taken: TakenParts
) -> CreateAttempt:
    digest, started, outcome, reference, anonymised = _ATTEMPT.fill(values)
    return CreateAttempt(
        number,
        put_back(digest, taken),
        add_ms(created, started),
        _OUTCOMES[outcome],
        None if reference is None else put_back(reference, taken),
        bool(anonymised),
    )


def _dump_hire(one: HireRecord, base: int, taken: bytearray) -> Values:
    return _HIRE.cut(
        [
            take_out(one.reference_id, taken),
            to_ms(one.requested_at) - base,
            int(one.add_to_team),
            one.start_date,
            HIRE_STATES.index(one.state),
            one.sent_by,
            _since(base, one.hired_at),
        ]
    )


def _load_hire(values: Values, created: datetime, taken: TakenParts) -> HireRecord:
    reference, requested, add_to_team, start_date, state, sent_by, hired = _HIRE.fill(values)
    return HireRecord(
        put_back(reference, taken),
        add_ms(created, requested),
        bool(add_to_team),
        start_date,
        _HIRE_STATES[state],
        sent_by,
        _moment(created, hired),
    )


def _since(base: int, moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment) - base


def _moment(created: datetime, milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else add_ms(created, milliseconds)
