"""Documents whose fields have names: attempt logs, dead letters, and records of formats 1 and 2.

Under which name a field is stored says one table for each kind of value; nothing else knows these
names. Left out is what has its default. Records are only read in this form, so their tables stay as
they are: what is newer has no name here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from cattrs import Converter
from cattrs.cols import namedtuple_dict_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from bridge.core.assessment import Result, Trait
from bridge.core.history import History, HistoryCounter, HistoryEntry
from bridge.core.invitation import CreateAttempt, HireRecord, Invitation, UnconfirmedResult
from bridge.core.queueing import AttemptNote, DeadLetter
from bridge.store.packing import Document
from bridge.store.stored_times import from_ms, to_ms

_CONVERTER: Final = Converter(detailed_validation=False, prefer_attrib_converters=False)


def require_type(value: Any, kind: type) -> Any:
    """*value*: JSON keeps any type, and one of another type would make its users fail.

    Raises ``ValueError``.
    """
    if not isinstance(value, kind):
        raise ValueError("of another type")
    return value


for _kind in (str, int, bool):
    _CONVERTER.register_structure_hook(_kind, require_type)
_CONVERTER.register_structure_hook(enum.StrEnum, lambda value, kind: kind(value))
_CONVERTER.register_structure_hook(datetime, lambda value, _: from_ms(require_type(value, int)))
_CONVERTER.register_unstructure_hook(datetime, to_ms)


def _read(kind: type, /, **names: str) -> None:
    """Read *kind*, with each field under the name given; what is not there has its default."""
    overrides: dict[str, Any] = {field: override(rename=name) for field, name in names.items()}
    load = namedtuple_dict_structure_factory if issubclass(kind, tuple) else make_dict_structure_fn
    structure: Callable[[Any, Any], Any] = load(kind, _CONVERTER, **overrides)
    _CONVERTER.register_structure_hook(
        kind, lambda value, _: structure(require_type(value, dict), kind)
    )


def _store(kind: type, /, *, always: Collection[str], **names: str) -> None:
    """As ``_read``, and store it in the same way: those in *always* also as defaults."""
    if names.keys() != {field.name for field in fields(kind)}:
        raise TypeError(f"a field of {kind.__name__} has no stored name")
    _read(kind, **names)
    overrides: dict[str, Any] = {
        field: override(rename=name, omit_if_default=field not in always)
        for field, name in names.items()
    }
    _CONVERTER.register_unstructure_hook(
        kind, make_dict_unstructure_fn(kind, _CONVERTER, **overrides)
    )


_read(
    CreateAttempt,
    number="n",
    secret_digest="digest",  # noqa: S106 - a name
    started_at="at",
    outcome="outcome",
    reference_id="ref",
    anonymised="anonymised",
)
_read(
    HireRecord,
    reference_id="ref",
    requested_at="at",
    add_to_team="team",
    start_date="start",
    state="state",
    sent_by="by",
    hired_at="hired",
)
_read(
    Trait,
    code="code",
    name="name",
    score="score",
    description="text",
    wanted="wanted",
    weight="weight",
)
_read(Result, fit="fit", dashboard_url="url", summary="summary", traits="traits")
_read(UnconfirmedResult, attempt="attempt", seen_at="at", report="report")
_read(HistoryEntry, kind="k", at="t", number="n", text="x", status="s", latency_ms="d", mac="m")
_read(HistoryCounter, kind="k", first="a", last="z", count="c", text="x", status="s")
_read(History, entries="e", counts="c", before="b", seal="s")
_read(
    Invitation,
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


def load_named_record(document: Document) -> Invitation:
    """The invitation in a *document* of format 2; raises what reading nonsense raises."""
    return _CONVERTER.structure(document, Invitation)


def dump_notes(notes: Sequence[AttemptNote]) -> list[Document]:
    """An attempt log as documents."""
    documents: list[Document] = _CONVERTER.unstructure(list(notes))
    return documents


def load_notes(documents: Sequence[Document]) -> tuple[AttemptNote, ...]:
    """The inverse of ``dump_notes``; raises what reading nonsense raises."""
    return _CONVERTER.structure(documents, tuple[AttemptNote, ...])


def dump_letter(letter: DeadLetter) -> Document:
    """A dead letter as a document."""
    document: Document = _CONVERTER.unstructure(letter)
    return document


def load_letter(document: Document) -> DeadLetter:
    """The inverse of ``dump_letter``; raises what reading nonsense raises."""
    return _CONVERTER.structure(document, DeadLetter)
