"""Invitations, attempt logs and dead letters as compact JSON, and back.

With a cipher, what a candidate achieved and every link with a secret stand together in ``sealed``,
and the excerpts of an attempt log one by one. Plain documents can still be read then, so encryption
may be switched on at any time.

Left out is what is absent, None or empty; times are whole milliseconds since 1970 UTC, so a time
that was stored comes back cut to the millisecond. Every document carries the number of its format
in ``f``: older ones are migrated when they are read, newer ones are refused (``RecordTooNew``) and
left untouched, so that two versions of the bridge can run side by side.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import orjson

from bridge.core.assessment import Result, Trait
from bridge.core.invitation import Attempt, CreateOutcome, Invitation, State, UnverifiedReport
from bridge.core.queueing import AttemptNote, DeadLetter, TaskKind
from bridge.errors import RecordDamaged, RecordSealed, RecordTooNew, RecordUnreadable
from bridge.store.type_checks import typed

FORMAT: Final = 2
"""The newest format that is written, where something is sealed: 2 says for whom it was."""
_PLAIN_FORMAT: Final = 1
"""Of everything else, so that older versions can go on reading it."""

Document = dict[str, Any]
Migrations = Mapping[int, Callable[[Document], Document]]

MIGRATIONS: Final[Migrations] = {1: lambda document: document}
"""From a format to the next one."""

_BOUND: Final = "bound"
"""A sealed excerpt's name; ``sealed`` is one of an older version, which passes this one over
instead of misreading it.
"""
_SEALED: Final = ("callback", "url", "hint", "result")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Misplaced(ValueError):
    """Sealed for another owner: somebody copied it here."""


class Cipher(Protocol):
    """Encryption at rest of what a candidate achieved."""

    def encrypt(self, plain: bytes, owner: str) -> str:
        """Seal *plain* for *owner*."""

    def decrypt(self, sealed: str, owner: str) -> bytes:
        """Open what ``encrypt`` sealed, perhaps with an older key.

        Raises ``ValueError`` if no key fits, ``Misplaced`` if it was sealed for another owner.
        """

    def is_newest(self, sealed: str) -> bool:
        """Whether ``encrypt`` would use the same key and form for it today."""


class StillEncrypted(str):
    """An excerpt for which there is no key: readable as an explanation, and dumped again as it was
    stored.

    So a task whose log cannot be opened is performed all the same, and its log is not lost.
    """

    sealed: str

    def __new__(cls, sealed: str) -> StillEncrypted:
        """Keep *sealed*."""
        made = super().__new__(cls, "(encrypted with a key that is not in encryption_keys)")
        made.sealed = sealed
        return made


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 UTC, cut, not rounded."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The inverse of ``to_ms``."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def dump_invitation(invitation: Invitation, cipher: Cipher | None = None) -> bytes:
    """The record without id and version, which stand elsewhere.

    Of an ERASED one only what the tombstone needs.
    """
    document = _tombstone(invitation) if invitation.state is State.ERASED else _whole(invitation)
    present = {
        "f": _PLAIN_FORMAT,
        **{name: value for name, value in document.items() if not _absent(value)},
    }
    return _dump(_seal(present, cipher, invitation.id))


def load_invitation(
    invitation_id: str,
    version: int,
    data: bytes,
    cipher: Cipher | None = None,
    migrations: Migrations = MIGRATIONS,
) -> Invitation:
    """The inverse of ``dump_invitation``, for every format so far.

    Raises ``RecordSealed`` without a fitting key, ``RecordTooNew`` for a newer format and
    ``RecordDamaged`` for what makes no sense.
    """
    with making_sense(invitation_id):
        return _load_invitation(
            invitation_id, version, _document(data, migrations, invitation_id, cipher)
        )


def _load_invitation(invitation_id: str, version: int, document: Document) -> Invitation:
    unverified_report, result = document.get("hint"), document.get("result")
    invitation = Invitation(
        id=invitation_id,
        customer=document["customer"],
        order_key=document.get("order", ""),
        application_id=document.get("application", ""),
        test_id=document.get("test", ""),
        test_name=document.get("name", ""),
        duration=document.get("duration"),
        state=State(document["state"]),
        created_at=from_ms(document["created"]),
        updated_at=from_ms(document["updated"]),
        attempts=tuple(_load_attempt(entry) for entry in document.get("attempts", ())),
        callback=document.get("callback", ""),
        assessment_url=document.get("url"),
        deadline=_moment(document.get("deadline")),
        started_at=_moment(document.get("started")),
        completed_at=_moment(document.get("completed")),
        expired_at=_moment(document.get("expired")),
        erased_at=_moment(document.get("erased")),
        unverified_report=None if unverified_report is None else _load_report(unverified_report),
        result=None if result is None else _load_result(result),
        confirmed=document.get("confirmed", False),
        live_attempt=document.get("live", 0),
        # Records from before this field: whoever had a link was given it.
        issued=bool(document.get("issued", document.get("live", 0))),
        replaces=document.get("replaces"),
        failure=document.get("failure"),
        version=version,
    )
    numbers = [attempt.number for attempt in invitation.attempts]
    if numbers != list(range(1, len(numbers) + 1)) or invitation.live_attempt not in (0, *numbers):
        raise ValueError("its attempts are not numbered from 1")
    if (
        invitation.unverified_report is not None
        and invitation.unverified_report.attempt not in numbers
    ):
        raise ValueError("its report belongs to no attempt")
    return typed(invitation)


def customer_of(data: bytes, owner: str) -> str:
    """Whose record this is; every format has it at this place. Raises ``RecordDamaged``."""
    with making_sense(owner):
        name = orjson.loads(data)["customer"]
        if isinstance(name, str):
            return name
        raise ValueError("not a name")


def read_head(value: bytes, owner: str) -> tuple[int, str | None, bytes]:
    """Version, the letters of the tasks that the queue must hold (None: not known), and the rest.

    See ``common.lua``. Raises ``RecordDamaged``.
    """
    with making_sense(owner):
        version, nonce, data = value.split(b"|", 2)
        _, known, letters = nonce.partition(b":")
        return int(version), letters.decode("ascii").replace("-", "") if known else None, data


@contextlib.contextmanager
def making_sense(owner: str) -> Iterator[None]:
    """Turn whatever reading of nonsense raises into ``RecordDamaged``, which repeats nothing of it."""
    try:
        yield
    except RecordUnreadable:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, zlib.error):
        raise RecordDamaged(f"{owner} is damaged: what Redis holds is no record") from None


def reseal_invitation(data: bytes, cipher: Cipher, invitation_id: str) -> bytes | None:
    """The same record, sealed with the newest key; None where it is, or has nothing to seal."""
    document = _readable(data, invitation_id)
    if "sealed" in document and cipher.is_newest(document["sealed"]):
        return None
    fresh = _seal(_unsealed(document, cipher, invitation_id), cipher, invitation_id)
    return _dump(fresh) if "sealed" in fresh else None


def dump_notes(
    notes: Sequence[AttemptNote], cipher: Cipher | None = None, invitation_id: str = ""
) -> bytes:
    """An attempt log, sealed for its invitation; empty bytes for an empty one."""
    return _dump(_notes(notes, cipher, invitation_id)) if notes else b""


def load_notes(
    data: bytes, cipher: Cipher | None = None, invitation_id: str = ""
) -> tuple[AttemptNote, ...]:
    """The inverse of ``dump_notes``; an excerpt without a fitting key is ``StillEncrypted``.

    Raises ``RecordDamaged`` for what is no attempt log.
    """
    with making_sense("an attempt log"):
        return _load_notes(orjson.loads(data), cipher, invitation_id) if data else ()


def reseal_notes(data: bytes, cipher: Cipher, owner: str) -> bytes | None:
    """The same attempt log, sealed with the newest key; None where nothing is to be done."""
    fresh = _reseal_notes(orjson.loads(data) if data else [], cipher, owner)
    return None if fresh is None else _dump(fresh)


def dump_dead_letter(letter: DeadLetter, cipher: Cipher | None = None) -> bytes:
    """A dead letter without its ids, which stand in its key."""
    return _dump(
        {
            "f": _PLAIN_FORMAT,
            "customer": letter.customer,
            "attempts": letter.attempts,
            "reason": letter.reason,
            "since": to_ms(letter.since),
            "history": _notes(letter.history, cipher, letter.invitation_id),
        }
    )


def load_dead_letter(
    invitation_id: str, kind: TaskKind, data: bytes, cipher: Cipher | None = None
) -> DeadLetter:
    """The inverse of ``dump_dead_letter``; raises ``RecordDamaged`` for what is none."""
    with making_sense(f"the dead letter {invitation_id}:{kind}"):
        document = _document(data, MIGRATIONS, invitation_id)
        return typed(
            DeadLetter(
                invitation_id=invitation_id,
                kind=kind,
                customer=document["customer"],
                attempts=document["attempts"],
                reason=document["reason"],
                since=from_ms(document["since"]),
                history=_load_notes(document["history"], cipher, invitation_id),
            )
        )


def reseal_dead_letter(data: bytes, cipher: Cipher, owner: str) -> bytes | None:
    """The same dead letter, sealed with the newest key; None where nothing is to be done."""
    document = _readable(data, owner)
    fresh = _reseal_notes(document["history"], cipher, owner)
    return None if fresh is None else _dump({**document, "history": fresh})


def _whole(invitation: Invitation) -> Document:
    unverified_report, result = invitation.unverified_report, invitation.result
    return {
        **_tombstone(invitation),
        "order": invitation.order_key,
        "application": invitation.application_id,
        "test": invitation.test_id,
        "name": invitation.test_name,
        "duration": invitation.duration,
        "callback": invitation.callback,
        "url": invitation.assessment_url,
        "hint": None if unverified_report is None else _dump_report(unverified_report),
        "result": None if result is None else _dump_result(result),
        "confirmed": invitation.confirmed,
        "live": invitation.live_attempt or None,
        "issued": int(invitation.issued),
        "replaces": invitation.replaces,
        "failure": invitation.failure,
    }


def _tombstone(invitation: Invitation) -> Document:
    """Nothing that says anything about a person; the secrets' digests stay, so that a late callback
    is known as one.
    """
    return {
        "customer": invitation.customer,
        "state": invitation.state,
        "created": to_ms(invitation.created_at),
        "updated": to_ms(invitation.updated_at),
        "attempts": [_dump_attempt(attempt) for attempt in invitation.attempts],
        "deadline": _stamp(invitation.deadline),
        "started": _stamp(invitation.started_at),
        "completed": _stamp(invitation.completed_at),
        "expired": _stamp(invitation.expired_at),
        "erased": _stamp(invitation.erased_at),
    }


def _document(
    data: bytes, migrations: Migrations, owner: str, cipher: Cipher | None = None
) -> Document:
    document = _unsealed(_readable(data, owner), cipher, owner)
    for number in range(document["f"], FORMAT):
        document = migrations[number](document)
    return document


def _readable(data: bytes, owner: str) -> Document:
    document: Document = orjson.loads(data)
    if document["f"] > FORMAT:
        raise RecordTooNew(
            f"{owner} is stored in format {document['f']}; this version of the bridge reads up to {FORMAT}"
        )
    return document


def _absent(value: object) -> bool:
    """Not for 0, which is a number, and not for an empty result, which is one."""
    return value is None or value is False or value in ("", [])


def _dump(document: object) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:  # a lone surrogate, which is no Unicode text: shown as "?", for one odd letter must not cost a result
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )


def _seal(document: Document, cipher: Cipher | None, invitation_id: str) -> Document:
    """One sealed part for all that is to be sealed: the overhead of one."""
    private = {name: value for name, value in document.items() if name in _SEALED}
    if cipher is None or not private:
        return document
    rest = {name: value for name, value in document.items() if name not in _SEALED}
    return {
        **rest,
        "f": FORMAT,
        "sealed": cipher.encrypt(_dump(private), _record_of(invitation_id)),
    }


def _unsealed(document: Document, cipher: Cipher | None, owner: str) -> Document:
    if "sealed" not in document:
        return document
    opened: Document = orjson.loads(_open(document["sealed"], cipher, _record_of(owner), owner))
    return {**{name: value for name, value in document.items() if name != "sealed"}, **opened}


def _record_of(invitation_id: str) -> str:
    return f"record {invitation_id}"


def _log_of(invitation_id: str) -> str:
    return f"log {invitation_id}"


def _open(sealed: str, cipher: Cipher | None, owner: str, name: str) -> bytes:
    """What was sealed for *owner*; the errors call it *name*."""
    if cipher is None:
        raise RecordSealed(f"{name} is stored encrypted, but encryption_keys is empty")
    try:
        return cipher.decrypt(sealed, owner)
    except Misplaced:
        raise RecordDamaged(
            f"{name} has an encrypted part that belongs to another record"
        ) from None
    except ValueError:
        raise RecordSealed(
            f"{name} is encrypted with a key that is not in encryption_keys"
        ) from None


def _dump_attempt(attempt: Attempt) -> Document:
    document: Document = {
        "n": attempt.number,
        "digest": attempt.secret_digest,
        "at": to_ms(attempt.started_at),
    }
    if attempt.outcome is not CreateOutcome.PENDING:
        document["outcome"] = attempt.outcome
    if attempt.reference_id is not None:
        document["ref"] = attempt.reference_id
    if attempt.anonymised:
        document["anonymised"] = True
    return document


def _load_attempt(document: Document) -> Attempt:
    return typed(
        Attempt(
            number=document["n"],
            secret_digest=document["digest"],
            started_at=from_ms(document["at"]),
            outcome=CreateOutcome(document.get("outcome", CreateOutcome.PENDING)),
            reference_id=document.get("ref"),
            anonymised=document.get("anonymised", False),
        )
    )


def _dump_report(unverified_report: UnverifiedReport) -> Document:
    document: Document = {
        "attempt": unverified_report.attempt,
        "at": to_ms(unverified_report.seen_at),
    }
    if unverified_report.report is not None:
        document["report"] = _dump_result(unverified_report.report)
    return document


def _load_report(document: Document) -> UnverifiedReport:
    report = document.get("report")
    return typed(
        UnverifiedReport(
            attempt=document["attempt"],
            seen_at=from_ms(document["at"]),
            report=None if report is None else _load_result(report),
        )
    )


def _dump_result(result: Result) -> Document:
    document: Document = {}
    if result.fit is not None:
        document["fit"] = result.fit
    if result.dashboard_url is not None:
        document["url"] = result.dashboard_url
    if result.summary:
        document["summary"] = result.summary
    if result.traits:
        document["traits"] = [_dump_trait(trait) for trait in result.traits]
    return document


def _load_result(document: Document) -> Result:
    return typed(
        Result(
            fit=document.get("fit"),
            dashboard_url=document.get("url"),
            summary=tuple((name, text) for name, text in document.get("summary", ())),
            traits=tuple(_load_trait(trait) for trait in document.get("traits", ())),
        )
    )


def _dump_trait(trait: Trait) -> Document:
    document: Document = {"code": trait.code, "name": trait.name}
    if trait.score is not None:
        document["score"] = trait.score
    if trait.description:
        document["text"] = trait.description
    if trait.priority is not None:
        document["priority"] = trait.priority
    if trait.wanted:
        document["wanted"] = trait.wanted
    return document


def _load_trait(document: Document) -> Trait:
    return typed(
        Trait(
            code=document["code"],
            name=document["name"],
            score=document.get("score"),
            description=document.get("text", ""),
            priority=document.get("priority"),
            wanted=tuple(document.get("wanted", ())),
        )
    )


def _notes(
    notes: Sequence[AttemptNote], cipher: Cipher | None, invitation_id: str
) -> list[Document]:
    return [
        {
            "at": to_ms(note.at),
            "outcome": note.outcome,
            **({} if note.status is None else {"status": note.status}),
            "ms": note.latency_ms,
            **_dump_excerpt(note.excerpt, cipher, invitation_id),
        }
        for note in notes
    ]


def _load_notes(
    documents: Sequence[Document], cipher: Cipher | None, invitation_id: str
) -> tuple[AttemptNote, ...]:
    return tuple(
        typed(
            AttemptNote(
                at=from_ms(note["at"]),
                outcome=note["outcome"],
                status=note.get("status"),
                latency_ms=note["ms"],
                excerpt=_load_excerpt(note, cipher, invitation_id),
            )
        )
        for note in documents
    )


def _dump_excerpt(excerpt: str, cipher: Cipher | None, invitation_id: str) -> Document:
    if isinstance(excerpt, StillEncrypted):
        return {_BOUND: excerpt.sealed}
    if not excerpt:
        return {}
    if cipher is None:
        return {"excerpt": excerpt}
    return {_BOUND: cipher.encrypt(excerpt.encode("utf-8", "replace"), _log_of(invitation_id))}


def _load_excerpt(note: Document, cipher: Cipher | None, invitation_id: str) -> str:
    sealed = note.get(_BOUND, note.get("sealed"))
    if sealed is None:
        excerpt: str = note.get("excerpt", "")
        return excerpt
    try:
        return _open(sealed, cipher, _log_of(invitation_id), "an attempt log").decode("utf-8")
    except RecordUnreadable:
        return StillEncrypted(sealed)


def _reseal_notes(notes: Sequence[Document], cipher: Cipher, owner: str) -> list[Document] | None:
    fresh = [_reseal_note(note, cipher, owner) for note in notes]
    return None if fresh == list(notes) else fresh


def _reseal_note(note: Document, cipher: Cipher, owner: str) -> Document:
    for_whom = _log_of(
        owner.partition(":")[0]
    )  # a log belongs to an invitation, whichever of its tasks it tells of
    sealed = note.get(_BOUND, note.get("sealed"))
    if sealed is not None:
        if cipher.is_newest(sealed):
            return note
        plain = _open(sealed, cipher, for_whom, owner)
    elif "excerpt" in note:
        plain = note["excerpt"].encode("utf-8")
    else:
        return note
    rest = {name: value for name, value in note.items() if name not in ("excerpt", "sealed")}
    return {**rest, _BOUND: cipher.encrypt(plain, for_whom)}


def _stamp(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_ms(milliseconds)
