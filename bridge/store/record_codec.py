"""Invitations, attempt logs and dead letters as bytes, and back.

A record is JSON with the number of its format in ``f``, its customer, the ATS' application, and the
list of all its other values in ``r`` (``record_layout`` says which stands where). While it is about
to change, that is a list, with its random parts in front; at rest it is packed (``packing``).
With encryption the private ones are packed by themselves and stand, encrypted, in ``sealed``.

Older formats are read, and a record is written in this one when it changes. Newer ones are refused
(``RecordTooNew``) and left untouched, so that two versions of the bridge can run side by side:
that, and finding the work of a record, needs no more than what stands outside of the packed list.
"""

from __future__ import annotations

import binascii
import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from bridge.core.copying import copy_with
from bridge.core.history import HistoryEntryKind
from bridge.core.invitation import Invitation, State
from bridge.core.queueing import AttemptNote, DeadLetter, TaskKind
from bridge.errors import RecordDamaged, RecordTooNew, RecordUnreadable
from bridge.store.encryption import Cipher
from bridge.store.named_documents import (
    dump_letter,
    dump_notes,
    load_letter,
    load_named_record,
    load_notes,
    require_type,
)
from bridge.store.packing import Document, TakenParts, dump_json, pack, unpack
from bridge.store.record_layout import dump_invitation_values, load_invitation_values
from bridge.store.sealed_parts import (
    open_private_part,
    seal_attempt_log,
    seal_private_part,
    unseal_attempt_log,
)

FORMAT: Final = 3
"""Of a record. In format 1 each value had a name and nothing was packed; in format 2 it had a
sealed part, too.
"""
_NAMED_FORMAT: Final = 2
_PLAIN_FORMAT: Final = 1
"""Of a dead letter."""

Migrations = Mapping[int, Callable[[Document], Document]]

MIGRATIONS: Final[Migrations] = {1: lambda document: document}
"""From a format with names to the next one."""

_NONSENSE: Final = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
    zlib.error,
)
"""Whatever reading a damaged value raises."""


# ----------------------------------------------------------------------------------- invitations


def dump_invitation(invitation: Invitation, cipher: Cipher | None = None) -> bytes:
    """The record without id and version, which stand elsewhere; a tombstone of an ERASED one."""
    if invitation.state is State.ERASED:
        invitation = _reduce_to_tombstone(invitation)
    taken, apart = bytearray(), None if cipher is None else bytearray()
    values, private = dump_invitation_values(invitation, taken, apart)
    document: Document = {"f": FORMAT, "customer": invitation.customer}
    if invitation.application_id:
        document["application"] = invitation.application_id
    if _changes_soon(invitation):
        document["r"] = [_write_base64(taken), *values]
    else:
        document["r"] = _write_base64(pack(values, taken))
    if cipher is not None and apart is not None and private:
        document["sealed"] = seal_private_part(pack(private, apart), cipher, invitation.id)
    return dump_json(document)


def load_invitation(
    invitation_id: str,
    version: int,
    data: bytes,
    cipher: Cipher | None = None,
    migrations: Migrations = MIGRATIONS,
) -> Invitation:
    """The inverse of ``dump_invitation``, for every format so far.

    Raises ``RecordKeyMissing`` without a fitting key, ``RecordTooNew`` for a newer format and
    ``RecordDamaged`` for what makes no sense.
    """
    try:
        document = read_document(data, invitation_id)
        if document["f"] != FORMAT:
            invitation = _load_named(document, migrations, invitation_id, version, cipher)
        else:
            apart = None
            if "sealed" in document:
                apart = unpack(open_private_part(document["sealed"], cipher, invitation_id))
            invitation = load_invitation_values(
                *_read_values(document["r"]),
                apart,
                invitation_id=invitation_id,
                version=version,
                customer=require_type(document["customer"], str),
                application_id=require_type(document.get("application", ""), str),
            )
        _require_attempts(invitation)
        return invitation
    except RecordUnreadable:
        raise
    except _NONSENSE:
        raise _create_damage(invitation_id) from None


def renew_sealed_part(data: bytes, cipher: Cipher, invitation_id: str) -> bytes | None:
    """A record encrypted with the newest key; None if it is already, or has nothing to encrypt.

    Raises as ``load_invitation``.
    """
    with raise_as_record_damaged(invitation_id):
        document = read_document(data, invitation_id)
        if "sealed" in document and cipher.is_newest(document["sealed"]):
            return None
        fresh = dump_invitation(load_invitation(invitation_id, 0, data, cipher), cipher)
        return fresh if "sealed" in orjson.loads(fresh) else None


def _changes_soon(one: Invitation) -> bool:
    """Whether this record will be written again within seconds, as a rule: packing it takes as long
    as the rest of writing it, and only what stays has to be small.
    """
    if not one.issued or one.unconfirmed_result is not None:
        return one.state is not State.ERASED
    entries = one.history.entries
    return bool(entries) and entries[-1].kind == HistoryEntryKind.COMPLETED


def _read_values(stored: object) -> tuple[list[Any], TakenParts]:
    if isinstance(stored, list):
        return stored[1:], TakenParts(binascii.a2b_base64(stored[0]))
    return unpack(binascii.a2b_base64(require_type(stored, str)))


def _write_base64(raw: bytes | bytearray) -> str:
    return binascii.b2a_base64(raw, newline=False).decode()


def _reduce_to_tombstone(one: Invitation) -> Invitation:
    """All that is kept of an ERASED invitation: nothing of it says anything about a person.

    The digests in its attempts stay, so that a late callback is known as one.
    """
    return Invitation(
        id=one.id,
        customer=one.customer,
        state=one.state,
        created_at=one.created_at,
        updated_at=one.updated_at,
        attempts=one.attempts,
        deadline=one.deadline,
        started_at=one.started_at,
        completed_at=one.completed_at,
        expired_at=one.expired_at,
        erased_at=one.erased_at,
        history=one.history,
    )


