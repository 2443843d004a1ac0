"""The encrypted parts of what is stored, each sealed for its owner.

A record has one part, ``sealed``, with what a candidate achieved and every link with a secret; the
excerpts of an attempt log are sealed one by one. Plain documents can still be read, so encryption
may be switched on at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.errors import RecordDamaged, RecordKeyMissing, RecordUnreadable
from bridge.store.encryption import Cipher, WrongOwner
from bridge.store.packing import Document

_BOUND: Final = "bound"
"""The field of a sealed excerpt; older versions, which read ``sealed``, skip it."""


class StillEncrypted(str):
    """An excerpt without a key: shows an explanation, and is stored again unchanged.

    So a task whose log cannot be opened is performed all the same, and its log is not lost.
    """

    sealed: str

    def __new__(cls, sealed: str) -> StillEncrypted:
        """Keep *sealed*, the stored text."""
        unopened = super().__new__(cls, "(encrypted with a key that is not in encryption_keys)")
        unopened.sealed = sealed
        return unopened


def _record_of(invitation_id: str) -> str:
    """The owner of what is sealed in an invitation's record."""
    return f"record {invitation_id}"


def _log_of(invitation_id: str) -> str:
    """The owner of the excerpts in the attempt logs of all tasks of an invitation."""
    return f"log {invitation_id}"


def _open(sealed: str, cipher: Cipher | None, owner: str, name: str) -> bytes:
    """Open what was sealed for *owner*, which errors call *name*.

    Raises ``RecordKeyMissing`` without a fitting key, ``RecordDamaged`` for another owner's.
    """
    if cipher is None:
        raise RecordKeyMissing(f"{name} is stored encrypted, but encryption_keys is empty")
    try:
        return cipher.decrypt(sealed, owner)
    except WrongOwner:
        raise RecordDamaged(
            f"{name} has an encrypted part that belongs to another record"
        ) from None
    except ValueError:
        raise RecordKeyMissing(
            f"{name} is encrypted with a key that is not in encryption_keys"
        ) from None


def seal_private_part(plain: bytes, cipher: Cipher, invitation_id: str) -> str:
    """The private part of a record, sealed for its invitation: one part for all that is private
    costs the overhead of one.
    """
    return cipher.encrypt(plain, _record_of(invitation_id))


def open_private_part(sealed: str, cipher: Cipher | None, invitation_id: str) -> bytes:
    """The inverse of ``seal_private_part``; raises as ``_open``."""
    return _open(sealed, cipher, _record_of(invitation_id), invitation_id)


def seal_attempt_log(
    notes: Sequence[Document], cipher: Cipher | None, invitation_id: str
) -> list[Document]:
    """An attempt log with its excerpts sealed; those that are ``StillEncrypted`` stay as they
    were.
    """
    return [_seal_note(note, cipher, invitation_id) for note in notes]


def _seal_note(note: Document, cipher: Cipher | None, invitation_id: str) -> Document:
    excerpt = note.get("excerpt")
    if isinstance(excerpt, StillEncrypted):
        sealed = excerpt.sealed
    elif cipher is not None and excerpt:
        sealed = cipher.encrypt(excerpt.encode("utf-8", "replace"), _log_of(invitation_id))
    else:
        return note
    return {**_without(note, "excerpt"), _BOUND: sealed}


def unseal_attempt_log(
    documents: Sequence[Document], cipher: Cipher | None, invitation_id: str
) -> list[Document]:
    """The inverse of ``seal_attempt_log``."""
    return [{**note, **_opened_excerpt(note, cipher, invitation_id)} for note in documents]


def _opened_excerpt(note: Document, cipher: Cipher | None, invitation_id: str) -> Document:
    sealed = _sealed_excerpt(note)
    if sealed is None:
        return {}
    try:
        opened = _open(sealed, cipher, _log_of(invitation_id), "an attempt log")
    except RecordUnreadable:
        return {"excerpt": StillEncrypted(sealed)}
    return {"excerpt": opened.decode("utf-8")}


def _sealed_excerpt(note: Document) -> str | None:
    sealed: str | None = note.get(_BOUND, note.get("sealed"))
    return sealed


def reseal_attempt_log(notes: list[Document], cipher: Cipher, owner: str) -> list[Document] | None:
    """An attempt log sealed with the newest key; None if it is already, or has nothing to seal.

    *owner* is the task's id; a log is sealed for its invitation, whichever task it is of.
    """
    fresh = [_reseal_note(note, cipher, owner) for note in notes]
    return None if fresh == notes else fresh


def _reseal_note(note: Document, cipher: Cipher, owner: str) -> Document:
    invitation_id = owner.partition(":")[0]
    sealed = _sealed_excerpt(note)
    if sealed is None:
        return _seal_note(note, cipher, invitation_id)
    if cipher.is_newest(sealed):
        return note
    plain = _open(sealed, cipher, _log_of(invitation_id), owner)
    note = _without(note, "sealed", _BOUND)
    return _seal_note({**note, "excerpt": plain.decode("utf-8")}, cipher, invitation_id)


def _without(document: Document, *names: str) -> Document:
    return {name: value for name, value in document.items() if name not in names}
