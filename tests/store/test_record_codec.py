"""The stored form: everything comes back, nothing is wasted, other versions are known."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources
from typing import Any

import orjson
import pytest
from hypothesis import given

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
from bridge.core.queueing import AttemptNote, DeadLetter, TaskKind
from bridge.errors import RecordDamaged, RecordKeyMissing, RecordTooNew
from bridge.store import packing, record_codec, stored_times
from tests.store.conformance import NOW, invitation
from tests.store.generated_records import INVITATIONS
from tests.store.named_records import build_named_document, dump_named

RESULT = Result(
    fit="strong",
    dashboard_url="https://equalture.example/1",
    summary=(("Mut", "groß"), ("", "")),
    traits=(
        Trait("t1", "Mut", 4, "wie mutig", (3, 4, 5)),
        Trait("t2", "Ruhe"),
        Trait("", "", 0),
    ),
)


def full() -> Invitation:
    """A record in which no field has its default."""
    return invitation(
        state=State.COMPLETED,
        attempts=(
            CreateAttempt(1, "a" * 64, NOW, CreateOutcome.ORPHAN, "r1", anonymised=True),
            CreateAttempt(2, "b" * 64, NOW, CreateOutcome.CREATED, "r2"),
            CreateAttempt(3, "c" * 64, NOW),
        ),
        assessment_url="https://equalture.example/a",
        deadline=NOW + timedelta(days=7),
        started_at=NOW + timedelta(minutes=1),
        completed_at=NOW + timedelta(minutes=2),
        corrected_at=NOW + timedelta(minutes=5),
        expired_at=NOW + timedelta(minutes=3),
        erased_at=NOW + timedelta(minutes=4),
        unconfirmed_result=UnconfirmedResult(2, NOW, RESULT),
        result=RESULT,
        confirmed=True,
        live_attempt=2,
        issued=True,
        replaces="iv_0abcdefghijklmnopqrstuvwx",
        hire=HireRecord("r2", NOW, False, "2026-04-01", HireState.DONE, 7, NOW),
        failure="unavailable",
        history=History(
            entries=(
                HistoryEntry("attempt", NOW, 1, "created", 201, 34, "mac-1"),
                HistoryEntry("of a newer version", NOW),
            ),
            counts=(HistoryCounter("read", NOW, NOW + timedelta(minutes=4), 3, "text", 200),),
            before="mac-0",
            seal="mac-2",
        ),
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        version=9,
    )


class Reverse:
    """A cipher that shows what it was given."""

    def encrypt(self, plain: bytes, owner: str) -> str:
        return base64.b64encode(plain[::-1]).decode()

    def decrypt(self, sealed: str, owner: str) -> bytes:
        return base64.b64decode(sealed)[::-1]

    def is_newest(self, sealed: str) -> bool:
        return True


def back(one: Invitation) -> Invitation:
    return record_codec.load_invitation(one.id, one.version, record_codec.dump_invitation(one))


def test_everything_comes_back() -> None:
    """No field of an invitation is lost; a new field must be added to the codec, or this fails."""
    one = full()
    for field in fields(one):
        if field.compare and field.default is not MISSING:
            assert getattr(one, field.name) != field.default, (
                f"give {field.name} another value in full()"
            )
    assert back(one) == one


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": 0},
        {"duration": None},
        {"result": Result()},
        {"unconfirmed_result": UnconfirmedResult(1, NOW, None)},
        {"unconfirmed_result": UnconfirmedResult(1, NOW, Result())},
        {"created_at": stored_times.from_ms(0)},
        {"attempts": ()},
        {"test_name": 'a|b"\n\u2028😀'},
    ],
)
def test_edges_come_back(changes: dict[str, object]) -> None:
    """Zero, empty and odd values come back as they were, not as missing ones."""
    one = invitation(**changes)
    assert back(one) == one


def test_small() -> None:
    """What is absent is not stored, what repeats is not stored again: an open invitation takes less
    than 300 bytes.
    """
    one = invitation(assessment_url="https://equalture.example/a/" + "x" * 40, deadline=NOW)
    data = record_codec.dump_invitation(one)
    assert len(data) < 300
    assert one.id.encode() not in data


@given(one=INVITATIONS)
def test_whatever_it_holds(one: Invitation) -> None:
    """Every invitation comes back as it was, and as the named form of older versions tells it, in
    the clear and with private parts sealed.
    """
    for cipher in (None, Reverse()):
        data = record_codec.dump_invitation(one, cipher)
        assert record_codec.load_invitation(one.id, one.version, data, cipher) == one
    assert record_codec.load_invitation(one.id, one.version, dump_named(one)) == one


def test_times() -> None:
    """Times are kept to the millisecond, in UTC, also before 1970 and of other zones."""
    assert (
        stored_times.to_ms(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
        == 1767225600000
    )
    assert stored_times.from_ms(stored_times.to_ms(NOW + timedelta(microseconds=999))) == NOW
    assert stored_times.from_ms(-1) == datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


def _spoiled(value: object, wrong: Callable[[object], list[object]]) -> Iterator[object]:
    """*value* with one part after the other replaced by something *wrong* in its place."""
    yield from wrong(value)
    parts: Iterable[tuple[Any, object]] = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    for key, part in parts:
        for spoiled in _spoiled(part, wrong):
            copy = deepcopy(value)
            copy[key] = spoiled  # type: ignore[index]
            yield copy


def never_stored(_: object) -> list[object]:
    """What stands nowhere in a packed list."""
    return [{}, 1.5]


def of_another_type(value: object) -> list[object]:
    """What cannot stand in the place of a value with a name."""
    other: object = "x" if isinstance(value, bool | int) else 5
    return [other, "x", []] if isinstance(value, dict) else [other]


def unpacked(data: bytes) -> tuple[dict[str, Any], list[Any], bytes]:
    """A record's document, the list in it, and the random parts of that."""
    document = orjson.loads(data)
    if isinstance(document["r"], list):
        return document, document["r"][1:], base64.b64decode(document["r"][0])
    values, parts = packing.unpack(base64.b64decode(document["r"]))
    taken = bytearray()
    with contextlib.suppress(ValueError):
        while True:
            taken += parts.next(1)
    return document, values, bytes(taken)