def _load_named(
    document: Document,
    migrations: Migrations,
    invitation_id: str,
    version: int,
    cipher: Cipher | None,
) -> Invitation:
    """The invitation in a document of a format with names."""
    if "sealed" in document:
        sealed = document.pop("sealed")
        document |= orjson.loads(open_private_part(sealed, cipher, invitation_id))
    for number in range(document["f"], _NAMED_FORMAT):
        document = migrations[number](document)
    document |= {"id": invitation_id, "version": version}
    # Records from before this field: those who had a link were given it.
    document["issued"] = bool(document.get("issued", document.get("live", 0)))
    return load_named_record(document)


def _require_attempts(invitation: Invitation) -> None:
    """Raise ``ValueError`` for a record that points to an attempt which it does not have."""
    numbers = [attempt.number for attempt in invitation.attempts]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError("its attempts are not numbered from 1")
    if invitation.live_attempt not in (0, *numbers):
        raise ValueError("its link belongs to no attempt")
    reported = invitation.unconfirmed_result
    if reported is not None and reported.attempt not in numbers:
        raise ValueError("its report belongs to no attempt")


# ------------------------------------------------------------------------------- parts of a record


def read_customer(data: bytes, owner: str) -> str:
    """Whose record this is; every format has it at this place. Raises ``RecordDamaged``."""
    with raise_as_record_damaged(owner):
        name: str = require_type(orjson.loads(data)["customer"], str)
        return name


def read_application_id(data: bytes, owner: str) -> str:
    """The ATS' application of this record, empty in a tombstone; every format has it at this place.

    Raises ``RecordDamaged``.
    """
    with raise_as_record_damaged(owner):
        name: str = require_type(orjson.loads(data).get("application", ""), str)
        return name


def read_record_head(value: bytes, owner: str) -> tuple[int, str | None, bytes]:
    """Version, the letters of the tasks that the queue must hold (None: not known), and the rest.

    See ``common.lua``. Raises ``RecordDamaged``.
    """
    with raise_as_record_damaged(owner):
        version, nonce, data = value.split(b"|", 2)
        _, known, letters = nonce.partition(b":")
        return int(version), letters.decode("ascii").replace("-", "") if known else None, data


def load_record(invitation_id: str, value: bytes, cipher: Cipher | None) -> Invitation:
    """The invitation in a record's *value*; raises as ``load_invitation``."""
    try:
        version, commit, data = value.split(b"|", 2)
        number, commit_id = int(version), commit.partition(b":")[0].decode()
    except ValueError:
        raise _create_damage(invitation_id) from None
    stored = load_invitation(invitation_id, number, data, cipher)
    return copy_with(stored, commit_id=commit_id)


def read_document(data: bytes, owner: str, newest: int = FORMAT) -> Document:
    """A document as it stands; raises ``RecordTooNew`` for a newer format."""
    document: Document = orjson.loads(data)
    if document["f"] > newest:
        raise RecordTooNew(
            f"{owner} is stored in format {document['f']}; "
            f"this version of the bridge reads up to {newest}"
        )
    return document


@contextlib.contextmanager
def raise_as_record_damaged(owner: str) -> Iterator[None]:
    """Turn whatever reading nonsense raises into ``RecordDamaged``, which repeats nothing of it."""
    try:
        yield
    except RecordUnreadable:
        raise
    except _NONSENSE:
        raise _create_damage(owner) from None


def _create_damage(owner: str) -> RecordDamaged:
    return RecordDamaged(f"{owner} is damaged: what Redis holds is no record")


# ------------------------------------------------------------------ attempt logs and dead letters


def dump_attempt_log(
    notes: Sequence[AttemptNote], cipher: Cipher | None = None, invitation_id: str = ""
) -> bytes:
    """An attempt log, sealed for its invitation; empty bytes for an empty one."""
    if not notes:
        return b""
    return dump_json(seal_attempt_log(dump_notes(notes), cipher, invitation_id))


def load_attempt_log(
    data: bytes, cipher: Cipher | None = None, invitation_id: str = ""
) -> tuple[AttemptNote, ...]:
    """The inverse of ``dump_attempt_log``; an excerpt without a fitting key is ``StillEncrypted``.

    Raises ``RecordDamaged`` for what is no attempt log.
    """
    if not data:
        return ()
    with raise_as_record_damaged("an attempt log"):
        return load_notes(unseal_attempt_log(orjson.loads(data), cipher, invitation_id))


def dump_dead_letter(letter: DeadLetter, cipher: Cipher | None = None) -> bytes:
    """A dead letter without its ids, which stand in its key."""
    document = {"f": _PLAIN_FORMAT, **dump_letter(letter)}
    document["history"] = seal_attempt_log(document["history"], cipher, letter.invitation_id)
    del document["id"], document["kind"]
    return dump_json(document)


def load_dead_letter(
    invitation_id: str, kind: TaskKind, data: bytes, cipher: Cipher | None = None
) -> DeadLetter:
    """The inverse of ``dump_dead_letter``; raises ``RecordDamaged`` for what is none."""
    owner = f"the dead letter {invitation_id}:{kind}"
    with raise_as_record_damaged(owner):
        document = read_document(data, invitation_id, _NAMED_FORMAT)
        document |= {"id": invitation_id, "kind": kind}
        document["history"] = unseal_attempt_log(document["history"], cipher, invitation_id)
        return load_letter(document)
