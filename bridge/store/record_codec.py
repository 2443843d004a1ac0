"""Invitations, attempt logs and dead letters as compact JSON, and back.

Under which name a field is stored says one table for each kind of value, further down: nothing else
knows these names. Left out is what has its default; times are whole milliseconds since 1970 UTC, so
a time that was stored comes back cut to the millisecond. Every document carries the number of its
format in ``f``: older ones are migrated when they are read, newer ones are refused
(``RecordTooNew``) and left untouched, so that two versions of the bridge can run side by side.
"""

from __future__ import annotations

import contextlib
import enum
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from cattrs import Converter
from cattrs.cols import namedtuple_dict_structure_factory, namedtuple_dict_unstructure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from bridge.core.assessment import Result, Trait
from bridge.core.history import History, HistoryCounter, HistoryEntry
from bridge.core.invitation import CreateAttempt, HireRecord, Invitation, State, UnconfirmedResult
from bridge.core.queueing import AttemptNote, DeadLetter, TaskKind
from bridge.errors import RecordDamaged, RecordTooNew, RecordUnreadable
from bridge.store.encryption import Cipher
from bridge.store.sealed_parts import (
    FORMAT,
    Document,
    dump_json,
    seal_attempt_log,
    seal_record,
    unseal_attempt_log,
    unseal_record,
)

_PLAIN_FORMAT: Final = 1
"""Of what has no sealed part, so that older versions can go on reading it."""

Migrations = Mapping[int, Callable[[Document], Document]]

MIGRATIONS: Final[Migrations] = {1: lambda document: document}
"""From a format to the next one."""

_TOMBSTONE: Final = (
    *("f", "customer", "state", "created", "updated", "attempts"),
    *("deadline", "started", "completed", "expired", "erased", "history"),
)
"""All that is kept of an ERASED invitation: nothing of it says anything about a person.

The digests in its attempts stay, so that a late callback is known as one.
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970 UTC, cut, not rounded."""
    return (moment - _EPOCH) // MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The inverse of ``to_ms``."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


# ------------------------------------------------------------------------------ the stored names

_CONVERTER: Final = Converter(detailed_validation=False, prefer_attrib_converters=False)


def _of_type(value: Any, kind: type) -> Any:
    """JSON keeps any type; a value of another one would make its users fail."""
    if not isinstance(value, kind):
        raise ValueError("of another type")
    return value


for _kind in (str, int, bool):
    _CONVERTER.register_structure_hook(_kind, _of_type)
_CONVERTER.register_structure_hook(enum.StrEnum, lambda value, kind: kind(value))
_CONVERTER.register_structure_hook(datetime, lambda value, _: from_ms(_of_type(value, int)))
_CONVERTER.register_unstructure_hook(datetime, to_ms)


def _store(kind: type, /, *, always: Collection[str] = (), **names: str) -> None:
    """Store *kind* with each field under the name given; those in *always* also as defaults."""
    of_tuple = issubclass(kind, tuple)
    known = kind.__annotations__ if of_tuple else {field.name for field in fields(kind)}
    if names.keys() != set(known):
        raise TypeError(f"a field of {kind.__name__} has no stored name")
    overrides: dict[str, Any] = {
        field: override(rename=name, omit_if_default=field not in always)
        for field, name in names.items()
    }
    dump = namedtuple_dict_unstructure_factory if of_tuple else make_dict_unstructure_fn
    load = namedtuple_dict_structure_factory if of_tuple else make_dict_structure_fn
    _CONVERTER.register_unstructure_hook(kind, dump(kind, _CONVERTER, **overrides))
    structure: Callable[[Any, Any], Any] = load(kind, _CONVERTER, **overrides)
    _CONVERTER.register_structure_hook(
        kind, lambda value, _: structure(_of_type(value, dict), kind)
    )


_store(
    CreateAttempt,
    number="n",
    secret_digest="digest",  # noqa: S106 - a name
    started_at="at",
    outcome="outcome",
    reference_id="ref",
    anonymised="anonymised",
)
_store(
    HireRecord,
    always=("add_to_team",),
    reference_id="ref",
    requested_at="at",
    add_to_team="team",
    start_date="start",
    state="state",
    sent_by="by",
    hired_at="hired",
)
_store(
    Trait,
    code="code",
    name="name",
    score="score",
    description="text",
    wanted="wanted",
    weight="weight",
)
_store(Result, fit="fit", dashboard_url="url", summary="summary", traits="traits")
_store(UnconfirmedResult, attempt="attempt", seen_at="at", report="report")
_store(HistoryEntry, kind="k", at="t", number="n", text="x", status="s", latency_ms="d", mac="m")
_store(HistoryCounter, kind="k", first="a", last="z", count="c", text="x", status="s")
_store(History, entries="e", counts="c", before="b", seal="s")
_store(
    Invitation,
    always=("issued",),
    id="id",
    version="version",
    customer="customer",
    state="state",
    created_at="created",
    updated_at="updated",
    attempts="attempts",
    deadline="deadline",
    started_at="started",
    completed_at="completed",
    expired_at="expired",
    erased_at="erased",
    order_key="order",
    application_id="application",
    test_id="test",
    test_name="name",
    duration="duration",
    callback="callback",
    assessment_url="url",
    unconfirmed_result="hint",
    result="result",
    corrected_at="corrected",
    confirmed="confirmed",
    live_attempt="live",
    issued="issued",
    replaces="replaces",
    hire="hire",
    failure="failure",
    history="history",
    trace="trace",
)
_store(
    AttemptNote,
    always=("latency_ms",),
    at="at",
    outcome="outcome",
    status="status",
    latency_ms="ms",
    excerpt="excerpt",
)
_store(
    DeadLetter,
    always=("history",),
    invitation_id="id",
    kind="kind",
    customer="customer",
    attempts="attempts",
    reason="reason",
    since="since",
    history="history",
)