def packed(document: dict[str, Any], values: object, taken: bytes) -> bytes:
    """The inverse of ``unpacked``, in the form that the document had."""
    if isinstance(document["r"], list) and isinstance(values, list):
        return orjson.dumps(document | {"r": [base64.b64encode(taken).decode(), *values]})
    stored = packing.pack(values, bytearray(taken))  # type: ignore[arg-type]
    return orjson.dumps(document | {"r": base64.b64encode(stored).decode()})


def resting() -> Invitation:
    """The same, without what is about to change."""
    return replace(full(), unconfirmed_result=None)


@pytest.mark.parametrize("one", [full(), resting()], ids=["about to change", "at rest"])
def test_other_types(one: Invitation) -> None:
    """A record in which any part is of another type than it must is damaged: it never gets as far
    as to whoever works with it.
    """
    document, values, taken = unpacked(record_codec.dump_invitation(one))
    assert record_codec.load_invitation(one.id, 9, packed(document, values, taken)) == one
    for wrong in _spoiled(values, never_stored):
        with pytest.raises(RecordDamaged):
            record_codec.load_invitation("iv_7", 1, packed(document, wrong, taken))
    for name in ("customer", "r"):
        with pytest.raises(RecordDamaged):
            record_codec.load_invitation("iv_7", 1, orjson.dumps(document | {name: 5}))
    for wrong in _spoiled(build_named_document(full()) | {"issued": 1}, of_another_type):
        if not isinstance(wrong, dict) or wrong.get("issued") == 1:
            with pytest.raises(RecordDamaged):
                record_codec.load_invitation("iv_7", 1, orjson.dumps(wrong))
    letter = DeadLetter(
        "iv_7",
        TaskKind.NOTIFY,
        "acme",
        3,
        "rejected",
        NOW,
        (AttemptNote(NOW, "rejected", 400, 7, "no"),),
    )
    for wrong in _spoiled(orjson.loads(record_codec.dump_dead_letter(letter)), of_another_type):
        with pytest.raises(RecordDamaged):
            record_codec.load_dead_letter("iv_7", TaskKind.NOTIFY, orjson.dumps(wrong))


