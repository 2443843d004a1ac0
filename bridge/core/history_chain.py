"""How a history is signed, so that a change by anybody without the signing keys shows.

The MAC of an entry covers the MAC before it. One more, the seal, covers the end of the chain, the
counts, and the state of the record with its version; it is renewed with every change. So nothing
can be changed, added, left out or cut off::

    key    HMAC-SHA256(signing key, "history"): the newest signs, every listed one verifies
    MAC    the first 12 bytes of HMAC-SHA256(key, JSON), as URL-safe base64
    entry  JSON [MAC before or start, kind, ms since 1970, number, text, status, latency]
    start  the invitation's id, "/", and in a tombstone the last MAC of what was deleted
    seal   JSON [MAC before or start, how many entries, version, state, created, completed,
           expired, erased, [[kind, first, last, count, text, status], ...]]

JSON is compact, in UTF-8, nothing is escaped that need not be; times are whole milliseconds. An
entry that a command without keys wrote has an empty MAC and counts as unsigned.

What this cannot show is a record that was put back as a whole as it stood before: for that there is
the evidence file of the time in between.
"""

from __future__ import annotations

import base64
import hmac
import json.encoder
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bridge.core.copying import copy_with
from bridge.core.history import (
    COUNTED,
    MOST_ENTRIES,
    MOST_OF_A_KIND,
    NO_HISTORY,
    ONCE,
    History,
    HistoryCounter,
    HistoryEntry,
    HistoryEntryKind,
)
from bridge.core.invitation import Invitation

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_MAC_BYTES: Final = 12
_quote: Final = json.encoder.encode_basestring
"""A text in JSON; the rest of the JSON is put together by hand, which takes half as long."""


@dataclass(frozen=True, slots=True)
class HistoryFault:
    """Something about a history that does not hold; *entry* counts from 1, 0 is the seal."""

    entry: int
    kind: str
    what: str


def derive_history_keys(signing_keys: Iterable[bytes]) -> tuple[bytes, ...]:
    """The keys of histories, newest first."""
    return tuple(hmac.digest(key, b"history", "sha256") for key in signing_keys)


def append_history_entries(
    before: Invitation | None,
    after: Invitation,
    new: Sequence[HistoryEntry],
    keys: Sequence[bytes],
    *,
    times: int = 1,
) -> Invitation:
    """*after*, about to be committed in the place of *before*, with *new* in its history.

    What is counted is counted *times*. A history whose seal does not fit is marked as disturbed,
    for good: a seal that is renewed must not hide that the one before was broken.
    """
    whole = before is None or _seal_holds(before, keys)
    if before is None:
        history = NO_HISTORY
    elif new and not before.history:
        history = _added(NO_HISTORY, _mark(HistoryEntryKind.BEGUN, new), after.id, keys)
    elif new and keys and not whole:
        history = _added(before.history, _mark(HistoryEntryKind.DISTURBED, new), after.id, keys)
    else:
        history = before.history
    for entry in new:
        if entry.kind == HistoryEntryKind.ERASED:
            history = History(before=_last_mac(history, ""))
        if _is_counted(history, entry):
            history = replace(history, counts=_counted(history.counts, entry, times))
        else:
            history = _added(history, entry, after.id, keys)
    if history and (new or whole):  # what is broken is not made whole in passing
        text = _sealed_text(after, history, after.version + 1)
        seal = _mac(keys[0], text) if keys else ""
        history = History(history.entries, history.counts, history.before, seal)
    return copy_with(after, history=history)


