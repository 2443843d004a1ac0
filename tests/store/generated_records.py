"""Invitations of every form, for Hypothesis."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from bridge.core import ids
from bridge.core.assessment import Result, Trait
from bridge.core.history import History, HistoryCounter, HistoryEntry, HistoryEntryKind
from bridge.core.invitation import (
    CreateAttempt,
    CreateOutcome,
    HireRecord,
    HireState,
    Invitation,
    State,
    UnconfirmedResult,
)

_URL_SAFE = string.ascii_letters + string.digits + "-_"
_TEXTS = st.text(max_size=30)
_OPTIONAL_TEXTS = st.none() | _TEXTS
_TOKENS = st.text(_URL_SAFE, max_size=70)
_LINKS = st.builds("{}{}".format, st.sampled_from(["", "https://a.example/x/", "ä/"]), _TOKENS)
_REFERENCES = st.uuids().map(str) | st.uuids().map(lambda one: str(one).upper()) | _TEXTS
_DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex) | st.text("0123456789aB", max_size=64)
_NUMBERS = st.integers(-(2**40), 2**40)
_OPTIONAL_NUMBERS = st.none() | _NUMBERS
_MOMENTS = st.integers(-(2**40), 2**42).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
_OPTIONAL_MOMENTS = st.none() | _MOMENTS
_MACS = st.text(_URL_SAFE, min_size=16, max_size=16)
_KINDS = st.sampled_from([str(kind) for kind in HistoryEntryKind]) | _TEXTS
_RESULTS = st.builds(
    Result,
    _OPTIONAL_TEXTS,
    _OPTIONAL_TEXTS,
    st.lists(st.tuples(_TEXTS, _TEXTS), max_size=3).map(tuple),
    st.lists(
        st.builds(
            Trait,
            _TEXTS,
            _TEXTS,
            _OPTIONAL_NUMBERS,
            _TEXTS,
            st.lists(_NUMBERS, max_size=3).map(tuple),
            _TEXTS,
        ),
        max_size=3,
    ).map(tuple),
)
_COUNTERS = st.builds(
    HistoryCounter, _KINDS, _MOMENTS, _MOMENTS, _NUMBERS, _TEXTS, _OPTIONAL_NUMBERS
)


@st.composite
def _histories(draw: st.DrawFn) -> History:
    macs = draw(st.sampled_from([_MACS, st.just(""), _TEXTS]))
    entries = st.builds(
        HistoryEntry, _KINDS, _MOMENTS, _NUMBERS, _TEXTS, _OPTIONAL_NUMBERS, _OPTIONAL_NUMBERS, macs
    )
    return History(
        draw(st.lists(entries, max_size=4).map(tuple)),
        draw(st.lists(_COUNTERS, max_size=2).map(tuple)),
        draw(_TEXTS | _MACS),
        draw(macs),
    )


@st.composite
def _invitations(draw: st.DrawFn) -> Invitation:
    number = draw(st.integers(0, 3))
    attempts = tuple(
        CreateAttempt(
            place,
            draw(_DIGESTS),
            draw(_MOMENTS),
            draw(st.sampled_from(CreateOutcome)),
            draw(st.none() | _REFERENCES),
            draw(st.booleans()),
        )
        for place in range(1, number + 1)
    )
    customer, application, test = draw(_TEXTS), draw(_REFERENCES), draw(_TEXTS)
    usual = ids.compute_order_key(customer, application, test)
    reported = st.builds(
        UnconfirmedResult, st.integers(1, number or 1), _MOMENTS, st.none() | _RESULTS
    )
    return Invitation(
        id="iv_7abcdefghijklmnopqrstuvwx",
        customer=customer,
        order_key=draw(st.sampled_from([usual, "", "another"])),
        application_id=application,
        test_id=test,
        test_name=draw(_TEXTS),
        duration=draw(_OPTIONAL_NUMBERS),
        state=draw(st.sampled_from([state for state in State if state is not State.ERASED])),
        created_at=draw(_MOMENTS),
        updated_at=draw(_MOMENTS),
        attempts=attempts,
        callback=draw(_LINKS),
        assessment_url=draw(st.none() | _LINKS),
        deadline=draw(_OPTIONAL_MOMENTS),
        started_at=draw(_OPTIONAL_MOMENTS),
        completed_at=draw(_OPTIONAL_MOMENTS),
        expired_at=draw(_OPTIONAL_MOMENTS),
        erased_at=draw(_OPTIONAL_MOMENTS),
        unconfirmed_result=draw(st.none() | reported) if number else None,
        result=draw(st.none() | _RESULTS),
        corrected_at=draw(_OPTIONAL_MOMENTS),
        confirmed=draw(st.booleans()),
        live_attempt=draw(st.integers(0, number)),
        issued=draw(st.booleans()),
        replaces=draw(_OPTIONAL_TEXTS),
        hire=draw(
            st.none()
            | st.builds(
                HireRecord,
                _REFERENCES,
                _MOMENTS,
                st.booleans(),
                _OPTIONAL_TEXTS,
                st.sampled_from(HireState),
                _OPTIONAL_NUMBERS,
                _OPTIONAL_MOMENTS,
            )
        ),
        failure=draw(_OPTIONAL_TEXTS),
        history=draw(_histories()),
        trace=draw(_TEXTS),
        version=draw(st.integers(0, 99)),
    )


INVITATIONS = _invitations()
"""Of every state but ERASED, of which most is dropped."""