def test_only_what_stays_is_packed() -> None:
    """A record at rest is packed, and smaller; one that is written again within seconds is not: it
    is being created, its result is being confirmed, or its notification is under way.
    """

    def is_packed(one: Invitation) -> bool:
        return isinstance(orjson.loads(record_codec.dump_invitation(one))["r"], str)

    ended = HistoryEntry(HistoryEntryKind.COMPLETED, NOW)
    told = HistoryEntry(HistoryEntryKind.NOTIFIED, NOW, 1, "delivered")
    open_one = invitation(state=State.INVITED, issued=True)
    completed = replace(resting(), history=History((ended, told)))
    assert is_packed(open_one)
    assert is_packed(completed)
    assert is_packed(invitation(state=State.ERASED))
    assert not is_packed(replace(open_one, issued=False))
    assert not is_packed(replace(open_one, unconfirmed_result=UnconfirmedResult(1, NOW, RESULT)))
    notifying = replace(completed, history=History((ended,)))
    assert not is_packed(notifying)
    packed_size = len(record_codec.dump_invitation(completed))
    assert packed_size < len(record_codec.dump_invitation(notifying))


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_what_was_cut_off(length: int) -> None:
    """A record of which the end is missing is damaged, wherever it was cut."""
    data = record_codec.dump_invitation(resting())
    document = orjson.loads(data)
    for whole in (data, record_codec.dump_invitation(full())):
        with pytest.raises(RecordDamaged):
            record_codec.load_invitation("iv_7", 1, whole[:length])
    cut = base64.b64encode(base64.b64decode(document["r"])[:length]).decode()
    with pytest.raises(RecordDamaged):
        record_codec.load_invitation("iv_7", 1, orjson.dumps(document | {"r": cut}))


@pytest.mark.parametrize(
    "change",
    [
        {"live": 4},
        {"live": -1},
        {"hint": {"attempt": 4, "at": 0}},
        {"hint": {"attempt": 0, "at": 0}},
        {"attempts": []},
    ],
)
def test_attempts_that_are_not_there(change: dict[str, object]) -> None:
    """A record that points to an attempt which it does not have, or counts them otherwise, is
    damaged.
    """
    document = build_named_document(full())
    document["attempts"][0]["n"], first = 2, document["attempts"][0]["n"]
    with pytest.raises(RecordDamaged):
        record_codec.load_invitation("iv_7", 1, orjson.dumps(document))
    document["attempts"][0]["n"] = first
    assert record_codec.load_invitation("iv_7", 1, orjson.dumps(document)).live_attempt == 2
    with pytest.raises(RecordDamaged):
        record_codec.load_invitation("iv_7", 1, orjson.dumps(document | change))
    for wrong in (
        {"live_attempt": 4},
        {"live_attempt": -1},
        {"unconfirmed_result": UnconfirmedResult(4, NOW)},
    ):
        data = record_codec.dump_invitation(replace(full(), **wrong))
        with pytest.raises(RecordDamaged):
            record_codec.load_invitation("iv_7", 1, data)


def test_tombstone() -> None:
    """Of an erased record nothing remains that says anything about a person or a link."""
    one = full()
    left = back(replace(one, state=State.ERASED))
    kept = {
        *("id", "version", "customer", "state", "created_at", "updated_at", "attempts"),
        *("deadline", "started_at", "completed_at", "expired_at", "erased_at", "history"),
    }
    for field in fields(one):
        expected = State.ERASED if field.name == "state" else getattr(one, field.name)
        assert getattr(left, field.name) == (expected if field.name in kept else field.default)