def find_history_faults(invitation: Invitation, keys: Sequence[bytes]) -> tuple[HistoryFault, ...]:
    """Everything about the stored history of *invitation* that does not hold, in its order."""
    history, faults = invitation.history, []
    if not history:
        return (
            HistoryFault(0, "", "there is no history: the version that wrote the record kept none"),
        )
    previous = _start(invitation.id, history)
    for number, entry in enumerate(history.entries, start=1):
        if not entry.mac:
            faults.append(HistoryFault(number, entry.kind, "not signed"))
        elif not any(entry.mac == _mac(key, _entry_text(previous, entry)) for key in keys):
            what = (
                "does not follow from the entry before it: it, or what stood before it, was"
                " changed, or it was signed with a key that is no longer listed"
            )
            faults.append(HistoryFault(number, entry.kind, what))
        if entry.kind == HistoryEntryKind.DISTURBED:
            what = "when this was written, the history was found changed or unsigned"
            faults.append(HistoryFault(number, entry.kind, what))
        previous = entry.mac
    if not _seal_holds(invitation, keys):
        what = (
            "does not fit: entries were cut off, counts or the record's state were changed, or it"
            " was made with a key that is no longer listed"
        )
        faults.append(HistoryFault(0, "seal", what if history.seal else "not signed"))
    return tuple(faults)


def _mark(kind: HistoryEntryKind, new: Sequence[HistoryEntry]) -> HistoryEntry:
    return HistoryEntry(kind, new[0].at)


def _is_counted(history: History, entry: HistoryEntry) -> bool:
    if entry.kind in COUNTED:
        return True
    if entry.kind in ONCE:
        return False
    alike = sum(one.kind == entry.kind for one in history.entries)
    return alike >= MOST_OF_A_KIND or len(history.entries) >= MOST_ENTRIES


def _counted(
    counts: tuple[HistoryCounter, ...], entry: HistoryEntry, times: int
) -> tuple[HistoryCounter, ...]:
    known = next((one for one in counts if one.kind == entry.kind), None)
    first, so_far = (known.first, known.count) if known else (entry.at, 0)
    renewed = HistoryCounter(
        kind=entry.kind,
        first=first,
        last=entry.at,
        count=so_far + times,
        text=entry.text,
        status=entry.status,
    )
    if known is None:
        return (*counts, renewed)
    return tuple(renewed if one is known else one for one in counts)


def _added(
    history: History, entry: HistoryEntry, invitation_id: str, keys: Sequence[bytes]
) -> History:
    mac = _mac(keys[0], _entry_text(_last_mac(history, invitation_id), entry)) if keys else ""
    entries = (*history.entries, entry._replace(mac=mac))
    return History(entries, history.counts, history.before, history.seal)


def _start(invitation_id: str, history: History) -> str:
    return f"{invitation_id}/{history.before}"


def _last_mac(history: History, invitation_id: str) -> str:
    if history.entries:
        return history.entries[-1].mac
    return _start(invitation_id, history) if invitation_id else history.before


def _entry_text(previous: str, entry: HistoryEntry) -> str:
    kind, text = _quote(entry.kind), _quote(entry.text)
    status, latency_ms = _or_null(entry.status), _or_null(entry.latency_ms)
    return (
        f"[{_quote(previous)},{kind},{_ms(entry.at)},{entry.number},{text},{status},{latency_ms}]"
    )


def _sealed_text(invitation: Invitation, history: History, version: int) -> str:
    counts = ",".join([_count_text(one) for one in history.counts])
    return (
        f"[{_quote(_last_mac(history, invitation.id))},{len(history.entries)},{version},"
        f"{_quote(invitation.state)},{_ms(invitation.created_at)},{_ms(invitation.completed_at)},"
        f"{_ms(invitation.expired_at)},{_ms(invitation.erased_at)},[{counts}]]"
    )


def _count_text(one: HistoryCounter) -> str:
    kind, text = _quote(one.kind), _quote(one.text)
    first, last, status = _ms(one.first), _ms(one.last), _or_null(one.status)
    return f"[{kind},{first},{last},{one.count},{text},{status}]"


def _seal_holds(invitation: Invitation, keys: Sequence[bytes]) -> bool:
    text = _sealed_text(invitation, invitation.history, invitation.version)
    return any(invitation.history.seal == _mac(key, text) for key in keys)


def _mac(key: bytes, text: str) -> str:
    raw = hmac.digest(key, text.encode("utf-8", "replace"), "sha256")[:_MAC_BYTES]
    return base64.urlsafe_b64encode(raw).decode()


def _ms(at: datetime | None) -> str:
    return "null" if at is None else str((at - _EPOCH) // _MS)


def _or_null(number: int | None) -> str:
    return "null" if number is None else str(number)
