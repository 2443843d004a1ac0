"""The shapes of what Equalture sends, for the contract watch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge.core.answer_shape import (
    REQUEST,
    Enumerations,
    Shape,
    list_shape_facts,
    list_shape_facts_of_names,
    show_undocumented_words,
)
from bridge.core.redaction import mask_unprintable_word
from bridge.equalture.error_words import REDACTOR
from bridge.equalture.protocol import Call, Reply

REQUESTS = ("callback", "webhook")


def _event_name(text: str) -> str:
    """The name of an event, without what is no word of events: it is put together of parts."""
    return REDACTOR.redact(mask_unprintable_word(text).encode())


_RESULT: Enumerations = {
    "$.fit": show_undocumented_words("low", "high"),
    "$.status": mask_unprintable_word,
}
_ENUMERATIONS: dict[str, Enumerations] = {
    "status": {"$.status": mask_unprintable_word},
    "results": _RESULT,
    "callback": _RESULT,
    "public_link": {"$.ttl_units": mask_unprintable_word},
    "webhook": {"$.type": _event_name, "$.data.status": mask_unprintable_word},
}
"""The fields that are known to be enumerations. How a person fits is shown only where the word is a
new one: those that the pages show say something of the person, not of the contract.
"""

_NOTHING_PRIVATE: frozenset[str] = frozenset()


def list_reply_facts(call: Call[Any], reply: Reply) -> Shape:
    """The shape of an answer, with its status."""
    private = frozenset(map(str.lower, call.private)) if call.private else _NOTHING_PRIVATE
    return list_shape_facts(
        str(reply.status), reply.document, _ENUMERATIONS.get(call.operation, {}), private
    )


def list_request_facts(operation: str, document: object) -> Shape:
    """The shape of a callback's or webhook's body."""
    return list_shape_facts(REQUEST, document, _ENUMERATIONS[operation])


def list_header_facts(headers: Iterable[str]) -> Shape:
    """The names of uncommon headers of a callback or webhook."""
    return list_shape_facts_of_names((), headers)