# ----------------------------------------------------------------------------------- invitations


def dump_invitation(invitation: Invitation, cipher: Cipher | None = None) -> bytes:
    """The record without id and version, which stand elsewhere; a tombstone of an ERASED one."""
    document = {"f": _PLAIN_FORMAT, **_CONVERTER.unstructure(invitation)}
    if invitation.state is State.ERASED:
        document = {name: document[name] for name in _TOMBSTONE if name in document}
    else:
        del document["id"]
        document.pop("version", None)
        document["issued"] = int(invitation.issued)
    return dump_json(seal_record(document, cipher, invitation.id))


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
    with raise_as_record_damaged(invitation_id):
        document = _document(data, migrations, invitation_id, cipher)
        document |= {"id": invitation_id, "version": version}
        # Records from before this field: those who had a link were given it.
        document["issued"] = bool(document.get("issued", document.get("live", 0)))
        invitation = _CONVERTER.structure(document, Invitation)
        numbers = [attempt.number for attempt in invitation.attempts]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError("its attempts are not numbered from 1")
        if invitation.live_attempt not in (0, *numbers):
            raise ValueError("its link belongs to no attempt")
        if (
            invitation.unconfirmed_result is not None
            and invitation.unconfirmed_result.attempt not in numbers
        ):
            raise ValueError("its report belongs to no attempt")
        return invitation


def read_customer(data: bytes, owner: str) -> str:
    """Whose record this is; every format has it at this place. Raises ``RecordDamaged``."""
    with raise_as_record_damaged(owner):
        name: str = _of_type(orjson.loads(data)["customer"], str)
        return name


def read_application_id(data: bytes, owner: str) -> str:
    """The ATS' application of this record, empty in a tombstone; every format has it at this place.

    Raises ``RecordDamaged``.
    """
    with raise_as_record_damaged(owner):
        name: str = _of_type(orjson.loads(data).get("application", ""), str)
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
    version, _, data = read_record_head(value, invitation_id)
    return load_invitation(invitation_id, version, data, cipher)


@contextlib.contextmanager
def raise_as_record_damaged(owner: str) -> Iterator[None]:
    """Turn whatever reading nonsense raises into ``RecordDamaged``, which repeats nothing of it."""
    try:
        yield
    except RecordUnreadable:
        raise
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
        zlib.error,
    ):
        raise RecordDamaged(f"{owner} is damaged: what Redis holds is no record") from None


# ------------------------------------------------------------------ attempt logs and dead letters


def dump_attempt_log(
    notes: Sequence[AttemptNote], cipher: Cipher | None = None, invitation_id: str = ""
) -> bytes:
    """An attempt log, sealed for its invitation; empty bytes for an empty one."""
    documents = _CONVERTER.unstructure(list(notes))
    return dump_json(seal_attempt_log(documents, cipher, invitation_id)) if notes else b""


def load_attempt_log(
    data: bytes, cipher: Cipher | None = None, invitation_id: str = ""
) -> tuple[AttemptNote, ...]:
    """The inverse of ``dump_attempt_log``; an excerpt without a fitting key is ``StillEncrypted``.

    Raises ``RecordDamaged`` for what is no attempt log.
    """
    with raise_as_record_damaged("an attempt log"):
        documents = unseal_attempt_log(orjson.loads(data) if data else (), cipher, invitation_id)
        return _CONVERTER.structure(documents, tuple[AttemptNote, ...])


def dump_dead_letter(letter: DeadLetter, cipher: Cipher | None = None) -> bytes:
    """A dead letter without its ids, which stand in its key."""
    document = {"f": _PLAIN_FORMAT, **_CONVERTER.unstructure(letter)}
    document["history"] = seal_attempt_log(document["history"], cipher, letter.invitation_id)
    del document["id"], document["kind"]
    return dump_json(document)


def load_dead_letter(
    invitation_id: str, kind: TaskKind, data: bytes, cipher: Cipher | None = None
) -> DeadLetter:
    """The inverse of ``dump_dead_letter``; raises ``RecordDamaged`` for what is none."""
    with raise_as_record_damaged(f"the dead letter {invitation_id}:{kind}"):
        document = _document(data, MIGRATIONS, invitation_id) | {"id": invitation_id, "kind": kind}
        document["history"] = unseal_attempt_log(document["history"], cipher, invitation_id)
        return _CONVERTER.structure(document, DeadLetter)


def _document(
    data: bytes, migrations: Migrations, owner: str, cipher: Cipher | None = None
) -> Document:
    document = unseal_record(read_document(data, owner), cipher, owner)
    for number in range(document["f"], FORMAT):
        document = migrations[number](document)
    return document


def read_document(data: bytes, owner: str) -> Document:
    """A document as it stands; raises ``RecordTooNew`` for a newer format."""
    document: Document = orjson.loads(data)
    if document["f"] > FORMAT:
        raise RecordTooNew(
            f"{owner} is stored in format {document['f']}; "
            f"this version of the bridge reads up to {FORMAT}"
        )
    return document