def test_older_format() -> None:
    """A record of an older format is migrated when it is read."""
    one = invitation(version=1)
    old = {**build_named_document(one), "f": -1}
    old["tenant"] = old.pop("customer")
    migrations = {
        -1: lambda document: document | {"customer": document["tenant"]},
        0: lambda document: document,
    }
    migrations |= record_codec.MIGRATIONS
    assert record_codec.load_invitation(one.id, 1, orjson.dumps(old), migrations=migrations) == one


def test_newer_format() -> None:
    """A record of a newer format is refused, not misread."""
    one = invitation()
    data = record_codec.dump_invitation(one).replace(b'"f":3', b'"f":4')
    with pytest.raises(RecordTooNew, match=one.id):
        record_codec.load_invitation(one.id, 1, data)


def test_cipher() -> None:
    """With a cipher result, hint and both vendors' links cannot be read in the store; plain ones
    from before still can.
    """
    one, cipher = full(), Reverse()
    data = record_codec.dump_invitation(one, cipher)
    assert b"Mut" not in data
    assert b"https" not in data
    assert "dashboard_url" not in data.decode()
    assert record_codec.load_invitation(one.id, 9, data, cipher) == one
    assert record_codec.load_invitation(one.id, 9, record_codec.dump_invitation(one), cipher) == one


def test_lost_key() -> None:
    """A sealed record without a key is a matter of configuration, and says so."""
    one = full()
    with pytest.raises(RecordKeyMissing, match="encryption_keys is empty"):
        record_codec.load_invitation(one.id, 9, record_codec.dump_invitation(one, Reverse()))


def test_no_unicode_text() -> None:
    """A lone surrogate in a vendor's text costs that character, not the record."""
    one = invitation(test_name="a\ud800b ü")
    assert back(one).test_name == "a?b ü"


def test_customer() -> None:
    """The customer and the application of a record are found without reading all of it, in every
    format.
    """
    one = full()
    for data in (
        record_codec.dump_invitation(one),
        record_codec.dump_invitation(one, Reverse()),
        dump_named(one),
    ):
        assert record_codec.read_customer(data, "iv") == "acme"
        assert record_codec.read_application_id(data, "iv") == one.application_id
    erased = record_codec.dump_invitation(replace(one, state=State.ERASED))
    assert record_codec.read_application_id(erased, "iv") == ""


def test_the_dictionary_stays_as_it_is() -> None:
    """The dictionary of format 3 is the one that records in Redis were packed with, to the byte."""
    words = resources.files("bridge.store").joinpath("packing_words.txt").read_bytes()
    digest = hashlib.sha256(words).hexdigest()
    assert digest == "c1b0d34341a953d741a29d87d2d5153cb797002c5f8a19680c9872b2abdf64ba"


def test_what_older_versions_need() -> None:
    """A version that does not know this format says so, and finds customer, application and work of
    the record: what that needs stands where it always stood.
    """
    one = full()
    document = orjson.loads(record_codec.dump_invitation(one))
    assert (document["f"], document["customer"]) == (3, "acme")
    assert document["application"] == one.application_id


def test_notes() -> None:
    """Attempt logs come back; an empty one takes no space."""
    notes = (AttemptNote(NOW, "refused", 401, 5, "nein"), AttemptNote(NOW, "timeout"))
    assert record_codec.load_attempt_log(record_codec.dump_attempt_log(notes)) == notes
    assert record_codec.dump_attempt_log(()) == b""
    assert record_codec.load_attempt_log(b"") == ()


def test_dead_letter() -> None:
    """Dead letters come back; one of a newer format is refused."""
    letter = DeadLetter(
        "iv_7x", TaskKind.NOTIFY, "acme", 3, "refused", NOW, (AttemptNote(NOW, "refused", 401),)
    )
    data = record_codec.dump_dead_letter(letter)
    assert record_codec.load_dead_letter("iv_7x", TaskKind.NOTIFY, data) == letter
    with pytest.raises(RecordTooNew):
        record_codec.load_dead_letter("iv_7x", TaskKind.NOTIFY, data.replace(b'"f":1', b'"f":99'))
